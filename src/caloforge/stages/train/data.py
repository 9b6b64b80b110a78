"""Showers for training: sparse on the disk, dense one batch at a time, mirrored at random where allowed.

The showers of a file are rebinned to the model's calorimeter as sparse rows, and kept uncompressed in a
scratch file that is mapped into memory and disappears with the process. So a million showers of 27,000 cells
take disk space for their hits, and memory for a few batches.
"""

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any, Self

import numpy as np
import numpy.typing as npt
import torch
from scipy.sparse import csr_array

from caloforge.errors import GeometryError, InputError
from caloforge.files import sha256
from caloforge.formats.base import Source, batch_size
from caloforge.formats.native import ShowerFile
from caloforge.formats.open import open_any
from caloforge.geometry import Calorimeter
from caloforge.geometry.rebinning import rebin_matrix
from caloforge.incident.incident import Incident
from caloforge.incident.particles import particle_name
from caloforge.models.base import Batch
from caloforge.progress import Progress, no_progress
from caloforge.showers import Showers

__all__ = ["Integers", "SparseShowers", "TrainingData", "load"]

_READ = 1024  # showers read out at once

Integers = npt.NDArray[np.int64]


@dataclass(frozen=True)
class SparseShowers:
    """Showers of one read-out; the cells of shower i are entries ``bounds[i]`` to ``bounds[i + 1]``.

    Attributes
    ----------
    geometry
        The read-out.
    bounds
        (n + 1,) int64.
    index, value
        Number of each filled cell and its energy in MeV, mapped from the disk.
    incident
        The n particles.
    """

    geometry: Calorimeter
    bounds: Integers
    index: npt.NDArray[np.uint32]
    value: npt.NDArray[np.float32]
    incident: Incident

    def cells(self, rows: Integers) -> npt.NDArray[np.float32]:
        """Return some showers densely, (len(rows), n_cells) in MeV."""
        starts, counts = self.bounds[rows], np.diff(self.bounds)[rows]
        # All entries of all rows without a loop: the place within its row, plus the start of the row.
        within = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
        entries = np.repeat(starts, counts) + within
        cells = np.zeros((len(rows), self.geometry.n_cells), np.float32)
        cells[np.repeat(np.arange(len(rows)), counts), self.index[entries]] = self.value[entries]
        return cells


