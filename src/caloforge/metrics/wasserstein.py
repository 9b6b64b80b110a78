"""Wasserstein distance of two distributions of an observable."""

import numpy as np

from caloforge.metrics._ordered import Values, ascending
from caloforge.metrics.base import Metric

__all__ = ["ENTRY", "wasserstein"]


def wasserstein(reference: Values, sample: Values) -> float:
    r"""Return the Wasserstein-1 distance over the reference's spread about its median.

    ```math
    \int_0^1 |F^{-1}(u) - G^{-1}(u)| \, du \Big/ \langle |x - \mathrm{median}(x)| \rangle_F
    ```

    How far a shower's value has to be moved on average to turn one distribution into the other. The mean
    absolute deviation is the unit, so that the result does not depend on the observable's; it is itself such
    a distance, that of the reference from its median, and 0.8 standard deviations of a normal distribution,
    but unlike a standard deviation it does not follow a few outliers. If all values of the reference are
    equal, the deviation is that of both samples together. A shower for which the observable is not defined
    (nan) in place of one for which it is counts as moved by one unit.

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
    unit = _spread(first) or _spread(np.sort(np.concatenate([first, second]))) or 1.0
    return _moved(first, second) / unit + undefined


def _spread(ordered: Values) -> float:
    """Mean absolute deviation from the median of values in ascending order."""
    return float(np.abs(ordered - ordered[len(ordered) // 2]).mean(dtype=float))


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
    label="Wasserstein distance / spread",
    citation="Ramdas, Garcia Trillos, Cuturi, Entropy 19 (2017) 47, arXiv:1509.02237",
    # The mean deviation, which is the unit, is known to a tenth.
    least=50,
    measure=wasserstein,
)
