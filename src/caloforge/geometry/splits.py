"""A calorimeter cut in two again and again: from all its layers to each, from each layer to its cells."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from caloforge.errors import GeometryError
from caloforge.geometry.axis import Axis, Float64s, Integers
from caloforge.geometry.calorimeter import Calorimeter
from caloforge.geometry.layers import Layer

__all__ = ["Round", "rounds"]

_FEW = 64  # parts that are divided one line after the other, as they have much in common

_NEAR = 5.0  # mm; places are told apart down to this
_AROUND = np.array(
    [(0, 0), (0, -1), (0, 1), (0, -2), (0, 2), (-1, 0), (1, 0), (-1, -1), (-1, 1), (1, -1), (1, 1)]
)
"""Steps across and along the cut to the parts that are seen in the layer itself, the divided part first."""
_BESIDE = (-1, 0, 1)
"""Places along the cut, in extents of the divided part, that are seen in the layers in front and behind."""


@dataclass(frozen=True)
class Round:
    """A round of cuts: which of M parts of the calorimeter are divided, and what lies around them.

    Attributes
    ----------
    parts
        (P,) numbers of the parts that are divided, in the order of their turns.
    turns
        How many are divided at the same time: the first so many, then the next so many, and so on.
    whole
        (M - P,) numbers of the others.
    order
        The parts after the round are ``concatenate([first halves, second halves, whole])[order]``.
    seen
        (P, K) parts around each that is divided, itself first; M where there is nothing.
    places
        (P, F) float32 of order 1: where a part is, its size, and where it is cut.
    centres
        (M, 2) float32, eta and phi of the parts in mm.
    offsets
        The first part of each layer, and M; empty while layers are together.
    """

    parts: Integers
    turns: tuple[int, ...]
    whole: Integers
    order: Integers
    seen: Integers
    places: npt.NDArray[np.float32]
    centres: npt.NDArray[np.float32]
    offsets: tuple[int, ...] = ()


def rounds(calorimeter: Calorimeter) -> list[Round]:
    """Return the rounds that lead from the whole calorimeter to its cells, in the order of the cells.

    First the stack of layers is halved until each is alone. Then every part of a layer is cut at the edge
    next to its middle, along the direction in which the layer's parts are longer. Parts that share a cut line
    take turns, because the place of the shower makes them alike: few parts one line after the other, the
    inner ones first, and in every other layer after the layers beside it; many parts in two turns.

    Raises
    ------
    GeometryError
        A layer has rings.

    Examples
    --------
    >>> every = rounds(Calorimeter.load("calogan"))
    >>> [len(each.parts) for each in every]
    [1, 1, 3, 6, 10, 22, 44, 72, 104, 144, 96]
    >>> sum(len(each.parts) for each in every) + 1
    504
    """
    grids = [_Grid.of(layer, calorimeter.name) for layer in calorimeter.layers]
    found = _of_depth(len(grids))
    while any(grid.along is not None for grid in grids):
        halved = [grid.halved() for grid in grids]
        found.append(_of_area(grids, halved))
        grids = halved
    return found


def _of_depth(n: int) -> list[Round]:
    """Halve a stack of n layers until each is alone; every part that is cut sees all others."""
    found, edges = [], np.array([0, n])
    while len(edges) <= n:
        count = len(edges) - 1
        parts, whole = np.flatnonzero(np.diff(edges) > 1), np.flatnonzero(np.diff(edges) == 1)
        middles = (edges[parts] + edges[parts + 1]) // 2
        starts = np.concatenate([edges[parts], middles, edges[whole]])
        seen = (parts[:, None] + np.arange(count)) % count
        places = np.eye(count, dtype=np.float32)[parts]
        centres = np.zeros((count, 2), np.float32)
        found.append(Round(parts, (1,) * len(parts), whole, np.argsort(starts), seen, places, centres))
        edges = np.sort(np.concatenate([edges, middles]))
    return found


@dataclass(frozen=True)
class _Grid:
    """A layer that is cut so far at some of its edges in phi and eta, in mm."""

    axes: tuple[Axis, Axis]
    edges: tuple[Float64s, Float64s]

    @classmethod
    def of(cls, layer: object, name: str) -> "_Grid":
        """Return a layer that is not cut yet."""
        if not isinstance(layer, Layer):
            raise GeometryError(f"{name} has rings; only layers of boxes are cut in two.")
        axes = layer.phi, layer.eta
        return cls(axes, (axes[0].edges[[0, -1]], axes[1].edges[[0, -1]]))

    @cached_property
    def shape(self) -> tuple[int, int]:
        """Numbers of parts in phi and eta."""
        return len(self.edges[0]) - 1, len(self.edges[1]) - 1

    @cached_property
    def along(self) -> int | None:
        """Direction of the next cuts, 0 for phi and 1 for eta; None where all parts are cells."""
        left = [i for i in range(2) if self.shape[i] < self.axes[i].n]
        return max(left, key=lambda i: np.ptp(self.edges[i]) / self.shape[i], default=None)

    @cached_property
    def cuts(self) -> Float64s:
        """Where each interval along this direction is cut, nan where it is not."""
        assert self.along is not None
        edges = self.edges[self.along]
        return np.array([_cut(self.axes[self.along], *ends) for ends in pairwise(edges)])

    def halved(self) -> "_Grid":
        """Return the layer with these cuts."""
        if self.along is None:
            return self
        more = np.sort(np.concatenate([self.edges[self.along], self.cuts[~np.isnan(self.cuts)]]))
        return _Grid(self.axes, (more, self.edges[1]) if self.along == 0 else (self.edges[0], more))

    def at(self, points: Float64s) -> Integers:
        """Return the parts that contain points (..., 2) of phi and eta, -1 where there is none."""
        places = [np.searchsorted(self.edges[i], points[..., i], side="right") - 1 for i in range(2)]
        return self.number(np.stack(places, axis=-1))

    def number(self, places: Integers) -> Integers:
        """Return the numbers of parts (..., 2) by row and column, -1 where there is none."""
        inside = ((places >= 0) & (places < self.shape)).all(axis=-1)
        return np.where(inside, places[..., 0] * self.shape[1] + places[..., 1], -1)

    @cached_property
    def boxes(self) -> Float64s:
        """Lower and upper edges of all parts, (M, 2, 2): [part, lower or upper, phi or eta]."""
        rows, columns = np.indices(self.shape).reshape(2, -1)
        phi, eta = self.edges
        return np.stack([[phi[rows], eta[columns]], [phi[rows + 1], eta[columns + 1]]]).transpose(2, 0, 1)


def _cut(axis: Axis, low: float, high: float) -> float:
    """Return the edge nearest to the middle; of two, the outer one, so that mirrored parts are cut alike."""
    inner = axis.edges[(axis.edges > low) & (axis.edges < high)]
    if not len(inner):
        return np.nan
    off = np.abs(inner - (low + high) / 2).round(6)
    return float(inner[np.lexsort((-np.abs(inner), off))[0]])


def _of_area(before: Sequence[_Grid], after: Sequence[_Grid]) -> Round:
    """Return the round between two states of all layers."""
    sizes, then = ([0, *np.cumsum([np.prod(grid.shape) for grid in grids])] for grids in (before, after))
    layers = [_OfLayer(before, after[number], number) for number in range(len(before))]
    parts = np.concatenate([layer.parts + first for layer, first in zip(layers, sizes, strict=False)])
    turn, turns = _turns(layers)
    halves = [
        np.concatenate([layer.goes(kind) + first for layer, first in zip(layers, then, strict=False)])
        for kind in range(3)
    ]
    seen = np.concatenate([layer.seen(sizes) for layer in layers])
    return Round(
        parts[turn],
        turns,
        np.concatenate([layer.whole + first for layer, first in zip(layers, sizes, strict=False)]),
        np.argsort(np.concatenate([halves[0][turn], halves[1][turn], halves[2]])),
        np.where(seen < 0, sizes[-1], seen)[turn],
        np.concatenate([layer.places() for layer in layers]).astype(np.float32)[turn],
        np.concatenate([grid.boxes.mean(axis=1)[:, ::-1] for grid in before]).astype(np.float32),
        tuple(map(int, sizes)),
    )


def _turns(layers: Sequence["_OfLayer"]) -> tuple[Integers, tuple[int, ...]]:
    """Return the order in which the parts of all layers are divided, and how many at a time."""
    if sum(len(layer.parts) for layer in layers) > _FEW:
        key = np.concatenate([layer.line[layer.parts] for layer in layers]) % 2
    else:
        # Every second layer first, of three the middle one: the others see what it holds.
        late = [np.full(len(layer.parts), 1 - layer.number % 2) for layer in layers]
        key = np.concatenate(late) * _FEW + np.concatenate([layer.outwards() for layer in layers])
    order = np.argsort(key, kind="stable")
    return order, tuple(np.unique(key, return_counts=True)[1].tolist())


class _OfLayer:
    """What a layer adds to a round."""

    def __init__(self, before: Sequence[_Grid], halved: _Grid, number: int) -> None:
        self.before, self.grid, self.halved, self.number = before, before[number], halved, number
        self.along = self.grid.along or 0
        rows = np.indices(self.grid.shape).reshape(2, -1)
        self.line = rows[1 - self.along]
        cuts = (
            np.full(len(self.line), np.nan) if self.grid.along is None else self.grid.cuts[rows[self.along]]
        )
        self.parts, self.whole = np.flatnonzero(~np.isnan(cuts)), np.flatnonzero(np.isnan(cuts))
        self.cut = cuts[self.parts]
        self.low, self.high = self.grid.boxes[self.parts].transpose(1, 0, 2)

    def outwards(self) -> Integers:
        """Return the line of each part, counted from the centre outwards."""
        across = 1 - self.along
        middles = self.grid.edges[across][:-1] + self.grid.edges[across][1:]
        rank: Integers = np.argsort(np.argsort(np.abs(middles).round(6), kind="stable"))
        lines: Integers = rank[self.line[self.parts]]
        return lines

    def goes(self, kind: int) -> Integers:
        """Return the numbers that first halves (0), second halves (1) or undivided parts (2) get."""
        if kind == 2:
            return self.halved.at(self.grid.boxes[self.whole].mean(axis=1))
        ends = (self.low, self.high)[kind].copy()
        inner = ends.copy()
        ends[:, self.along] = self.cut
        inner[:, self.along] = (self.low, self.high)[kind][:, self.along]
        middle = (ends + inner) / 2
        middle[:, 1 - self.along] = (self.low + self.high)[:, 1 - self.along] / 2
        return self.halved.at(middle)

    def seen(self, first: Sequence[int]) -> Integers:
        """Return the parts around each, in its layer and in those beside it; -1 where there is none."""
        steps = _AROUND if self.along == 1 else _AROUND[:, ::-1]
        places = np.stack(np.unravel_index(self.parts, self.grid.shape), axis=-1)
        found = [_in_all(self.grid.number(places[:, None] + steps), first[self.number])]
        extent = (self.high - self.low) * (np.arange(2) == self.along)
        points = ((self.low + self.high) / 2)[:, None] + np.array(_BESIDE)[:, None] * extent[:, None]
        for other in (self.number - 1, self.number + 1):
            inside = 0 <= other < len(self.before)
            found.append(
                _in_all(self.before[other].at(points), first[other])
                if inside
                else np.full(points.shape[:2], -1)
            )
        return np.concatenate(found, axis=1)

    def places(self) -> Float64s:
        """Return what tells the parts apart, (P, 7 + layers)."""
        along, across = self.along, 1 - self.along
        near = [self.cut, self.low[:, along], self.high[:, along], (self.low + self.high)[:, across] / 2]
        size = self.high - self.low
        return np.column_stack(
            [
                *(np.arcsinh(x / _NEAR) / 2 for x in near),
                np.log(size[:, across] / _NEAR) / 2,
                (self.cut - self.low[:, along]) / size[:, along] - 0.5,
                np.full(len(self.cut), along),
                np.tile(np.eye(len(self.before))[self.number], (len(self.cut), 1)),
            ]
        )


def _in_all(numbers: Integers, first: int) -> Integers:
    """Turn numbers in a layer into numbers among the parts of all layers."""
    return np.where(numbers < 0, -1, numbers + first)
