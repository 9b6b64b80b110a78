"""Features whose tails count no more than the ends of where the reference mostly is."""

import numpy as np

from caloforge.metrics.base import Floats

__all__ = ["limited"]

_CENTRAL = 0.95


def limited(reference: Floats, sample: Floats) -> tuple[Floats, Floats]:
    """Return features that are limited to the central 95 % of the reference's, and standardised anew.

    Values outside of that range are moved to its nearest end, in both samples. So a single shower that lies
    far off, or a long tail, counts no more than a shower at the range's end, neither in what is summed
    over showers nor in the standard deviation that is the features' unit. A feature that less than one in
    forty showers of the reference have on either side becomes constant and drops out.

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
    mean, spread = first.mean(axis=0), np.where(low < high, first.std(axis=0), 1.0)
    return (first - mean) / spread, (second - mean) / spread
