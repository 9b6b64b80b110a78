"""Outliers: showers with a shape that is rare in the reference at their incident energy.

Half of the reference defines the range of each shape. The other half and the generated showers are then
counted in the same way, so their rates can be compared for any distribution of the shapes and any number of
showers that define the ranges.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from caloforge.errors import InputError
from caloforge.observables.base import Observable

__all__ = ["ANY", "SHARE", "Floats", "OutlierCounts", "Ranges", "Trend", "Values"]

SHARE = 0.002
"""Share of the reference's showers beyond each end of a shape's range."""

ANY = "any"

_LEAST = 500
"""Fewest showers that define the ranges: one of them is beyond each end."""
_IN_BIN = 1000
_MOST_BINS = 8
_DEGREES = (3, 2)
"""Degrees in the logarithm of the incident energy: of a shape's mean, and of the logarithm of its spread."""

Floats = NDArray[np.float64]
Values = Mapping[str, Floats]


@dataclass(frozen=True)
class Trend:
    """How a shape changes with the incident energy: polynomials in its logarithm.

    Ranges follow it, so that bins of energy may be wide enough to hold many showers.
    """

    mean: np.polynomial.Polynomial
    spread: np.polynomial.Polynomial

    @classmethod
    def of(cls, energy: Floats, values: Floats) -> Self:
        """Fit values (N,) at energies (N,); undefined ones are ignored."""
        defined = np.isfinite(values)
        if not defined.any():
            return cls(np.polynomial.Polynomial([0.0]), np.polynomial.Polynomial([0.0]))
        at, values = np.log(energy[defined]), values[defined]
        mean, spread = (min(degree, len(np.unique(at)) - 1) for degree in _DEGREES)
        centre = _fit(at, values, mean)
        away = np.abs(values - centre(at))
        smallest = 1e-3 * (away.mean() or 1.0)  # a value exactly at the mean has no logarithm
        return cls(centre, _fit(at, np.log(np.maximum(away, smallest)), spread))

    def __call__(self, energy: Floats, values: Floats) -> Floats:
        """Return how far values (N,) are from their mean at energies (N,), in their spread."""
        at = np.log(energy)
        return np.asarray((values - self.mean(at)) / np.exp(self.spread(at)))


def _fit(at: Floats, values: Floats, degree: int) -> np.polynomial.Polynomial:
    # Polynomial.fit scales the domain to [-1, 1], which is impossible if it is a single energy.
    return np.polynomial.Polynomial.fit(at, values, degree, domain=[at.min() - 0.5, at.max() + 0.5])


