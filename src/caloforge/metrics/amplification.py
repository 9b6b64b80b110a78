"""How many showers of the simulation a generated sample is worth."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Points:
    """Distances of samples of several sizes: their mean and its error, (k,) each."""

    sizes: Floats
    distance: Floats
    error: Floats


@dataclass(frozen=True)
class Effective:
    """Number of showers, and the bounds of one standard deviation; None where there is none."""

    value: float | None
    low: float
    high: float | None


@dataclass(frozen=True)
class Amplified:
    """What is drawn of one observable, or of all together.

    Attributes
    ----------
    label
        Its name in words.
    expected
        Distances of independent samples: sizes, and the mean with the bounds of one standard deviation.
    simulated, generated
        Measured distances of samples of growing size.
    training
        Number of training showers, and their distance.
    effective
        What the generated sample is worth.
    """

    label: str
    expected: tuple[Floats, Floats, Floats, Floats]
    simulated: Points
    generated: Points
    training: tuple[int, float]
    effective: Effective
