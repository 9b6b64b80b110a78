"""Showers in memory for training, as torch tensors, mirrored at random where the calorimeter allows it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from caloforge.errors import InputError
from caloforge.files import sha256
from caloforge.formats.open import open_any
from caloforge.geometry import Calorimeter
from caloforge.incident.incident import Incident
from caloforge.incident.particles import particle_name
from caloforge.models.base import Batch
from caloforge.progress import Progress, no_progress
from caloforge.showers import Showers

_READ = 1024  # showers read out at once: a fine grid is never held whole


@dataclass(frozen=True)
class TrainingData:
    """Showers ready for training.

    Attributes
    ----------
    geometry
        The read-out of all showers.
    cells
        (N, n_cells) float32, MeV.
    energy
        (N,) float32, MeV.
    label
        (N,) int64, index of each shower's particle in ``particles``.
    particles
        PDG ids, in the order of first occurrence in the files.
    provenance
        For each file its name, sha256, number of showers and particle.
    """

    geometry: Calorimeter
    cells: torch.Tensor
    energy: torch.Tensor
    label: torch.Tensor
    particles: tuple[int, ...]
    provenance: list[dict[str, Any]]

    def __len__(self) -> int:
        return len(self.energy)

    def batch(self, index: npt.NDArray[np.int64], *, flips: bool) -> Batch:
        """Return the showers of an index (B,); with flips each is mirrored at random in eta and phi."""
        rows = torch.from_numpy(index)
        cells = self.cells[rows]
        if flips:
            cells = cells.gather(1, self._symmetries[torch.randint(len(self._symmetries), (len(rows),))])
        return Batch(cells, self.energy[rows], self.label[rows])

    @property
    def whole(self) -> Batch:
        """All showers as they are."""
        return Batch(self.cells, self.energy, self.label)

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
        return self._take(order[held_out:]), self._take(order[:held_out])

    def replace_cells(self, cells: torch.Tensor) -> "TrainingData":
        """Return the same incident particles with other showers, (N, n_cells) MeV."""
        return replace(self, cells=cells)

    def showers(self, provenance: Mapping[str, Any]) -> Showers:
        """Return all as showers with a provenance, for plots and observables."""
        pdg = np.array(self.particles, np.int32)[self.label.numpy()]
        return Showers(
            self.geometry, self.cells.numpy(), Incident(pdg, self.energy.numpy()), provenance=provenance
        )

    @cached_property
    def _symmetries(self) -> torch.Tensor:
        return torch.from_numpy(self.geometry.symmetries())

    def _take(self, index: npt.NDArray[np.int64]) -> "TrainingData":
        rows = torch.from_numpy(index)
        return replace(self, cells=self.cells[rows], energy=self.energy[rows], label=self.label[rows])


def load(paths: Sequence[Path], geometry: Calorimeter, progress: Progress = no_progress) -> TrainingData:
    """Read showers for training, read out on a calorimeter.

    Parameters
    ----------
    paths
        Files of showers, of any known layout; a finer read-out than ``geometry`` is rebinned on the way.
    geometry
        The read-out that the model shall know.
    progress
        Called with (showers read, showers in all).

    Raises
    ------
    ShowerFileError, GeometryError, InputError
        A file is not one of showers, its cells do not fit into those of ``geometry``, it does not say the
        particle, or all files are empty.
    """
    parts: list[Showers] = []
    provenance: list[dict[str, Any]] = []
    done, total = 0, sum(map(_count, paths))
    if total == 0:
        raise InputError(f"There are no showers to train on in {', '.join(map(str, paths))}.")
    for path in paths:
        with open_any(path) as file:
            found: dict[int, None] = {}
            for batch in file.batches(_READ):
                read_out = batch if batch.geometry == geometry else batch.rebin(geometry)
                parts.append(
                    Showers(geometry, read_out.cells, Incident(batch.pdg, batch.energy))
                )  # columns may differ
                found |= dict.fromkeys(batch.pdg.tolist())
                progress(done := done + len(batch), total)
            if 0 in found:
                raise InputError(
                    f"{path} does not say the particle of its showers; add it by converting the file: "
                    f"caloforge convert {path} showers.h5 --particle e+"
                )
            names = [particle_name(pdg) for pdg in found]
            provenance.append(
                {"file": path.name, "sha256": sha256(path), "showers": len(file), "particles": names}
            )
    showers = Showers.concatenate(parts)
    particles = tuple(dict.fromkeys(showers.pdg.tolist()))
    label = np.array([particles.index(pdg) for pdg in showers.pdg.tolist()])
    return TrainingData(
        geometry,
        torch.from_numpy(showers.cells),
        torch.from_numpy(showers.energy.astype(np.float32)),
        torch.from_numpy(label),
        particles,
        provenance,
    )


def _count(path: Path) -> int:
    with open_any(path) as file:
        return len(file)
