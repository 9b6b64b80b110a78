"""How densely the reference lies where the generated showers are."""

from caloforge.metrics._neighbours import CITATION, LEAST, MOST, overlap
from caloforge.metrics.base import Floats, Metric

__all__ = ["ENTRY", "density"]


def density(reference: Floats, sample: Floats) -> float:
    """Return in how many of the reference's balls a shower of the sample lies on average, over five.

    The balls are those of `overlap`. 1 for equal distributions, 0 without overlap, above 1 if the sample
    keeps to where the reference is dense.

    Parameters
    ----------
    reference, sample
        (N, d) and (M, d).

    References
    ----------
    Naeem et al., arXiv:2002.09797.
    """
    return overlap(reference, sample).density


ENTRY = Metric(
    name="density",
    label="density",
    citation=CITATION,
    least=LEAST,
    measure=density,
    joint=True,
    higher=True,
    most=MOST,
)
