r"""Energies of layers as shares of what is left for them, one after the other, and logits of shares.

C. Krause, D. Shih, *CaloFlow: Fast and Accurate Generation of Calorimeter Showers with Normalizing Flows*,
arXiv:2106.05285, Sec. 3. With the energy A that is available to a shower and the energies of L layers

```math
u_0 = \frac{1}{A} \sum_{l=0}^{L-1} E_l, \qquad u_n = \frac{E_{n-1}}{\sum_{l=n-1}^{L-1} E_l}, \quad
n = 1, \dots, L - 1
```

all of which are from 0 to 1 if no shower holds more than A. In the paper A is the incident kinetic energy;
showers that hold more are cut down to it. A positron brings two electron masses in addition, a pion its mass
(`caloforge.incident.particles.brought`), so the models here add these to A, and training reports the share
of showers that still hold more.
"""

import torch
from torch import Tensor

__all__ = ["ALPHA", "from_logits", "from_shares", "to_logits", "to_shares"]

ALPHA = 1e-6
"""How far logits keep away from 0 and 1 (arXiv:2106.05285, Sec. 3)."""

_TINY = 1e-12  # MeV, so that nothing is divided by 0


def to_shares(layers: Tensor, available: Tensor) -> Tensor:
    """Return the shares u of layers.

    Parameters
    ----------
    layers
        (N, L) MeV.
    available
        (N,) MeV.

    Returns
    -------
    (N, L) from 0 to 1; the first is 1 for showers that hold more than is available.

    Examples
    --------
    >>> to_shares(torch.tensor([[10.0, 60.0, 20.0]]), torch.tensor([100.0])).round(decimals=3)
    tensor([[0.9000, 0.1110, 0.7500]])
    """
    rest = layers.flip(1).cumsum(dim=1).flip(1)  # in each layer and all behind it
    total = rest[:, :1] / available.unsqueeze(1)
    return torch.cat([total, layers[:, :-1] / rest[:, :-1].clamp(min=_TINY)], dim=1).clamp(0, 1)


def from_shares(shares: Tensor, available: Tensor) -> Tensor:
    """Return the energies of layers, (N, L) MeV, from shares (N, L) and the energy available (N,) MeV.

    Examples
    --------
    >>> from_shares(torch.tensor([[0.9, 1 / 9, 0.75]]), torch.tensor([100.0])).round(decimals=3)
    tensor([[10., 60., 20.]])
    """
    left = shares[:, :1] * available.unsqueeze(1)
    layers = []
    for number in range(1, shares.shape[1]):
        share = shares[:, number : number + 1]
        layers.append(share * left)
        left = (1 - share) * left
    return torch.cat([*layers, left], dim=1)


def to_logits(shares: Tensor, alpha: float = ALPHA) -> Tensor:
    r"""Return $\ln(v / (1 - v))$ of shares x from 0 to 1, moved to $v = \alpha + (1 - 2 \alpha) x$.

    Examples
    --------
    >>> to_logits(torch.tensor([0.0, 0.5, 1.0])).round(decimals=2)
    tensor([-13.8200,   0.0000,  13.8200])
    """
    moved = alpha + (1 - 2 * alpha) * shares
    # 1 - v is computed from 1 - x, which keeps its digits near 1.
    return moved.log() - (alpha + (1 - 2 * alpha) * (1 - shares)).log()


def from_logits(logits: Tensor, alpha: float = ALPHA) -> Tensor:
    """Return the shares of any logits, from 0 to 1: the inverse of `to_logits`.

    Examples
    --------
    >>> from_logits(torch.tensor([-20.0, 0.0, 20.0])).round(decimals=2)
    tensor([0.0000, 0.5000, 1.0000])
    """
    return ((torch.sigmoid(logits) - alpha) / (1 - 2 * alpha)).clamp(0, 1)
