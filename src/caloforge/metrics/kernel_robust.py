"""Kernel physics distance that a few outliers do not change."""

from caloforge.metrics import kernel as plain
from caloforge.metrics._tails import limited
from caloforge.metrics.base import Floats, Metric

__all__ = ["ENTRY", "kernel_robust"]


def kernel_robust(reference: Floats, sample: Floats) -> float:
    """Return the kernel physics distance of features with limited tails.

    The kernel contains the fourth power of the features, so the plain distance is decided by far outliers as
    soon as most batches have one.

    Parameters
    ----------
    reference, sample
        (N, d) and (M, d), rows without order.

    See Also
    --------
    caloforge.metrics.kernel.kernel : the distance.
    caloforge.metrics._tails.limited : the limits.

    Examples
    --------
    >>> import numpy as np
    >>> random = np.random.default_rng(1)
    >>> reference, same = random.normal(size=(2, 1000, 3))
    >>> round(kernel_robust(reference, same), 2), round(kernel_robust(reference, same + 1.0), 2)
    (0.01, 23.52)
    """
    return plain.kernel(*limited(reference, sample))


ENTRY = Metric(
    name="kernel_robust",
    label="kernel physics distance, limited tails",
    citation="Kansal et al., arXiv:2211.10295; Dixon, Ann. Math. Stat. 31 (1960) 385",
    # As for the distance without limits.
    least=plain.ENTRY.least,
    measure=kernel_robust,
    joint=True,
    most=plain.ENTRY.most,
)
