"""Showers as NumPy's .npz with ``cells`` and ``energy`` in MeV."""

import zipfile
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from caloforge.errors import InputError
from caloforge.formats.base import in_batches
from caloforge.geometry import Calorimeter
from caloforge.incident.incident import Incident
from caloforge.showers import Showers


class Archive:
    """An archive that is read as a whole."""

    def __init__(self, path: str | Path, pdg: int, geometry: Calorimeter) -> None:
        self.geometry, self.provenance = geometry, {"converted_from": Path(path).name}
        with np.load(path) as file:
            self._showers = Showers(geometry, file["cells"], Incident(pdg, file["energy"]))

    def __enter__(self):
        return self

    def __exit__(self, *_) -> None:
        pass

    def __len__(self) -> int:
        return len(self._showers)

    def read(self, start: int = 0, stop: int | None = None) -> Showers:
        return self._showers[start:stop]

    def batches(self, size: int | None = None):
        return in_batches(self, size)


class NumpyArchive:
    name = "numpy_archive"
    description = "NumPy's .npz with cells (N, n_cells) and energy (N,) in MeV"

    def recognises(self, path: str | Path) -> bool:
        return zipfile.is_zipfile(path)

    def open(self, path: str | Path, pdg: int | None = None, geometry: Calorimeter | None = None) -> Archive:
        if geometry is None:
            raise InputError(f"{path} does not say of which calorimeter it is: name it.")
        return Archive(path, pdg or 0, geometry)

    def read(self, path: str | Path, pdg: int | None = None, geometry: Calorimeter | None = None) -> Showers:
        return self.open(path, pdg, geometry).read()

    def write(self, showers: Showers | Iterable[Showers], path: str | Path) -> None:
        whole = showers if isinstance(showers, Showers) else Showers.concatenate(list(showers))
        with Path(path).open("wb") as file:
            np.savez(file, cells=whole.cells, energy=whole.energy)


ENTRY = NumpyArchive()
