"""Correlations between features, and how far two samples differ in them."""

import numpy as np

from caloforge.metrics.base import Floats, Metric

__all__ = ["ENTRY", "correlation", "correlation_matrix"]


def correlation_matrix(features: Floats) -> Floats:
    """Return Pearson's correlation coefficients of features, (N, d) -> (d, d).

    A feature that does not vary is not correlated with any; the diagonal is 1.

    Examples
    --------
    >>> import numpy as np
    >>> rising = np.arange(10.0)
    >>> correlation_matrix(np.stack([rising, -rising, np.ones(10)], axis=1)).round(3) + 0.0
    array([[ 1., -1.,  0.],
           [-1.,  1.,  0.],
           [ 0.,  0.,  1.]])
    """
    centred = features - features.mean(axis=0)
    # Rounding of the mean would otherwise leave a tiny spread in a feature that does not vary.
    centred[:, features.min(axis=0) == features.max(axis=0)] = 0.0
    size = np.sqrt((centred**2).sum(axis=0))
    unit = centred / np.where(size > 0, size, 1.0)
    matrix: Floats = unit.T @ unit
    np.fill_diagonal(matrix, 1.0)
    return matrix


def correlation(reference: Floats, sample: Floats) -> float:
    r"""Return the mean difference of correlations, $\langle |r_{ij} - r'_{ij}| \rangle_{i<j}$.

    0 for equal correlations; two samples of n showers of equal distribution whose features are not correlated
    have $\sqrt{4 / (\pi n)}$.

    Parameters
    ----------
    reference, sample
        (N, d) and (M, d); 0 if d is 1.

    Examples
    --------
    >>> import numpy as np
    >>> random = np.random.default_rng(1)
    >>> reference, same = random.normal(size=(2, 1000, 3))
    >>> correlated = same + random.normal(size=(1000, 1))
    >>> round(correlation(reference, same), 2), round(correlation(reference, correlated), 2)
    (0.01, 0.47)
    """
    difference = np.abs(correlation_matrix(reference) - correlation_matrix(sample))
    d = len(difference)  # both diagonals are 1 and cancel, and each pair is in the sum twice
    return float(difference.sum() / max(d * (d - 1), 1))


ENTRY = Metric(
    name="correlation",
    label="mean difference of correlations",
    citation="Pearson, Proc. R. Soc. London 58 (1895) 240",
    # A coefficient is known to 0.1.
    least=100,
    measure=correlation,
    joint=True,
)
