"""Kolmogorov-Smirnov distance of two distributions of an observable."""

import numpy as np

from caloforge.metrics._ordered import Values, ascending
from caloforge.metrics.base import Metric

__all__ = ["ENTRY", "kolmogorov_smirnov"]


def kolmogorov_smirnov(reference: Values, sample: Values) -> float:
    r"""Return the largest difference of the cumulative distributions, $\sup_x |F(x) - G(x)|$.

    0 for equal distributions, 1 for distributions that do not overlap. Showers for which the observable is
    not defined (nan) count as above all values.

    Parameters
    ----------
    reference, sample
        (N,) and (M,), of one observable.

    References
    ----------
    Massey, J. Am. Stat. Assoc. 46 (1951) 68; Smirnov, Ann. Math. Stat. 19 (1948) 279.

    Examples
    --------
    >>> import numpy as np
    >>> random = np.random.default_rng(1)
    >>> reference, same = random.normal(size=(2, 1000))
    >>> round(kolmogorov_smirnov(reference, same), 3), round(kolmogorov_smirnov(reference, same + 0.5), 3)
    (0.052, 0.233)
    """
    first, second = ascending(reference), ascending(sample)
    n, m = max(len(reference), 1), max(len(sample), 1)
    # F - G is largest right after a step of F, smallest right before a step of F or after its last one.
    rank = np.arange(len(first))
    above = (rank + 1) / n - np.searchsorted(second, first, "right") / m
    below = np.searchsorted(second, first, "left") / m - rank / n
    behind = len(second) / m - len(first) / n
    return float(max(above.max(initial=0.0), below.max(initial=0.0), behind))


ENTRY = Metric(
    name="kolmogorov_smirnov",
    label="Kolmogorov-Smirnov distance",
    citation="Massey, J. Am. Stat. Assoc. 46 (1951) 68",
    # From here on the limit for large samples holds for equal distributions; its mean is then 0.17.
    least=50,
    measure=kolmogorov_smirnov,
)
