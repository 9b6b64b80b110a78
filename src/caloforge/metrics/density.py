"""Density of the reference around the generated showers."""

from caloforge.metrics._neighbours import CITATION, LEAST, MOST, overlap
from caloforge.metrics.base import Floats, Metric

__all__ = ["ENTRY", "density"]


def density(reference: Floats, sample: Floats) -> float:
    """Return the mean number of the reference's balls around a shower of the sample, divided by five.

    The balls are those of `overlap`. 1 for equal distributions, 0 without overlap, above 1 if the sample
    is concentrated where the reference is dense.

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
    >>> round(density(reference, same), 2), round(density(reference, same + 2.0), 2)
    (1.02, 0.25)
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
