"""Learns the map from showers to normal numbers, and the correlations of these."""

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

_LEAST_RATE = 0.01  # share of the rate that is left at the end


@strict_dataclass
class CopulaConfig:
    """How showers become normal numbers.

    Attributes
    ----------
    energy_knots, layer_knots
        Knots of the conditions: the logarithms of the incident energy and of the layer's.
    levels
        Where quantile functions bend: standard deviations above the threshold, starting at 0.
    rate
        Learning rate (Adam) of the distributions of single cells; falls to a hundredth along a cosine.
    settled
        Share of the steps before correlations are learned: until then the single distributions still change.
    sweeps
        Gibbs sweeps over the empty cells in each of those steps.

    Examples
    --------
    >>> CopulaConfig(energy_knots=5).layer_knots
    9
    >>> CopulaConfig(levels=(0.0, 2.0, 1.0)).check_levels()
    Traceback (most recent call last):
    ValueError: levels must ascend from 0 (found (0.0, 2.0, 1.0)).
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
    """Showers as correlated normal numbers; learns the map and the correlations.

    A step fits the single distributions to a batch, by one step of Adam, and moves the correlations towards
    those of the batch with its empty cells drawn.

    Parameters
    ----------
    geometry
        The calorimeter.
    config
        Settings of the training.
    energy_range
        Incident energies in MeV.
    brought
        MeV that a particle may deposit in addition to its kinetic energy.
    symmetries
        (S, n_cells) permutations of the cells to equally likely mirror images.

    Examples
    --------
    >>> showers = NormalShowers(Calorimeter.load("calogan"), CopulaConfig(), energy_range=(1e3, 1e5))
    >>> showers.size  # 3 layers and 504 cells
    507
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
        """Number of normal numbers for a shower."""
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

        ``done`` is the share of the steps before this one: correlations are learned once the single
        distributions have settled. Everything is done in single precision, even within `torch.autocast`.
        """
        with torch.autocast(cells.device.type, enabled=False):
            # Without autocast: bfloat16 has three digits, too few for differences of quantiles and for a
            # matrix inverse.
            losses = self.scaling.losses(cells, energy)
            optimizer.zero_grad()
            torch.stack(list(losses.values())).sum().backward()
            optimizer.step()
            # Numbers that were encoded with poor thresholds would only have to be forgotten again.
            if done >= self.config.settled:
                self.gaussian.update(self.scaling.encode(cells, energy), self.config.sweeps)
        return {name: value.detach() for name, value in losses.items()}

    @torch.no_grad()
    def whitened(self, cells: Tensor, energy: Tensor) -> Tensor:
        """Return the independent noise (N, size) that would make showers (N, n_cells), (N,) MeV."""
        with torch.autocast(cells.device.type, enabled=False):
            drawn = self.gaussian.impute(self.scaling.encode(cells, energy), self.config.sweeps)
            # Solving is more accurate than a product with the inverse, and as fast for a triangular matrix.
            white: Tensor = torch.linalg.solve_triangular(self.gaussian.factor(), drawn.T, upper=False)
        return white.T


def falling(optimizer: torch.optim.Optimizer, steps: int) -> torch.optim.lr_scheduler.LRScheduler:
    """Return the schedule of a learning rate that falls to a hundredth along a cosine.

    Examples
    --------
    >>> adam = torch.optim.Adam([nn.Parameter(torch.tensor(1.0))], lr=0.02)
    >>> schedule, rates = falling(adam, steps=4), []
    >>> for _ in range(5):
    ...     rates.append(round(adam.param_groups[0]["lr"], 4))
    ...     adam.step()
    ...     schedule.step()
    >>> rates
    [0.02, 0.0171, 0.01, 0.0029, 0.0002]
    """

    def left(done: int) -> float:
        # Not down to 0: the last steps of a cosine would not learn anything.
        return max(0.5 * (1 + math.cos(math.pi * min(done / steps, 1.0))), _LEAST_RATE)

    return torch.optim.lr_scheduler.LambdaLR(optimizer, left)
