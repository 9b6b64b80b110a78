"""Correlated normal numbers of which some are only known to be below a bound."""

import torch
from torch import Tensor, nn

from caloforge.preprocessing.quantiles import Encoded

__all__ = ["CensoredGaussian"]

_NUGGET = 1e-3  # share of independent noise in every number, so that correlations are invertible
_FORGETTING, _PATIENCE = 4.0, 20.0  # of n updates the last n / 4 count; how slowly the first ones begin


class CensoredGaussian(nn.Module):
    r"""A normal distribution of zero mean and unit variances, learned from values of which some are censored.

    Each update draws the censored values given the others and moves the covariance towards that of all (the
    stochastic approximation of Delyon, Lavielle and Moulines, Ann. Stat. 27 (1999) 94):

    ```math
    \Sigma \leftarrow (1 - \gamma_n) \Sigma + \gamma_n \langle z z^\mathsf{T} \rangle,
    \qquad \gamma_n = \frac{4}{24 + n}
    ```

    after n updates. Its memory grows in proportion to n: about the last quarter of all updates counts, so
    that a poor beginning is forgotten and noise averages out.

    Parameters
    ----------
    symmetries
        (S, F) permutations that leave the distribution what it is.
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
        independent = torch.eye(len(spread), device=spread.device)
        return self.covariance / spread / spread.unsqueeze(1) * (1 - _NUGGET) + _NUGGET * independent

    def factor(self) -> Tensor:
        """Return a triangular (F, F) whose product with standard normal numbers has the correlation."""
        factor: Tensor = torch.linalg.cholesky(self.correlation())
        return factor

    @torch.no_grad()
    def update(self, known: Encoded, sweeps: int = 2) -> None:
        """Learn from N values (N, F)."""
        drawn = self.impute(known, sweeps)
        moment = drawn.T @ drawn / len(drawn)
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

        cut above at its bound. It starts from the values given those columns alone that are filled more
        often, which is close to the end already, so that a few sweeps do.
        """
        order = known.censored.float().mean(dim=0).argsort()
        correlation = self.correlation()[order][:, order]
        z, censored, bound = (part.T[order].contiguous() for part in known)
        hidden = censored.any(dim=1).nonzero().squeeze(1).tolist()
        _draw_in_order(z, censored, bound, torch.linalg.cholesky(correlation))
        precision = torch.linalg.inv(correlation)
        spread = precision.diagonal().rsqrt()
        others = -precision / precision.diagonal().unsqueeze(1)
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
    spread = factor.diagonal()
    for row in range(len(z)):
        mean = factor[row, :row] @ independent[:row]
        drawn = _truncated(mean, spread[row], bound[row], uniform[row])
        z[row] = torch.where(censored[row], drawn, z[row])
        independent[row] = (z[row] - mean) / spread[row]


def _truncated(mean: Tensor, spread: Tensor, bound: Tensor, uniform: Tensor) -> Tensor:
    """Turn uniform numbers into normal ones below a bound."""
    share = torch.special.ndtr((bound - mean) / spread) * uniform
    drawn = mean + spread * torch.special.ndtri(share.clamp(min=1e-30))
    return torch.minimum(drawn, bound)
