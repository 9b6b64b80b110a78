"""What every observable is: a label, a unit, a citation and one number per shower."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from caloforge.errors import InputError
from caloforge.geometry import Calorimeter
from caloforge.showers import Showers

Floats = NDArray[np.float64]

CALOGAN = "Paganini, de Oliveira, Nachman, Phys. Rev. D 97 (2018) 014021, Table IV"

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


def layer_image(showers: Showers, layer: int) -> NDArray[np.float32]:
    """Return the cells of one layer, (N, n_phi, n_eta) in MeV.

    Raises
    ------
    InputError
        The calorimeter has no such layer.
    """
    count = len(showers.geometry.layers)
    if not 0 <= layer < count:
        raise InputError(
            f"There is no layer {layer} in the calorimeter '{showers.geometry.name}': "
            f"its layers are 0 to {count - 1}."
        )
    return showers.geometry.split(showers.cells)[layer]


def divide(numerator: Floats, denominator: Floats) -> Floats:
    """Divide where the denominator is positive; nan elsewhere. Both (N,)."""
    result = np.full(numerator.shape, np.nan)
    np.divide(numerator, denominator, out=result, where=denominator > 0)
    return result


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
    total = weights.sum(axis=1)
    mean = divide(weights @ positions, total)
    distance = positions - mean[:, np.newaxis]
    return np.sqrt(divide((weights * distance**2).sum(axis=1), total))
