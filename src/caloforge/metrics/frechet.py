"""Fréchet physics distance (FPD)."""

from functools import reduce
from typing import NamedTuple

import numpy as np

from caloforge.metrics.base import Floats, Metric

__all__ = ["ENTRY", "MeanAndCovariance", "frechet", "gaussian_distance", "moments"]

_PARTS = 4


class MeanAndCovariance(NamedTuple):
    """Number of showers, mean (d,) and summed products of the distances from it (d, d)."""

    n: int
    mean: Floats
    products: Floats

    @property
    def covariance(self) -> Floats:
        """Covariance matrix, (d, d)."""
        return self.products / (self.n - 1)

    def joined(self, other: "MeanAndCovariance") -> "MeanAndCovariance":
        """Return the moments of both samples together."""
        # Chan, Golub, LeVeque: no second pass over the showers, and no cancellation as in sums of squares.
        n, step = self.n + other.n, other.mean - self.mean
        between = np.outer(step, step) * (self.n * other.n / n)
        return MeanAndCovariance(
            n, self.mean + step * (other.n / n), self.products + other.products + between
        )


def moments(features: Floats) -> MeanAndCovariance:
    """Return the moments of a sample, (N, d).

    Examples
    --------
    >>> import numpy as np
    >>> found = moments(np.array([[0.0, 1.0], [2.0, 5.0]]))
    >>> found.n, found.mean, found.covariance
    (2, array([1., 3.]), array([[2., 4.],
           [4., 8.]]))
    """
    mean = features.mean(axis=0)
    centred = features - mean
    return MeanAndCovariance(len(features), mean, centred.T @ centred)


def gaussian_distance(first: MeanAndCovariance, second: MeanAndCovariance) -> float:
    r"""Return the squared Fréchet (Wasserstein-2) distance of two normal distributions.

    ```math
    |\mu_1 - \mu_2|^2 + \mathrm{Tr}\left(\Sigma_1 + \Sigma_2 - 2 (\Sigma_1 \Sigma_2)^{1/2}\right)
    ```

    References
    ----------
    Dowson and Landau, J. Multivariate Anal. 12 (1982) 450.

    Examples
    --------
    >>> import numpy as np
    >>> sample = np.array([[0.0, 0.0], [0.0, 2.0], [2.0, 0.0], [2.0, 2.0]])
    >>> round(gaussian_distance(moments(sample), moments(sample + 3.0)), 6)
    18.0
    """
    # Covariances of redundant features are singular; rounding makes some eigenvalues slightly negative.
    values, vectors = np.linalg.eigh(first.covariance)
    root = (vectors * np.sqrt(values.clip(0))) @ vectors.T
    # The symmetric product has the eigenvalues of the product of the two covariances.
    shared = np.linalg.eigvalsh(root @ second.covariance @ root).clip(0)
    traces = np.trace(first.covariance) + np.trace(second.covariance)
    shift = first.mean - second.mean
    return float(shift @ shift + traces - 2 * np.sqrt(shared).sum())


def frechet(reference: Floats, sample: Floats) -> float:
    """Return the Fréchet physics distance, extrapolated to samples of infinite size.

    Both samples are described by the normal distribution of their mean and covariance. The distance of finite
    samples is too large by about a constant over their size; so that of all showers, of halves and of
    quarters is fitted with a line in 1/N, whose value at 0 is returned. It scatters about 0, also below, for
    samples of equal distributions.

    Parameters
    ----------
    reference, sample
        (N, d) and (M, d), rows without order.

    References
    ----------
    Kansal et al., Phys. Rev. D 107 (2023) 076017, arXiv:2211.10295 (FPD); Chong and Forsyth, arXiv:1911.07023
    (extrapolation).

    Examples
    --------
    >>> import numpy as np
    >>> random = np.random.default_rng(1)
    >>> reference, same = random.normal(size=(2, 1000, 3))
    >>> round(frechet(reference, same), 2), round(frechet(reference, same + 1.0), 2)
    (-0.01, 2.93)
    """
    first, second = ([moments(rows[i::_PARTS]) for i in range(_PARTS)] for rows in (reference, sample))
    pieces = [1, 2, _PARTS]  # of N / count showers each, so a line in 1/N is a line in count
    distances = [_mean_distance(first, second, count) for count in pieces]
    return float(np.polyfit(pieces, distances, 1)[1])


def _mean_distance(first: list[MeanAndCovariance], second: list[MeanAndCovariance], count: int) -> float:
    """Mean distance of the samples' pieces, into `count` of which the parts are joined."""
    joined = [
        [reduce(MeanAndCovariance.joined, parts[piece::count]) for piece in range(count)]
        for parts in (first, second)
    ]
    return float(np.mean([gaussian_distance(a, b) for a, b in zip(*joined, strict=True)]))


ENTRY = Metric(
    name="frechet",
    label="Fréchet physics distance",
    citation="Kansal et al., Phys. Rev. D 107 (2023) 076017, arXiv:2211.10295",
    # Quarters of 250 showers, for a few dozen features: deviations from the line are then small compared with
    # the scatter.
    least=1000,
    measure=frechet,
    joint=True,
)
