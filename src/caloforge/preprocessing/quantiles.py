"""Conditional distributions of numbers that may be missing, as maps from standard normal numbers and back."""

import math
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from typing import Generic, NamedTuple, Self, TypeVar, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

__all__ = [
    "LEVELS",
    "NEVER",
    "ConditionalQuantiles",
    "Encoded",
    "Modules",
    "Quantiles",
    "Ramps",
    "Units",
    "below",
]

M = TypeVar("M", bound=nn.Module)

LEVELS = (0.0, 0.06, 0.2, 0.5, 1.1, 2.0, 3.2, 4.8, 7.0)
"""Distances from the threshold, in standard deviations, between which quantile functions are straight."""

_BEYOND = 1.5  # length, in outer segments, of the straight continuation of functions outside their knots
_CUTOFF = 1e9  # steepness of the threshold: a step for any float32 but 0
_LEAST = 1e-4  # distance from the threshold of the smallest values
_MOST = 5.0  # standard deviations beyond which an encoded number is not trusted
_RARE, _EVEN = 2e-4, 20.0  # least probability of being missing, and most that a level's loss is weighted
NEVER = -3.54
"""Threshold of a number that is never missing: its probability is the lowest that is distinguished."""

_STARTING, _FEWEST = 6000, 100  # most and fewest showers for the starting values at a knot


class Modules(nn.ModuleList, Generic[M]):
    """A list of modules of one class.

    Examples
    --------
    >>> Modules([nn.Identity()])[0]
    Identity()
    """

    def __init__(self, modules: Iterable[M]) -> None:
        super().__init__(modules)

    def __getitem__(self, number: int) -> M:  # type: ignore[override]
        """Return one of them."""
        return cast(M, super().__getitem__(number))

    def __iter__(self) -> Iterator[M]:
        return cast(Iterator[M], super().__iter__())


class Encoded(NamedTuple):
    """Showers as normal numbers, one for each layer and each cell.

    Attributes
    ----------
    z
        (N, F) float32; where censored, anything.
    censored
        (N, F) bool: it is only known that z is below the bound.
    bound
        (N, F) float32.

    Examples
    --------
    >>> bound = torch.tensor([[-1.0, 0.5]])
    >>> known = Encoded(torch.tensor([[0.3, 0.0]]), torch.tensor([[False, True]]), bound)
    >>> known.z[~known.censored]
    tensor([0.3000])
    """

    z: Tensor
    censored: Tensor
    bound: Tensor


def below(z: Tensor) -> Tensor:
    """Return the probability that a standard normal number is below z.

    Examples
    --------
    >>> below(torch.tensor([-1.96, 0.0, 1.96]))
    tensor([0.0250, 0.5000, 0.9750])
    """
    return 0.5 * (1 + torch.erf(z / math.sqrt(2)))


class Ramps(nn.Module):
    """A basis of the continuous functions of one number that are straight between knots.

    Columns: the constant; a ramp before the first knot, one from each knot to the next, and one after the
    last. Ramps rise from 0 to 1 (the first one from below 0 to 0) and stay there.

    Examples
    --------
    >>> ramps = Ramps(torch.tensor([0.0, 1.0, 3.0]))
    >>> ramps(torch.tensor([2.0]))
    tensor([[1.0000, 0.0000, 1.0000, 0.5000, 0.0000]])
    >>> ramps.hats(torch.tensor([2.0, 9.0]))
    tensor([[0.0000, 0.5000, 0.5000],
            [0.0000, 0.0000, 1.0000]])
    """

    knots: Tensor
    low: Tensor
    high: Tensor
    first: Tensor

    def __init__(self, knots: Tensor) -> None:
        super().__init__()
        self.register_buffer("knots", knots.float().clone())
        ramps = len(knots) - 1
        self.register_buffer("low", torch.tensor([1, -_BEYOND, *[0] * ramps, 0]), persistent=False)
        self.register_buffer("high", torch.tensor([1, 0, *[1] * ramps, _BEYOND]), persistent=False)
        self.register_buffer("first", torch.tensor([1.0, *[0.0] * ramps]), persistent=False)

    @classmethod
    def of_energy(cls, ends: tuple[float, float], knots: int) -> Self:
        """Return ramps of the logarithm of an incident energy between two, MeV.

        Fourth roots are evenly spaced: the knots per octave then follow the number of showers in a spectrum
        between flat and 1/E.
        """
        low, high = ends
        return cls(torch.linspace(low**0.25, high**0.25, knots).log() * 4)

    def forward(self, x: Tensor) -> Tensor:
        """(N,) -> (N, knots + 2)."""
        first, last = self.knots[:1], self.knots[-1:]
        width = self.knots.diff()
        start = torch.cat([first, first, self.knots[:-1], last])
        width = torch.cat([width[:1], width[:1], width, width[-1:]])
        return torch.minimum(torch.maximum((x.unsqueeze(1) - start) / width, self.low), self.high)

    def hats(self, x: Tensor) -> Tensor:
        """Return the weights of the knots in linear interpolation, (N,) -> (N, knots)."""
        ramps = functional.pad(self(x)[:, 2:-1], (1, 1))
        return self.first + ramps[:, :-1] - ramps[:, 1:]

    def units(self) -> "Units":
        """Return the `Units`, of which ramps and hats are linear functions."""
        return Units(self)

    def mixing(self) -> Tensor:
        """Return the matrix that turns units into ramps, (knots + 2, knots + 2)."""
        matrix = torch.eye(len(self.low), device=self.low.device).roll(-1, dims=0)
        matrix[0, 1] = matrix[-2, -1] = _BEYOND
        matrix[-1, 1] = -_BEYOND
        return matrix

    def hat_mixing(self) -> Tensor:
        """Return the matrix that turns units into hats, (knots + 2, knots)."""
        steps = torch.eye(len(self.knots), device=self.knots.device).diff(dim=0)
        return torch.cat([functional.pad(steps, (0, 0, 1, 1)), self.first.unsqueeze(0)])


