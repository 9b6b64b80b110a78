"""Learning how showers are normal numbers, and how those go together."""

import math
from itertools import pairwise
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn

from caloforge.config import strict_dataclass
from caloforge.geometry import Calorimeter
from caloforge.incident.particles import brought, parse_particle
from caloforge.preprocessing.censored_gaussian import CensoredGaussian
from caloforge.preprocessing.normal_scores import ShowerScaling
from caloforge.preprocessing.quantiles import LEVELS
from caloforge.units import GeV

_LEAST_RATE = 0.01  # of the rate, that is left in the end


@strict_dataclass
class CopulaConfig:
    """How showers become normal numbers; energies in GeV.

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
        if self.levels[0] != 0 or any(b <= a for a, b in pairwise(self.levels)):
            raise ValueError(f"levels must ascend from 0 (found {self.levels}).")


class NormalShowers(nn.Module):
    """Showers as correlated normal numbers, and how both are learned.

    A step fits the single distributions to a batch, by one step of Adam, and moves the correlations towards
    those of the batch with its empty cells drawn.

    Parameters
    ----------
    geometry
        The calorimeter.
    config
        How it is learned.
    """

    steps: Tensor

    def __init__(self, geometry: Calorimeter, config: CopulaConfig) -> None:
        super().__init__()
        self.config = config
        low, high = (energy * GeV for energy in config.energy_range)
        self.scaling = ShowerScaling(
            geometry,
            (low, high),
            config.energy_knots,
            config.layer_knots,
            config.levels,
            brought(parse_particle(config.particles[0])),
        )
        self.gaussian = CensoredGaussian(self.scaling.symmetries)
        self.register_buffer("steps", torch.tensor(0))

    @property
    def size(self) -> int:
        """How many numbers a shower is."""
        return self.scaling.size

    @property
    def learned(self) -> bool:
        """Whether all steps are done."""
        return int(self.steps) >= self.config.steps

    def prepare(self, cells: Tensor, energy: Tensor) -> None:
        """Set knots and starting values by showers to train on, (N, n_cells) and (N,) MeV."""
        self.scaling.prepare(cells, energy)

    def optimizer(self) -> torch.optim.Optimizer:
        """Return Adam for the single distributions."""
        return torch.optim.Adam(self.parameters(), lr=self.config.rate)

    def learn(self, cells: Tensor, energy: Tensor, optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
        """Learn from (N, n_cells) and (N,) MeV; return the losses of the single distributions."""
        done = int(self.steps)
        for group in optimizer.param_groups:
            group["lr"] = self.config.rate * falling(done / self.config.steps)
        losses = self.scaling.losses(cells, energy)
        optimizer.zero_grad()
        torch.stack(list(losses.values())).sum().backward()
        optimizer.step()
        if done >= self.config.settled:
            self.gaussian.update(self.scaling.encode(cells, energy), self.config.sweeps)
        self.steps += 1
        return {name: value.detach() for name, value in losses.items()}

    @torch.no_grad()
    def whitened(self, cells: Tensor, energy: Tensor) -> Tensor:
        """Return showers (N, n_cells), (N,) MeV as the independent noise that they would be, (N, size)."""
        drawn = self.gaussian.impute(self.scaling.encode(cells, energy), self.config.sweeps)
        white: Tensor = torch.linalg.solve_triangular(self.gaussian.factor(), drawn.T, upper=False)
        return white.T


def falling(done: float) -> float:
    """Return the share of a rate that is left when a share of the steps is done."""
    return max(0.5 * (1 + math.cos(math.pi * min(done, 1.0))), _LEAST_RATE)
