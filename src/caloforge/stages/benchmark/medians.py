"""What times are judged by: the median, which other work on the computer hardly moves."""

import numpy as np

from caloforge.stages.benchmark.workloads import Float64s

_RESAMPLED = 200

Measured = tuple[float, float]
"""A value and its statistical error."""


def median(values: Float64s) -> Measured:
    """Return the median with its error by resampling.

    What else a computer does makes some showers slower; the median hardly feels it.
    """
    random = np.random.default_rng(0)
    medians = [np.median(random.choice(values, len(values))) for _ in range(_RESAMPLED)]
    return float(np.median(values)), float(np.std(medians))
