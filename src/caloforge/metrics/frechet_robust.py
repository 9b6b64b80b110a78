"""Fréchet physics distance that a few outliers do not change."""

import numpy as np

from caloforge.metrics.base import Floats, Metric
from caloforge.metrics.frechet import frechet

_CENTRAL = 0.99


def frechet_robust(reference: Floats, sample: Floats) -> float:
    """Return the Fréchet physics distance of features that are limited to where the reference mostly is.

    Values outside of the central 99 % of the reference's are moved to the nearest end of that range, in
    both samples. So a single shower that lies far off, or a long tail, which can decide on a mean and a
    covariance, counts no more than a shower at the range's end.

    Parameters
    ----------
    reference, sample
        (N, d) and (M, d), rows without order.

    References
    ----------
    `frechet`; limits of this kind: Dixon, Ann. Math. Stat. 31 (1960) 385 (winsorised means).
    """
    low, high = np.quantile(reference, [(1 - _CENTRAL) / 2, (1 + _CENTRAL) / 2], axis=0)
    return frechet(reference.clip(low, high), sample.clip(low, high))


ENTRY = Metric(
    name="frechet_robust",
    label="Fréchet physics distance, limited tails",
    citation="Kansal et al., arXiv:2211.10295; Dixon, Ann. Math. Stat. 31 (1960) 385",
    # As of the distance without limits.
    least=1000,
    measure=frechet_robust,
    joint=True,
)
