"""Fréchet physics distance that a few outliers do not change."""

from caloforge.metrics import frechet as plain
from caloforge.metrics._tails import limited
from caloforge.metrics.base import Floats, Metric

__all__ = ["ENTRY", "frechet_robust"]


def frechet_robust(reference: Floats, sample: Floats) -> float:
    """Return the Fréchet physics distance of features with limited tails.

    A few far outliers can dominate the means and covariances of the plain distance.

    Parameters
    ----------
    reference, sample
        (N, d) and (M, d), rows without order.

    See Also
    --------
    caloforge.metrics.frechet.frechet : the distance.
    caloforge.metrics._tails.limited : the limits.

    Examples
    --------
    >>> import numpy as np
    >>> random = np.random.default_rng(1)
    >>> reference, same = random.normal(size=(2, 1000, 3))
    >>> round(frechet_robust(reference, same), 2), round(frechet_robust(reference, same + 1.0), 2)
    (-0.01, 2.71)
    """
    return plain.frechet(*limited(reference, sample))


ENTRY = Metric(
    name="frechet_robust",
    label="Fréchet physics distance, limited tails",
    citation="Kansal et al., arXiv:2211.10295; Dixon, Ann. Math. Stat. 31 (1960) 385",
    # As for the distance without limits.
    least=plain.ENTRY.least,
    measure=frechet_robust,
    joint=True,
)
