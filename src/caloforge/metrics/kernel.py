"""Kernel physics distance (KPD)."""

import numpy as np

from caloforge.metrics.base import Floats, Metric

__all__ = ["ENTRY", "kernel"]

_BATCHES = 10


def kernel(reference: Floats, sample: Floats) -> float:
    r"""Return the kernel physics distance: a maximum mean discrepancy, squared and without bias.

    ```math
    \langle k(x, x') \rangle + \langle k(y, y') \rangle - 2 \langle k(x, y) \rangle, \quad
    k(x, y) = (x \cdot y / d + 1)^4
    ```

    over pairs of different showers of the reference (x) and the sample (y). It is the median of ten batches,
    so that outliers, which change the mean of a fourth power most, affect only their own batch. There is no
    bias from the size of the samples: for equal distributions batches scatter about 0, and their median is a
    little below.

    Parameters
    ----------
    reference, sample
        (N, d) and (M, d), rows without order.

    References
    ----------
    Kansal et al., Phys. Rev. D 107 (2023) 076017, arXiv:2211.10295; Gretton et al., J. Mach. Learn. Res. 13
    (2012) 723, Lemma 6.

    Examples
    --------
    >>> import numpy as np
    >>> random = np.random.default_rng(1)
    >>> reference, same = random.normal(size=(2, 1000, 3))
    >>> round(kernel(reference, same), 2), round(kernel(reference, same + 1.0), 2)
    (0.1, 35.76)
    """
    batches = (_discrepancy(reference[i::_BATCHES], sample[i::_BATCHES]) for i in range(_BATCHES))
    return float(np.median(list(batches)))


def _discrepancy(first: Floats, second: Floats) -> float:
    return _mean_of_pairs(first) + _mean_of_pairs(second) - 2 * float(_kernel(first, second).mean())


def _mean_of_pairs(rows: Floats) -> float:
    """Mean of the kernel over pairs of different rows."""
    # A row paired with itself would give the bias that Lemma 6 of Gretton et al. avoids.
    values, n = _kernel(rows, rows), len(rows)
    return float((values.sum() - values.trace()) / (n * (n - 1)))


def _kernel(first: Floats, second: Floats) -> Floats:
    """Kernel of all pairs, (n, m)."""
    values: Floats = first @ (second.T / first.shape[1])
    values += 1
    for _ in range(2):  # squaring twice is faster than a general power
        np.square(values, out=values)
    return values


ENTRY = Metric(
    name="kernel",
    label="kernel physics distance",
    citation="Kansal et al., Phys. Rev. D 107 (2023) 076017, arXiv:2211.10295",
    # A hundred showers per batch.
    least=1000,
    measure=kernel,
    joint=True,
    # Batches of 1000 showers; the number of pairs grows with the square.
    most=10_000,
)
