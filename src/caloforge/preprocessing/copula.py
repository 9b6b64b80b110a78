"""Learning how showers are normal numbers, and how those go together."""

import math
from collections.abc import Iterable
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import torch
from pydantic import Field
from torch import Tensor, nn

from caloforge.config import strict_dataclass
from caloforge.geometry import Calorimeter
from caloforge.preprocessing.censored_gaussian import CensoredGaussian
from caloforge.preprocessing.normal_scores import ShowerScaling
from caloforge.preprocessing.quantiles import LEVELS

__all__ = ["CopulaConfig", "NormalShowers", "falling"]

_LEAST_RATE = 0.01  # of the rate, that is left in the end


@strict_dataclass
class CopulaConfig:
    """How showers become normal numbers.

    Attributes
    ----------
    energy_knots, layer_knots
        Knots of the conditions: the logarithms of the incident energy and of the layer's.
    levels
        Where quantile functions bend: standard deviations beyond the threshold, from 0 on.
    rate
        Of the distributions of single cells (Adam); falls to a hundredth as a cosine does.
    settled
        Share of the steps after which correlations are learned: before, the single distributions still move.
    sweeps
        Gibbs sweeps over the empty cells in each of those steps.
    """

    energy_knots: int = Field(default=10, ge=2)
    layer_knots: int = Field(default=9, ge=2)
    levels: tuple[float, ...] = Field(default=LEVELS, min_length=2)
    rate: float = Field(default=0.02, gt=0)
    settled: float = Field(default=0.2, ge=0, lt=1)
    sweeps: int = Field(default=2, ge=0)

    def check_levels(self) -> None:
        """Refuse levels that no quantile function can bend at."""
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
    energy_range
        Incident energies in MeV.
    brought
        MeV beside the kinetic energy that a particle may leave.
    symmetries
        (S, n_cells) permutations of the cells to mirror images that are as likely.
    """

    def __init__(
        self,
        geometry: Calorimeter,
        config: CopulaConfig,
        energy_range: tuple[float, float],
        brought: float = 0.0,
        symmetries: npt.NDArray[np.int64] | None = None,
    ) -> None:
        super().__init__()
        self.config = config
        self.scaling = ShowerScaling(
            geometry,
            energy_range,
            symmetries,
            config.energy_knots,
            config.layer_knots,
            config.levels,
            brought,
        )
        self.gaussian = CensoredGaussian(self.scaling.symmetries)

    @property
    def size(self) -> int:
        """How many numbers a shower is."""
        return self.scaling.size

    def prepare(self, cells: Tensor, energy: Tensor, others: Iterable[tuple[Tensor, Tensor]] = ()) -> None:
        """Set knots and starting values by showers to train on; see `ShowerScaling.prepare`."""
        self.scaling.prepare(cells, energy, others)

    def optimizer(self) -> torch.optim.Optimizer:
        """Return Adam for the single distributions."""
        return torch.optim.Adam(self.parameters(), lr=self.config.rate)

    def learn(
        self, cells: Tensor, energy: Tensor, optimizer: torch.optim.Optimizer, done: float = 1.0
    ) -> dict[str, Tensor]:
        """Learn from (N, n_cells) and (N,) MeV; return the losses of the single distributions.

        ``done`` is the share of the steps before this one: correlations are learned when they have settled.
        All is done in single precision, also within `torch.autocast`.
        """
        with torch.autocast(cells.device.type, enabled=False):
            losses = self.scaling.losses(cells, energy)
            optimizer.zero_grad()
            torch.stack(list(losses.values())).sum().backward()
            optimizer.step()
            if done >= self.config.settled:
                self.gaussian.update(self.scaling.encode(cells, energy), self.config.sweeps)
        return {name: value.detach() for name, value in losses.items()}

    @torch.no_grad()
    def whitened(self, cells: Tensor, energy: Tensor) -> Tensor:
        """Return showers (N, n_cells), (N,) MeV as the independent noise that they would be, (N, size)."""
        with torch.autocast(cells.device.type, enabled=False):
            drawn = self.gaussian.impute(self.scaling.encode(cells, energy), self.config.sweeps)
            white: Tensor = torch.linalg.solve_triangular(self.gaussian.factor(), drawn.T, upper=False)
        return white.T


def falling(optimizer: torch.optim.Optimizer, steps: int) -> torch.optim.lr_scheduler.LRScheduler:
    """Return the schedule of a rate that falls to a hundredth of itself as a cosine does."""

    def left(done: int) -> float:
        return max(0.5 * (1 + math.cos(math.pi * min(done / steps, 1.0))), _LEAST_RATE)

    return torch.optim.lr_scheduler.LambdaLR(optimizer, left)
