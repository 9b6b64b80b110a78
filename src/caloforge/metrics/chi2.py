"""Chi-square of two histograms of an observable."""

import numpy as np

from caloforge.metrics._ordered import BINS, Values, counts
from caloforge.metrics.base import Metric

__all__ = ["ENTRY", "chi2"]


def chi2(reference: Values, sample: Values, bins: int = BINS) -> float:
    r"""Return $\chi^2/\mathrm{ndf}$ of two histograms with counts n_b of N and m_b of M showers.

    ```math
    \chi^2 = \sum_b \frac{(\sqrt{M/N}\, n_b - \sqrt{N/M}\, m_b)^2}{n_b + m_b}
    ```

    with one degree of freedom fewer than filled bins. 1 for samples of equal distributions, whatever their
    size; a difference grows in proportion to the number of showers. 0 if there is one bin only. The bins are
    those of the separation power: equal numbers of the reference, and one of undefined showers (nan).

    Parameters
    ----------
    reference, sample
        (N,) and (M,), of one observable.
    bins
        Number of bins.

    References
    ----------
    Gagunashvili, arXiv:physics/0605123.

    Examples
    --------
    >>> import numpy as np
    >>> random = np.random.default_rng(1)
    >>> reference, same = random.normal(size=(2, 1000))
    >>> round(chi2(reference, same), 3), round(chi2(reference, same + 0.5), 3)
    (0.943, 6.268)
    """
    first, second = counts(reference, sample, bins)
    filled = first + second > 0
    n, m = first[filled], second[filled]
    # Gagunashvili's weights for samples of different sizes: under equal distributions, both terms of the
    # difference have the same expectation and n + m is its variance.
    balance = np.sqrt(max(len(sample), 1) / max(len(reference), 1))
    total = ((balance * n - m / balance) ** 2 / (n + m)).sum()
    return float(total / max(len(n) - 1, 1))


ENTRY = Metric(
    name="chi2",
    label="χ²/ndf",
    citation="Gagunashvili, arXiv:physics/0605123",
    # Ten showers per bin: enough for counts to be about normally distributed.
    least=10 * BINS,
    measure=chi2,
)
