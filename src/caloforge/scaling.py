"""An invertible map between showers and standard normal numbers, learned from showers.

A cell is empty or holds energy over many decades, and both depend on how much its layer holds. Here each
cell is one normal number z: below a threshold the cell is empty, above it a monotone function of z is the
logarithm of its share of the layer's energy. Threshold and function depend on the layer's energy and on the
incident energy; they are what is learned, by maximum likelihood (the probit model, Bliss, Science 79 (1934)
38) and by quantile regression (Koenker and Bassett, Econometrica 46 (1978) 33). The energies of the layers
are such numbers, too, so that they come out exactly as they were drawn.

Of an empty cell it is only known that z is below the threshold: it is censored. `CensoredGaussian` learns how
the numbers of all cells go together nevertheless, by drawing the censored ones given the others (the tobit
model, Tobin, Econometrica 26 (1958) 24; as in Chib, J. Econometrics 51 (1992) 79).

Cells that are mirror images of each other share one function. Energies are in MeV.
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from typing import Generic, NamedTuple, TypeVar, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from caloforge.geometry import Calorimeter

M = TypeVar("M", bound=nn.Module)

LEVELS = (0.0, 0.06, 0.2, 0.5, 1.1, 2.0, 3.2, 4.8, 7.0)
"""Distances from the threshold, in standard deviations, between which quantile functions are straight."""

_BEYOND = 1.5  # outer segments by which functions go on in a straight line outside their knots
_CUTOFF = 1e9  # slope of ln(energy) below the threshold: empty cells are empty for any float32 below it
_LEAST = 1e-4  # distance from the threshold of the smallest energies
_MOST = 5.0  # standard deviations beyond which an encoded number is not trusted
_FREE = 9.0  # bound of a number of which nothing is known
_RARE, _EVEN = 2e-4, 20.0  # probability at which thresholds start, and most that a level's loss is weighted
_STARTING = 6000  # showers that starting values at a knot are taken from
_LAYER_LEAST = 1e-3  # MeV, below which layers are not told apart
_FLOOR, _PEAK = 1e-4, 3e-4  # of the response: what is resolved near 0 and near 1
_TINY = 1e-12
_NUGGET = 1e-3  # share of independent noise in every number, so that correlations are invertible
_FORGETTING, _PATIENCE = 4.0, 20.0  # of n updates the last n / 4 count; how slowly the first ones begin


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
    """

    z: Tensor
    censored: Tensor
    bound: Tensor


def below(z: Tensor) -> Tensor:
    """Return the probability that a standard normal number is below z."""
    return 0.5 * (1 + torch.erf(z / math.sqrt(2)))


