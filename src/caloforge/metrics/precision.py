"""Share of the generated showers that could be from the reference."""

from caloforge.metrics._neighbours import CITATION, LEAST, MOST, overlap
from caloforge.metrics.base import Floats, Metric

__all__ = ["ENTRY", "precision"]


def precision(reference: Floats, sample: Floats) -> float:
    """Return the share of the sample inside the reference's balls (see `overlap`).

    Low if the sample has showers unlike any in the reference. A single outlier of the reference, whose ball
    is large, can raise it.

    Parameters
    ----------
    reference, sample
        (N, d) and (M, d).

    References
    ----------
    Kynkäänniemi et al., arXiv:1904.06991; Naeem et al., arXiv:2002.09797.

    Examples
    --------
    >>> import numpy as np
    >>> random = np.random.default_rng(1)
    >>> reference, same = random.normal(size=(2, 1000, 3))
    >>> round(precision(reference, same), 2), round(precision(reference, same + 2.0), 2)
    (1.0, 0.48)
    """
    return overlap(reference, sample).precision


ENTRY = Metric(
    name="precision",
    label="precision",
    citation=CITATION,
    least=LEAST,
    measure=precision,
    joint=True,
    higher=True,
    most=MOST,
)
