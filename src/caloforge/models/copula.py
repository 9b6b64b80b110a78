"""A censored Gaussian copula: the normal numbers of `caloforge.scaling`, drawn from one normal distribution.

A copula is a joint distribution with the single ones divided out (Sklar, Publ. Inst. Stat. Univ. Paris 8
(1959) 229). Here the single ones are the conditional distributions of layer energies and cells, and what
joins them is one correlation matrix. A shower costs one product of a matrix with noise.
"""

import math
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn

from caloforge.config import strict_dataclass
from caloforge.geometry import Calorimeter
from caloforge.models.base import Batch, GenerativeModel
from caloforge.scaling import LEVELS, CensoredGaussian, Decoder, ShowerScaling
from caloforge.units import GeV

_LEAST_RATE = 0.01  # of the rate, that is left in the end


@strict_dataclass
class Config:
    """The copula; energies in GeV.

    Attributes
    ----------
    particles
        Name of the one particle.
    energy_range
        Incident energies between which it is meant to be used.
    energy_knots, layer_knots
        Knots of the conditions: the logarithms of the incident energy and of the layer's.
    levels
        Where quantile functions bend: standard deviations beyond the threshold, from 0 on.
    rate
        Of the distributions of single cells (Adam); falls to a hundredth as a cosine does.
    steps
        Steps in which it falls.
    settled
        Step from which correlations are learned: before, the single distributions still move.
    sweeps
        Gibbs sweeps over the empty cells in each of those steps.
    """

    particles: Annotated[tuple[str, ...], Field(min_length=1, max_length=1)] = ("e+",)
    energy_range: tuple[float, float] = (1.0, 100.0)
    energy_knots: int = Field(default=10, ge=2)
    layer_knots: int = Field(default=9, ge=2)
    levels: tuple[float, ...] = Field(default=LEVELS, min_length=2)
    rate: float = Field(default=0.02, gt=0)
    steps: int = Field(default=1000, gt=0)
    settled: int = Field(default=300, ge=0)
    sweeps: int = Field(default=2, ge=0)

    def __post_init__(self) -> None:
        """Refuse what no single field can tell."""
        low, high = self.energy_range
        if not 0 < low < high:
            raise ValueError(f"energy_range must be two ascending energies above 0 (found {low}, {high}).")
        if self.levels[0] != 0 or any(b <= a for a, b in zip(self.levels, self.levels[1:], strict=False)):
            raise ValueError(f"levels must ascend from 0 (found {self.levels}).")


class Sampler(nn.Module):
    """Noise to showers, with the correlations as one matrix."""

    factor: Tensor

    def __init__(self, factor: Tensor, decoder: Decoder) -> None:
        super().__init__()
        self.register_buffer("factor", factor.T.contiguous())
        self.decoder = decoder

    def forward(self, noise: Tensor, energy: Tensor, label: Tensor) -> Tensor:
        """(N, noise_size), (N,) MeV, (N,) unused -> (N, n_cells) MeV."""
        cells: Tensor = self.decoder(noise @ self.factor, energy)
        return cells


class Copula(GenerativeModel):
    """The copula; see the module. Its noise has one number for each layer and each cell.

    A step fits the single distributions to the batch, by one step of Adam, and moves the correlations
    towards those of the batch with its empty cells drawn.
    """

    steps: Tensor

    def __init__(self, config: Config, geometry: Calorimeter) -> None:
        super().__init__(config, geometry)
        self.config: Config = config
        low, high = (energy * GeV for energy in config.energy_range)
        self.scaling = ShowerScaling(
            geometry, (low, high), config.energy_knots, config.layer_knots, config.levels
        )
        self.gaussian = CensoredGaussian(self.scaling.symmetries)
        self.noise_size = self.scaling.size
        self.register_buffer("steps", torch.tensor(0))

    def prepare(self, showers: Batch) -> None:
        """Set knots and starting values by all showers to train on."""
        self.scaling.prepare(showers.cells, showers.energy)

    def forward(self, noise: Tensor, energy: Tensor, label: Tensor) -> Tensor:
        """Turn noise (N, noise_size), energy (N,) MeV and label (N,) into cells (N, n_cells) MeV."""
        cells: Tensor = self.sampler()(noise, energy, label)
        return cells

    def sampler(self) -> nn.Module:
        """Return the map from noise to showers as it stands now."""
        return Sampler(self.gaussian.factor(), self.scaling.decoder()).eval()

    def optimizers(self) -> dict[str, torch.optim.Optimizer]:
        """Return Adam for the single distributions."""
        return {"scaling": torch.optim.Adam(self.parameters(), lr=self.config.rate)}

    def training_step(self, batch: Batch, optimizers: dict[str, torch.optim.Optimizer]) -> dict[str, Tensor]:
        """Fit the single distributions, and from `Config.settled` on the correlations."""
        done = int(self.steps)
        optimizer = optimizers["scaling"]
        for group in optimizer.param_groups:
            group["lr"] = self.config.rate * _fallen(done / self.config.steps)
        losses = self.scaling.losses(batch.cells, batch.energy)
        torch.stack(list(losses.values())).sum().backward()
        optimizer.step()
        optimizer.zero_grad()
        if done >= self.config.settled:
            self.gaussian.update(self.scaling.encode(batch.cells, batch.energy), self.config.sweeps)
        self.steps += 1
        return {name: value.detach() for name, value in losses.items()}


def _fallen(done: float) -> float:
    """Return the share of the rate that is left when a share of the steps is done."""
    return max(0.5 * (1 + math.cos(math.pi * min(done, 1.0))), _LEAST_RATE)


Copula.Config = Config
ENTRY = Copula
