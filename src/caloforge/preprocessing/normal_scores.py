"""Showers on a calorimeter as normal numbers."""

import math
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from caloforge.geometry import Calorimeter
from caloforge.preprocessing.chain import Chain
from caloforge.preprocessing.layer_energies import LAYER_LEAST, LayerEnergies
from caloforge.preprocessing.quantiles import LEVELS, ConditionalQuantiles, Encoded, Modules, Ramps

__all__ = ["Decoder", "ShowerScaling"]

_FREE = 9.0  # bound of a number about which nothing is known: no restriction in practice
_TINY = 1e-12


class Decoder(nn.Module):
    """Turns normal numbers into showers: the part of a `ShowerScaling` that generation needs.

    Examples
    --------
    >>> decoder = ShowerScaling(Calorimeter.load("calogan"), energy_range=(1e3, 1e5)).decoder()
    >>> decoder(torch.zeros(1, 507), torch.tensor([1e4])).shape
    torch.Size([1, 504])
    """

    def __init__(self, scaling: "ShowerScaling") -> None:
        super().__init__()
        self.sizes = scaling.sizes
        self.incident, self.layers = scaling.incident.units(), scaling.layers
        self.ramps = Modules(ramps.units() for ramps in scaling.ramps)
        self.heads = scaling.heads.folded()
        incident = scaling.incident.mixing()
        mixings = [torch.block_diag(ramps.mixing(), incident) for ramps in scaling.ramps]
        self.cells = Modules(
            cells.folded(mixing) for cells, mixing in zip(scaling.cells, mixings, strict=True)
        )

    def forward(self, z: Tensor, energy: Tensor) -> Tensor:
        """(N, L + n_cells) and (N,) MeV -> cells (N, n_cells) MeV."""
        heads, *cells = z.split([len(self.sizes), *self.sizes], dim=1)
        return self.assemble(heads, cells, energy)

    def assemble(self, heads: Tensor, cells: Sequence[Tensor], energy: Tensor) -> Tensor:
        """Do the same for separate numbers: those of the layers (N, L), and those of each layer's cells."""
        incident = self.incident(energy.log().unsqueeze(1))
        layers: Tensor = self.layers.inverse(self.heads(heads, energy), energy)
        conditions = layers.clamp(min=LAYER_LEAST).log().split(1, dim=1)
        images = []
        for number, part in enumerate(cells):
            basis = torch.cat([self.ramps[number](conditions[number]), incident], dim=1)
            value, filled = self.cells[number](part, basis)
            weight = value.exp() * filled
            # Dividing by the sum makes the layer's energy exact: errors of single cells can't change it.
            images.append(weight * (layers[:, number : number + 1] / weight.sum(dim=1, keepdim=True)))
        return torch.cat(images, dim=1)


