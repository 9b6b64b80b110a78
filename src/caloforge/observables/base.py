"""What every observable is: a label, a unit, a citation and one number per shower."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar, Literal, Self

import numpy as np
from numpy.typing import NDArray

from caloforge.errors import InputError
from caloforge.geometry import Calorimeter, Layer, RingLayer
from caloforge.showers import Showers

__all__ = [
    "CALOCHALLENGE",
    "CALOGAN",
    "GEOMETRY_AWARE",
    "GROUPS",
    "AxisObservable",
    "Direction",
    "Floats",
    "LayerObservable",
    "Observable",
    "ShowerObservable",
    "check_layer",
    "divide",
    "flat",
    "layer_has",
    "layer_image",
    "spread",
    "weighted_mean",
]

Floats = NDArray[np.float64]
Direction = Literal["eta", "phi", "r"]

CALOGAN = "Paganini, de Oliveira, Nachman, Phys. Rev. D 97 (2018) 014021, Table IV"
GEOMETRY_AWARE = "Liu, Ghosh, Smith, Baldi, Whiteson, Geometry-aware Autoregressive Models, arXiv:2212.08233"
CALOCHALLENGE = "Krause et al., Fast Calorimeter Simulation Challenge 2022, arXiv:2410.21611"

GROUPS = ("energy", "depth", "centre", "width", "cells", "other")
"""What observables are about, in the order in which they are shown."""


class Observable(ABC):
    """One number per shower.

    A shower for which the number is not defined (a width of an empty layer) yields nan, never 0, so that
    it can be counted and left out. One that belongs to a layer has its number as ``layer``.
    """

    group: ClassVar[str] = "other"
    """What it is about: one of `GROUPS`."""

    @property
    @abstractmethod
    def name(self) -> str:
        """Plain identifier, for example ``lateral_width_1_eta``."""

    @property
    @abstractmethod
    def symbol(self) -> str:
        """Symbol of the paper in TeX's maths mode, without the dollar signs."""

    @property
    @abstractmethod
    def label(self) -> str:
        """The quantity in words, as on an axis."""

    @property
    @abstractmethod
    def unit(self) -> str:
        """Unit of the numbers; empty where they have none."""

    @property
    @abstractmethod
    def citation(self) -> str:
        """Where the definition comes from."""

    @classmethod
    @abstractmethod
    def every(cls, geometry: Calorimeter) -> tuple[Self, ...]:
        """Return all observables of this kind that a calorimeter has."""

    @abstractmethod
    def __call__(self, showers: Showers) -> Floats:
        """Return one number per shower, (N,) float64."""


@dataclass(frozen=True)
class ShowerObservable(Observable):
    """A quantity of the shower as a whole."""

    @classmethod
    def every(cls, geometry: Calorimeter) -> tuple[Self, ...]:
        """Return the one observable of this kind."""
        return (cls(),)


@dataclass(frozen=True)
class LayerObservable(Observable):
    """A quantity of one layer.

    Parameters
    ----------
    layer
        Number of the layer, from 0 in the direction of the particle.
    """

    layer: int

    @classmethod
    def every(cls, geometry: Calorimeter) -> tuple[Self, ...]:
        """Return one observable for each layer."""
        return tuple(cls(layer) for layer in range(len(geometry.layers)))


@dataclass(frozen=True)
class AxisObservable(Observable):
    """A quantity of one layer along one axis, from the centres of its cells.

    Parameters
    ----------
    layer
        Number of the layer, from 0 in the direction of the particle.
    axis
        Direction along which it is taken: ``eta``, ``phi``, or ``r``, the distance from the axis.
    """

    layer: int
    axis: Direction = "eta"

    axes: ClassVar[tuple[Direction, ...]] = ("eta", "phi")
    """Directions along which `every` takes it."""

    @classmethod
    def every(cls, geometry: Calorimeter) -> tuple[Self, ...]:
        """Return one observable for each axis and each layer, where the layer has such an axis."""
        return tuple(
            cls(number, axis)
            for axis in cls.axes
            for number, layer in enumerate(geometry.layers)
            if layer_has(layer, axis)
        )


def layer_has(layer: Layer | RingLayer, axis: Direction) -> bool:
    """Whether the cells of a layer differ along an axis: whole rings differ in r alone."""
    return axis == "r" or not (isinstance(layer, RingLayer) and layer.n_alpha == 1)


def check_layer(geometry: Calorimeter, layer: int) -> None:
    """Raise `InputError` unless the calorimeter has a layer of this number."""
    count = len(geometry.layers)
    if not 0 <= layer < count:
        raise InputError(
            f"There is no layer {layer} in the calorimeter '{geometry.name}': "
            f"its layers are 0 to {count - 1}."
        )


def layer_image(showers: Showers, layer: int) -> NDArray[np.float32]:
    """Return the cells of one layer, (N, n_phi, n_eta) or (N, n_alpha, n_r), in MeV.

    Raises
    ------
    InputError
        The calorimeter has no such layer.
    """
    return showers.layer(layer)


def flat(image: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return images (N, rows, columns) as rows of cells, (N, n_cells)."""
    return image.reshape(len(image), image.shape[1] * image.shape[2])


def divide(numerator: Floats, denominator: Floats) -> Floats:
    """Divide where the denominator is positive; nan elsewhere. Both (N,)."""
    result = np.full(numerator.shape, np.nan)
    np.divide(numerator, denominator, out=result, where=denominator > 0)
    return result


def weighted_mean(weights: Floats, positions: Floats) -> Floats:
    """Return the mean of positions (n,) with weights (N, n): (N,), nan where all weights vanish.

    Sums row by row, so that the result of a shower does not depend on those beside it.
    """
    return divide((weights * positions).sum(axis=1), weights.sum(axis=1))


def spread(weights: Floats, positions: Floats) -> Floats:
    """Return the weighted standard deviation of positions, about the weighted mean.

    Equal to sqrt(<x^2> - <x>^2), but taken about the mean, so that a narrow distribution far from
    the origin loses no digits.

    Parameters
    ----------
    weights
        (N, n), not negative.
    positions
        (n,)

    Returns
    -------
        (N,) in the unit of the positions; nan where all weights vanish.
    """
    distance = positions - weighted_mean(weights, positions)[:, np.newaxis]
    return np.sqrt(divide((weights * distance**2).sum(axis=1), weights.sum(axis=1)))
