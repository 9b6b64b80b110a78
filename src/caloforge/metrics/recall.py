"""Share of the reference's showers that could be generated."""

from caloforge.metrics._neighbours import CITATION, LEAST, MOST, overlap
from caloforge.metrics.base import Floats, Metric

__all__ = ["ENTRY", "recall"]


def recall(reference: Floats, sample: Floats) -> float:
    """Return the share of the reference inside the sample's balls (see `overlap`).

    Low if some kinds of showers are never generated. A single outlier of the sample, whose ball is large,
    can raise it.

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
    >>> round(recall(reference, same), 2), round(recall(reference, same + 2.0), 2)
    (0.99, 0.58)
    """
    return overlap(reference, sample).recall


ENTRY = Metric(
    name="recall",
    label="recall",
    citation=CITATION,
    least=LEAST,
    measure=recall,
    joint=True,
    higher=True,
    most=MOST,
)
