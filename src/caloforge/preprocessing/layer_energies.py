"""Energies of layers as unbounded coordinates."""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

__all__ = ["LAYER_LEAST", "LayerEnergies"]

LAYER_LEAST = 1e-3
"""MeV below which energies of layers are not distinguished."""

_FLOOR, _PEAK = 1e-4, 3e-4  # resolution of the response near 0 and near 1
_ROOM = 0.1  # MeV above the largest possible energy, so that this has a finite coordinate
_ROUNDING = 1e-6  # of sums in single precision
_TINY = 1e-12


class LayerEnergies(nn.Module):
    r"""Energies of L layers as L unbounded coordinates, both ways: exactly above `LAYER_LEAST`.

    With the visible share $r = \sum_l E_l / E$ and the layer ref that is hardly ever empty,

    ```math
    u_1 = \ln \frac{r + a}{1 - r + b(E)}, \qquad u_l = \ln \frac{E_l}{E_\mathrm{ref}}
    ```

    The first is the logit of the visible share of the incident energy, widened at both ends: it resolves the
    narrow peak of a contained shower as well as a response of a few percent. Above 1 there is room for the
    energy that a particle brings in addition to its kinetic energy, and for more if showers hold more. The
    others are additive log-ratios (Aitchison, The Statistical Analysis of Compositional Data (1986)): the
    logarithm of a layer's energy over that of a layer which is hardly ever empty.

    Parameters
    ----------
    n_layers
        L.
    brought
        MeV that may become visible in addition to the kinetic energy.

    Examples
    --------
    >>> layers, energy = torch.tensor([[10.0, 60.0, 5.0], [30.0, 150.0, 0.0]]), torch.tensor([100.0, 200.0])
    >>> energies = LayerEnergies(3)
    >>> energies.prepare(layers, energy)
    >>> coordinates, there = energies(layers, energy)
    >>> there
    tensor([[ True,  True,  True],
            [ True,  True, False]])
    >>> energies.inverse(coordinates, energy).round(decimals=2)
    tensor([[ 10.,  60.,   5.],
            [ 30., 150.,   0.]])
    """

    excess: Tensor
    order: Tensor
    place: Tensor

    def __init__(self, n_layers: int, brought: float = 0.0) -> None:
        super().__init__()
        self.register_buffer("excess", torch.tensor(brought))
        # Buffers, since both are learned from the data and belong in a checkpoint.
        self.register_buffer("order", torch.arange(n_layers))  # the layer that ratios refer to is first
        self.register_buffer("place", torch.arange(n_layers))  # where in the order each layer is

    def prepare(self, layers: Tensor, energy: Tensor) -> None:
        """Choose the layer that ratios refer to, and the room above 1, from (N, L) and (N,) MeV."""
        share = layers / layers.sum(dim=1, keepdim=True).clamp(min=_TINY)
        reference = int(((layers > 0).float().mean(dim=0) + share.mean(dim=0)).argmax())
        others = [number for number in range(layers.shape[1]) if number != reference]
        self.order.copy_(torch.tensor([reference, *others]))
        self.place.copy_(self.order.argsort())
        # The largest of all showers, so that no training shower lies outside of the interval of the logit.
        over = float((layers.sum(dim=1) / energy - 1 - _ROUNDING).mul(energy).max())
        self.excess.fill_(max(float(self.excess), over))

    def forward(self, layers: Tensor, energy: Tensor) -> tuple[Tensor, Tensor]:
        """(N, L) and (N,) MeV -> coordinates (N, L), and which of them exist (N, L) bool."""
        total = layers.sum(dim=1, keepdim=True)
        response, room = total / energy.unsqueeze(1), self._room(energy)
        # The clamp keeps the logarithm finite for showers with more energy than any in `prepare`.
        logit = (response + _FLOOR).log() - (1 - response + room).clamp(min=1e-6).log()
        ordered = layers.index_select(1, self.order)
        ordered = ordered.clamp(min=_TINY).log()
        # The reference layer may be empty in a few showers: its logarithm must stay finite.
        ratios = ordered[:, 1:] - ordered[:, :1].clamp(min=math.log(LAYER_LEAST))
        there = torch.cat([total, layers.index_select(1, self.order[1:])], dim=1) > 0
        return torch.cat([logit, ratios], dim=1), there

    def inverse(self, coordinates: Tensor, energy: Tensor) -> Tensor:
        """(N, L), hugely negative for empty layers, and (N,) MeV -> (N, L) MeV."""
        room = self._room(energy)
        # The inverse of the logit of an interval from -a to 1 + b, whose width is 1 + a + b.
        response = torch.sigmoid(coordinates[:, :1]) * (1 + _FLOOR + room) - _FLOOR
        incident = energy.unsqueeze(1)
        total = torch.minimum(response.clamp(min=0) * incident, incident + self.excess)
        # The softmax, with a 0 for the reference layer, is the inverse of the log-ratios. It can't overflow,
        # and its shares sum to 1.
        shares = torch.softmax(functional.pad(coordinates[:, 1:], (1, 0)), dim=1)
        return total * shares.index_select(1, self.place)

    def _room(self, energy: Tensor) -> Tensor:
        """Return how far above 1 the response may be, (N, 1)."""
        return ((self.excess + _ROOM) / energy + _PEAK).unsqueeze(1)
