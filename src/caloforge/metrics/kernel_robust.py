"""Kernel physics distance that a few outliers do not change."""

from caloforge.metrics import kernel as plain
from caloforge.metrics._tails import limited
from caloforge.metrics.base import Floats, Metric

__all__ = ["ENTRY", "kernel_robust"]


def kernel_robust(reference: Floats, sample: Floats) -> float:
    """Return the kernel physics distance of features with limited tails.

    The kernel has the features' fourth power, so that the plain one is a statement about the farthest showers
    as soon as there is one in most of its batches.

    Parameters
    ----------
    reference, sample
        (N, d) and (M, d), rows without order.

    See Also
    --------
    caloforge.metrics.kernel.kernel : the distance.
    caloforge.metrics._tails.limited : the limits.
    """
    return plain.kernel(*limited(reference, sample))


ENTRY = Metric(
    name="kernel_robust",
    label="kernel physics distance, limited tails",
    citation="Kansal et al., arXiv:2211.10295; Dixon, Ann. Math. Stat. 31 (1960) 385",
    # As of the distance without limits.
    least=plain.ENTRY.least,
    measure=kernel_robust,
    joint=True,
    most=plain.ENTRY.most,
)