class Units(nn.Module):
    """Ramps before the first knot, between neighbours and after the last, each from 0 to 1, and a constant 1.

    They take two operations.

    Examples
    --------
    >>> ramps = Ramps(torch.tensor([0.0, 1.0, 3.0]))
    >>> units = ramps.units()(torch.tensor([[2.0]]))
    >>> units
    tensor([[1.0000, 1.0000, 0.5000, 0.0000, 1.0000]])
    >>> units @ ramps.hat_mixing()
    tensor([[0.0000, 0.5000, 0.5000]])
    """

    rise: Tensor
    offset: Tensor

    def __init__(self, ramps: Ramps) -> None:
        super().__init__()
        width = ramps.knots.diff()
        rise = 1 / torch.cat([_BEYOND * width[:1], width, _BEYOND * width[-1:]])
        begin = torch.cat([ramps.knots[:1] - _BEYOND * width[:1], ramps.knots])
        self.register_buffer("rise", functional.pad(rise, (0, 1)).unsqueeze(0))
        self.register_buffer("offset", functional.pad(-begin * rise, (0, 1), value=1.0))

    def forward(self, x: Tensor) -> Tensor:
        """(N, 1) -> (N, knots + 2)."""
        return torch.addmm(self.offset, x, self.rise).clamp(0, 1)


def _ramp_weights(table: Tensor, counts: Sequence[int], straight: bool) -> Tensor:
    """Turn values at knots (..., F, knots) into weights of ramps (..., ramps, F).

    The knots are those of several conditions, counted by ``counts``; the function is the mean of one function
    for each condition. Outside its knots each continues in a straight line or stays constant.
    """
    parts = []
    for part in table.mT.split(list(counts), dim=-2):
        steps = part.diff(dim=-2)
        ends = steps if straight else torch.zeros_like(steps)
        parts += [part[..., :1, :], ends[..., :1, :], steps, ends[..., -1:, :]]
    return torch.cat(parts, dim=-2) / len(counts)


class Quantiles(nn.Module):
    """Turns normal numbers into logarithms with precomputed weights, for generation.

    Parameters
    ----------
    weights
        (2 + segments, B, C): threshold, lowest value and slopes.
    levels
        As `LEVELS`.

    Examples
    --------
    A constant condition, a threshold of -1 and a lowest value of 2, from which the value rises by 1 for each
    standard deviation:

    >>> weights = torch.tensor([-1.0, 2.0, 1.0]).view(3, 1, 1).repeat(1, 1, 2)
    >>> value, filled = Quantiles(weights, [0.0, 1.0])(torch.tensor([[-2.0, 0.5]]), torch.ones(1, 1))
    >>> filled
    tensor([[0., 1.]])
    >>> round(value[0, 1].item(), 3)
    3.5
    """

    def __init__(self, weights: Tensor, levels: Sequence[float]) -> None:
        super().__init__()
        # The start of each segment is subtracted here once, and not from every number.
        begins = torch.tensor(levels[:-1]).view(-1, 1, 1)
        lowest = weights[1] - (weights[2:] * begins).sum(dim=0)
        for number, each in enumerate([weights[0], lowest, *weights[2:]]):
            self.register_buffer(f"weight{number}", each.clone())
        self.levels = [*levels[:-1], math.inf]

    def forward(self, z: Tensor, basis: Tensor) -> tuple[Tensor, Tensor]:
        """Draw values.

        Parameters
        ----------
        z
            (N, C) standard normal.
        basis
            (N, B) of the conditions.

        Returns
        -------
        Values (N, C), and 0 where one is missing, 1 where not. Every row has at least one value: if none is
        above its threshold, the nearest one.
        """
        # If all numbers are below their thresholds, all are raised until the nearest is just above: a layer
        # with energy needs at least one filled cell.
        above = z - basis @ self.get_buffer("weight0")
        above = above - (above.amax(dim=1, keepdim=True) - _LEAST).clamp(max=0)
        value = basis @ self.get_buffer("weight1")
        for number, (low, high) in enumerate(pairwise(self.levels), start=2):
            value = value + (basis @ self.get_buffer(f"weight{number}")) * above.clamp(low, high)
        # A steep clamped line is a step function in plain arithmetic, without comparison and cast.
        return value, (above * _CUTOFF).clamp(0, 1)


