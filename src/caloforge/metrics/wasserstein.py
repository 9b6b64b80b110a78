"""Wasserstein distance of two distributions of an observable."""

import numpy as np

from caloforge.metrics._ordered import Values, ascending
from caloforge.metrics.base import Metric


def wasserstein(reference: Values, sample: Values) -> float:
    r"""Return the Wasserstein-1 distance :math:`\int |F^{-1}(u) - G^{-1}(u)| \, du / \sigma`.

    How far a shower's value has to be moved on average to turn one distribution into the other, in standard
    deviations of the reference, so that the result does not depend on the observable's unit: a shift by one
    standard deviation has distance 1. If all values of the reference are equal, the standard deviation is
    that of both samples together. A shower for which the observable is not defined (nan) in place of one
    for which it is counts as moved by one standard deviation.

    Parameters
    ----------
    reference, sample
        (N,) and (M,), of one observable.

    References
    ----------
    Ramdas, Garcia Trillos, Cuturi, Entropy 19 (2017) 47, arXiv:1509.02237.
    """
    first, second = ascending(reference), ascending(sample)
    undefined = abs(len(first) / max(len(reference), 1) - len(second) / max(len(sample), 1))
    if not len(first) or not len(second):
        return undefined
    unit = _spread(first) or _spread(np.concatenate([first, second])) or 1.0
    return _moved(first, second) / unit + undefined


def _spread(values: Values) -> float:
    """Standard deviation, which rounding keeps from being 0 where all values are equal."""
    return float(values.std(dtype=float)) if values.min() < values.max() else 0.0


def _moved(first: Values, second: Values) -> float:
    """Mean distance of equal quantiles; both samples are in ascending order."""
    n, m = len(first), len(second)
    if n == m:
        return float(np.abs(first - second).mean(dtype=float))
    # The quantile functions have steps at i / n and j / m: integers in units of 1 / (n m).
    steps = np.sort(np.concatenate([np.arange(1, n + 1) * m, np.arange(1, m + 1) * n]), kind="stable")
    widths = np.diff(steps, prepend=0) / (n * m)
    distance = np.abs(first[(steps - 1) // m] - second[(steps - 1) // n])
    return float(distance @ widths)


ENTRY = Metric(
    name="wasserstein",
    label="Wasserstein distance / σ",
    citation="Ramdas, Garcia Trillos, Cuturi, Entropy 19 (2017) 47, arXiv:1509.02237",
    # The standard deviation, which is the unit, is known to a tenth.
    least=50,
    measure=wasserstein,
)