class ShowerScaling(nn.Module):
    """Showers on a calorimeter as normal numbers, and back.

    The numbers of the layers come first (`LayerEnergies` through a `Chain`), then those of the cells. Layer
    energies are exact both ways. So are cells whose share of the layer is within the range of the training; a
    smaller share is encoded as the smallest.

    Parameters
    ----------
    geometry
        The calorimeter.
    energy_range
        Incident energies in MeV.
    symmetries
        (S, n_cells) permutations of the cells to mirror images, which share what is learned; by default all
        symmetries of the calorimeter.
    energy_knots, layer_knots
        Number of knots in the logarithms of the incident energy and of a layer's energy.
    levels
        As `LEVELS`.
    brought
        MeV that may become visible in addition to the kinetic energy.

    Examples
    --------
    >>> scaling = ShowerScaling(Calorimeter.load("calogan"), energy_range=(1e3, 1e5))
    >>> energy = torch.tensor([1e4, 5e4])
    >>> cells = scaling(torch.zeros(2, scaling.size), energy)
    >>> again = scaling(scaling.encode(cells, energy).z, energy)
    >>> torch.allclose(again.sum(dim=1), cells.sum(dim=1), rtol=1e-3)
    True
    """

    symmetries: Tensor
    representatives: Tensor

    def __init__(
        self,
        geometry: Calorimeter,
        energy_range: tuple[float, float],
        symmetries: npt.NDArray[np.int64] | None = None,
        energy_knots: int = 10,
        layer_knots: int = 9,
        levels: Sequence[float] = LEVELS,
        brought: float = 0.0,
    ) -> None:
        super().__init__()
        self.sizes = [layer.n_cells for layer in geometry.layers]
        n = len(self.sizes)
        low, high = energy_range
        self.incident = Ramps.of_energy(energy_range, energy_knots)
        widest = torch.linspace(math.log(low) - 5, math.log(high), layer_knots)
        self.ramps = Modules(Ramps(widest) for _ in range(n))
        self.layers = LayerEnergies(n, brought)
        self.heads = Chain(n, energy_range, energy_knots)
        flips = torch.from_numpy(geometry.symmetries() if symmetries is None else symmetries)
        heads = torch.arange(n).expand(len(flips), n)
        self.register_buffer("symmetries", torch.cat([heads, flips + n], dim=1), persistent=False)
        # The lowest number among the mirror images of a cell stands for all of them.
        self.register_buffer("representatives", torch.unique(flips.amin(dim=0)), persistent=False)
        pools = [torch.unique(part, return_inverse=True)[1] for part in flips.amin(dim=0).split(self.sizes)]
        knots = layer_knots, energy_knots
        self.cells = Modules(ConditionalQuantiles(pool, knots, levels) for pool in pools)

    @property
    def size(self) -> int:
        """Number of normal numbers for a shower."""
        return self.symmetries.shape[1]

    @torch.no_grad()
    def prepare(self, cells: Tensor, energy: Tensor, others: Iterable[tuple[Tensor, Tensor]] = ()) -> None:
        """Set knots and starting values by showers to train on.

        Parameters
        ----------
        cells, energy
            (N, n_cells) and (N,) MeV, a sample that fits in memory.
        others
            All showers in parts, if there are more: the largest possible energy is taken from all of them.
        """
        parts = [(self._layer_energies(one), energies) for one, energies in (*others, (cells, energy))]
        self.layers.prepare(*(torch.cat(columns) for columns in zip(*parts, strict=True)))
        # The sample is the last part.
        layers = parts[-1][0]
        value, filled = self.layers(layers, energy)
        hats = self.incident.hats(energy.log())
        self.heads.start(value, filled, energy)
        for number, images in enumerate(self._images(cells)):
            layer = layers[:, number]
            there = layer > 0
            # A layer that no shower reaches keeps its initial knots; quantiles of nothing are nan.
            if there.sum() > 1:
                condition = layer[there].clamp(min=LAYER_LEAST).log()
                _spread(self.ramps[number].knots, condition)
                weights = torch.cat([self.ramps[number].hats(condition), hats[there]], dim=1)
                pooled = torch.cat([image[there] for image in images])
                shares = _log_shares(pooled, layer[there].repeat(len(images)))
                self.cells[number].start(*shares, weights.repeat(len(images), 1))

    def forward(self, z: Tensor, energy: Tensor) -> Tensor:
        """(N, size) and (N,) MeV -> cells (N, n_cells) MeV."""
        cells: Tensor = self.decoder()(z, energy)
        return cells

    def decoder(self) -> Decoder:
        """Return the map to showers as it stands now."""
        return Decoder(self)

    @torch.no_grad()
    def encode(self, cells: Tensor, energy: Tensor) -> Encoded:
        """(N, n_cells) and (N,) MeV -> (N, size); the cells of an empty layer are unknown."""
        layers = self._layer_energies(cells)
        incident = self.incident(energy.log())
        value, filled = self.layers(layers, energy)
        parts = [self.heads.encode(value, filled, energy)]
        for number, (value, filled, basis) in enumerate(self._conditioned(cells, layers, incident)):
            found = self.cells[number].encode(value, filled, basis)
            # The cells of an empty layer are no evidence for any correlation, so they are drawn without a
            # restriction.
            bound = torch.where(layers[:, number : number + 1] > 0, found.bound, _FREE)
            parts.append(found._replace(bound=bound))
        return Encoded(*(torch.cat(columns, dim=1) for columns in zip(*parts, strict=True)))

    def losses(self, cells: Tensor, energy: Tensor) -> dict[str, Tensor]:
        """Return the two losses of showers (N, n_cells) and (N,) MeV, summed over the layers."""
        layers = self._layer_energies(cells)
        incident = self.incident(energy.log())
        value, filled = self.layers(layers, energy)
        found = [self.heads.losses(value, filled, energy)]
        for number, (value, filled, basis) in enumerate(self._conditioned(cells, layers, incident)):
            # Cells of an empty layer say nothing about thresholds: these are given the layer's energy.
            there = layers[:, number] > 0
            if there.any():
                found.append(self.cells[number].losses(value[there], filled[there], basis[there]))
        likelihood, quantiles = (torch.stack(parts).sum() for parts in zip(*found, strict=True))
        return {"thresholds": likelihood, "quantiles": quantiles}

    def _images(self, cells: Tensor) -> Iterator[list[Tensor]]:
        """Yield for each layer the mirror images of showers, with one cell for each feature: each (N, F)."""
        flips = self.symmetries[:, len(self.sizes) :] - len(self.sizes)
        ends = torch.searchsorted(
            self.representatives, torch.tensor(self.sizes, device=self.representatives.device).cumsum(0)
        ).tolist()
        for first, last in pairwise([0, *ends]):
            columns = self.representatives[first:last]
            yield [cells[:, flip[columns]] for flip in flips]

    def _layer_energies(self, cells: Tensor) -> Tensor:
        return torch.stack([part.sum(dim=1) for part in cells.split(self.sizes, dim=1)], dim=1)

    def _conditioned(
        self, cells: Tensor, layers: Tensor, incident: Tensor
    ) -> list[tuple[Tensor, Tensor, Tensor]]:
        """Return for each layer the logarithms of shares, a mask of filled cells, and the basis."""
        conditions = layers.clamp(min=LAYER_LEAST).log()
        return [
            (*_log_shares(part, layers[:, i]), torch.cat([self.ramps[i](conditions[:, i]), incident], dim=1))
            for i, part in enumerate(cells.split(self.sizes, dim=1))
        ]


def _log_shares(cells: Tensor, layer: Tensor) -> tuple[Tensor, Tensor]:
    """Return ln(cell over layer), (N, C), and which cells have energy."""
    return cells.clamp(min=_TINY).log() - layer.clamp(min=_TINY).log().unsqueeze(1), cells > 0


def _spread(knots: Tensor, values: Tensor) -> None:
    """Place knots with equally many values between any two neighbours; the outermost are near the ends."""
    at = torch.linspace(0, 1, len(knots), device=values.device).clamp(0.003, 0.997)
    # torch.quantile takes at most 2^24 values.
    found = torch.quantile(values[torch.randperm(len(values), device=values.device)[: 1 << 20]], at)
    # Equal quantiles, as of a single energy, would give segments of length 0, by which ramps are divided.
    knots.copy_(found + 1e-3 * torch.arange(len(knots), device=values.device))
