"""Base classes of observables: a label, a unit, a citation and one number per shower."""

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
"""The kinds of quantities, in the order in which reports show them."""


class Observable(ABC):
    """One number per shower.

    Where the number is not defined for a shower (the width of an empty layer), it is nan and never 0, so that
    such showers can be counted and left out. Observables of a layer have its number as ``layer``.

    Examples
    --------
    >>> from caloforge import Calorimeter, generate, observables
    >>> showers = generate("gamma", energy="1:100", n=100, seed=1)
    >>> for observable in observables.every(Calorimeter.load("calogan"))[:2]:
    ...     print(observable.name, observable(showers).shape)
    response (100,)
    total_energy (100,)
    """

    group: ClassVar[str] = "other"
    """Kind of quantity: one of `GROUPS`."""

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
    """A quantity of the shower as a whole.

    Examples
    --------
    >>> from caloforge.observables.response import Response
    >>> Response().name, Response().unit, Response().group
    ('response', '', 'energy')
    """

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

    Examples
    --------
    >>> from caloforge.geometry import Calorimeter
    >>> from caloforge.observables.layer_energy import LayerEnergy
    >>> [observable.name for observable in LayerEnergy.every(Calorimeter.load("calogan"))]
    ['layer_energy_0', 'layer_energy_1', 'layer_energy_2']
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

    Examples
    --------
    >>> from caloforge.observables.centre import Centre
    >>> Centre(layer=1, axis="phi").name
    'centre_1_phi'
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
    """Whether the cells of a layer differ along an axis: whole rings differ only in r.

    Examples
    --------
    >>> from caloforge.geometry import Axis, RingLayer
    >>> rings = RingLayer(z=(0.0, 10.0), r=Axis.uniform(5, 0.0, 50.0), alpha=1)
    >>> layer_has(rings, "r"), layer_has(rings, "eta")
    (True, False)
    """
    return axis == "r" or not (isinstance(layer, RingLayer) and layer.n_alpha == 1)


def check_layer(geometry: Calorimeter, layer: int) -> None:
    """Raise `InputError` unless the calorimeter has a layer of this number.

    Examples
    --------
    >>> from caloforge.geometry import Calorimeter
    >>> check_layer(Calorimeter.load("calogan"), 3)
    Traceback (most recent call last):
    caloforge.errors.InputError: There is no layer 3 in the calorimeter 'calogan': its layers are 0 to 2.
    """
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

    Examples
    --------
    >>> import numpy as np
    >>> from caloforge import Incident, Showers
    >>> showers = Showers("calogan", np.ones((1, 504)), Incident(22, 1000.0))  # 1 MeV in each cell
    >>> layer_image(showers, 0).shape
    (1, 3, 96)
    """
    return showers.layer(layer)


def flat(image: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return images (N, rows, columns) as rows of cells, (N, n_cells).

    Examples
    --------
    >>> import numpy as np
    >>> flat(np.zeros((10, 3, 96), np.float32)).shape
    (10, 288)
    """
    # The product is spelt out, because numpy can't work out a -1 for 0 showers.
    return image.reshape(len(image), image.shape[1] * image.shape[2])


def divide(numerator: Floats, denominator: Floats) -> Floats:
    """Divide where the denominator is positive; nan elsewhere. Both (N,).

    Examples
    --------
    >>> import numpy as np
    >>> divide(np.array([1.0, 1.0]), np.array([4.0, 0.0]))
    array([0.25,  nan])
    """
    # ``where`` leaves the nan of ``out`` in place without the warning that a division by 0 would raise.
    result = np.full(numerator.shape, np.nan)
    np.divide(numerator, denominator, out=result, where=denominator > 0)
    return result


def weighted_mean(weights: Floats, positions: Floats) -> Floats:
    """Return the mean of positions (n,) with weights (N, n): (N,), nan where all weights vanish.

    The sum of a shower does not depend on the other showers in the batch.

    Examples
    --------
    >>> import numpy as np
    >>> weighted_mean(np.array([[1.0, 3.0], [0.0, 0.0]]), np.array([0.0, 10.0]))
    array([7.5, nan])
    """
    # Not weights @ positions: BLAS may add the terms of a row in an order that depends on the number of rows.
    return divide((weights * positions).sum(axis=1), weights.sum(axis=1))


def spread(weights: Floats, positions: Floats) -> Floats:
    """Return the weighted standard deviation of positions, about the weighted mean.

    Equal to sqrt(<x^2> - <x>^2), but computed from distances to the mean, so that no digits cancel for a
    narrow distribution far from the origin.

    Parameters
    ----------
    weights
        (N, n), not negative.
    positions
        (n,)

    Returns
    -------
        (N,) in the unit of the positions; nan where all weights vanish.

    Examples
    --------
    >>> import numpy as np
    >>> spread(np.array([[1.0, 1.0], [0.0, 1.0]]), np.array([0.0, 10.0]))
    array([5., 0.])
    """
    distance = positions - weighted_mean(weights, positions)[:, np.newaxis]
    return np.sqrt(divide((weights * distance**2).sum(axis=1), weights.sum(axis=1)))
