"""The slabs of a calorimeter's stack, cut where layers meet: what Geant4 has to build, without Geant4."""

from dataclasses import dataclass

import numpy as np

from caloforge.errors import GeometryError
from caloforge.geometry import Axis, Calorimeter

_SLIVER = 1e-6  # mm; thinner pieces are rounding, not material


@dataclass(frozen=True)
class Piece:
    """A slab, or what a layer holds of it: between two depths in mm."""

    low: float
    high: float
    material: str
    role: str


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


def span(axis: Axis) -> tuple[float, float]:
    """Return an axis's full length and its centre, in mm."""
    low, high = float(axis.edges[0]), float(axis.edges[-1])
    return high - low, (low + high) / 2


def pitch(axis: Axis) -> float:
    """Return the cell size of a uniform axis in mm."""
    return span(axis)[0] / axis.n


def check(calorimeter: Calorimeter) -> None:
    """Refuse a calorimeter whose cells are not all of one size along an axis: Geant4's replicas must be.

    Raises
    ------
    GeometryError
        The message names the first such axis.
    """
    for number, layer in enumerate(calorimeter.layers):
        for name, axis in (("phi", layer.phi), ("eta", layer.eta)):
            widths = np.diff(axis.edges)
            if np.ptp(widths) > _SLIVER:
                raise GeometryError(
                    f"{calorimeter.name}, layer {number}, {name}: the cells are {widths.min():g} to "
                    f"{widths.max():g} mm wide, but showers are scored in cells of one size. Simulate a "
                    "uniform finer grid and rebin the showers onto this geometry."
                )