@dataclass(frozen=True)
class TrainingData:
    """Showers ready for training, of one read-out or of several.

    Attributes
    ----------
    parts
        The showers of each read-out.
    rows
        Numbers of the showers in use, counted over all parts.
    particles
        PDG ids, in the order of first occurrence in the files.
    provenance
        For each file its name, sha256, number of showers and particle.
    """

    parts: tuple[SparseShowers, ...]
    rows: Integers
    particles: tuple[int, ...]
    provenance: list[dict[str, Any]]

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def geometries(self) -> tuple[Calorimeter, ...]:
        """The read-outs."""
        return tuple(part.geometry for part in self.parts)

    @property
    def incident(self) -> Incident:
        """The particles of all showers."""
        return Incident.concatenate([part.incident for part in self.parts])[self.rows]

    @property
    def of_parts(self) -> list[Integers]:
        """Numbers of the showers of each read-out, in the order of ``rows``."""
        ends = np.cumsum([len(part.incident) for part in self.parts])
        part = np.searchsorted(ends, self.rows, side="right")
        return [self.rows[part == number] for number in range(len(self.parts))]

    def __getitems__(self, numbers: Sequence[int]) -> Batch:
        """Return showers of one read-out as a batch; torch's DataLoader calls this with a batch's numbers."""
        first = 0
        for part in self.parts:
            rows = np.asarray(numbers, np.int64) - first
            if rows[0] < len(part.incident):
                return self._batch(part, rows)
            first += len(part.incident)
        raise IndexError(numbers)

    def _batch(self, part: SparseShowers, rows: Integers) -> Batch:
        incident = part.incident[rows]
        label = np.array([self.particles.index(pdg) for pdg in incident.pdg.tolist()], np.int64)
        return Batch(
            torch.from_numpy(part.cells(rows)),
            torch.from_numpy(incident.energy.astype(np.float32)),
            torch.from_numpy(incident.unit_direction.astype(np.float32)),
            torch.from_numpy(incident.position),
            torch.from_numpy(label),
            part.geometry,
        )

    def batches(self, size: int | None = None) -> Iterator[Batch]:
        """Yield all showers in one order, size at a time (default: as many as take 64 MiB)."""
        for part, numbers in zip(self.parts, self.of_parts, strict=True):
            step = size or batch_size(part.geometry)
            for start in range(0, len(numbers), step):
                yield self.__getitems__(numbers[start : start + step].tolist())

    def sample(self, values: int = 1 << 26) -> Batch:
        """Return the first showers of the first read-out: all, or those with this many cells in total."""
        numbers = self.of_parts[0][: max(1, values // self.geometries[0].n_cells)]
        return self.__getitems__(numbers.tolist())

    def split(self, held_out: int, seed: int) -> tuple["TrainingData", "TrainingData"]:
        """Return the showers to train on and, drawn at random, those held out for validation.

        Raises
        ------
        InputError
            Nothing would be left to train on.
        """
        if not 0 < held_out < len(self):
            raise InputError(
                f"{held_out} showers can't be held out of {len(self)}: simulate more, or hold out fewer."
            )
        order = np.random.default_rng(seed).permutation(len(self))
        known, unseen = (replace(self, rows=self.rows[part]) for part in (order[held_out:], order[:held_out]))
        return known, unseen

    def showers(self, batch: Batch, provenance: Mapping[str, Any]) -> Showers:
        """Return a batch as showers with a provenance, for plots and observables."""
        x, y, z = batch.direction.double().cpu().numpy().T
        direction = np.stack([np.arctan2(np.hypot(x, y), z), np.arctan2(y, x)], axis=1)
        pdg = np.array(self.particles, np.int32)[batch.label.cpu().numpy()]
        incident = Incident(pdg, batch.energy.cpu().numpy(), direction, batch.position.cpu().numpy())
        return Showers(batch.geometry, batch.cells.cpu().numpy(), incident, provenance=provenance)


def load(
    paths: Sequence[Path],
    geometries: Sequence[Calorimeter],
    progress: Progress = no_progress,
    *,
    seed: int = 1,
    scratch: Path | None = None,
) -> TrainingData:
    """Read showers for training on a calorimeter, or on several, of which one is drawn for each shower.

    Parameters
    ----------
    paths
        Files of showers, of any known layout; a finer read-out is rebinned on the way.
    geometries
        The read-outs that the model will know. Of several, each shower gets one that its cells fit into.
    progress
        Called with (showers read, showers in all).
    seed
        Draws the read-outs.
    scratch
        Folder on whose disk the sparse showers are kept while the process runs; by default the temporary one.

    Raises
    ------
    ShowerFileError, GeometryError, InputError
        A file is not one of showers, its cells do not fit into any of the read-outs, it does not say the
        particle, or all files are empty.
    """
    done, total = 0, sum(map(_count, paths))
    if total == 0:
        raise InputError(f"No showers to train on were found in {', '.join(map(str, paths))}.")
    with ExitStack() as files:
        kept = [files.enter_context(_Scratch(geometry, scratch)) for geometry in geometries]
        provenance: list[dict[str, Any]] = []
        for number, path in enumerate(paths):
            pdg: list[int] = []
            for incident in _distribute(path, kept, np.random.default_rng([seed, number])):
                pdg += incident.pdg.tolist()
                progress(done := done + len(incident), total)
            provenance.append(_origin(path, pdg))
        for one in kept:
            one.check_some()
        parts = tuple(one.finish() for one in kept)
    every = np.concatenate([part.incident.pdg for part in parts])
    return TrainingData(parts, np.arange(len(every)), tuple(dict.fromkeys(every.tolist())), provenance)


class _Scratch:
    """Stores sparse showers of one read-out, cells on the disk and particles in memory."""

    def __init__(self, geometry: Calorimeter, folder: Path | None) -> None:
        self.geometry, self._folder = geometry, folder
        # Files without a name disappear when the process ends, even if it is killed.
        with self._disk():
            self._index, self._value = (tempfile.TemporaryFile(dir=folder) for _ in range(2))  # noqa: SIM115
        self._counts: list[Integers] = []
        self._incident: list[Incident] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for file in (self._index, self._value):  # a memory map keeps the file open
            with suppress(OSError):  # data that did not fit on a full disk are not needed any more
                file.close()

    def add(self, cells: csr_array, incident: Incident) -> None:
        """Append showers, (n, n_cells)."""
        cells.sort_indices()
        with self._disk():
            self._index.write(cells.indices.astype(np.uint32).tobytes())
            self._value.write(cells.data.astype(np.float32).tobytes())
        self._counts.append(np.diff(cells.indptr).astype(np.int64))
        self._incident.append(incident)

    def check_some(self) -> None:
        """Refuse a read-out that no shower was given to (`InputError`)."""
        if not self._counts:
            raise InputError(
                f"No showers can be read out by {self.geometry.name}: leave it out, or add showers "
                "whose cells fit into its cells."
            )

    def finish(self) -> SparseShowers:
        """Return all showers."""
        bounds = np.concatenate([[0], np.cumsum(np.concatenate(self._counts))])
        with self._disk():
            index, value = _mapped(self._index, np.uint32), _mapped(self._value, np.float32)
        return SparseShowers(self.geometry, bounds, index, value, Incident.concatenate(self._incident))

    @contextmanager
    def _disk(self) -> Iterator[None]:
        """Let errors of the disk name the folder: the names of the files would not help the user."""
        try:
            yield
        except OSError as error:
            error.filename = str(self._folder or tempfile.gettempdir())
            raise


def _mapped(file: IO[bytes], dtype: type[np.generic]) -> npt.NDArray[Any]:
    file.flush()
    # An empty file can't be mapped.
    return np.memmap(file, dtype, "r") if file.tell() else np.empty(0, dtype)


def _distribute(path: Path, kept: Sequence[_Scratch], random: np.random.Generator) -> Iterator[Incident]:
    """Give each shower of a file to one of the read-outs that its cells fit into; yield the particles."""
    with open_any(path) as file:
        maps = _maps(file.geometry, [one.geometry for one in kept])
        for cells, incident in _sparse(file):
            chosen = random.choice(list(maps), len(incident))
            for which, matrix in maps.items():
                rows = np.flatnonzero(chosen == which)
                # With one read-out all rows are chosen, and a copy would be wasted.
                part = cells if len(rows) == len(incident) else cells[rows]
                kept[which].add(part if matrix is None else part @ matrix, incident[rows])
            yield incident


def _origin(path: Path, pdg: Sequence[int]) -> dict[str, Any]:
    """Return the identity of a file for the record; refuse one without the particle."""
    if 0 in pdg:
        raise InputError(
            f"{path} does not say the particle of its showers; add it by converting the file: "
            f"caloforge convert {path} showers.h5 --particle e+"
        )
    names = [particle_name(one) for one in dict.fromkeys(pdg)]
    return {"file": path.name, "sha256": sha256(path), "showers": len(pdg), "particles": names}


def _maps(fine: Calorimeter, geometries: Sequence[Calorimeter]) -> dict[int, csr_array | None]:
    """Return how cells become those of each read-out that they fit into; None where they already are."""
    maps: dict[int, csr_array | None] = {}
    refusals: list[GeometryError] = []
    for number, geometry in enumerate(geometries):
        try:
            maps[number] = None if fine == geometry else rebin_matrix(fine, geometry)
        except GeometryError as error:
            refusals.append(error)
    if not maps:
        raise refusals[0]
    return maps


def _sparse(file: Source) -> Iterator[tuple[csr_array, Incident]]:
    """Yield sparse showers: directly from caloforge's own files, through dense batches from others."""
    if isinstance(file, ShowerFile):
        for start in range(0, len(file), _READ):
            cells = file.sparse(start, start + _READ)
            # In double precision: rebinning adds up to hundreds of cells.
            yield cells.astype(np.float64), file.incident(start, start + _READ)
    else:
        for batch in file.batches(_READ):
            yield csr_array(batch.cells.astype(np.float64)), batch.incident


def _count(path: Path) -> int:
    with open_any(path) as file:
        return len(file)
