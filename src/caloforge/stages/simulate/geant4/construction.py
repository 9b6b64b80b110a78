"""What Geant4 has to build for a calorimeter, in slabs and cells, without Geant4."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from caloforge.errors import GeometryError
from caloforge.geometry import AnyLayer, Axis, Calorimeter, Layer, RingLayer

_SLIVER = 1e-6  # mm; thinner pieces are rounding, not material
_DIGITS = 9  # of lengths in mm: Geant4's own tolerance


@dataclass(frozen=True)
class Piece:
    """A slab, or what a layer holds of it: between two depths in mm."""

    low: float
    high: float
    material: str
    role: str

    @property
    def thickness(self) -> float:
        """Thickness in mm, without rounding errors: equal pieces have equal ones."""
        return round(self.high - self.low, _DIGITS)


def pieces(calorimeter: Calorimeter, layer: int) -> list[Piece]:
    """Return the pieces of slabs that lie in one layer, in the direction of the particle.

    A slab that a layer's end cuts belongs to both layers, in part.
    """
    front, back = calorimeter.layers[layer].z
    inside = []
    depths = np.cumsum([0.0, *(slab.thickness for slab in calorimeter.slabs)]).tolist()
    for slab, low, high in zip(calorimeter.slabs, depths[:-1], depths[1:], strict=True):
        start, stop = max(low, front), min(high, back)
        if stop - start > _SLIVER:
            inside.append(Piece(start, stop, slab.material, slab.role))
    return inside


def blocks(calorimeter: Calorimeter) -> list[range]:
    """Return the numbers of the layers, those together that follow each other and are cut in the same way.

    A block is built as one stack of slabs a cell, so a particle goes from layer to layer at the cost of
    going from slab to slab.
    """
    layers = calorimeter.layers
    starts = [i for i in range(len(layers)) if i == 0 or not _cut_alike(layers[i - 1], layers[i])]
    return [range(start, stop) for start, stop in zip(starts, [*starts[1:], len(layers)], strict=True)]


def _cut_alike(first: AnyLayer, second: AnyLayer) -> bool:
    return {**first.to_dict(), "z": None} == {**second.to_dict(), "z": None}


def span(axis: Axis) -> tuple[float, float]:
    """Return an axis's full length and its centre, in mm."""
    low, high = float(axis.edges[0]), float(axis.edges[-1])
    return high - low, (low + high) / 2


def widths(axis: Axis) -> list[float]:
    """Return the width of each cell in mm, without rounding errors: equal where equal widths were meant."""
    found = np.diff(axis.edges)
    if np.ptp(found) < _SLIVER:
        return [span(axis)[0] / axis.n] * axis.n
    return [round(width, _DIGITS) for width in found.tolist()]


def box_cells(layer: Layer) -> npt.NDArray[np.int64]:
    """Return the cell for each triple of copy numbers: column along phi, cell along eta, and 0."""
    return np.arange(layer.n_cells).reshape(*layer.shape, 1)


def ring_cells(layer: RingLayer) -> npt.NDArray[np.int64]:
    """Return the cell for each triple of copy numbers: sector, ring, and 0.

    Geant4 counts sectors from x to y, which is from phi to eta and so against alpha.
    """
    numbers = np.arange(layer.n_cells).reshape(layer.shape)
    return numbers[::-1, :, np.newaxis]


def check(calorimeter: Calorimeter) -> None:
    """Refuse a calorimeter of which nobody knows the material.

    Raises
    ------
    GeometryError
        Its stack is empty.
    """
    if not calorimeter.stack:
        raise GeometryError(
            f"{calorimeter.name} is a read-out without material, so no shower can develop in it: "
            "give it a stack of slabs (caloforge info writes it as TOML), or simulate another calorimeter."
        )