class Ramps(nn.Module):
    """A basis of the continuous functions of one number that are straight between knots.

    Columns: the constant; a ramp before the first knot, then those from each knot to the next, and one behind
    the last. Ramps grow from 0 to 1 (the first from below 0 to 0) and stay there.
    """

    knots: Tensor
    low: Tensor
    high: Tensor

    def __init__(self, knots: Tensor) -> None:
        super().__init__()
        self.register_buffer("knots", knots.float().clone())
        ramps = len(knots) - 1
        self.register_buffer("low", torch.tensor([1, -_BEYOND, *[0] * ramps, 0]), persistent=False)
        self.register_buffer("high", torch.tensor([1, 0, *[1] * ramps, _BEYOND]), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """(N,) -> (N, knots + 2)."""
        first, last = self.knots[:1], self.knots[-1:]
        width = self.knots.diff()
        start = torch.cat([first, first, self.knots[:-1], last])
        width = torch.cat([width[:1], width[:1], width, width[-1:]])
        return torch.minimum(torch.maximum((x.unsqueeze(1) - start) / width, self.low), self.high)

    def hats(self, x: Tensor) -> Tensor:
        """Return the weights of the knots in linear interpolation, (N,) -> (N, knots)."""
        ramps = self(x)[:, 2:-1]
        return -functional.pad(ramps, (1, 1)).diff(dim=1) + functional.one_hot(
            torch.zeros(len(x), dtype=torch.int64), len(self.knots)
        )


def _ramp_weights(table: Tensor, counts: Sequence[int], straight: bool) -> Tensor:
    """Turn values at knots (..., F, knots) into weights of ramps (..., ramps, F).

    Knots are those of several numbers, counted by ``counts``; the function is the mean of theirs. Outside its
    knots each goes on straight or stays what it was.
    """
    parts = []
    for part in table.mT.split(list(counts), dim=-2):
        steps = part.diff(dim=-2)
        ends = steps if straight else torch.zeros_like(steps)
        parts += [part[..., :1, :], ends[..., :1, :], steps, ends[..., -1:, :]]
    return torch.cat(parts, dim=-2) / len(counts)


class Quantiles(nn.Module):
    """Normal numbers to logarithms, with weights that are ready for use: what generation needs."""

    threshold: Tensor
    lowest: Tensor
    slopes: Tensor

    def __init__(self, threshold: Tensor, lowest: Tensor, slopes: Tensor, levels: Sequence[float]) -> None:
        super().__init__()
        self.register_buffer("threshold", threshold)
        self.register_buffer("lowest", lowest)
        self.register_buffer("slopes", slopes)
        self.pieces = list(zip(levels, [b - a for a, b in pairwise(levels[:-1])] + [None], strict=False))

    def forward(self, z: Tensor, basis: Tensor) -> Tensor:
        """(N, C) and the basis of the conditions (N, ramps) -> (N, C), hugely negative where empty."""
        above = z - basis @ self.threshold
        value = basis @ self.lowest + above.clamp(max=0.0) * _CUTOFF
        for (low, width), slope in zip(self.pieces, self.slopes, strict=True):
            value = value + (basis @ slope) * (above - low).clamp(0.0, width)
        return value


class ConditionalQuantiles(nn.Module):
    """Distributions of numbers that may be missing, given conditions: a threshold and a quantile function.

    The probability of being below the threshold is that of the number to be missing; beyond it the function
    is monotone, straight between `LEVELS`. Threshold, its lowest value and its (positive) increments are
    piecewise linear in each condition.

    Parameters
    ----------
    pool
        (C,) int64: the feature that each column of the data is an instance of.
    counts
        Knots of each condition.
    levels
        As `LEVELS`.
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

    def folded(self) -> Quantiles:
        """Return the map from normal numbers to values, without what only training needs."""
        widths = self.levels.diff().view(-1, 1, 1)
        threshold, lowest, rises = (part.detach() for part in self._weights())
        return Quantiles(threshold, lowest, rises / widths, self.levels.tolist())

    def decode(self, z: Tensor, basis: Tensor) -> Tensor:
        """(N, C) and the basis of the conditions (N, ramps) -> values (N, C), hugely negative if missing."""
        value: Tensor = self.folded()(z, basis)
        return value

    @torch.no_grad()
    def encode(self, value: Tensor, filled: Tensor, basis: Tensor) -> Encoded:
        """Values (N, C) of which some are there, (N, C) bool -> normal numbers (N, C)."""
        threshold, lowest, rises = self._weights()
        bound, rest = basis @ threshold, value - basis @ lowest
        above = torch.full_like(rest, _LEAST)
        for number, (width, rise) in enumerate(zip(self.levels.diff(), rises, strict=True)):
            step = basis @ rise
            most = math.inf if number == len(rises) - 1 else 1.0
            above = above + width * (rest / step).clamp(0, most)
            rest = rest - step
        above = torch.minimum(above, (_MOST - bound).clamp(min=_LEAST))
        return Encoded(bound + above, ~filled, bound)

    def losses(self, value: Tensor, filled: Tensor, basis: Tensor) -> tuple[Tensor, Tensor]:
        """Return the negative log-likelihood of what is missing, and the mean loss of the quantiles.

        Quantile losses are weighted so that the tails of a normal distribution count as its core does.
        """
        threshold, lowest, rises = self._weights()
        bound = (basis @ threshold).flatten()
        missing = below(bound).clamp(1e-6, 1 - 1e-6)
        there = filled.flatten()
        likelihood = -torch.where(there, torch.log1p(-missing), missing.log()).mean()
        rows = there.nonzero().squeeze(1)
        # one level between any two: at the ends alone, what is straight between would be to one side
        along = torch.rand(())
        ends = torch.cat([lowest.unsqueeze(0), rises]).cumsum(dim=0)
        quantiles = (basis @ ends[:-1].lerp(ends[1:], along)).flatten(1)[:, rows]
        apart = value.flatten()[rows] - quantiles
        with torch.no_grad():
            z = bound[rows] + self.levels[:-1].lerp(self.levels[1:], along).unsqueeze(1)
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
        share = (hats.T @ (~filled).float() + 0.5) / (hats.sum(dim=0) + 30).unsqueeze(1)
        self.threshold.copy_(torch.special.ndtri(share.clamp(_RARE, 1 - _RARE)).T)
        known = torch.where(filled, value, math.nan)
        for knot, weight in enumerate(hats.T):
            near = (weight > 0.3).nonzero().squeeze(1)
            if not len(near):
                near = weight.topk(min(100, len(weight))).indices
            near = near[torch.randperm(len(near))[:_STARTING]]
            low, rises = self._quantiles(known[near], self.threshold[:, knot])
            self.lowest[:, knot], self.increments[:, :, knot] = low, rises

    def _quantiles(self, known: Tensor, threshold: Tensor) -> tuple[Tensor, Tensor]:
        """Return lowest value (F,) and softplus's inverse of the increments (J, F) of values (M, F)."""
        missing = below(threshold)
        above = below(threshold + self.levels.unsqueeze(1))
        probability = ((above - missing) / (1 - missing)).clamp(0.002, 0.998)
        ordered = known.sort(dim=0).values  # missing ones are last
        most = (~known.isnan()).sum(dim=0) - 1
        rank = (probability * most.clamp(min=0)).round().long()
        typical = known.nanmean(dim=0).nan_to_num(-4.0)
        values = torch.where(most >= 0, ordered.gather(0, rank), typical)
        return values[0], torch.log(torch.expm1(values.diff(dim=0).clamp(min=0.01)))

    def _weights(self) -> tuple[Tensor, Tensor, Tensor]:
        """Return the weights of ramps of threshold and lowest value (ramps, C), and of increments."""
        tables = (self.threshold, True), (self.lowest, True), (functional.softplus(self.increments), False)
        threshold, lowest, rises = (
            _ramp_weights(table, self.counts, straight)[..., self.pool] for table, straight in tables
        )
        return threshold, lowest, rises


class LayerEnergies(nn.Module):
    """Energies of L layers as L unbounded coordinates, exactly and both ways.

    The first is the logit of the visible share of the incident energy, widened at both ends: it resolves the
    narrow peak of a shower that is contained as well as a response of a few percent. Above 1 there is room
    for rest masses that become visible. The others are the additive log-ratios (Aitchison, The Statistical
    Analysis of Compositional Data (1986)): ln(energy over that of a layer which is hardly ever empty).
    """

    excess: Tensor
    order: Tensor

    def __init__(self, n_layers: int) -> None:
        super().__init__()
        self.register_buffer("excess", torch.tensor(1.1))  # MeV; a positron's annihilation gives 1.022
        self.register_buffer("order", torch.arange(n_layers))  # the layer that ratios refer to is first

    def prepare(self, layers: Tensor, energy: Tensor) -> None:
        """Choose the layer that ratios refer to, and the room above 1, from (N, L) and (N,) MeV."""
        share = layers / layers.sum(dim=1, keepdim=True).clamp(min=_TINY)
        reference = int(((layers > 0).float().mean(dim=0) + share.mean(dim=0)).argmax())
        others = [number for number in range(layers.shape[1]) if number != reference]
        self.order.copy_(torch.tensor([reference, *others]))
        over = float((layers.sum(dim=1) - energy).max())
        self.excess.fill_(max(1.1, 1.05 * over))

    def forward(self, layers: Tensor, energy: Tensor) -> tuple[Tensor, Tensor]:
        """(N, L) and (N,) MeV -> coordinates (N, L), and which of them are there (N, L) bool."""
        total = layers.sum(dim=1, keepdim=True)
        response, room = total / energy.unsqueeze(1), self._room(energy)
        logit = (response + _FLOOR).log() - (1 - response + room).clamp(min=1e-6).log()
        ordered = layers.index_select(1, self.order)
        ordered = ordered.clamp(min=_TINY).log()
        ratios = ordered[:, 1:] - ordered[:, :1].clamp(min=math.log(_LAYER_LEAST))
        there = torch.cat([total, layers.index_select(1, self.order[1:])], dim=1) > 0
        return torch.cat([logit, ratios], dim=1), there

    def inverse(self, coordinates: Tensor, energy: Tensor) -> Tensor:
        """(N, L), hugely negative where there is no energy, and (N,) MeV -> (N, L) MeV."""
        room = self._room(energy)
        response = torch.sigmoid(coordinates[:, :1]) * (1 + _FLOOR + room) - _FLOOR
        total = response.clamp(min=0) * energy.unsqueeze(1)
        shares = torch.softmax(functional.pad(coordinates[:, 1:], (1, 0)), dim=1)
        return total * shares.index_select(1, self.order.argsort())

    def _room(self, energy: Tensor) -> Tensor:
        """Return how far above 1 the response may be, (N, 1)."""
        return (self.excess / energy + _PEAK).unsqueeze(1)


class Modules(nn.ModuleList, Generic[M]):
    """A list of modules of one class."""

    def __init__(self, modules: Iterable[M]) -> None:
        super().__init__(modules)

    def __getitem__(self, number: int) -> M:  # type: ignore[override]
        """Return one of them."""
        return cast(M, super().__getitem__(number))

    def __iter__(self) -> Iterator[M]:
        return cast(Iterator[M], super().__iter__())


class Decoder(nn.Module):
    """Normal numbers to showers: what of a `ShowerScaling` generation needs."""

    def __init__(self, scaling: "ShowerScaling") -> None:
        super().__init__()
        self.sizes = scaling.sizes
        self.incident, self.ramps, self.layers = scaling.incident, scaling.ramps, scaling.layers
        self.heads = scaling.heads.folded()
        self.cells = Modules(each.folded() for each in scaling.cells)

    def forward(self, z: Tensor, energy: Tensor) -> Tensor:
        """(N, L + n_cells) and (N,) MeV -> cells (N, n_cells) MeV."""
        n = len(self.sizes)
        incident = self.incident(energy.log())
        layers: Tensor = self.layers.inverse(self.heads(z[:, :n], incident), energy)
        return self.fill(z[:, n:], layers, incident)

    def fill(self, z: Tensor, layers: Tensor, incident: Tensor) -> Tensor:
        """Give layers (N, L) MeV cells: z (N, n_cells) and ramps of the incident energy -> (N, n_cells)."""
        conditions = layers.clamp(min=_LAYER_LEAST).log()
        images = []
        for number, part in enumerate(z.split(self.sizes, dim=1)):
            basis = torch.cat([self.ramps[number](conditions[:, number]), incident], dim=1)
            shares = torch.softmax(self.cells[number](part, basis), dim=1)
            images.append(shares * layers[:, number : number + 1])
        return torch.cat(images, dim=1)


class ShowerScaling(nn.Module):
    """Showers on a calorimeter as normal numbers, and back.

    The first numbers are those of the layers (`LayerEnergies`, given the incident energy), then come the
    cells'. Layer energies are exact both ways. Cells are where they were if their share is within what was
    seen in training; a share below is encoded as the lowest.

    Parameters
    ----------
    geometry
        The calorimeter.
    energy_range
        Incident energies in MeV.
    energy_knots, layer_knots
        How many knots there are in the logarithms of the incident and of a layer's energy.
    levels
        As `LEVELS`.
    """

    symmetries: Tensor
    representatives: Tensor

    def __init__(
        self,
        geometry: Calorimeter,
        energy_range: tuple[float, float],
        energy_knots: int = 10,
        layer_knots: int = 9,
        levels: Sequence[float] = LEVELS,
    ) -> None:
        super().__init__()
        self.sizes = [layer.n_cells for layer in geometry.layers]
        n = len(self.sizes)
        low, high = energy_range
        # fourth roots: about as many knots an octave as a spectrum between flat and 1/E has showers there
        self.incident = Ramps(torch.linspace(low**0.25, high**0.25, energy_knots).log() * 4)
        widest = torch.linspace(math.log(low) - 5, math.log(high), layer_knots)
        self.ramps = Modules(Ramps(widest) for _ in range(n))
        self.layers = LayerEnergies(n)
        self.heads = ConditionalQuantiles(torch.arange(n), [energy_knots], levels)
        flips = torch.from_numpy(geometry.symmetries())
        heads = torch.arange(n).expand(len(flips), n)
        self.register_buffer("symmetries", torch.cat([heads, flips + n], dim=1), persistent=False)
        self.register_buffer("representatives", torch.unique(flips.amin(dim=0)), persistent=False)
        pools = [torch.unique(part, return_inverse=True)[1] for part in flips.amin(dim=0).split(self.sizes)]
        knots = layer_knots, energy_knots
        self.cells = Modules(ConditionalQuantiles(pool, knots, levels) for pool in pools)

    @property
    def size(self) -> int:
        """How many numbers a shower is."""
        return self.symmetries.shape[1]

    @torch.no_grad()
    def prepare(self, cells: Tensor, energy: Tensor) -> None:
        """Set knots and starting values by showers to train on, (N, n_cells) and (N,) MeV."""
        layers = self._layer_energies(cells)
        self.layers.prepare(layers, energy)
        value, filled = self.layers(layers, energy)
        hats = self.incident.hats(energy.log())
        self.heads.start(value, filled, hats)
        for number, images in enumerate(self._images(cells)):
            layer = layers[:, number]
            there = layer > 0
            if there.sum() > 1:
                condition = layer[there].clamp(min=_LAYER_LEAST).log()
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
        """(N, n_cells) and (N,) MeV -> (N, size); nothing is known of the cells of an empty layer."""
        layers = self._layer_energies(cells)
        incident = self.incident(energy.log())
        value, filled = self.layers(layers, energy)
        parts = [self.heads.encode(value, filled, incident)]
        for number, (value, filled, basis) in enumerate(self._conditioned(cells, layers, incident)):
            found = self.cells[number].encode(value, filled, basis)
            bound = torch.where(layers[:, number : number + 1] > 0, found.bound, _FREE)
            parts.append(found._replace(bound=bound))
        return Encoded(*(torch.cat(columns, dim=1) for columns in zip(*parts, strict=True)))

    def losses(self, cells: Tensor, energy: Tensor) -> dict[str, Tensor]:
        """Return what training lowers, for showers (N, n_cells) and (N,) MeV: two sums over the layers."""
        layers = self._layer_energies(cells)
        incident = self.incident(energy.log())
        value, filled = self.layers(layers, energy)
        found = [self.heads.losses(value, filled, incident)]
        for number, (value, filled, basis) in enumerate(self._conditioned(cells, layers, incident)):
            there = layers[:, number] > 0
            if there.any():
                found.append(self.cells[number].losses(value[there], filled[there], basis[there]))
        likelihood, quantiles = (torch.stack(parts).sum() for parts in zip(*found, strict=True))
        return {"thresholds": likelihood, "quantiles": quantiles}

    def _images(self, cells: Tensor) -> Iterator[list[Tensor]]:
        """Return for each layer the mirror images of showers, of every feature one cell: each (N, F)."""
        flips = self.symmetries[:, len(self.sizes) :] - len(self.sizes)
        ends = torch.searchsorted(self.representatives, torch.tensor(self.sizes).cumsum(0)).tolist()
        for first, last in pairwise([0, *ends]):
            columns = self.representatives[first:last]
            yield [cells[:, flip[columns]] for flip in flips]

    def _layer_energies(self, cells: Tensor) -> Tensor:
        return torch.stack([part.sum(dim=1) for part in cells.split(self.sizes, dim=1)], dim=1)

    def _conditioned(
        self, cells: Tensor, layers: Tensor, incident: Tensor
    ) -> list[tuple[Tensor, Tensor, Tensor]]:
        """Return for each layer the logarithms of its shares, which are there, and the conditions' basis."""
        conditions = layers.clamp(min=_LAYER_LEAST).log()
        return [
            (*_log_shares(part, layers[:, i]), torch.cat([self.ramps[i](conditions[:, i]), incident], dim=1))
            for i, part in enumerate(cells.split(self.sizes, dim=1))
        ]


def _log_shares(cells: Tensor, layer: Tensor) -> tuple[Tensor, Tensor]:
    """Return ln(cell over layer), (N, C), and which cells have energy."""
    return cells.clamp(min=_TINY).log() - layer.clamp(min=_TINY).log().unsqueeze(1), cells > 0


def _spread(knots: Tensor, values: Tensor) -> None:
    """Lay knots so that as many values are between any two neighbours; the outermost near the ends."""
    at = torch.linspace(0, 1, len(knots)).clamp(0.003, 0.997)
    found = torch.quantile(values[torch.randperm(len(values))[: 1 << 20]], at)
    knots.copy_(found + 1e-3 * torch.arange(len(knots)))


class CensoredGaussian(nn.Module):
    """A normal distribution of zero mean and unit variances, learned from values of which some are censored.

    Each update draws the censored values given the others and moves the covariance towards that of all (the
    stochastic approximation of Delyon, Lavielle and Moulines, Ann. Stat. 27 (1999) 94): its memory grows in
    proportion to the number of updates, so that a poor beginning is forgotten and noise averages out.

    Parameters
    ----------
    symmetries
        (S, F) permutations that leave the distribution what it is.
    """

    covariance: Tensor
    updates: Tensor

    def __init__(self, symmetries: Tensor) -> None:
        super().__init__()
        self.symmetries = symmetries
        self.register_buffer("covariance", torch.eye(symmetries.shape[1]))
        self.register_buffer("updates", torch.tensor(0))

    def correlation(self) -> Tensor:
        """Return the covariance with unit variances, (F, F), and safely invertible."""
        spread = self.covariance.diagonal().sqrt()
        return self.covariance / spread / spread.unsqueeze(1) * (1 - _NUGGET) + _NUGGET * torch.eye(
            len(spread)
        )

    def factor(self) -> Tensor:
        """Return a triangular (F, F) whose product with standard normal numbers has the correlation."""
        factor: Tensor = torch.linalg.cholesky(self.correlation())
        return factor

    @torch.no_grad()
    def update(self, known: Encoded, sweeps: int = 2) -> None:
        """Learn from N values (N, F)."""
        drawn = self.impute(known, sweeps)
        moment = drawn.T @ drawn / len(drawn)
        moment = torch.stack([moment[flip][:, flip] for flip in self.symmetries]).mean(dim=0)
        weight = _FORGETTING / (_FORGETTING + _PATIENCE + int(self.updates))
        self.covariance.lerp_(moment, weight)
        self.updates += 1

    @torch.no_grad()
    def impute(self, known: Encoded, sweeps: int = 2) -> Tensor:
        """Draw what is censored given all else, (N, F): Gibbs sampling over the columns.

        It starts from the values given those columns alone that are filled more often.
        """
        order = known.censored.float().mean(dim=0).argsort()
        correlation = self.correlation()[order][:, order]
        z, censored, bound = (part.T[order].contiguous() for part in known)
        hidden = censored.any(dim=1).nonzero().squeeze(1).tolist()
        _draw_in_order(z, censored, bound, torch.linalg.cholesky(correlation))
        precision = torch.linalg.inv(correlation)
        spread = precision.diagonal().rsqrt()
        others = -precision / precision.diagonal().unsqueeze(1)
        others.fill_diagonal_(0)
        for _ in range(sweeps):
            uniform = torch.rand_like(z)
            for row in hidden:
                mean = others[row] @ z
                drawn = _truncated(mean, spread[row], bound[row], uniform[row])
                z[row] = torch.where(censored[row], drawn, z[row])
        return z[order.argsort()].T.contiguous()


def _draw_in_order(z: Tensor, censored: Tensor, bound: Tensor, factor: Tensor) -> None:
    """Draw censored values (F, N) in place, each given those in the rows before it."""
    independent, uniform = torch.zeros_like(z), torch.rand_like(z)
    spread = factor.diagonal()
    for row in range(len(z)):
        mean = factor[row, :row] @ independent[:row]
        drawn = _truncated(mean, spread[row], bound[row], uniform[row])
        z[row] = torch.where(censored[row], drawn, z[row])
        independent[row] = (z[row] - mean) / spread[row]


def _truncated(mean: Tensor, spread: Tensor, bound: Tensor, uniform: Tensor) -> Tensor:
    """Turn uniform numbers into normal ones below a bound."""
    share = torch.special.ndtr((bound - mean) / spread) * uniform
    drawn = mean + spread * torch.special.ndtri(share.clamp(min=1e-30))
    return torch.minimum(drawn, bound)
