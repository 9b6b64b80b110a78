"""Reads a file of showers in one pass: observables, averages and spectra, and some complete showers.

Memory holds one batch, one number for each shower and observable, and the showers that are kept; so files may
be larger than the memory.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from caloforge.errors import InputError
from caloforge.formats.base import Source, batch_size
from caloforge.geometry import Calorimeter
from caloforge.incident.incident import Incident
from caloforge.observables.base import Observable
from caloforge.progress import Progress, no_progress
from caloforge.showers import Showers
from caloforge.units import GeV

__all__ = ["KEPT", "SPECTRUM_EDGES", "Floats", "Measured", "measure", "same_spectrum"]

Floats = NDArray[np.float64]

KEPT = 20_000
"""Complete showers that are kept, at most."""

_KEPT_CELLS = 1 << 28
"""Cells of the showers that are kept, at most: 1 GiB."""

_BATCH = 4096
"""Showers of a batch, at most: few enough to stay in the processor's caches for many observables."""

SPECTRUM_EDGES: Floats = np.logspace(-4, 6, 101)
"""Bins of the cells' energies in MeV, ten per decade; the outermost ones include all energies beyond."""


@dataclass(frozen=True)
class Measured:
    """Summary of a file of N showers after one pass.

    Attributes
    ----------
    geometry, provenance
        As in the file; the provenance names the file too.
    incident
        The N incident particles.
    values
        (N,) of each observable by its name; nan where it is not defined.
    mean, mean_square
        (n_cells,) of the cells' energies in MeV and MeV^2.
    hits
        (n_cells,) showers that hit a cell.
    spectra
        (L, bins) cells with energy, by layer and energy; bins are `SPECTRUM_EDGES`.
    kept
        Some showers, drawn at random, in the order of the file; their column ``number`` is the number there.
    """

    geometry: Calorimeter
    provenance: Mapping[str, Any]
    incident: Incident
    values: Mapping[str, Floats]
    mean: Floats
    mean_square: Floats
    hits: NDArray[np.int64]
    spectra: NDArray[np.int64]
    kept: Showers

    def __len__(self) -> int:
        return len(self.incident)

    @property
    def energy(self) -> Floats:
        """Incident energies, (N,) in MeV."""
        return self.incident.energy

    @property
    def pdg(self) -> NDArray[np.int32]:
        """PDG ids, (N,)."""
        return self.incident.pdg

    @property
    def file(self) -> str:
        """Name of the file; empty if it is not known."""
        return str(self.provenance.get("file", ""))

    def near(self, energy: float, window: float) -> NDArray[np.bool_]:
        """Return which showers have an incident energy (MeV) within a relative window, (N,)."""
        return np.abs(self.energy / energy - 1) <= window


def measure(
    source: Source,
    observables: Sequence[Observable],
    *,
    file: str | Path = "",
    chosen: NDArray[np.bool_] | None = None,
    kept: int = KEPT,
    seed: int = 1,
    progress: Progress = no_progress,
) -> Measured:
    """Read a file of showers once.

    Parameters
    ----------
    source
        The open file.
    observables
        Observables of every shower.
    file
        Name of the file.
    chosen
        (N,) which showers to use; all by default.
    kept
        Complete showers to keep, at most; fewer if they would take more than 1 GiB.
    seed
        Decides which ones.
    progress
        Called with (showers read, showers).

    Raises
    ------
    InputError
        There are no showers.
    ShowerFileError
        A shower is not possible (nan, negative energy); the message names the first.
    """
    wanted = np.ones(len(source), bool) if chosen is None else chosen
    if not wanted.any():
        raise InputError(f"{file or 'The sample'} holds no showers to evaluate: give a file with some.")
    sums = _Accumulator(source.geometry, observables, _drawn_numbers(wanted, kept, source.geometry, seed))
    # Calorimeters with very many cells get smaller batches.
    size = min(_BATCH, batch_size(source.geometry))
    for start in range(0, len(source), size):
        rows = np.flatnonzero(wanted[start : start + size])
        if len(rows):
            batch = source.read(start, start + size)
            sums.add(batch if len(rows) == len(batch) else batch[rows], start + rows)
        progress(min(start + size, len(source)), len(source))
    return sums.result({**source.provenance, "file": Path(file).name} if file else source.provenance)


