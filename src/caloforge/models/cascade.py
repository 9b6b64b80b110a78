r"""A cascade: the energy of a shower is divided in two, again and again, down to the cells.

The first split is between what is deposited and what is not; then the stack of layers is halved until each is
alone, and every layer is cut until its parts are cells (`caloforge.geometry.splits`). Halves with the
energies E_1 and E - E_1 have the probability

```math
p(E_1 \mid E) = p_1\,\delta(E_1 - E) + p_2\,\delta(E_1) + \sum_{k=1}^{K} q_k\,N(\ell;\, \mu_k, \sigma_k),
\qquad \ell = \ln\frac{E_1}{E - E_1}, \qquad p_1 + p_2 + \sum_k q_k = 1
```

Multiplicative cascades go back to turbulence (B. Mandelbrot, J. Fluid Mech. 62 (1974) 331). For showers,
coarse images are made fine by flows in SuperCalo (I. Pang, J. A. Raine, D. Shih, arXiv:2308.11700). Here the
steps are small enough for a mixture to describe each, so that

- energy is conserved by construction: a shower never holds more than its particle brought,
- showers of a coarse read-out are sums of those of the fine one, exactly,
- a shower costs as many evaluations as it has parts with energy, and empty regions cost nothing,
- each shower has thousands of splits to learn from.

whose parameters are the outputs of a small network. The parts of a round take turns, each with a network of
its own, and those of one turn are drawn independently: what they have in common must be visible to the
network. This is the energy of the part, the energies around it over its own (in its layer, and at its place
in the layers in front and behind; of parts that had their turn, those of both halves), the place and size of
the part and where it is cut, the incident energy, and energy and centre of these three layers.

What a network sees has mean 0 and deviation 1 in the training's showers: for each part in turns of few parts,
whose energies differ little from shower to shower but much from part to part; for all parts together in other
turns. So have the logarithms of the odds, for each part, that its means and widths describe.

Training minimises the negative log-likelihood of all splits, with Adam and a rate that falls to a hundredth
along a cosine. Of each turn a step takes at most ``sampled`` splits, at random.
"""

import copy
import math
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Annotated, NamedTuple, cast

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from caloforge.config import strict_dataclass
from caloforge.geometry import Calorimeter
from caloforge.geometry.splits import Round, rounds
from caloforge.incident.particles import brought, parse_particle
from caloforge.models import base
from caloforge.models.base import Batch, Figures, GenerativeModel, ModelConfig, Phase, TrainingShowers
from caloforge.preprocessing import falling

__all__ = [
    "ENTRY",
    "Cascade",
    "CascadeSampler",
    "Config",
    "Mean",
    "Moments",
    "Shares",
    "Split",
    "Turn",
    "scaled",
]

_LEAST = 1e-3  # MeV; energies far below are all the same to the networks
_NARROWEST = 0.01  # width of a component: no share may become infinitely likely
_TINY = 1e-30  # MeV, so that the logarithm of nothing is finite
_NEAR = 5.0  # mm; as in `caloforge.geometry.splits`
_DENSE = 64  # parts of a turn up to which all are evaluated, also empty ones
_FAR = 8.0  # standard deviations; what is farther off looks the same
_COUNTED, _COUNTED_AT_ONCE = 4096, 512  # showers that scales are taken from
_PRIOR = 20.0  # splits that count as seen everywhere before the first
_SMALLEST = 1e-3  # deviation of inputs and odds
_LAYER = 3  # numbers by which a layer as a whole is seen


@strict_dataclass
class Config(ModelConfig):
    """The cascade of one particle.

    Attributes
    ----------
    width
        Units of the two hidden layers of each network.
    components
        Of the mixture.
    rate
        Of Adam, at the beginning.
    steps
        Steps of the training, unless epochs are given.
    sampled
        Splits of each turn that a step takes, at most.
    """

    particles: Annotated[tuple[str, ...], Field(min_length=1, max_length=1)] = ("e+",)
    width: int = Field(default=96, gt=0)
    components: int = Field(default=4, gt=0)
    rate: float = Field(default=2e-3, gt=0)
    steps: int = Field(default=3500, gt=0)
    sampled: int = Field(default=4096, gt=0)


