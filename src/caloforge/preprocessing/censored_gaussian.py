"""Correlated normal numbers of which some are only known to be below a bound."""

import torch
from torch import Tensor, nn

from caloforge.preprocessing.quantiles import Encoded

__all__ = ["CensoredGaussian"]

_NUGGET = 1e-3  # share of independent noise in every number, so that correlations are invertible
_FORGETTING, _PATIENCE = 4.0, 20.0  # the last quarter of all updates counts; damps the first ones


class CensoredGaussian(nn.Module):
    r"""A normal distribution of zero mean and unit variances, learned from values of which some are censored.

    Each update draws the censored values given the others and moves the covariance towards that of all (the
    stochastic approximation of Delyon, Lavielle and Moulines, Ann. Stat. 27 (1999) 94):

    ```math
    \Sigma \leftarrow (1 - \gamma_n) \Sigma + \gamma_n \langle z z^\mathsf{T} \rangle,
    \qquad \gamma_n = \frac{4}{24 + n}
    ```

    after n updates. The memory grows in proportion to n: about the last quarter of all updates counts, so
    a poor start is forgotten and noise averages out.

    Parameters
    ----------
    symmetries
        (S, F) permutations that leave the distribution unchanged.

    Examples
    --------
    Two numbers with a correlation of 0.8, of which those below -1 are censored:

    >>> from caloforge.preprocessing import Encoded
    >>> _ = torch.manual_seed(1)
    >>> z = torch.randn(500, 2) @ torch.tensor([[1.0, 0.8], [0.0, 0.6]])
    >>> bound = torch.full_like(z, -1.0)
    >>> known = Encoded(z, z < bound, bound)
    >>> normal = CensoredGaussian(torch.tensor([[0, 1]]))
    >>> for _ in range(20):
    ...     normal.update(known)
    >>> abs(normal.correlation()[0, 1].item() - 0.8) < 0.1
    True
    >>> bool((normal.impute(known)[known.censored] <= -1).all())
    True
    """

    covariance: Tensor
    updates: Tensor

    def __init__(self, symmetries: Tensor) -> None:
        super().__init__()
        self.symmetries = symmetries
        self.register_buffer("covariance", torch.eye(symmetries.shape[1]))
        self.register_buffer("updates", torch.tensor(0))

    def correlation(self) -> Tensor:
        """Return the covariance with unit variances, (F, F), and safely invertible."""
        spread = self.covariance.diagonal().sqrt()
        # The numbers only have unit variance once the thresholds fit, so the variances are divided out.
        independent = torch.eye(len(spread), device=spread.device)
        return self.covariance / spread / spread.unsqueeze(1) * (1 - _NUGGET) + _NUGGET * independent

    def factor(self) -> Tensor:
        """Return a triangular (F, F) whose product with standard normal numbers has the correlation."""
        # Cholesky and not a symmetric root: the layers come first, and with a triangular factor they depend
        # on the first numbers of the noise alone.
        factor: Tensor = torch.linalg.cholesky(self.correlation())
        return factor

    @torch.no_grad()
    def update(self, known: Encoded, sweeps: int = 2) -> None:
        """Learn from N values (N, F)."""
        drawn = self.impute(known, sweeps)
        moment = drawn.T @ drawn / len(drawn)
        # The same as learning from all mirror images of every shower, at the cost of one.
        moment = torch.stack([moment[flip][:, flip] for flip in self.symmetries]).mean(dim=0)
        weight = _FORGETTING / (_FORGETTING + _PATIENCE + int(self.updates))
        self.covariance.lerp_(moment, weight)
        self.updates += 1

    @torch.no_grad()
    def impute(self, known: Encoded, sweeps: int = 2) -> Tensor:
        r"""Draw what is censored given all else, (N, F): Gibbs sampling over the columns.

        With the precision matrix $P = \Sigma^{-1}$, one value given all others is normal with

        ```math
        \mu_i = -\sum_{j \ne i} \frac{P_{ij}}{P_{ii}} z_j, \qquad \sigma_i^2 = \frac{1}{P_{ii}}
        ```

        truncated at its bound. The first values are drawn given only the columns that are filled more often.
        They are already close to the final distribution, so a few sweeps are enough.
        """
        # Columns that are rarely censored come first: they are good conditions for all that follow.
        order = known.censored.float().mean(dim=0).argsort()
        correlation = self.correlation()[order][:, order]
        # Transposed, so that each Gibbs step reads and writes one contiguous row.
        z, censored, bound = (part.T[order].contiguous() for part in known)
        hidden = censored.any(dim=1).nonzero().squeeze(1).tolist()
        _draw_in_order(z, censored, bound, torch.linalg.cholesky(correlation))
        precision = torch.linalg.inv(correlation)
        spread = precision.diagonal().rsqrt()
        others = -precision / precision.diagonal().unsqueeze(1)
        # With zeros here a row times z leaves the value itself out of its own mean.
        others.fill_diagonal_(0)
        for _ in range(sweeps):
            uniform = torch.rand_like(z)
            for row in hidden:
                mean = others[row] @ z
                drawn = _truncated(mean, spread[row], bound[row], uniform[row])
                z[row] = torch.where(censored[row], drawn, z[row])
        return z[order.argsort()].T.contiguous()


def _draw_in_order(z: Tensor, censored: Tensor, bound: Tensor, factor: Tensor) -> None:
    """Draw censored values (F, N) in place, each given those in the rows before it."""
    independent, uniform = torch.zeros_like(z), torch.rand_like(z)
    # A row of the Cholesky factor is a conditional distribution: the diagonal is the spread that is left when
    # all rows before it are known.
    spread = factor.diagonal()
    for row in range(len(z)):
        mean = factor[row, :row] @ independent[:row]
        drawn = _truncated(mean, spread[row], bound[row], uniform[row])
        z[row] = torch.where(censored[row], drawn, z[row])
        independent[row] = (z[row] - mean) / spread[row]


def _truncated(mean: Tensor, spread: Tensor, bound: Tensor, uniform: Tensor) -> Tensor:
    """Turn uniform numbers into normal ones below a bound."""
    # The inverse of the distribution function needs no rejection, however far out the bound is.
    share = torch.special.ndtr((bound - mean) / spread) * uniform
    # The clamp avoids ndtri(0), which is minus infinity.
    drawn = mean + spread * torch.special.ndtri(share.clamp(min=1e-30))
    # Rounding in ndtr and ndtri may put a number slightly above its bound.
    return torch.minimum(drawn, bound)
