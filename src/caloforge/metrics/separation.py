"""Separation power of two distributions of an observable."""

from caloforge.metrics._ordered import BINS, Values, counts
from caloforge.metrics.base import Metric

__all__ = ["ENTRY", "separation"]


def separation(reference: Values, sample: Values, bins: int = BINS) -> float:
    r"""Return the separation power $\frac12 \sum_b (p_b - q_b)^2 / (p_b + q_b)$.

    0 for equal distributions, 1 for distributions without overlap. The bins hold equal numbers of the
    reference, so that the result does not depend on the observable's scale; values outside its range count
    in the first or last bin. Showers for which the observable is not defined (nan) have an extra bin.
    Two samples of n showers of equal distribution have about bins / (2 n).

    Parameters
    ----------
    reference, sample
        (N,) and (M,), of one observable.
    bins
        Number of bins.

    References
    ----------
    Diefenbacher et al. (DCTRGAN), arXiv:2009.03796, Eq. 15; CaloChallenge 2022, arXiv:2410.21611.

    Examples
    --------
    >>> import numpy as np
    >>> random = np.random.default_rng(1)
    >>> reference, same = random.normal(size=(2, 1000))
    >>> round(separation(reference, same), 3), round(separation(reference, same + 0.5), 3)
    (0.014, 0.091)
    """
    first, second = counts(reference, sample, bins)
    p, q = first / max(len(reference), 1), second / max(len(sample), 1)
    filled = p + q > 0
    return float(0.5 * ((p - q)[filled] ** 2 / (p + q)[filled]).sum())


ENTRY = Metric(
    name="separation",
    label="separation power",
    citation="Diefenbacher et al., arXiv:2009.03796, Eq. 15; CaloChallenge 2022, arXiv:2410.21611",
    # Ten showers per bin: then finite samples of equal distributions have a separation of 0.05.
    least=10 * BINS,
    measure=separation,
)
