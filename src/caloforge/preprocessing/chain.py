"""Numbers drawn one after the other, each given the incident energy and earlier numbers."""

import math
from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn import functional

from caloforge.preprocessing.quantiles import NEVER, ConditionalQuantiles, Encoded, Modules, Ramps, below

__all__ = ["LEVELS", "Chain", "FoldedChain", "Grid", "Product"]

LEVELS = tuple(step / 8 for step in range(57))
"""Distances from the threshold between which quantile functions are straight; peaks are narrow."""

_LEAST = NEVER + 1e-3  # lowest normal number: just above the threshold of a number that is never missing
_COARSE = 6  # knots of the energy where it is one of two conditions
_PAIRS = 3  # of conditions
_CUTOFF = 1e9  # slope below the threshold: hugely negative for any float32 below it
_NORMAL = 14  # knots of a normal number as a condition, with equal probability between them


class Grid(ConditionalQuantiles):
    """The distribution of one number, at the knots of a grid between which it is linear.

    Parameters
    ----------
    knots
        Number of the grid's knots.

    Examples
    --------
    >>> Grid(3).matrix().shape  # a threshold, a lowest value and 56 increments at each knot
    torch.Size([3, 58])
    """

    def __init__(self, knots: int) -> None:
        super().__init__(torch.zeros(1, dtype=torch.int64), [knots], LEVELS)

    def matrix(self) -> Tensor:
        """Return threshold, lowest value and increments at the knots, (knots, 2 + segments)."""
        return torch.cat([part.detach().reshape(-1, part.shape[-2]) for part in self._weights()]).T

    def _weights(self) -> tuple[Tensor, Tensor, Tensor]:
        # The basis here is of hats, whose weights are the values at the knots: no ramps are needed.
        return self.kept_threshold().mT, self.lowest.mT, functional.softplus(self.increments).mT


class Chain(nn.Module):
    r"""Joint distribution of F numbers given the incident energy, as F conditional ones (Rosenblatt, Ann.
    Math. Stat. 23 (1952) 470):

    ```math
    p(u_1, \dots, u_F | E) = p(u_1 | E) \prod_{i > 1} p(u_i | E, z_1, z_{i - 1})
    ```

    The first number is conditioned on the energy; the others on each pair of the energy, the first number and
    the number before, as normal numbers. Distributions are bilinear in a pair, and averaged over the pairs.

    Parameters
    ----------
    size
        F.
    energy
        Lowest and highest incident energy, MeV.
    knots
        Knots of the energy where it is the only condition.

    Examples
    --------
    >>> _ = torch.manual_seed(1)
    >>> value, there = torch.randn(500, 2), torch.ones(500, 2, dtype=torch.bool)
    >>> energy = torch.full((500,), 1e4)
    >>> chain = Chain(2, energy=(1e3, 1e5), knots=4)
    >>> chain.start(value, there, energy)
    >>> again = chain.decode(chain.encode(value, there, energy).z, energy)
    >>> bool((again - value).abs().median() < 1e-3)
    True
    """

    def __init__(self, size: int, energy: tuple[float, float], knots: int) -> None:
        super().__init__()
        self.energy, self.coarse = Ramps.of_energy(energy, knots), Ramps.of_energy(energy, _COARSE)
        self.normal = Ramps(torch.special.ndtri((torch.arange(_NORMAL) + 0.5) / _NORMAL))
        self.grids = Modules(Grid(sum(self.parts(number)) or knots) for number in range(size))

    def parts(self, number: int) -> list[int]:
        """Return the knots of each pair of conditions that a number has."""
        # Pairs instead of one grid over all three conditions: 364 knots instead of 1176, so that each has
        # enough showers.
        with_energy = _COARSE * _NORMAL
        return [with_energy, with_energy, _NORMAL**2] if number > 1 else [with_energy] * number

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
        values: Tensor = self.folded()(z, energy)
        return values

    def folded(self) -> "FoldedChain":
        """Return the map from normal numbers to values, without what only training needs."""
        return FoldedChain(self)

    def _columns(
        self, value: Tensor, filled: Tensor, energy: Tensor
    ) -> Iterator[tuple[Grid, Tensor, Tensor, Tensor]]:
        """Yield for each number its grid, its values, a mask of those present, and the weights of the knots.

        Only the bound of a missing number is known, so a number below it is drawn as a condition.
        """
        before = energy.new_zeros(len(energy), 0)
        for grid, one, there in zip(self.grids, value.split(1, dim=1), filled.split(1, dim=1), strict=True):
            basis = self._basis(energy.log(), before)
            yield grid, one, there, basis
            z, missing, bound = grid.encode(one, there, basis)
            # The clamp avoids ndtri(0), which is minus infinity.
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
        return torch.cat([_pairs(energy, first), _pairs(energy, last), _pairs(first, last)], dim=1) / _PAIRS


