"""The layout of the published CaloGAN data and of the files that its authors' code reads.

HDF5 with ``layer_0`` (N, 3, 96), ``layer_1`` (N, 12, 12), ``layer_2`` (N, 12, 6) in MeV, rows phi and columns
eta; ``energy`` (N, 1) in GeV; ``overflow`` (N, 3) in MeV: energy in each layer outside its cells.

Reference: M. Paganini, L. de Oliveira, B. Nachman, Phys. Rev. D 97 (2018) 014021, data set [30].
"""

from functools import cache

import h5py
import numpy as np

from caloforge.errors import InputError
from caloforge.formats._hdf5 import HDF5Format, grow, shape_fault, to_gev, to_mev
from caloforge.formats._sidecar import Numbers, Rows
from caloforge.formats.native import extend
from caloforge.geometry import Calorimeter
from caloforge.showers import Showers

__all__ = ["ENTRY", "Calogan"]


@cache
def _geometry() -> Calorimeter:
    return Calorimeter.load("calogan")


def _shapes() -> dict[str, tuple[int, ...]]:
    """Shape of one shower's entry in each dataset that a file must have."""
    return {"energy": (1,)} | {f"layer_{i}": shape for i, shape in enumerate(_geometry().shapes)}


class Calogan(HDF5Format):
    """The published layout.

    Cells are read as float32. Columns ``overflow_0`` to ``overflow_2`` are the layout's own. The layout does
    not name the particle; files may have it as the attribute ``particle``.
    """

    name = "calogan"
    description = "published CaloGAN showers: layer_0, layer_1, layer_2, energy in GeV, overflow"

    def _has_names(self, file: h5py.File) -> bool:
        return "energy" in file and "layer_0" in file

    def _fault(self, file: h5py.File) -> str | None:
        shapes = _shapes() | ({"overflow": (len(_geometry().layers),)} if "overflow" in file else {})
        return shape_fault(file, {name: [shape] for name, shape in shapes.items()})

    def _count(self, file: h5py.File) -> int:
        return len(file["energy"])

    def _cells_in(self, file: h5py.File) -> str:
        return f"{_geometry().n_cells} cells"

    def _known_geometry(self, file: h5py.File) -> str:
        return "calogan"

    def _misfit(self, file: h5py.File, geometry: Calorimeter) -> str | None:
        return None if geometry == _geometry() else "this layout is that of 'calogan' alone"

    def _load(self, file: h5py.File, rows: slice, geometry: Calorimeter) -> Rows:
        images = [file[f"layer_{i}"][rows] for i in range(len(geometry.layers))]
        energy = to_mev(file["energy"][rows, 0])
        return Rows(geometry.join(images), energy, columns=_overflow(file, rows))

    def _create(self, file: h5py.File, first: Showers) -> None:
        geometry = first.geometry
        if geometry != _geometry():
            raise InputError(
                f"The layout 'calogan' holds showers of calogan, not of {geometry.name}; "
                "rebin them first: caloforge rebin FILE calogan."
            )
        for name, shape in _shapes().items():
            grow(file, name, shape, np.float64 if name == "energy" else np.float32)
        grow(file, "overflow", (len(geometry.layers),), np.float32)

    def _append(self, file: h5py.File, showers: Showers) -> None:
        for i, image in enumerate(showers.geometry.split(showers.cells)):
            extend(file[f"layer_{i}"], image)
        extend(file["energy"], to_gev(showers.energy)[:, None])
        # The layout always has this dataset, also for showers of other origin.
        absent = np.zeros(len(showers), np.float32)
        names = [f"overflow_{i}" for i in range(len(showers.geometry.layers))]
        extend(file["overflow"], np.stack([showers.columns.get(name, absent) for name in names], axis=1))


def _overflow(file: h5py.File, rows: slice) -> dict[str, Numbers]:
    values = file["overflow"][rows] if "overflow" in file else np.zeros((0, 0), np.float32)
    return {f"overflow_{i}": values[:, i] for i in range(values.shape[1])}


ENTRY = Calogan()
