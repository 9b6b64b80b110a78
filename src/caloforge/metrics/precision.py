"""Share of the generated showers that could be of the reference."""

from caloforge.metrics._neighbours import CITATION, LEAST, MOST, overlap
from caloforge.metrics.base import Floats, Metric

__all__ = ["ENTRY", "precision"]


def precision(reference: Floats, sample: Floats) -> float:
    """Return the share of the sample inside the reference's balls (see `overlap`).

    Low if there are showers as the reference has none. One outlier of the reference, whose ball is large,
    can raise it.

    Parameters
    ----------
    reference, sample
        (N, d) and (M, d).

    References
    ----------
    Kynkäänniemi et al., arXiv:1904.06991; Naeem et al., arXiv:2002.09797.
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