class Product(nn.Module):
    """Weights of the knots of a grid over two numbers, from their units.

    Examples
    --------
    >>> ramps = Ramps(torch.tensor([0.0, 1.0]))
    >>> first, second = ramps.units()(torch.tensor([[0.25]])), ramps.units()(torch.tensor([[0.5]]))
    >>> Product(ramps, ramps)(first, second)
    tensor([[0.3750, 0.3750, 0.1250, 0.1250]])
    """

    left: Tensor
    right: Tensor

    def __init__(self, first: Ramps, second: Ramps) -> None:
        super().__init__()
        sizes = len(first.knots), len(second.knots)
        # Repeated columns in constant matrices replace an outer product of each batch and its reshape.
        self.register_buffer("left", first.hat_mixing().repeat_interleave(sizes[1], dim=1))
        self.register_buffer("right", second.hat_mixing().repeat(1, sizes[0]))

    def forward(self, first: Tensor, second: Tensor) -> Tensor:
        """Units (N, A + 2) and (N, B + 2) -> (N, A B)."""
        return (first @ self.left) * (second @ self.right)


class FoldedChain(nn.Module):
    """Turns normal numbers into those of a chain, with as few operations as possible.

    Examples
    --------
    >>> chain = Chain(2, energy=(1e3, 1e5), knots=4)
    >>> FoldedChain(chain)(torch.zeros(1, 2), torch.tensor([1e4])).shape
    torch.Size([1, 2])
    """

    starts: Tensor
    widths: Tensor

    def __init__(self, chain: Chain) -> None:
        super().__init__()
        self.energy, self.coarse = chain.energy.units(), chain.coarse.units()
        self.normal = chain.normal.units()
        self.with_energy = Product(chain.coarse, chain.normal)
        self.with_first = Product(chain.normal, chain.normal)
        self.register_buffer("starts", torch.tensor(LEVELS[:-1]))
        # The last segment has no end, so quantile functions continue in a straight line.
        self.register_buffer("widths", torch.tensor([*[LEVELS[1]] * (len(LEVELS) - 2), math.inf]))
        self.size = len(chain.grids)
        mixing = chain.energy.hat_mixing()
        for number, grid in enumerate(chain.grids):
            # The mean over the pairs is taken here once, and not in every call.
            matrix = grid.matrix() / (1 if number < 2 else _PAIRS)
            matrix[:, 2:] /= LEVELS[1]  # slopes
            parts = [mixing @ matrix] if number == 0 else matrix.split(chain.parts(number))
            for pair, part in enumerate(parts):
                # Buffers follow the module to a device and become constants of the ONNX graph.
                self.register_buffer(f"matrix{number}_{pair}", part.clone())

    def forward(self, z: Tensor, energy: Tensor) -> Tensor:
        """(N, F) and (N,) MeV -> values (N, F), hugely negative where missing."""
        # A number that is never missing in training must never be missing: without the clamp a few showers
        # of a million would be empty by chance.
        columns = z.clamp(min=_LEAST).split(1, dim=1)
        log_energy = energy.log().unsqueeze(1)
        values = [self._value(columns[0], self.energy(log_energy) @ self.get_buffer("matrix0_0"))]
        coarse, first = self.coarse(log_energy), self.normal(columns[0])
        pair = self.with_energy(coarse, first)
        for number in range(1, self.size):
            table = pair @ self.get_buffer(f"matrix{number}_0")
            if number > 1:
                last = self.normal(columns[number - 1])
                table = table + self.with_energy(coarse, last) @ self.get_buffer(f"matrix{number}_1")
                table = table + self.with_first(first, last) @ self.get_buffer(f"matrix{number}_2")
            values.append(self._value(columns[number], table))
        return torch.cat(values, dim=1)

    def _value(self, z: Tensor, table: Tensor) -> Tensor:
        """Turn z (N, 1) into a number, given threshold, lowest value and slopes (N, 2 + segments)."""
        above = z - table[:, :1]
        # All segments at once: a loop over them would be a node of the graph each.
        risen = torch.minimum((above - self.starts).clamp(min=0), self.widths)
        value = table[:, 1:2] + (table[:, 2:] * risen).sum(dim=1, keepdim=True)
        # A steep slope instead of a condition: the exponential of the result is exactly 0 below the
        # threshold.
        return value + above.clamp(max=0) * _CUTOFF


def _pairs(first: Tensor, second: Tensor) -> Tensor:
    """Products of weights, (N, A) and (N, B) -> (N, A B)."""
    return (first.unsqueeze(2) * second.unsqueeze(1)).flatten(1)