@dataclass(frozen=True)
class Ranges:
    """Ranges of the reference's showers, for S shapes in B bins of incident energy.

    Attributes
    ----------
    observables
        The shapes.
    energies
        (B + 1,) edges of the bins in MeV, with equal numbers of the reference's showers.
    trends
        Of each shape.
    low, high
        (S, B) ends of the ranges, after the trends are removed.
    undefined
        (S, B) whether a shape may be undefined (as the width of an empty layer).
    showers
        Number of showers that defined all this.

    Examples
    --------
    >>> from caloforge import generate
    >>> from caloforge.observables.response import Response
    >>> showers = generate("gamma", energy="1:100", n=1000, seed=1)
    >>> values = {"response": Response()(showers)}
    >>> ranges = Ranges.of([Response()], showers.energy, values)
    >>> shares, errors = ranges.outside(showers.energy, values).rates()  # in any shape, and in each
    >>> shares.shape, bool(shares.max() < 0.01)
    ((2,), True)
    """

    observables: tuple[Observable, ...]
    energies: Floats
    trends: tuple[Trend, ...]
    low: Floats
    high: Floats
    undefined: NDArray[np.bool_]
    showers: int

    @classmethod
    def of(cls, observables: Sequence[Observable], energy: Floats, values: Values) -> Self:
        """Return the ranges of a sample.

        The ends are the r-th lowest and the r-th highest of the n showers in a bin, with r = SHARE (n + 1),
        at least 1. For any distribution, another shower of the same kind is then beyond an end with the
        probability r / (n + 1).

        Parameters
        ----------
        observables
            The shapes.
        energy
            (N,) incident energies in MeV.
        values
            (N,) of each shape by its name; nan where it is not defined.

        Raises
        ------
        InputError
            There are too few showers.
        """
        if len(energy) < _LEAST:
            raise InputError(
                f"{len(energy)} showers are too few to say what an outlier is: give a reference of "
                f"{2 * _LEAST} or more, half of which is used for it."
            )
        bins = int(np.clip(len(energy) // _IN_BIN, 1, _MOST_BINS))
        edges = np.unique(np.quantile(energy, np.linspace(0, 1, bins + 1)))
        # A single energy makes one bin without width.
        edges = edges if len(edges) > 1 else np.repeat(edges, 2)
        number = _bins(edges, energy)
        trends = tuple(Trend.of(energy, values[one.name]) for one in observables)
        ends = np.zeros((3, len(observables), len(edges) - 1))
        for row, (one, trend) in enumerate(zip(observables, trends, strict=True)):
            reduced = trend(energy, values[one.name])
            for column in range(len(edges) - 1):
                ends[:, row, column] = _ends(reduced[number == column])
        return cls(tuple(observables), edges, trends, ends[0], ends[1], ends[2] > 0, len(energy))

    def outside(self, energy: Floats, values: Values) -> "OutlierCounts":
        """Count the showers outside the ranges, among those within the reference's incident energies."""
        number = _bins(self.energies, energy)
        known = number >= 0
        number, energy = number[known], energy[known]
        away = np.zeros((len(self.observables), len(number)))
        for row, (one, trend) in enumerate(zip(self.observables, self.trends, strict=True)):
            reduced = trend(energy, values[one.name][known])
            low, high = self.low[row, number], self.high[row, number]
            # The smallest width is for shapes that are constant in a bin.
            beyond = np.maximum(low - reduced, reduced - high) / np.maximum(high - low, 1e-12)
            # Undefined shapes are as far outside as can be, unless the reference has enough of them.
            away[row] = np.where(np.isfinite(beyond), beyond, np.where(self.undefined[row, number], -1, 2))
        bins = len(self.energies) - 1
        counts = [
            np.array([np.bincount(number[one], minlength=bins) for one in (beyond.any(axis=0), *beyond)])
            for beyond in (away > 0, away > 1)
        ]
        return OutlierCounts(np.bincount(number, minlength=bins), *counts)


def _bins(edges: Floats, energy: Floats) -> NDArray[np.intp]:
    """Return the bin of each energy, -1 outside all."""
    number = np.clip(np.searchsorted(edges, energy, side="right") - 1, 0, len(edges) - 2)
    return np.where((energy >= edges[0]) & (energy <= edges[-1]), number, -1)


def _ends(values: Floats) -> tuple[float, float, bool]:
    """Return the ends of the range of values (n,), and whether undefined values are common among them."""
    ordered = np.sort(values[np.isfinite(values)])
    undefined = len(values) - len(ordered) > 2 * SHARE * len(values)
    if not len(ordered):
        return 0.0, 0.0, undefined
    rank = min(max(1, round(SHARE * (len(ordered) + 1))), len(ordered))
    return float(ordered[rank - 1]), float(ordered[-rank]), undefined


@dataclass(frozen=True)
class OutlierCounts:
    """Showers outside the ranges, in B bins of incident energy.

    Attributes
    ----------
    showers
        (B,) all of them.
    near
        (1 + S, B) outside: in any shape, then in each.
    far
        (1 + S, B) of those: outside by more than the width of the range.
    """

    showers: NDArray[np.int64]
    near: NDArray[np.int64]
    far: NDArray[np.int64]

    def __add__(self, other: "OutlierCounts") -> "OutlierCounts":
        """Return the counts of both samples."""
        return OutlierCounts(self.showers + other.showers, self.near + other.near, self.far + other.far)

    def rates(self, far: bool = False) -> tuple[Floats, Floats]:
        """Return the shares of showers (1 + S,) and their binomial errors, never 0.

        They are means over bins with equal numbers of the reference's showers, so they refer to the
        reference's spectrum of incident energies, whatever that of the sample is.
        """
        counts, some = (self.far if far else self.near), self.showers > 0
        counts, showers = counts[:, some].astype(float), self.showers[some].astype(float)
        share = (counts + 0.5) / (showers + 1.0)  # 0 of n showers do not prove a rate of 0
        errors = np.sqrt((share * (1 - share) / showers).sum(axis=1)) / len(showers)
        return (counts / showers).mean(axis=1), errors
