"""Features with limited tails, for metrics that a few outliers would dominate."""

import numpy as np

from caloforge.metrics.base import Floats

__all__ = ["limited"]

_CENTRAL = 0.95


def limited(reference: Floats, sample: Floats) -> tuple[Floats, Floats]:
    """Limit features to the central 95 % of the reference's, and standardise them again.

    Values outside that range are moved to its nearest end, in both samples. A far outlier or a long tail then
    counts no more than a shower at the end of the range, both in sums over showers and in the standard
    deviation that is the unit of the features. A feature that differs from its usual value in fewer than one
    in forty showers of the reference on either side becomes constant and drops out.

    Parameters
    ----------
    reference, sample
        (N, d) and (M, d).

    References
    ----------
    Dixon, Ann. Math. Stat. 31 (1960) 385 (winsorised samples).
    """
    low, high = np.quantile(reference, [(1 - _CENTRAL) / 2, (1 + _CENTRAL) / 2], axis=0)
    first, second = reference.clip(low, high), sample.clip(low, high)
    # A constant feature becomes 0 / 1 instead of 0 / 0.
    mean, spread = first.mean(axis=0), np.where(low < high, first.std(axis=0), 1.0)
    return (first - mean) / spread, (second - mean) / spread
