"""Intermediate results that several observables of the same showers share, computed once.

They are kept as long as the `Showers` object lives. At one number per shower they take little memory.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, wraps
from typing import Any, Literal, TypeVar, cast
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from caloforge.geometry import Layer, RingLayer
from caloforge.observables.base import (
    Direction,
    Floats,
    check_layer,
    flat,
    layer_has,
    layer_image,
    spread,
    weighted_mean,
)
from caloforge.showers import Showers

__all__ = [
    "AnyLayer",
    "Lines",
    "Moments",
    "Unit",
    "coordinates",
    "grouped",
    "layer_energies",
    "layer_energy",
    "lines_of",
    "moments",
    "once",
]

Unit = Literal["cells", "mm"]
AnyLayer = Layer | RingLayer

_SAME = 9
"""Decimals (mm) to which coordinates are rounded before equal ones are looked for: 1e-9 mm."""

_SUMMED: dict[tuple[type[AnyLayer], Direction], int] = {
    (Layer, "eta"): 1,
    (Layer, "phi"): 2,
    (RingLayer, "r"): 1,
}
"""Image axis to sum over for one number per coordinate, where equal coordinates lie along an image axis."""

# Weak keys, so that results are deleted with their showers. Showers are compared by identity.
_RESULTS: WeakKeyDictionary[Showers, dict[Any, Any]] = WeakKeyDictionary()

Function = TypeVar("Function", bound=Callable[..., Any])


def once(function: Function) -> Function:
    """Compute a function of showers only once for the same `Showers` object and further arguments."""

    @wraps(function)
    def remembering(showers: Showers, *arguments: Any) -> Any:
        results = _RESULTS.setdefault(showers, {})
        if (function, *arguments) not in results:
            results[function, *arguments] = function(showers, *arguments)
        return results[function, *arguments]

    return cast(Function, remembering)


@once
def layer_energies(showers: Showers) -> Floats:
    """Return the energy in each layer, (N, L) in MeV, as a read-only array."""
    energies = showers.layer_energies()
    energies.flags.writeable = False  # every observable gets this same array
    return energies


def layer_energy(showers: Showers, layer: int) -> Floats:
    """Return the energy in one layer, (N,) in MeV; raises `InputError` if there is no such layer."""
    check_layer(showers.geometry, layer)
    # A copy, because callers may write to the result and the array of all layers is shared.
    return layer_energies(showers)[:, layer].copy()


@dataclass(frozen=True)
class Moments:
    """Weighted mean and standard deviation of a coordinate, (N,) each; nan for an empty layer."""

    mean: Floats
    spread: Floats


@once
def moments(showers: Showers, layer: int, direction: Direction, unit: Unit = "mm") -> Moments:
    """Return the mean position of a layer's energy along a direction, and its spread.

    Parameters
    ----------
    layer
        Number of the layer.
    direction
        ``eta``, ``phi``, or ``r``: the distance from the axis.
    unit
        ``mm`` takes the centres of cells, ``cells`` their numbers along eta or phi (boxes only).

    Raises
    ------
    InputError
        There is no such layer.
    """
    image = layer_image(showers, layer)
    lines = lines_of(showers.geometry.layers[layer], direction)
    positions = lines.positions if unit == "mm" else np.arange(len(lines.positions), dtype=float)
    weights = lines.sums(image)
    return Moments(weighted_mean(weights, positions), spread(weights, positions))


@dataclass(frozen=True)
class Lines:
    """The lines of a layer's cells that share a coordinate.

    Attributes
    ----------
    positions
        Their coordinates in mm, ascending, (n,).
    """

    positions: Floats
    _axis: int | None
    _members: csr_array

    def sums(self, image: NDArray[np.float32]) -> Floats:
        """Sum images (N, rows, columns) to lines, (N, n) in double precision."""
        if self._axis is not None:
            return np.asarray(image.sum(axis=self._axis, dtype=float))
        return np.ascontiguousarray(flat(image) @ self._members)


@cache
def lines_of(layer: AnyLayer, direction: Direction) -> Lines:
    """Return the lines of equal coordinate of a layer's cells."""
    positions, members = grouped(coordinates(layer, direction))
    return Lines(positions, _SUMMED.get((type(layer), direction)), members)


def grouped(values: Floats) -> tuple[Floats, csr_array]:
    """Return the different values among (n,), ascending, and a 0-1 matrix (n, values) of which has which."""
    # Rounded, because cells at the same distance from the axis differ in the last bits of their hypot.
    different, number = np.unique(values.round(_SAME), return_inverse=True)
    ones, rows = np.ones(len(values)), np.arange(len(values))
    return different, csr_array((ones, (rows, number.ravel())), shape=(len(values), len(different)))


def coordinates(layer: AnyLayer, direction: Direction) -> Floats:
    """Return a coordinate of the centre of every cell of a layer, (n_cells,) in mm; nan where it has none.

    Whole rings have no place along eta or phi.
    """
    eta, phi = layer.centres
    if direction == "r":
        return np.hypot(eta, phi).ravel()
    if not layer_has(layer, direction):
        return np.full(layer.n_cells, np.nan)
    return {"eta": eta, "phi": phi}[direction].ravel()