class ConditionalQuantiles(nn.Module):
    r"""Distributions of numbers that may be missing, given conditions: a threshold and a quantile function.

    A number x is, given the conditions c, a function of one standard normal number z:

    ```math
    x = \begin{cases} \text{missing} & z < t(c) \\
    m(c) + \int_0^{z - t(c)} g(h; c)\, dh & z \ge t(c) \end{cases}
    ```

    so that it is missing with probability $\Phi(t(c))$. The slope g > 0 is constant between `LEVELS`;
    t, m and the increments of the integral are piecewise linear in each condition, averaged over conditions.
    Slopes are kept positive by a softplus, which makes the function monotone and therefore invertible.

    Parameters
    ----------
    pool
        (C,) int64: the feature to which each column of the data belongs.
    counts
        Knots of each condition.
    levels
        As `LEVELS`.

    Examples
    --------
    >>> ramps = Ramps(torch.tensor([0.0, 1.0]))
    >>> basis = ramps(torch.tensor([0.5]))
    >>> distributions = ConditionalQuantiles(torch.tensor([0, 0]), counts=[2])
    >>> value, filled = distributions.decode(torch.tensor([[-0.7, 1.2]]), basis)
    >>> filled > 0
    tensor([[False,  True]])
    >>> round(distributions.encode(value, filled > 0, basis).z[0, 1].item(), 3)
    1.2
    """

    pool: Tensor
    levels: Tensor

    def __init__(self, pool: Tensor, counts: Sequence[int], levels: Sequence[float] = LEVELS) -> None:
        super().__init__()
        self.counts = tuple(counts)
        self.register_buffer("pool", pool, persistent=False)
        self.register_buffer("levels", torch.tensor(levels), persistent=False)
        shape = int(pool.max()) + 1, sum(counts)
        self.threshold = nn.Parameter(torch.zeros(shape))
        self.lowest = nn.Parameter(torch.full(shape, -4.0))
        self.increments = nn.Parameter(torch.full((len(levels) - 1, *shape), -0.5))  # before the softplus

    def folded(self, mixing: Tensor) -> Quantiles:
        """Return the map from normal numbers to values, without what only training needs.

        Parameters
        ----------
        mixing
            (B, ramps): turns another basis into that of the conditions.
        """
        widths = self.levels.diff().view(-1, 1, 1)
        threshold, lowest, rises = (part.detach() for part in self._weights())
        weights = torch.cat([threshold.unsqueeze(0), lowest.unsqueeze(0), rises / widths])
        return Quantiles(mixing @ weights, self.levels.tolist())

    def decode(self, z: Tensor, basis: Tensor) -> tuple[Tensor, Tensor]:
        """Return what `Quantiles` makes of (N, C) and the basis of the conditions (N, ramps)."""
        values: tuple[Tensor, Tensor] = self.folded(torch.eye(basis.shape[1], device=basis.device))(z, basis)
        return values

    @torch.no_grad()
    def encode(self, value: Tensor, filled: Tensor, basis: Tensor) -> Encoded:
        """Values (N, C), which of them exist (N, C) bool -> normal numbers (N, C)."""
        threshold, lowest, rises = self._weights()
        bound, rest = basis @ threshold, value - basis @ lowest
        # The inverse of a piecewise linear function: each segment takes its rise from what is left of the
        # value.
        above = torch.full_like(rest, _LEAST)
        for number, (width, rise) in enumerate(zip(self.levels.diff(), rises, strict=True)):
            step = basis @ rise
            # The last segment has no end.
            most = math.inf if number == len(rises) - 1 else 1.0
            above = above + width * (rest / step).clamp(0, most)
            rest = rest - step
        # A value far outside of the training would be encoded as a huge number, which alone would decide
        # correlations.
        above = torch.minimum(above, (_MOST - bound).clamp(min=_LEAST))
        return Encoded(bound + above, ~filled, bound)

    def losses(self, value: Tensor, filled: Tensor, basis: Tensor) -> tuple[Tensor, Tensor]:
        r"""Return the negative log-likelihood of the missing numbers, and the mean loss of the quantiles.

        The likelihood of the threshold (probit model), with f = 1 where the number exists:

        ```math
        -\langle f \ln(1 - \Phi(t)) + (1 - f) \ln \Phi(t) \rangle
        ```

        The loss of the quantile $q_p$ at each level (pinball loss, Koenker and Bassett 1978, Eq. 3.1):

        ```math
        w_p \langle (p - [x < q_p]) (x - q_p) \rangle, \qquad w_p = e^{z_p^2 / 2}
        ```

        The weight is the inverse of the normal density at the level, so that tails count as much as the core.
        It is limited to 20: further out a batch has too few showers.
        """
        threshold, lowest, rises = self._weights()
        bound = (basis @ threshold).flatten()
        # The logarithms below must stay finite.
        missing = below(bound).clamp(1e-6, 1 - 1e-6)
        there = filled.flatten()
        likelihood = -torch.where(there, torch.log1p(-missing), missing.log()).mean()
        rows = there.nonzero().squeeze(1)
        # One random level in each segment: fitted at its ends alone, a straight piece of a curved function
        # would be on one side of it.
        along = torch.rand((), device=value.device)
        ends = torch.cat([lowest.unsqueeze(0), rises]).cumsum(dim=0)
        quantiles = (basis @ ends[:-1].lerp(ends[1:], along)).flatten(1)[:, rows]
        apart = value.flatten()[rows] - quantiles
        # The pinball loss is linear between its kinks: this factor is its derivative, so it takes no
        # gradient.
        with torch.no_grad():
            z = bound[rows] + self.levels[:-1].lerp(self.levels[1:], along).unsqueeze(1)
            # Quantiles are of the numbers that exist, so probabilities are conditional on existing.
            probability = (below(z) - missing[rows]) / (1 - missing[rows])
            weight = torch.exp(z.square() / 2).clamp(max=_EVEN)
            pull = (probability - (apart < 0).to(z.dtype)) * weight
        return likelihood, (pull * apart).sum() / quantiles.shape[0] / len(bound)

    @torch.no_grad()
    def start(self, value: Tensor, filled: Tensor, hats: Tensor) -> None:
        """Set starting values: quantiles of the showers near each knot.

        Parameters
        ----------
        value, filled
            (N, F), one column a feature.
        hats
            (N, knots) weights of the knots, those of all conditions.
        """
        missing = hats.T @ (~filled).float()
        # Half a count more (Jeffreys' prior) keeps shares away from 0 and 1, where the threshold is infinite.
        share = torch.where(missing > 0, (missing + 0.5) / (hats.sum(dim=0) + 1).unsqueeze(1), _RARE)
        self.threshold.copy_(torch.special.ndtri(share.clamp(_RARE, 1 - _RARE)).T)
        known = torch.where(filled, value, math.nan)
        for knot, weight in enumerate(hats.T):
            near = (weight > 0.3).nonzero().squeeze(1)
            if len(near) < _FEWEST:
                near = weight.topk(min(_FEWEST, len(weight))).indices
            near = near[torch.randperm(len(near), device=near.device)[:_STARTING]]
            low, rises = self._quantiles(known[near], self.threshold[:, knot])
            self.lowest[:, knot], self.increments[:, :, knot] = low, rises

    def _quantiles(self, known: Tensor, threshold: Tensor) -> tuple[Tensor, Tensor]:
        """Return lowest value (F,) and softplus's inverse of the increments (J, F) of values (M, F)."""
        missing = below(threshold)
        above = below(threshold + self.levels.unsqueeze(1))
        # The outermost levels would be single showers, the most extreme ones.
        probability = ((above - missing) / (1 - missing)).clamp(0.002, 0.998)
        ordered = known.sort(dim=0).values  # missing ones are last
        most = (~known.isnan()).sum(dim=0) - 1
        rank = (probability * most.clamp(min=0)).round().long()
        typical = known.nanmean(dim=0).nan_to_num(-4.0)
        values = torch.where(most >= 0, ordered.gather(0, rank), typical)
        # The inverse of the softplus, which can't be 0: hence the smallest step.
        return values[0], torch.log(torch.expm1(values.diff(dim=0).clamp(min=0.01)))

    def kept_threshold(self) -> Tensor:
        """Return the thresholds; those of numbers that are never missing can't fall without end."""
        return self.threshold.clamp(min=NEVER)

    def _weights(self) -> tuple[Tensor, Tensor, Tensor]:
        """Return the weights of ramps of threshold and lowest value (ramps, C), and of increments."""
        tables = (
            (self.kept_threshold(), True),
            (self.lowest, True),
            (functional.softplus(self.increments), False),
        )
        threshold, lowest, rises = (
            _ramp_weights(table, self.counts, straight)[..., self.pool] for table, straight in tables
        )
        return threshold, lowest, rises