def same_spectrum(
    first: Floats, second: Floats, seed: int = 1
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Choose showers of two samples so that their incident energies have the same distribution.

    In each bin of energy both samples keep, at random, the smaller of their two shares of showers.

    Parameters
    ----------
    first, second
        (N,) and (M,) incident energies.
    seed
        Decides which showers stay.

    Returns
    -------
        (N,) and (M,): which showers stay.

    Raises
    ------
    InputError
        No energy occurs in both.
    """
    edges = _energy_bins(first, second)
    numbers = [np.searchsorted(edges, energy, side="right") for energy in (first, second)]
    shares = [np.bincount(number, minlength=len(edges) + 1) / len(number) for number in numbers]
    common = np.minimum(*shares)
    if not common.sum() > 0:
        raise InputError(
            f"The incident energies can't be matched, because they do not overlap: {_range(first)} and "
            f"{_range(second)}."
        )
    random = np.random.default_rng(seed)
    # The small number is for products that should be whole but are rounded down.
    kept = [_thinned(number, np.floor(common * len(number) + 1e-9), random) for number in numbers]
    return kept[0], kept[1]


def _energy_bins(first: Floats, second: Floats, bins: int = 50) -> Floats:
    """Return the inner edges of bins: one bin an energy where there are few, else bins of equal content."""
    energies = np.unique(np.concatenate([first, second]))
    if len(energies) <= bins:
        return np.asarray((energies[:-1] + energies[1:]) / 2, float)
    shares = np.linspace(0, 1, bins + 1)
    # Outside of the common range a bin would contain showers of only one sample.
    ends = [max(first.min(), second.min()), np.nextafter(min(first.max(), second.max()), np.inf)]
    inner = np.quantile(np.concatenate([first, second]), shares)
    return np.unique([*inner, *ends])


def _thinned(number: NDArray[np.intp], counts: Floats, random: np.random.Generator) -> NDArray[np.bool_]:
    """Choose as many members of every bin as are wanted, at random."""
    order = random.permutation(len(number))
    # A stable sort of a random order: members of a bin stay in random order, and the first ones are kept.
    order = order[np.argsort(number[order], kind="stable")]
    bins = number[order]
    place = np.arange(len(order)) - np.searchsorted(bins, bins)
    chosen = np.zeros(len(number), bool)
    chosen[order] = place < counts[bins]
    return chosen


def _range(energy: Floats) -> str:
    return f"{energy.min() / GeV:.4g} to {energy.max() / GeV:.4g} GeV"


def _drawn_numbers(
    wanted: NDArray[np.bool_], kept: int, geometry: Calorimeter, seed: int
) -> NDArray[np.intp]:
    """Return the numbers of the showers to keep, ascending."""
    numbers = np.flatnonzero(wanted)
    most = min(kept, max(1, _KEPT_CELLS // geometry.n_cells))
    if len(numbers) <= most:
        return numbers
    # Ascending, as the file is read only once.
    return np.sort(np.random.default_rng(seed).choice(numbers, most, replace=False))


@dataclass
class _Accumulator:
    """Accumulates batches."""

    geometry: Calorimeter
    observables: Sequence[Observable]
    kept: NDArray[np.intp]
    incident: list[Incident] = field(default_factory=list)
    values: dict[str, list[Floats]] = field(default_factory=dict)
    samples: list[Showers] = field(default_factory=list)

    def __post_init__(self) -> None:
        cells, bins = self.geometry.n_cells, len(SPECTRUM_EDGES) - 1
        self.sum, self.square = np.zeros(cells), np.zeros(cells)
        self.hits = np.zeros(cells, np.int64)
        self.spectra = np.zeros((len(self.geometry.layers), bins), np.int64)
        self.layer = np.repeat(np.arange(len(self.geometry.layers)), np.diff(self.geometry.offsets))

    def add(self, showers: Showers, numbers: NDArray[np.intp]) -> None:
        """Take in showers and their numbers in the file."""
        self.incident.append(showers.incident)
        for observable in self.observables:
            self.values.setdefault(observable.name, []).append(observable(showers))
        self._add_cells(showers.cells)
        there = np.flatnonzero(np.isin(numbers, self.kept, assume_unique=True))
        if len(there):
            self.samples.append(_without_columns(showers, there, numbers[there]))

    def _add_cells(self, cells: NDArray[np.float32]) -> None:
        self.sum += cells.sum(axis=0, dtype=float)
        # Squares in double precision, without a copy of the cells in it.
        self.square += np.einsum("ij,ij->j", cells, cells, dtype=float)
        # Most cells are empty, so logarithms are only taken of the filled ones.
        rows, columns = np.nonzero(cells)
        self.hits += np.bincount(columns, minlength=len(self.sum))
        bins = self.spectra.shape[1]
        first = np.log10(SPECTRUM_EDGES[0])
        step = (np.log10(SPECTRUM_EDGES[-1]) - first) / bins
        # Bins are even in the logarithm, so a division finds them, faster than a search.
        place = np.floor((np.log10(cells[rows, columns]) - first) / step).astype(np.intp)
        place = self.layer[columns] * bins + np.clip(place, 0, bins - 1)
        self.spectra += np.bincount(place, minlength=self.spectra.size).reshape(self.spectra.shape)

    def result(self, provenance: Mapping[str, Any]) -> Measured:
        """Return the summary."""
        n = sum(map(len, self.incident))
        nothing = Showers(self.geometry, np.zeros((0, self.geometry.n_cells)), Incident(0, 1.0))
        kept = Showers.concatenate(self.samples) if self.samples else nothing
        return Measured(
            self.geometry,
            provenance,
            Incident.concatenate(self.incident),
            {name: np.concatenate(parts) for name, parts in self.values.items()},
            self.sum / n,
            self.square / n,
            self.hits,
            self.spectra,
            Showers(kept.geometry, kept.cells, kept.incident, kept.columns, provenance),
        )


def _without_columns(showers: Showers, rows: NDArray[np.intp], numbers: NDArray[np.intp]) -> Showers:
    """Return some showers with their numbers in the file as the only column."""
    return Showers(showers.geometry, showers.cells[rows], showers.incident[rows], {"number": numbers})