class Turn(nn.Module):
    """How some parts of a round share their energy among their halves.

    Parameters
    ----------
    cuts
        The round.
    turn
        Which of its parts.
    config
        Widths.
    """

    parts: Tensor
    seen: Tensor
    places: Tensor
    layers: Tensor
    replaced: Tensor
    shift: Tensor
    scale: Tensor
    middle: Tensor
    spread: Tensor

    def __init__(self, cuts: Round, turn: slice, config: Config) -> None:
        super().__init__()
        self.components = config.components
        parts = cuts.parts[turn]
        layers = np.searchsorted(cuts.offsets[1:-1], parts, side="right")
        tables = {"parts": parts, "seen": cuts.seen[turn], "places": cuts.places[turn], "layers": layers}
        replaced = np.arange(len(cuts.parts) + len(cuts.whole) + 1)
        replaced[parts] = len(replaced) + np.arange(len(parts))
        for name, values in (tables | {"replaced": replaced}).items():
            self.register_buffer(name, torch.from_numpy(values), persistent=False)
        inputs = 2 * cuts.seen.shape[1] - 1 + (1 + 3 * _LAYER if cuts.offsets else 1)
        rows = len(parts) if self.dense else 1
        for name, shape in (("shift", (rows, inputs)), ("middle", (len(parts),))):
            self.register_buffer(name, torch.zeros(shape))
        for name, shape in (("scale", (rows, inputs)), ("spread", (len(parts),))):
            self.register_buffer(name, torch.ones(shape))
        self.network = nn.Sequential(
            nn.Linear(inputs + cuts.places.shape[1], config.width),
            nn.ReLU(),
            nn.Linear(config.width, config.width),
            nn.ReLU(),
            nn.Linear(config.width, 2 + 3 * config.components),
        )
        nn.init.normal_(self._last.weight, std=0.01)

    @property
    def _first(self) -> nn.Linear:
        return cast(nn.Linear, self.network[0])

    @property
    def _last(self) -> nn.Linear:
        return cast(nn.Linear, self.network[-1])

    @property
    def dense(self) -> bool:
        """Whether all parts are evaluated: where there are few, picking those with energy takes longer."""
        return self.parts.shape[0] <= _DENSE

    def inputs(self, halves: Tensor, known: Tensor, shower: Tensor, part: Tensor) -> Tensor:
        """Return what some splits depend on, (R, inputs): own energy, others over it, the whole shower.

        Parameters
        ----------
        halves
            (N, M + 1, 2), the `scaled` halves of all parts, equal where a part is not divided yet.
        known
            See `Split.known`.
        shower, part
            (R,) int64: which of the N showers, and which of the P parts of this turn.
        """
        # Rows of flat tensors, by `index_select`: the fastest of all gathers in onnxruntime.
        seen = shower.unsqueeze(1) * halves.shape[1] + self.seen.index_select(0, part)
        around = halves.flatten(0, 1).index_select(0, seen.reshape(-1)).view(-1, 2 * self.seen.shape[1])
        own = around[:, :1]
        layer = shower * known.shape[1] + self.layers.index_select(0, part)
        whole = known.flatten(0, 1).index_select(0, layer)
        return torch.cat([own, around[:, 2:] - own, whole], dim=1)

    def outputs(self, inputs: Tensor, part: Tensor) -> Tensor:
        """Return the parameters of some splits, (R, 2 + 3 components), from `inputs`."""
        weight: Tensor = self._first.weight
        bias: Tensor = self._first.bias
        if self.dense:
            inputs = (inputs - self.shift.index_select(0, part)) * self.scale.index_select(0, part)
            inputs = inputs.clamp(-_FAR, _FAR)
        else:
            # One scale for all parts: a factor of the weights, of which nothing is left in an exported graph.
            scaled_weight = weight[:, : inputs.shape[1]] * self.scale
            weight = torch.cat([scaled_weight, weight[:, inputs.shape[1] :]], dim=1)
            bias = bias - scaled_weight @ self.shift[0]
        seen = torch.cat([inputs, self.places.index_select(0, part)], dim=1)
        found: Tensor = self.network[1:](functional.linear(seen, weight, bias))
        return found

    def forward(
        self, energies: Tensor, halves: Tensor, known: Tensor, chance: Tensor, noise: Tensor
    ) -> Tensor:
        """Return the first halves (N, P) MeV of parts with energies (N, P), for normal numbers (N, P)."""
        n = energies.shape[0]
        flat, parts = energies.reshape(-1), self.parts.shape[0]
        if self.dense:
            chosen = torch.arange(n * parts, device=flat.device)
        else:
            chosen = torch.nonzero(flat > 0).squeeze(1)
        part = chosen % parts
        outputs = self.outputs(self.inputs(halves, known, chosen // parts, part), part)
        if self.dense:
            share = self.share(outputs, part, chance.reshape(-1), noise.reshape(-1))
            return energies * share.view_as(energies)
        drawn = (one.reshape(-1).index_select(0, chosen) for one in (chance, noise))
        first = flat.index_select(0, chosen) * self.share(outputs, part, *drawn)
        return torch.zeros_like(flat).scatter(0, chosen, first).view_as(energies)

    def loss(self, outputs: Tensor, part: Tensor, first: Tensor, second: Tensor) -> Tensor:
        """Return the negative log-likelihoods (R,) in nats of splits into two energies (R,), not both 0."""
        shares, means, widths = self._mixture(outputs, part)
        shares = shares.log_softmax(dim=1)
        each = (
            shares[:, 2:] - ((_odds(first, second).unsqueeze(1) - means) / widths).square() / 2 - widths.log()
        )
        inside = each.logsumexp(dim=1) - math.log(2 * math.pi) / 2
        return -torch.where(second <= 0, shares[:, 0], torch.where(first <= 0, shares[:, 1], inside))

    def share(self, outputs: Tensor, part: Tensor, chance: Tensor, noise: Tensor) -> Tensor:
        """Return the share of the first half (R,), for standard normal numbers (R,) and (R,)."""
        shares, means, widths = self._mixture(outputs, part)
        below = shares.softmax(dim=1).cumsum(dim=1)
        uniform = 0.5 * (1 + torch.erf(chance / math.sqrt(2)))
        # The last of the sums is left out, so that rounding can't lead beyond the last component.
        number = (below[:, :-1] <= uniform.unsqueeze(1) * below[:, -1:]).sum(dim=1)
        own = number.unsqueeze(1) == torch.arange(2, 2 + self.components, device=number.device)
        odds = (own.to(means.dtype) * (means + widths * noise.unsqueeze(1))).sum(dim=1)
        return torch.where(number == 0, 1.0, torch.where(number == 1, 0.0, torch.sigmoid(odds)))

    def _mixture(self, outputs: Tensor, part: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        k = self.components
        shares, means, widths = outputs.split([2 + k, k, k], dim=1)
        middle, spread = (one.index_select(0, part).unsqueeze(1) for one in (self.middle, self.spread))
        return shares, middle + spread * means, spread * widths.clamp(-_FAR, _FAR).exp() + _NARROWEST

    def start(self, moments: "Moments") -> None:
        """Take scales of inputs and shares, and the frequencies of empty halves, from training showers."""
        inputs, odds = moments.inputs, moments.odds
        self.shift.copy_(inputs.mean)
        self.scale.copy_(1 / inputs.deviation)
        self.middle.copy_(odds.mean[:, 0])
        self.spread.copy_(odds.deviation[:, 0])
        k = self.components
        kinds = (moments.kinds + 1) / (moments.kinds + 1).sum()
        with torch.no_grad():
            bias = self._last.bias
            bias[:2], bias[2 : 2 + k] = kinds[:2].log(), (kinds[2] / k).log()
            # Components apart from each other, so that they can become different.
            bias[2 + k : 2 + 2 * k], bias[2 + 2 * k :] = torch.linspace(-1, 1, k), -0.5


class Shares(NamedTuple):
    """What a round did to N showers.

    Attributes
    ----------
    energies
        (N, M) MeV, of the parts before it.
    incident
        (N,) MeV.
    first, second
        (N, P) MeV, of the halves of those that were divided.
    """

    energies: Tensor
    incident: Tensor
    first: Tensor
    second: Tensor


class Split(nn.Module):
    """A round of cuts: one turn after the other.

    Parameters
    ----------
    cuts
        Which parts are divided, and what they see.
    config
        Widths.
    """

    parts: Tensor
    whole: Tensor
    order: Tensor
    centres: Tensor

    def __init__(self, cuts: Round, config: Config) -> None:
        super().__init__()
        self.offsets, self.sizes = cuts.offsets, cuts.turns
        tables = {"parts": cuts.parts, "whole": cuts.whole, "order": cuts.order}
        for name, values in (tables | {"centres": cuts.centres / _NEAR}).items():
            self.register_buffer(name, torch.from_numpy(values), persistent=False)
        ends = np.cumsum([0, *cuts.turns]).tolist()
        self._turns = nn.ModuleList(Turn(cuts, slice(*each), config) for each in pairwise(ends))

    @property
    def turns(self) -> list[Turn]:
        """The turns, in their order."""
        return cast(list[Turn], list(self._turns))

    def known(self, energies: Tensor, incident: Tensor) -> Tensor:
        """Return what splits know of the shower as a whole: energies (N, M) MeV -> (N, layers, numbers).

        The incident energy (N,) MeV; and once the layers are apart, energy over it and centre of the own one
        and of those in front and behind.
        """
        incident = scaled(incident).view(-1, 1, 1)
        if not self.offsets:
            return incident
        layers = []
        for first, end in pairwise(self.offsets):
            inside = energies[:, first:end]
            total = inside.sum(dim=1, keepdim=True)
            centre = inside @ self.centres[first:end] / total.clamp(min=_LEAST)
            layers.append(torch.cat([scaled(total) - incident[:, :, 0], _asinh(centre)], dim=1))
        every = functional.pad(torch.stack(layers, dim=1), (0, 0, 1, 1))
        n = len(layers)
        around = torch.cat([every[:, 1 : 1 + n], every[:, :n], every[:, 2:]], dim=2)
        return torch.cat([incident.expand(-1, n, 1), around], dim=2)

    @staticmethod
    def undivided(energies: Tensor) -> Tensor:
        """Return the scaled halves of parts (N, M) MeV before any turn, (N, M + 1, 2)."""
        half = functional.pad(scaled(energies / 2), (0, 1))
        return torch.stack([half, half], dim=2)

    def forward(self, energies: Tensor, incident: Tensor, noise: Tensor) -> Tensor:
        """Divide the parts (N, M) MeV of showers, for normal numbers (N, 2 P): (N, M after it)."""
        halves, known = self.undivided(energies), self.known(energies, incident)
        first, second, place = [], [], 0
        for turn, size in zip(self.turns, self.sizes, strict=True):
            divided = energies.index_select(1, turn.parts)
            chance, within = noise[:, place : place + size], noise[:, place + size : place + 2 * size]
            first.append(turn(divided, halves, known, chance, within))
            second.append(divided - first[-1])
            place += 2 * size
            if turn is not self.turns[-1]:
                new = scaled(torch.stack([first[-1], second[-1]], dim=2))
                halves = torch.cat([halves, new], dim=1).index_select(1, turn.replaced)
        whole = energies.index_select(1, self.whole)
        return torch.cat([*first, *second, whole], dim=1).index_select(1, self.order)

    def before(self, energies: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Undo the round: energies (N, M after it) -> those before (N, M), first and second halves (N, P)."""
        n = len(self.parts)
        first, second, whole = energies[:, self.order.argsort()].split([n, n, len(self.whole)], dim=1)
        back = torch.cat([self.parts, self.whole]).argsort()
        return torch.cat([first + second, whole], dim=1)[:, back], first, second

    def loss(self, shares: Shares, most: int) -> Tensor:
        """Return the negative log-likelihood of a shower's splits in nats, from at most so many a turn."""
        losses = []
        for turn, inputs, part, one, other, weight in self.true(shares, most):
            each = turn.loss(turn.outputs(inputs, part).float(), part, one, other)
            losses.append(each.sum() * (weight / len(shares.energies)))
        return torch.stack(losses).sum()

    def true(self, shares: Shares, most: int) -> Iterator[tuple[Turn, Tensor, Tensor, Tensor, Tensor, float]]:
        """Yield each turn with splits of true showers, at most so many, drawn at random.

        Inputs (R, inputs), parts (R,) and the energies of both halves (R,) of these splits, and how many
        there are for each of them.
        """
        energies, incident, first, second = shares
        halves, known = self.undivided(energies), self.known(energies, incident)
        ones, others = (half.split(self.sizes, dim=1) for half in (first, second))
        for turn, one, other in zip(self.turns, ones, others, strict=True):
            chosen = torch.nonzero((one + other).reshape(-1) > 0).squeeze(1)
            every = len(chosen)
            if every > most:
                chosen = chosen[torch.randperm(every, device=chosen.device)[:most]]
            part = chosen % one.shape[1]
            inputs = turn.inputs(halves, known, chosen // one.shape[1], part)
            weight = every / max(len(chosen), 1)
            yield turn, inputs, part, one.reshape(-1)[chosen], other.reshape(-1)[chosen], weight
            halves[:, turn.parts] = scaled(torch.stack([one, other], dim=2))


def scaled(energy: Tensor) -> Tensor:
    """Return energies in MeV as the networks see them: their logarithms, of order 1, and 0 for no energy."""
    return torch.log1p(energy / _LEAST) / 5


def _asinh(x: Tensor) -> Tensor:
    return x.sign() * (x.abs() + (x.square() + 1).sqrt()).log()


class CascadeSampler(base.Sampler):
    """Noise to showers, round after round.

    Parameters
    ----------
    splits
        All rounds.
    more
        MeV that a particle can deposit in addition to its kinetic energy.
    """

    unrolled = True

    def __init__(self, splits: nn.ModuleList, more: float) -> None:
        super().__init__()
        self.splits, self.more = splits, more
        self.noise_size = 2 * sum(sum(split.sizes) for split in self._rounds)

    @property
    def _rounds(self) -> list[Split]:
        return cast(list[Split], list(self.splits))

    def forward(self, noise: Tensor, energy: Tensor) -> Tensor:  # type: ignore[override]
        """(N, noise_size) and (N,) MeV -> (N, n_cells) MeV."""
        energies = (energy + self.more).unsqueeze(1)
        parts = noise.split([2 * sum(split.sizes) for split in self._rounds], dim=1)
        for split, part in zip(self._rounds, parts, strict=True):
            energies = split(energies, energy, part)
        return energies


class Cascade(GenerativeModel):
    """The cascade; see the module. Its noise has two numbers for each cell."""

    def __init__(self, config: Config, geometry: Calorimeter) -> None:
        super().__init__(config, geometry)
        self.config: Config = config
        self.more = brought(parse_particle(config.particles[0]))
        self.splits = nn.ModuleList(Split(cuts, config) for cuts in [_DEPOSITED, *rounds(geometry)])

    @property
    def rounds(self) -> list[Split]:
        """All rounds, the first of which tells deposited energy from the rest."""
        return cast(list[Split], list(self.splits))

    def sampler(self, geometry: Calorimeter) -> CascadeSampler:
        """Return the map from noise to showers, with the current parameters."""
        return copy.deepcopy(CascadeSampler(self.splits, self.more)).eval().requires_grad_(False)

    def phases(self) -> Sequence[Phase]:
        """Return the only phase; the rounds share batches and nothing else."""
        optimizer = torch.optim.Adam(self.parameters(), lr=self.config.rate)

        def step(batch: Batch, done: float) -> Figures:
            losses = self.losses(batch)
            optimizer.zero_grad()
            torch.stack(losses).sum().backward()
            optimizer.step()
            return {"all": torch.stack([loss.detach() for loss in losses]).sum()}

        return [
            Phase(
                "splits",
                step,
                {"adam": optimizer},
                lambda steps: [falling(optimizer, steps)],
                steps=self.config.steps,
                prepare=self._prepare,
            )
        ]

    def _prepare(self, showers: TrainingShowers) -> None:
        """Give every turn the scales of what it sees and draws."""
        moments = {turn: Moments(turn) for split in self.rounds for turn in split.turns}
        seen = 0
        for batch in showers.batches(_COUNTED_AT_ONCE):
            for split, shares in self.true(batch):
                for turn, inputs, part, one, other, _ in split.true(shares, self.config.sampled):
                    moments[turn].count(inputs, part, one, other)
            seen += len(batch.cells)
            if seen >= _COUNTED:
                break
        for turn, found in moments.items():
            turn.start(found)

    def losses(self, batch: Batch) -> list[Tensor]:
        """Return the negative log-likelihood of a shower's splits in each round, in nats."""
        most = self.config.sampled
        return [split.loss(shares, most) for split, shares in self.true(batch)]

    def true(self, batch: Batch) -> Iterator[tuple[Split, Shares]]:
        """Yield the rounds, last first, and what each did to the showers."""
        deposited, *others = self.rounds
        energies = batch.cells
        for split in reversed(others):
            energies, first, second = split.before(energies)
            yield split, Shares(energies, batch.energy, first, second)
        whole = (batch.energy + self.more).unsqueeze(1)
        yield deposited, Shares(whole, batch.energy, energies, (whole - energies).clamp(min=0))


class Mean:
    """Mean and deviation of rows of numbers (P, F), drawn to those of all rows where few are counted."""

    def __init__(self, rows: int, columns: int) -> None:
        self.sums = torch.zeros(3, rows, columns, dtype=torch.float64)

    def add(self, row: Tensor, values: Tensor) -> None:
        """Count values (R, F) for rows (R,)."""
        values = values.double().cpu()
        each = torch.stack([torch.ones_like(values), values, values.square()])
        self.sums.index_add_(1, row.cpu(), each)

    @property
    def _moments(self) -> tuple[Tensor, Tensor]:
        n, one, two = self.sums + _PRIOR * self.sums.sum(dim=1, keepdim=True) / self.sums[0].sum(dim=0).clamp(
            min=1
        )
        n = n.clamp(min=_PRIOR)
        return one / n, two / n

    @property
    def mean(self) -> Tensor:
        """The means (P, F)."""
        return self._moments[0].float()

    @property
    def deviation(self) -> Tensor:
        """The standard deviations (P, F), above 0."""
        mean, square = self._moments
        return (square - mean.square()).clamp(min=_SMALLEST**2).sqrt().float()


class Moments:
    """What a turn's inputs and shares are like in training showers."""

    def __init__(self, turn: Turn) -> None:
        self.inputs = Mean(*turn.shift.shape)
        self.odds = Mean(len(turn.parts), 1)
        self.kinds = torch.zeros(3)

    def count(self, inputs: Tensor, part: Tensor, first: Tensor, second: Tensor) -> None:
        """Count some splits."""
        self.inputs.add(part if len(self.inputs.sums[0]) > 1 else torch.zeros_like(part), inputs)
        kind = torch.where(second <= 0, 0, torch.where(first <= 0, 1, 2))
        self.kinds += kind.bincount(minlength=3).cpu()
        inside = kind == 2
        self.odds.add(part[inside], _odds(first, second)[inside].unsqueeze(1))


def _odds(first: Tensor, second: Tensor) -> Tensor:
    """Return the logarithm of a ratio of energies, finite where one is 0."""
    return first.clamp(min=_TINY).log() - second.clamp(min=_TINY).log()


_DEPOSITED = Round(
    parts=np.array([0]),
    turns=(1,),
    whole=np.empty(0, np.int64),
    order=np.array([0]),  # what is not deposited is left out
    seen=np.array([[0]]),
    places=np.empty((1, 0), np.float32),
    centres=np.zeros((1, 2), np.float32),
)

Cascade.Config = Config
ENTRY = Cascade
