"""Share of the reference's showers that have a generated shower nearby."""

from caloforge.metrics._neighbours import CITATION, LEAST, MOST, overlap
from caloforge.metrics.base import Floats, Metric

__all__ = ["ENTRY", "coverage"]


def coverage(reference: Floats, sample: Floats) -> float:
    """Return the share of the reference's balls that hold a shower of the sample (see `overlap`).

    1 - 2^-5 = 0.969 for large samples of equal size and distribution, 0 without overlap.

    Parameters
    ----------
    reference, sample
        (N, d) and (M, d).

    References
    ----------
    Naeem et al., arXiv:2002.09797.

    Examples
    --------
    >>> import numpy as np
    >>> random = np.random.default_rng(1)
    >>> reference, same = random.normal(size=(2, 1000, 3))
    >>> round(coverage(reference, same), 2), round(coverage(reference, same + 2.0), 2)
    (0.97, 0.15)
    """
    return overlap(reference, sample).coverage


ENTRY = Metric(
    name="coverage",
    label="coverage",
    citation=CITATION,
    least=LEAST,
    measure=coverage,
    joint=True,
    higher=True,
    most=MOST,
)
