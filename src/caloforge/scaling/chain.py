"""Numbers drawn one after the other, each given the incident energy and those before."""

import math
from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn import functional

from caloforge.scaling.quantiles import NEVER, ConditionalQuantiles, Encoded, Modules, Ramps, below, emptied

LEVELS = tuple(step / 8 for step in range(57))
"""Distances from the threshold between which quantile functions are straight; peaks are narrow."""

_LEAST = NEVER + 1e-3  # of a normal number, just above the threshold of what is never missing
_COARSE = 6  # knots of the energy where another condition is there, too
_NORMAL = 14  # knots of a normal number that is a condition, as many numbers between any two


class Grid(ConditionalQuantiles):
    """The distribution of one number, at the knots of a grid between which it is linear.

    Parameters
    ----------
    knots
        Number of the grid's knots.
    """

    def __init__(self, knots: int) -> None:
        super().__init__(torch.zeros(1, dtype=torch.int64), [knots], LEVELS)

    def decode(self, z: Tensor, basis: Tensor) -> Tensor:
        """(N, 1) and weights of the knots (N, knots) -> (N, 1), hugely negative where missing."""
        threshold, lowest, rises = self._weights()
        # what is never missing in training is never missing: no shower of a million is empty by chance
        above = z.clamp(min=_LEAST) - basis @ threshold
        share = (above - self.levels[:-1]) / self.levels.diff()
        most = functional.pad(torch.ones(1, len(rises) - 1), (0, 1), value=math.inf)
        rise = (basis @ rises.squeeze(2).T) * torch.minimum(share.clamp(min=0), most)
        return emptied(basis @ lowest + rise.sum(dim=1, keepdim=True), above)

    def _weights(self) -> tuple[Tensor, Tensor, Tensor]:
        return self.kept_threshold().mT, self.lowest.mT, functional.softplus(self.increments).mT


class Chain(nn.Module):
    """Joint distribution of F numbers given the incident energy, as F conditional ones (Rosenblatt, Ann.
    Math. Stat. 23 (1952) 470).

    Conditions of the first number are the energy, of the others each pair of: the energy, the first number
    and the one before, as normal numbers. Distributions are bilinear in a pair, and the mean of the pairs'.

    Parameters
    ----------
    size
        F.
    energy
        Lowest and highest incident energy, MeV.
    knots
        Of the energy where it is the only condition.
    """

    def __init__(self, size: int, energy: tuple[float, float], knots: int) -> None:
        super().__init__()
        self.energy, self.coarse = Ramps.of_energy(energy, knots), Ramps.of_energy(energy, _COARSE)
        self.normal = Ramps(torch.special.ndtri((torch.arange(_NORMAL) + 0.5) / _NORMAL))
        pair = _COARSE * _NORMAL
        sizes = [knots, pair, *[2 * pair + _NORMAL**2] * (size - 2)]
        self.grids = Modules(Grid(each) for each in sizes[:size])

    @torch.no_grad()
    def start(self, value: Tensor, filled: Tensor, energy: Tensor) -> None:
        """Set starting values by showers (N, F), (N,) MeV."""
        for grid, one, there, basis in self._columns(value, filled, energy):
            grid.start(one, there, basis)

    def encode(self, value: Tensor, filled: Tensor, energy: Tensor) -> Encoded:
        """Values (N, F) of which some are there, (N, F) bool, and (N,) MeV -> normal numbers (N, F)."""
        parts = [
            grid.encode(one, there, basis) for grid, one, there, basis in self._columns(value, filled, energy)
        ]
        return Encoded(*(torch.cat(columns, dim=1) for columns in zip(*parts, strict=True)))

    def losses(self, value: Tensor, filled: Tensor, energy: Tensor) -> tuple[Tensor, Tensor]:
        """Return the sums of `ConditionalQuantiles.losses`."""
        found = [
            grid.losses(one, there, basis) for grid, one, there, basis in self._columns(value, filled, energy)
        ]
        likelihood, quantiles = (torch.stack(parts).sum() for parts in zip(*found, strict=True))
        return likelihood, quantiles

    def decode(self, z: Tensor, energy: Tensor) -> Tensor:
        """(N, F) and (N,) MeV -> values (N, F), hugely negative where missing."""
        values = [
            grid.decode(column, self._basis(energy.log(), z[:, :number]))
            for number, (grid, column) in enumerate(zip(self.grids, z.split(1, dim=1), strict=True))
        ]
        return torch.cat(values, dim=1)

    def _columns(
        self, value: Tensor, filled: Tensor, energy: Tensor
    ) -> Iterator[tuple[Grid, Tensor, Tensor, Tensor]]:
        """Return for each number its grid, the values, which are there, and the weights of the knots.

        Of a missing number nothing but its bound is known, so one below it is drawn as a condition.
        """
        before = energy.new_zeros(len(energy), 0)
        for grid, one, there in zip(self.grids, value.split(1, dim=1), filled.split(1, dim=1), strict=True):
            basis = self._basis(energy.log(), before)
            yield grid, one, there, basis
            z, missing, bound = grid.encode(one, there, basis)
            drawn = torch.special.ndtri((below(bound) * torch.rand_like(bound)).clamp(min=1e-6))
            before = torch.cat([before, torch.where(missing, drawn, z)], dim=1)

    def _basis(self, log_energy: Tensor, before: Tensor) -> Tensor:
        """Return the weights of the knots (N, knots) given the numbers before (N, F')."""
        if not before.shape[1]:
            return self.energy.hats(log_energy)
        energy, first = self.coarse.hats(log_energy), self.normal.hats(before[:, 0])
        if before.shape[1] == 1:
            return _pairs(energy, first)
        last = self.normal.hats(before[:, -1])
        return torch.cat([_pairs(energy, first), _pairs(energy, last), _pairs(first, last)], dim=1) / 3


def _pairs(first: Tensor, second: Tensor) -> Tensor:
    """Products of weights, (N, A) and (N, B) -> (N, A B)."""
    return (first.unsqueeze(2) * second.unsqueeze(1)).flatten(1)
