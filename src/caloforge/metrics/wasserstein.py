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
    absolute deviation is the unit, so that the result does not depend on the observable's unit. It is itself
    such a distance, that of the reference from its median, and for a normal distribution it is 0.8 standard
    deviations, but outliers change it less than a standard deviation. If all values of the reference are
    equal, the deviation is that of both samples together. An undefined value (nan) in place of a defined one
    counts as moved by one unit.

    Parameters
    ----------
    reference, sample
        (N,) and (M,), of one observable.

    References
    ----------
    Ramdas, Garcia Trillos, Cuturi, Entropy 19 (2017) 47, arXiv:1509.02237.

    Examples
    --------
    >>> import numpy as np
    >>> random = np.random.default_rng(1)
    >>> reference, same = random.normal(size=(2, 1000))
    >>> round(wasserstein(reference, same), 3), round(wasserstein(reference, same + 0.5), 3)
    (0.108, 0.744)
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
    if n == m:  # the i-th value of one sample belongs to the i-th of the other
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
    # The mean deviation, which is the unit, is then known to a tenth.
    least=50,
    measure=wasserstein,
)
