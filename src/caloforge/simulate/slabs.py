"""What Geant4 has to build for a calorimeter, in slabs and boxes of cells, without Geant4."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from caloforge.errors import GeometryError
from caloforge.geometry import AnyLayer, Axis, Calorimeter
from caloforge.segmentation import Layer, RingLayer

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


@dataclass(frozen=True)
class Run:
    """Neighbouring cells of one width along an axis.

    Attributes
    ----------
    first
        Number of the first of them.
    n
        How many they are.
    low, high
        Where they begin and end, in mm.
    """

    first: int
    n: int
    low: float
    high: float

    @property
    def span(self) -> float:
        """Width of all of them in mm."""
        return self.high - self.low

    @property
    def pitch(self) -> float:
        """Width of one of them in mm."""
        return self.span / self.n

    @property
    def centre(self) -> float:
        """Middle of all of them in mm."""
        return (self.low + self.high) / 2


def runs(axis: Axis) -> list[Run]:
    """Return the longest runs of cells of one width, which can be replicas; together they fill the axis."""
    widths = np.diff(axis.edges)
    starts = [0]
    for cell in range(1, axis.n):
        if abs(widths[cell] - widths[starts[-1]]) > _SLIVER:
            starts.append(cell)
    stops = [*starts[1:], axis.n]
    edges = axis.edges.tolist()
    return [Run(a, b - a, edges[a], edges[b]) for a, b in zip(starts, stops, strict=True)]


def box_cells(layer: Layer) -> npt.NDArray[np.int64]:
    """Return the cell for each triple of copy numbers: column along phi, cell along eta, box.

    Box number is run along phi times runs along eta, plus run along eta. Triples that do not exist are -1.
    """
    along_phi, along_eta = runs(layer.phi), runs(layer.eta)
    sizes = max(run.n for run in along_phi), max(run.n for run in along_eta), len(along_phi) * len(along_eta)
    cells = np.full(sizes, -1)
    numbers = np.arange(layer.n_cells).reshape(layer.shape)
    boxes = [(phi, eta) for phi in along_phi for eta in along_eta]
    for box, (phi, eta) in enumerate(boxes):
        inside = numbers[phi.first : phi.first + phi.n, eta.first : eta.first + eta.n]
        cells[: phi.n, : eta.n, box] = inside
    return cells


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
