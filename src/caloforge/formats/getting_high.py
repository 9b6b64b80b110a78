"""The layout of "Getting High", the showers of the ILD's electromagnetic calorimeter.

HDF5 with a group named after the cells of a layer, ``30x30``, and in it ``energy`` (N, 1) in GeV and
``layers`` (N, layers, rows, columns) in MeV; rows go along x of the ILD's barrel, which is phi, and columns
along the beam axis, which is eta.

Reference: E. Buhmann et al., Comput. Softw. Big Sci. 5 (2021) 13, arXiv:2005.05334; the authors' code
FLC-QU-hep/getting_high and data, doi:10.5281/zenodo.3826103.
"""

import re

import h5py
import numpy as np

from caloforge.errors import InputError
from caloforge.formats._hdf5 import HDF5Format, Shape, grow, shape_fault, to_gev, to_mev
from caloforge.formats._sidecar import Rows
from caloforge.formats.native import extend
from caloforge.geometry import Calorimeter, Layer
from caloforge.showers import Showers

__all__ = ["ENTRY", "GettingHigh"]

_KNOWN = {(30, 30, 30): "ild_ecal"}


def _group(file: h5py.File) -> str | None:
    """Return the name of the group that holds the showers."""
    found = [name for name in file if re.fullmatch(r"[1-9]\d*x[1-9]\d*", name)]
    # Two such groups would leave open which showers are meant.
    return found[0] if len(found) == 1 and isinstance(file[found[0]], h5py.Group) else None


def _cells(geometry: Calorimeter) -> tuple[int, int, int] | None:
    """Return (layers, rows, columns) of a calorimeter, or None where its layers are not boxes all alike."""
    shapes = {layer.shape for layer in geometry.layers}
    if len(shapes) > 1 or not all(isinstance(layer, Layer) for layer in geometry.layers):
        return None
    return len(geometry.layers), *shapes.pop()


class GettingHigh(HDF5Format):
    """The layout of getting_high, for calorimeters whose layers have the same number of box cells."""

    name = "getting_high"
    description = "Getting High's ILD showers: group 30x30 with layers in MeV and energy in GeV"

    def _has_names(self, file: h5py.File) -> bool:
        group = _group(file)
        return group is not None and "energy" in file[group] and "layers" in file[group]

    def _fault(self, file: h5py.File) -> str | None:
        wanted: dict[str, list[Shape]] = {"energy": [(1,), ()], "layers": [("layers", "rows", "columns")]}
        return shape_fault(file[_group(file)], wanted)

    def _count(self, file: h5py.File) -> int:
        return len(file[_group(file)]["energy"])

    def _cells_in(self, file: h5py.File) -> str:
        layers, rows, columns = file[_group(file)]["layers"].shape[1:]
        return f"{layers} layers of {rows} x {columns} cells"

    def _known_geometry(self, file: h5py.File) -> str | None:
        return _KNOWN.get(file[_group(file)]["layers"].shape[1:])

    def _misfit(self, file: h5py.File, geometry: Calorimeter) -> str | None:
        if file[_group(file)]["layers"].shape[1:] == _cells(geometry):
            return None
        return f"its layers are not the {self._cells_in(file)} of the showers"

    def _load(self, file: h5py.File, rows: slice, geometry: Calorimeter) -> Rows:
        group = file[_group(file)]
        layers = group["layers"][rows]
        return Rows(layers.reshape(len(layers), geometry.n_cells), to_mev(group["energy"][rows].reshape(-1)))

    def _create(self, file: h5py.File, first: Showers) -> None:
        geometry = first.geometry
        cells = _cells(geometry)
        if cells is None:
            raise InputError(
                f"The layout '{self.name}' holds layers with the same number of box cells, and "
                f"{geometry.name} has others."
            )
        group = file.create_group(f"{cells[1]}x{cells[2]}")
        grow(group, "energy", (1,), np.float64)
        grow(group, "layers", cells, np.float32)

    def _append(self, file: h5py.File, showers: Showers) -> None:
        group = file[_group(file)]
        extend(group["energy"], to_gev(showers.energy)[:, None])
        extend(group["layers"], showers.cells.reshape(len(showers), *group["layers"].shape[1:]))


ENTRY = GettingHigh()
