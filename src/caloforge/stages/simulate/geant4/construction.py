"""The slabs and cells that Geant4 has to build for a calorimeter; does not need Geant4."""

import difflib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

import numpy as np
import numpy.typing as npt

from caloforge.errors import GeometryError
from caloforge.geometry import AnyLayer, Axis, Calorimeter, Layer, RingLayer

__all__ = ["Piece", "blocks", "box_cells", "check", "pieces", "ring_cells", "span", "widths"]

_SLIVER = 1e-6  # mm; thinner pieces are rounding, not material
_DIGITS = 9  # of lengths in mm: Geant4's own tolerance


@dataclass(frozen=True)
class Piece:
    """A slab, or the part of it in a layer, between two depths in mm."""

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

    A slab that crosses the end of a layer is divided between both layers.
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
    """Return the numbers of the layers, in groups of neighbours that are cut into the same cells.

    A block is built as one stack of slabs for each cell, so the step from layer to layer costs a particle no
    more than the step from slab to slab.
    """
    layers = calorimeter.layers
    starts = [i for i in range(len(layers)) if i == 0 or not _cut_alike(layers[i - 1], layers[i])]
    return [range(start, stop) for start, stop in zip(starts, [*starts[1:], len(layers)], strict=True)]


def _cut_alike(first: AnyLayer, second: AnyLayer) -> bool:
    # Everything except the depth has to agree: edges, and the kind of layer.
    return {**first.to_dict(), "z": None} == {**second.to_dict(), "z": None}


def span(axis: Axis) -> tuple[float, float]:
    """Return an axis's full length and its centre, in mm."""
    low, high = float(axis.edges[0]), float(axis.edges[-1])
    return high - low, (low + high) / 2


def widths(axis: Axis) -> list[float]:
    """Return the width of each cell in mm, without rounding errors: equal where equal widths were meant."""
    found = np.diff(axis.edges)
    if np.ptp(found) < _SLIVER:
        # Rounded differences would be several widths that differ in the last digit, and replicas need a
        # single one.
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
    """Refuse a calorimeter that Geant4 can't build, before Geant4 and its data are looked for.

    Raises
    ------
    GeometryError
        Its stack is empty, a material has no name that Geant4 knows, or a slab or a cell is too thin.
    """
    if not calorimeter.stack:
        raise GeometryError(
            f"{calorimeter.name} is a read-out without material, so no shower can develop in it: "
            "give it a stack of slabs (caloforge info writes it as TOML), or simulate another calorimeter."
        )
    for number, slab in enumerate(slab for stack in calorimeter.stack for slab in stack.slabs):
        if slab.material not in _materials():
            raise GeometryError(
                f"Geant4 has no material '{slab.material}': name one of its NIST materials, such as G4_Pb or "
                f"G4_lAr.{_similar(slab.material)}"
            )
        _check_length(slab.thickness, f"Slab {number} of {calorimeter.name}")
    for number, layer in enumerate(calorimeter.layers):
        for axis in [layer.r] if isinstance(layer, RingLayer) else [layer.eta, layer.phi]:
            smallest = float(np.diff(axis.edges).min())
            _check_length(smallest, f"A cell of layer {number} of {calorimeter.name}")


def _check_length(length: float, what: str) -> None:
    if length < _SLIVER:
        raise GeometryError(
            f"{what} is {length:g} mm across, which Geant4 can't build: make it at least {_SLIVER:g} mm."
        )


def _similar(name: str) -> str:
    near = difflib.get_close_matches(name, sorted(_materials()), n=1)
    return f" Did you mean '{near[0]}'?" if near else ""


@cache
def _materials() -> frozenset[str]:
    """Return the names of G4NistManager's materials."""
    listed = files("caloforge").joinpath("stages/simulate/geant4/materials.txt")
    return frozenset(listed.read_text(encoding="utf-8").split("\n"))
