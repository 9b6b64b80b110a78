"""One regular grid for all layers of a calorimeter, so that they can be the channels of one picture."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from caloforge.geometry import Calorimeter, Layer, RingLayer
from caloforge.metrics.classifiers.base import Floats

__all__ = ["CommonGrid", "common_grid"]


@dataclass(frozen=True)
class CommonGrid:
    """Where the cells of a calorimeter lie on a common grid.

    Attributes
    ----------
    cell
        (L, rows, columns): number of the cell that each place belongs to.
    share
        (L, rows, columns): part of that cell's energy that falls on the place; 0 outside of a layer.
    round
        Whether the first row follows the last one: sectors of rings.
    """

    cell: NDArray[np.int64]
    share: NDArray[np.float32]
    round: bool


def common_grid(geometry: Calorimeter) -> CommonGrid:
    """Return the grid of all edges of all layers; energy is spread evenly over a cell's places.

    Rows and columns are phi and eta, or alpha and r. If there are layers of boxes as well as of rings, they
    have no common coordinates, and every layer is stretched over the whole grid.

    Examples
    --------
    >>> from caloforge.geometry import Calorimeter
    >>> common_grid(Calorimeter.load("calogan")).cell.shape
    (3, 12, 96)
    """
    layers = geometry.layers
    kinds = {type(layer) for layer in layers}
    edges = [_edges(layer, mixed=len(kinds) > 1) for layer in layers]
    rows, columns = (np.unique(np.concatenate([pair[axis] for pair in edges])) for axis in (0, 1))
    cells, shares = [], []
    for (down, across), first, (_, n) in zip(edges, geometry.offsets, geometry.shapes, strict=False):
        row, tall = _places(rows, down)
        column, wide = _places(columns, across)
        cells.append(first + row[:, np.newaxis] * n + column)
        shares.append(tall[:, np.newaxis] * wide)
    return CommonGrid(np.stack(cells), np.stack(shares).astype(np.float32), kinds == {RingLayer})


def _edges(layer: Layer | RingLayer, mixed: bool) -> tuple[Floats, Floats]:
    """Edges of rows and columns, rounded so that edges that differ only by rounding errors are equal."""
    if mixed:
        rows, columns = (np.linspace(0, 1, n + 1) for n in layer.shape)
    elif isinstance(layer, RingLayer):
        rows, columns = layer.alpha_edges, layer.r.edges
    else:
        rows, columns = layer.phi.edges, layer.eta.edges
    return np.round(rows, 6), np.round(columns, 6)


def _places(grid: Floats, edges: Floats) -> tuple[NDArray[np.int64], Floats]:
    """For each step of a grid (n + 1 edges) the bin that contains it, and its share of that bin."""
    # Every edge of a layer is also one of the grid, so a step never reaches into two bins.
    number = np.searchsorted(edges, grid[:-1], side="right") - 1
    inside = (number >= 0) & (number < len(edges) - 1)
    number = np.clip(number, 0, len(edges) - 2)
    return number, np.where(inside, np.diff(grid) / np.diff(edges)[number], 0)
