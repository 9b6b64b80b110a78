r"""Layer-to-layer flows: the energies of all layers, then the cells of one layer after the other.

S. Diefenbacher, E. Eren, F. Gaede, G. Kasieczka, C. Krause, I. Shekhzadeh, D. Shih, *L2LFlows: Generating
High-Fidelity 3D Calorimeter Images*, arXiv:2302.11594, and T. Buss, F. Gaede, G. Kasieczka, C. Krause, D.
Shih, *Convolutional L2LFlows*, arXiv:2405.20407. With I_i the cells of layer i of n and E_i their sum,

```math
p(I \mid E_\mathrm{inc}) = p(E_1, \dots, E_n \mid E_\mathrm{inc})\;
\prod_i p(I_i \mid I_{i-1}, \dots, I_{i-5}, E_i, E_\mathrm{inc})
```

The first factor is the energy flow, the others are causal flows, one for each layer, which are trained
independently, on the layers in front as Geant4 has them. For layers of 10 x 10 cells their contexts have 2,
102, 202, 302, 402, and then 502 numbers. All flows are made of rational-quadratic splines
(`caloforge.models.flows`); an embedding network makes a causal flow's context shorter. A shower is drawn from
front to back, and rescaled to the energies of the energy flow (`rescaled`).

**Numbers of cells**, as in arXiv:2405.20407 and its code. Cells below the threshold are emptied. An empty one
gets a log-normal energy, a hundredth of the threshold with a deviation of 0.2 decades, at most the threshold;
and every cell gets up to another hundredth, evenly. Then, with alpha = 0.01 and the largest cell of the layer
in training,

```math
x = \frac{\log_{10}(E / E_\mathrm{least})}{\log_{10}(E_\mathrm{most} / E_\mathrm{least})}, \qquad
v = \ln\frac{u}{1 - u}, \quad u = \alpha + (1 - 2 \alpha)\,x
```

The flows of `caloforge.models.l2l_flows` see these numbers with mean 0 and fourth moment 1 for each cell.

(There, x counts seven decades below the largest cell; here, from a thousandth of the threshold, which is the
same for a largest cell of 1 GeV.) The layers in front enter as these numbers too, the energies as
log10(E_i) + 1 and 2 log10(E_inc) - 3 in GeV, with 1 keV added.

**Numbers of layers**: energies after the threshold, with normal noise (a hundredth of the threshold, with a
deviation of a fifth of that), divided by twice the largest that they are in training, and the logit with
alpha = 1e-6. Unlike there, it is their shares of the incident energy that are so scaled, and the logits have
mean 0 and deviation 1 in each layer: what the flow must learn of the sum of all layers is then little.

The energy flow is as the sources have it: autoregressive, 6 blocks with 64 hidden units and 8 bins, random
permutations, Adam at 1e-3 with an exponential decay to 3e-3 of it, 200 epochs; its splines bend up to 6
deviations. Causal flows have AdamW with a decay of 0.1, and a one-cycle schedule. The layers in front that a
flow sees in generation are those before rescaling, which is the last step of all, as published.
"""

import copy
import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from itertools import groupby
from typing import ClassVar, cast

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn
from torch._higher_order_ops import scan
from torch.func import functional_call, stack_module_state
from torch.nn import functional

from caloforge.config import strict_dataclass
from caloforge.geometry import Calorimeter, Layer, RingLayer
from caloforge.models import base
from caloforge.models.base import Batch, Figures, GenerativeModel, ModelConfig, Phase, TrainingShowers
from caloforge.models.flows import (
    Autoregressive,
    Backward,
    Coupling,
    Flow,
    MaskedNetwork,
    Permutation,
    Spline,
    Transform,
    inversion,
    shuffle,
)
from caloforge.preprocessing.recursive_shares import from_logits, to_logits
from caloforge.units import GeV

__all__ = [
    "CELL_BOUND",
    "CellMap",
    "CellNumbers",
    "Embedding",
    "L2LConfig",
    "L2LSampler",
    "LayerFlow",
    "LayerNumbers",
    "LayerwiseFlows",
    "autoregressive_flow",
    "cells_of",
    "context_sizes",
    "coupling_flow",
    "rescaled",
]

_PREVIOUS = 5  # layers in front that a causal flow sees
_FILLED = 0.01  # of the threshold: what empty cells and layers get, and the noise of all cells
_DECADES = 0.2  # deviation of the energies of empty cells
_RELATIVE = 0.2  # deviation of the noise of layers
_LEAST = 1e-3  # of the threshold: where the numbers of cells begin
_CELLS, _LAYERS = 1e-2, 1e-6  # alpha
CELL_BOUND = -math.log(_CELLS)
"""Where the numbers of cells end."""
_LAYER_BOUND = 6.0  # deviations
_ROOM = 2.0  # of the largest share of the incident energy in a layer
_NARROWEST = 0.01  # deviation of the numbers of a layer
_SEEN = 1e-3  # MeV, added to energies before the logarithm
_MAP_BINS = 128
_AT_ONCE = 256  # showers
_MAPPED = 10_000  # showers that fit the map, at most
_LAST_RATE = 3e-3  # of the energy flow's first


@strict_dataclass
class L2LConfig(ModelConfig):
    """What all kinds of layer-to-layer flows have.

    Attributes
    ----------
    threshold
        MeV; cells of a shower are empty or hold at least this.
    bins
        Of the splines.
    energy_blocks, energy_hidden
        Transforms of the energy flow, and units of their hidden layers.
    energy_rate, energy_epochs
        Of its training (Adam).
    blocks
        Transforms of a causal flow.
    embedded
        Numbers, or images, that the embedding network makes of a causal flow's context.
    rate, decay, epochs
        Highest rate, weight decay (AdamW) and length of the training of each causal flow.
    corrected
        Whether generated cells get the spectrum of the training's, by a map that is fitted last (`CellMap`).
        It is a calibration with Geant4's showers: cells of a layer no longer add up exactly to what was drawn
        for it.
    """

    energy_range: tuple[float, float] = (10.0, 100.0)
    threshold: float = Field(default=0.1, gt=0)
    bins: int = Field(default=8, gt=1)
    energy_blocks: int = Field(default=6, gt=0)
    energy_hidden: int = Field(default=64, gt=0)
    energy_rate: float = Field(default=1e-3, gt=0)
    energy_epochs: int = Field(default=200, gt=0)
    blocks: int = Field(default=4, gt=0)
    embedded: int = Field(default=32, gt=0)
    rate: float = Field(default=2e-3, gt=0)
    decay: float = Field(default=0.1, ge=0)
    epochs: int = Field(default=50, gt=0)
    corrected: bool = False


def context_sizes(sizes: Sequence[int]) -> list[int]:
    """Return how many numbers each causal flow is given, for layers of so many cells.

    Examples
    --------
    >>> context_sizes([100] * 7)
    [2, 102, 202, 302, 402, 502, 502]
    """
    return [2 + sum(sizes[max(0, i - _PREVIOUS) : i]) for i in range(len(sizes))]


def rescaled(cells: Tensor, energy: Tensor, threshold: float) -> Tensor:
    """Rescale the cells of layers so that they add up to an energy and none is below a threshold.

    As many cells as possible are kept, the largest ones, such that the smallest of them is not below the
    threshold after all kept ones were multiplied by the same factor (arXiv:2405.20407).

    Parameters
    ----------
    cells
        (..., D), above 0.
    energy
        (...), what the cells of a layer shall add up to; below the threshold the layer is empty.
    threshold
        In the same unit.

    Examples
    --------
    >>> rescaled(torch.tensor([[3.0, 0.2, 1.0]]), torch.tensor([8.0]), 0.5)
    tensor([[6., 0., 2.]])
    """
    ordered, order = cells.sort(dim=-1, descending=True)
    # What each cell would hold if it were the last one that is kept.
    factor = energy.unsqueeze(-1) / ordered.cumsum(dim=-1)
    place = torch.arange(cells.shape[-1], device=cells.device).expand_as(cells)
    last = torch.where(ordered * factor >= threshold, place, -1).amax(dim=-1, keepdim=True)
    kept = torch.where(place <= last, ordered * factor.gather(-1, last.clamp(min=0)), 0.0)
    # By its place in the order and not by its value, as there may be equal cells.
    return torch.zeros_like(cells).scatter(-1, order, kept)


class CellNumbers(nn.Module):
    """Energies of a layer's cells as numbers that a flow describes; see the module.

    Examples
    --------
    >>> numbers = CellNumbers(cells=3, threshold=0.1)
    >>> cells = torch.tensor([[0.0, 0.1, 10.0]])
    >>> (cells_of(numbers(cells), 0.1, numbers.most) >= 0.1).tolist()
    [[False, True, True]]
    """

    most: Tensor
    mean: Tensor
    deviation: Tensor

    def __init__(self, cells: int, threshold: float) -> None:
        super().__init__()
        self.threshold = threshold
        self.register_buffer("most", torch.tensor(100 * threshold))
        self.register_buffer("mean", torch.zeros(cells))
        self.register_buffer("deviation", torch.ones(cells))

    def forward(self, cells: Tensor) -> Tensor:
        """(N, D) MeV, with noise that is drawn anew -> (N, D)."""
        return (self.logits(cells) - self.mean) / self.deviation

    def logits(self, cells: Tensor) -> Tensor:
        """(N, D) MeV, with noise that is drawn anew -> (N, D) before mean and scale are taken out."""
        filled = _FILLED * 10 ** (_DECADES * torch.randn_like(cells))
        share = torch.where(cells > 0, cells / self.threshold, filled.clamp(max=1))
        share = share + _FILLED * torch.rand_like(cells)
        x = (share / _LEAST).log10() / _decades(self.most, self.threshold)
        return to_logits(x.clamp(0, 1), _CELLS)


def cells_of(logits: Tensor, threshold: float, most: Tensor) -> Tensor:
    """Return the energies of cells, in MeV and above 0, that `CellNumbers` made such logits of."""
    decades = from_logits(logits, _CELLS) * _decades(most, threshold)
    return threshold * _LEAST * (math.log(10) * decades).exp()


def _decades(most: Tensor, threshold: float) -> Tensor:
    return (most / (_LEAST * threshold)).log10()


class LayerNumbers(nn.Module):
    """Energies of the layers as numbers that a flow describes, and back; see the module.

    Examples
    --------
    >>> numbers, incident = LayerNumbers(layers=3, threshold=0.1), torch.tensor([1e3])
    >>> numbers.decode(numbers(torch.tensor([[0.0, 5.0, 1.0]]), incident), incident).round(decimals=1)
    tensor([[0., 5., 1.]])
    """

    most: Tensor
    mean: Tensor
    deviation: Tensor

    def __init__(self, layers: int, threshold: float) -> None:
        super().__init__()
        self.threshold = threshold
        self.register_buffer("most", torch.tensor(0.5))
        self.register_buffer("mean", torch.zeros(layers))
        self.register_buffer("deviation", torch.ones(layers))

    def forward(self, energies: Tensor, incident: Tensor) -> Tensor:
        """(N, layers) and (N,) MeV, with noise that is drawn anew -> (N, layers)."""
        noise = _FILLED * self.threshold * (1 + _RELATIVE * torch.randn_like(energies))
        shares = (energies + noise) / (_ROOM * self.most * incident.unsqueeze(1))
        return (to_logits(shares.clamp(0, 1), _LAYERS) - self.mean) / self.deviation

    def decode(self, numbers: Tensor, incident: Tensor) -> Tensor:
        """(N, layers) and (N,) MeV -> (N, layers) MeV, 0 below the threshold."""
        shares = from_logits(numbers * self.deviation + self.mean, _LAYERS)
        energies = shares * _ROOM * self.most * incident.unsqueeze(1)
        return torch.where(energies < self.threshold, 0.0, energies)


def _seen_layers(energy: Tensor) -> Tensor:
    """Return the energies of layers, in MeV, as the flows see them."""
    return ((energy + _SEEN) / GeV).log10() + 1


def _seen_incident(energy: Tensor) -> Tensor:
    """Return incident energies (N,) MeV as the flows see them, (N, 1)."""
    return (2 * ((energy + _SEEN) / GeV).log10() - 3).unsqueeze(1)


def autoregressive_flow(features: int, context: int, blocks: int, hidden: int, spline: Spline) -> Flow:
    """Return a flow of vectors (N, features), given contexts (N, context), that draws number by number."""
    transforms: list[Transform] = []
    for _ in range(blocks):
        network = MaskedNetwork(features, context, spline.parameters, hidden)
        transforms += [Permutation(shuffle([features])), Autoregressive(network, spline)]
    return Flow(transforms)


def coupling_flow(features: int, context: int, blocks: int, hidden: int, spline: Spline) -> Flow:
    """Return a flow of vectors (N, features), given contexts (N, context), that draws in one pass."""
    transforms: list[Transform] = []
    for number in range(blocks):
        order = inversion([features]) if number % 2 else shuffle([features])
        transforms += [Permutation(order), _coupling(features, context, hidden, spline)]
    return Flow(transforms)


def _coupling(features: int, context: int, hidden: int, spline: Spline) -> Coupling:
    kept = features // 2
    last = nn.Linear(hidden, spline.parameters * (features - kept))
    nn.init.zeros_(last.weight)
    nn.init.zeros_(last.bias)
    first, second = nn.Linear(kept + context, hidden), nn.Linear(hidden, hidden)
    return Coupling(kept, nn.Sequential(first, nn.ReLU(), second, nn.ReLU(), last), spline)


class CellMap(nn.Module):
    r"""A monotonic map of the energies of cells that changes their spectrum, the identity at first.

    The quantiles of generated cells above the threshold are mapped to those of the reference
    (post-processing of the code of arXiv:2405.20407: energies sorted, and means in 128 bins of their
    logarithms). Here it is linear between the means, so that it grows everywhere; there, a cubic spline.

    Parameters
    ----------
    threshold
        MeV.

    Examples
    --------
    >>> cells = torch.linspace(1.0, 50.0, 1000)
    >>> cell_map = CellMap(threshold=1.0)
    >>> cell_map.fit(cells, 1.0 + 2 * (cells - 1.0))
    >>> cell_map(torch.tensor([0.0, 1.0, 11.0])).round()
    tensor([ 0.,  1., 21.])
    """

    widest: Tensor
    shift: Tensor

    def __init__(self, threshold: float) -> None:
        super().__init__()
        self.threshold = threshold
        self.register_buffer("widest", torch.tensor(1.0))
        self.register_buffer("shift", torch.zeros(_MAP_BINS + 1))

    def forward(self, cells: Tensor) -> Tensor:
        """Energies of any shape, 0 or from the threshold on, in MeV -> the same shape."""
        x = (cells.clamp(min=self.threshold) / self.threshold).log()
        place = (x * (_MAP_BINS / self.widest)).clamp(max=_MAP_BINS - 1e-3)
        number = place.long()
        low, high = self.shift[number], self.shift[number + 1]
        mapped = self.threshold * (x + low + (high - low) * (place - number)).exp()
        return torch.where(cells > 0, mapped.clamp(min=self.threshold), 0.0)

    @torch.no_grad()
    def fit(self, generated: Tensor, reference: Tensor) -> None:
        """Set the map by energies of cells from the threshold on, (N,) and (M,) in MeV."""
        x, y = ((cells / self.threshold).log().double().sort().values for cells in (generated, reference))
        # As many quantiles of the reference as there are generated cells.
        y = torch.from_numpy(np.interp(np.linspace(0, 1, len(x)), np.linspace(0, 1, len(y)), y.cpu().numpy()))
        x = x.cpu()
        widest = float(x[-1].clamp(min=1e-3))
        number = (x * (_MAP_BINS / widest)).long().clamp(max=_MAP_BINS - 1)
        count = torch.bincount(number, minlength=_MAP_BINS)
        filled = count.nonzero().flatten()
        means = [
            torch.zeros(_MAP_BINS, dtype=x.dtype).index_add(0, number, each)[filled] / count[filled]
            for each in (x, y)
        ]
        # The map begins at the threshold; x + shift grows, as both means do.
        begin, end = (np.concatenate([[0.0], each.numpy()]) for each in means)
        nodes = np.linspace(0, widest, _MAP_BINS + 1)
        self.widest.fill_(widest)
        self.shift.copy_(torch.from_numpy(np.interp(nodes, begin, end - begin)))


class Embedding(nn.Module, ABC):
    """What a causal flow is told of its context, (N, C) -> (N, embedded)."""

    @abstractmethod
    def forward(self, context: Tensor) -> Tensor:
        """(N, C) -> (N, embedded)."""

    @abstractmethod
    def widened(self, context: int) -> "Embedding":
        """Return a copy for a longer context, whose further numbers don't matter."""


class LayerFlow(nn.Module):
    """The causal flow of a layer.

    Parameters
    ----------
    cells
        Cells of the layer, D.
    context
        Numbers of the context, C: the energy of the layer, the incident energy, and the cells of the layers
        in front, nearest first.
    threshold
        MeV.
    embedding
        What the flow is told of the context.
    flow
        Of vectors (N, D).
    """

    def __init__(
        self, cells: int, context: int, threshold: float, embedding: "Embedding", flow: Flow
    ) -> None:
        super().__init__()
        self.cells, self.context = cells, context
        self.numbers = CellNumbers(cells, threshold)
        self.embedding, self.flow = embedding, flow

    def log_density(self, numbers: Tensor, context: Tensor) -> Tensor:
        """(N, D) and (N, C) -> ln p, (N,)."""
        return self.flow.log_density(numbers, self.embedding(context))


class _Inverse(nn.Module):
    """A copy of a flow for generation, from noise (N, D) and context (N, C) to numbers (N, D)."""

    def __init__(self, flow: Flow) -> None:
        super().__init__()
        one_by_one = any(isinstance(one, Autoregressive) for one in flow.transforms)
        self.flow: Flow | Backward
        if one_by_one:
            self.flow = Backward(flow)
        else:
            self.flow = Flow(one.drawing() for one in flow.transforms)
        self.eval().requires_grad_(False)

    def forward(self, noise: Tensor, context: Tensor) -> Tensor:
        """Go back through all transforms."""
        if isinstance(self.flow, Flow):
            return self.flow.inverse(noise, context)
        numbers: Tensor = self.flow(noise, context)
        return numbers


class _Drawn(nn.Module):
    """A copy of a causal flow for generation, for a context of any greater width.

    Parameters
    ----------
    flow
        The flow to copy, with its current parameters.
    width
        Numbers of the context; those behind the flow's own don't matter.
    """

    def __init__(self, flow: LayerFlow, width: int) -> None:
        super().__init__()
        self.embedding, self.flow = flow.embedding.widened(width), _Inverse(flow.flow)

    def forward(self, noise: Tensor, context: Tensor) -> Tensor:
        """(N, D) and (N, width) -> (N, D) numbers."""
        numbers: Tensor = self.flow(noise, self.embedding(context))
        return numbers


class _Run(nn.Module):
    """Consecutive layers of equally many cells, drawn in a loop.

    Their weights are stacked: a graph holds one flow instead of thirty, and is loaded in no time.
    """

    def __init__(self, flows: Sequence[LayerFlow]) -> None:
        super().__init__()
        self.layers, self.width = len(flows), max(flow.context for flow in flows)
        drawn = [_Drawn(flow, self.width).eval().requires_grad_(False) for flow in flows]
        weights, buffers = stack_module_state(cast(list[nn.Module], drawn))
        self.names = [*weights, *buffers]
        for number, value in enumerate([*weights.values(), *buffers.values()]):
            self.register_buffer(f"stacked_{number}", value.detach())
        for name in ("mean", "deviation"):
            values = torch.stack([getattr(flow.numbers, name) for flow in flows])
            self.register_buffer(name, values.unsqueeze(1))  # (layers, 1, D)
        self.one = drawn[0]  # whose structure is used, with the weights of each layer

    @property
    def stacked(self) -> list[Tensor]:
        """The weights of all flows, (layers, ...) each."""
        return [cast(Tensor, getattr(self, f"stacked_{number}")) for number in range(len(self.names))]

    def forward(self, noise: Tensor, energies: Tensor, incident: Tensor, before: Tensor) -> Tensor:
        """Draw the layers.

        Parameters
        ----------
        noise
            (layers, N, D).
        energies
            (layers, N, 1), as the flows see them.
        incident
            (N, 1), as the flows see it.
        before
            (N, cells) numbers of the layers in front, nearest first; those too far away don't matter.

        Returns
        -------
            (layers, N, D) numbers.
        """

        def step(carry: list[Tensor], now: list[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
            incident, before = carry
            noise, energy, *weights = now
            state = dict(zip(self.names, weights, strict=True))
            context = torch.cat([energy, incident, before], dim=1)
            numbers = functional_call(self.one, state, (noise, context))
            seen = torch.cat([numbers, before], dim=1)[:, : before.shape[1]]
            return [incident.clone(), seen.clone()], [numbers.clone()]

        room = self.width - 2
        carry = [incident, functional.pad(before[:, :room], (0, max(0, room - before.shape[1])))]
        steps = [noise, energies, *self.stacked]
        if torch.compiler.is_compiling() and self.layers > 1:  # for export
            # A scan takes no two tensors that share memory, such as parts of one.
            _, found = scan(step, [each.clone() for each in carry], [each.clone() for each in steps])
            return cast(Tensor, found[0])
        # Outside of an export a scan would be compiled first, for seconds.
        layers = []
        for now in zip(*steps, strict=True):
            carry, (numbers,) = step(carry, list(now))
            layers.append(numbers)
        return torch.stack(layers)


class L2LSampler(base.Sampler):
    """Noise to showers, from front to back.

    Parameters
    ----------
    model
        The model whose current parameters are copied.
    corrected
        Whether to apply the model's `CellMap`.
    """

    most: Tensor

    def __init__(self, model: "LayerwiseFlows", corrected: bool) -> None:
        super().__init__()
        self.sizes, self.threshold = model.sizes, model.config.threshold
        self.noise_size = len(self.sizes) + sum(self.sizes)
        self.layer_numbers = copy.deepcopy(model.layer_numbers)
        self.energy_flow = _Inverse(model.energy_flow)
        self.cell_map = copy.deepcopy(model.cell_map) if corrected else None
        self.register_buffer("most", torch.stack([flow.numbers.most for flow in model.flows]))
        alike = [list(run) for _, run in groupby(model.flows, _structure)]
        self.runs = nn.ModuleList(_Run(run) for run in alike)

    def forward(self, noise: Tensor, energy: Tensor) -> Tensor:  # type: ignore[override]
        """(N, noise_size) and (N,) MeV -> (N, n_cells) MeV."""
        first, *others = noise.split([len(self.sizes), *self.sizes], dim=1)
        incident = _seen_incident(energy)
        energies = self.layer_numbers.decode(self.energy_flow(first, incident), energy).T
        seen = _seen_layers(energies).unsqueeze(2)
        before, cells, begin = first[:, :0], [], 0
        for run in cast(Iterable[_Run], self.runs):
            end = begin + run.layers
            numbers = run(torch.stack(others[begin:end]), seen[begin:end], incident, before)
            before = torch.cat([*numbers[-_PREVIOUS:].flip(0), before], dim=1)
            logits = numbers * run.deviation + run.mean
            drawn = cells_of(logits, self.threshold, self.most[begin:end].view(-1, 1, 1))
            cells.append(rescaled(drawn, energies[begin:end], self.threshold).transpose(0, 1).flatten(1))
            begin = end
        whole = torch.cat(cells, dim=1)
        return whole if self.cell_map is None else self.cell_map(whole)


def _no_step(batch: Batch, done: float) -> Figures:
    raise AssertionError("this phase has no steps")


def _structure(flow: LayerFlow) -> list[tuple[str, torch.Size]]:
    """Return what flows must have in common to be drawn in one loop, all but the length of the context."""
    return [(name, value.shape) for name, value in flow.flow.state_dict().items()]


class LayerwiseFlows(GenerativeModel):
    """An energy flow, and a causal flow for each layer. Noise has one number for each layer and each cell.

    Attributes
    ----------
    steepest
        Norm at which gradients are cut.
    standardised
        Whether the numbers of each cell have mean 0 and fourth moment 1 in training.
    """

    steepest: ClassVar[float] = 100.0
    standardised: ClassVar[bool] = False

    def __init__(self, config: L2LConfig, geometry: Calorimeter) -> None:
        super().__init__(config, geometry)
        self.config: L2LConfig = config
        self.sizes = [layer.n_cells for layer in geometry.layers]
        self.layer_numbers = LayerNumbers(len(self.sizes), config.threshold)
        spline = Spline(config.bins, _LAYER_BOUND)
        self.energy_flow = autoregressive_flow(
            len(self.sizes), 1, config.energy_blocks, config.energy_hidden, spline
        )
        self.cell_map = CellMap(config.threshold) if config.corrected else None
        contexts = context_sizes(self.sizes)
        self._flows = nn.ModuleList(
            self.causal_flow(layer, context) for layer, context in zip(geometry.layers, contexts, strict=True)
        )

    @abstractmethod
    def causal_flow(self, layer: Layer | RingLayer, context: int) -> LayerFlow:
        """Return the flow of a layer, given so many numbers."""

    @property
    def flows(self) -> list[LayerFlow]:
        """The causal flows, one for each layer."""
        return cast(list[LayerFlow], list(self._flows))

    def sampler(self, geometry: Calorimeter) -> L2LSampler:
        """Return the map from noise to showers, with the current parameters."""
        return L2LSampler(self, self.config.corrected).eval().requires_grad_(False)

    def phases(self) -> Sequence[Phase]:
        """Return a phase for the energy flow, one for the causal flow of each layer, and one for the map."""
        phases = [self._energy_phase(), *(self._layer_phase(layer) for layer in range(len(self.sizes)))]
        if self.cell_map is not None:
            phases.append(Phase("map", _no_step, steps=0, finish=partial(self._fit, self.cell_map)))
        return phases

    def _energy_phase(self) -> Phase:
        config = self.config
        optimizer = torch.optim.Adam(self.energy_flow.parameters(), lr=config.energy_rate, fused=True)

        def falling(steps: int) -> list[torch.optim.lr_scheduler.LRScheduler]:
            return [torch.optim.lr_scheduler.ExponentialLR(optimizer, _LAST_RATE ** (1 / steps))]

        return Phase(
            "energies",
            self._stepper(self.energy_loss, optimizer),
            {"adam": optimizer},
            falling,
            epochs=config.energy_epochs,
            prepare=self._prepare,
        )

    def _layer_phase(self, layer: int) -> Phase:
        config = self.config
        optimizer = torch.optim.AdamW(
            self.flows[layer].parameters(), lr=config.rate, weight_decay=config.decay, fused=True
        )

        def cycle(steps: int) -> list[torch.optim.lr_scheduler.LRScheduler]:
            return [torch.optim.lr_scheduler.OneCycleLR(optimizer, config.rate, total_steps=steps + 1)]

        return Phase(
            f"layer_{layer}",
            self._stepper(partial(self.layer_loss, layer=layer), optimizer),
            {"adamw": optimizer},
            cycle,
            epochs=config.epochs,
            alone=[self.flows[layer]],
        )

    def energy_loss(self, batch: Batch) -> Tensor:
        """Return the mean negative log-likelihood of a layer's energy, in nats."""
        numbers = self.layer_numbers(self._layer_energies(batch), batch.energy)
        density = self.energy_flow.log_density(numbers, _seen_incident(batch.energy))
        return -density.mean() / len(self.sizes)

    def layer_loss(self, batch: Batch, layer: int) -> Tensor:
        """Return the mean negative log-likelihood of a cell of a layer, in nats."""
        first = max(0, layer - _PREVIOUS)
        cells = self._above_threshold(batch, first, layer + 1)
        flows = self.flows[first : layer + 1]
        *before, own = (flow.numbers(part) for flow, part in zip(flows, cells, strict=True))
        energy = cells[-1].sum(dim=1, keepdim=True)
        context = [_seen_layers(energy), _seen_incident(batch.energy), *reversed(before)]
        return -self.flows[layer].log_density(own, torch.cat(context, dim=1)).mean() / self.sizes[layer]

    @torch.no_grad()
    def measured(self, held_out: TrainingShowers) -> Figures:
        """Return what the phases lower, for showers that they do not see; the causal flows in one mean."""
        was_training = self.training
        self.eval()
        batch = held_out.sample()
        cells = [self.layer_loss(batch, layer) * size for layer, size in enumerate(self.sizes)]
        figures = {
            "energies_held_out": self.energy_loss(batch),
            "cells_held_out": torch.stack(cells).sum() / sum(self.sizes),
        }
        self.train(was_training)
        return figures

    def _above_threshold(self, batch: Batch, begin: int = 0, end: int | None = None) -> list[Tensor]:
        """Return the cells (N, D) of some layers, with those below the threshold emptied."""
        layers = batch.cells.split(self.sizes, dim=1)[begin:end]
        return [torch.where(cells < self.config.threshold, 0.0, cells) for cells in layers]

    def _prepare(self, showers: TrainingShowers) -> None:
        """Take the scales of cells and layers from all showers."""
        # A layer that is always empty still has numbers from the threshold on.
        cells = torch.full((len(self.sizes),), 10 * self.config.threshold)
        layers = []
        for batch in showers.batches():
            parts = self._above_threshold(batch)
            cells = cells.maximum(torch.stack([part.max() for part in parts]).cpu())
            layers.append(self._layer_energies(batch) / batch.energy.unsqueeze(1))
        for flow, most in zip(self.flows, cells, strict=True):
            flow.numbers.most.fill_(most)
        if self.standardised:
            self._standardise(showers)
        scale = self.layer_numbers
        scale.most.fill_(max(float(shares.max()) for shares in layers) or 1.0)
        scale.mean.zero_()
        scale.deviation.fill_(1.0)
        numbers = torch.cat([scale(self._layer_energies(batch), batch.energy) for batch in showers.batches()])
        scale.mean.copy_(numbers.mean(dim=0))
        scale.deviation.copy_(numbers.std(dim=0).clamp(min=_NARROWEST))

    def _standardise(self, showers: TrainingShowers) -> None:
        """Take centre and scale of the logits of each cell from all showers.

        The scale is the fourth root of the fourth moment. Hits of a cell that holds any in a hundredth of the
        showers are ten standard deviations away from its mean, where no spline bends, but three such scales.
        """
        moments = torch.zeros(5, sum(self.sizes), dtype=torch.float64)
        for batch in showers.batches():
            cells = zip(self.flows, self._above_threshold(batch), strict=True)
            logits = torch.cat([flow.numbers.logits(part) for flow, part in cells], dim=1).double().cpu()
            moments += torch.stack([(logits**power).sum(dim=0) for power in range(5)])
        _, mean, second, third, fourth = moments / moments[0]
        about = fourth - 4 * mean * third + 6 * mean**2 * second - 3 * mean**4
        deviation = about.clamp(min=_NARROWEST**4) ** 0.25
        parts = zip(self.flows, mean.split(self.sizes), deviation.split(self.sizes), strict=True)
        for flow, middle, width in parts:
            flow.numbers.mean.copy_(middle)
            flow.numbers.deviation.copy_(width)

    @torch.no_grad()
    def _fit(self, cell_map: CellMap, showers: TrainingShowers) -> None:
        """Compare cells that are drawn for the energies of some showers with the cells of these."""
        sampler = L2LSampler(self, corrected=False).to(self.layer_numbers.mean.device)
        pairs, seen = [], 0
        for batch in showers.batches(_AT_ONCE):
            noise = torch.randn(len(batch.cells), sampler.noise_size, device=batch.cells.device)
            drawn = sampler(noise, batch.energy)
            pairs.append([cells[cells >= self.config.threshold] for cells in (drawn, batch.cells)])
            seen += len(batch.cells)
            if seen >= _MAPPED:
                break
        generated, reference = (torch.cat(each) for each in zip(*pairs, strict=True))
        if len(generated) and len(reference):
            cell_map.fit(generated, reference)

    def _layer_energies(self, batch: Batch) -> Tensor:
        """Return the energies of layers, (N, layers) in MeV."""
        return torch.stack([cells.sum(dim=1) for cells in self._above_threshold(batch)], dim=1)

    def _stepper(
        self, loss_of: Callable[[Batch], Tensor], optimizer: torch.optim.Optimizer
    ) -> Callable[[Batch, float], Figures]:
        """Return the step that lowers a negative log-likelihood."""
        (group,) = optimizer.param_groups

        def step(batch: Batch, done: float) -> Figures:
            # Without autocast: a spline of three digits is not monotonic.
            with torch.autocast(batch.cells.device.type, enabled=False):
                loss = loss_of(batch)
                optimizer.zero_grad()
                loss.backward()
                nn.utils.clip_grad_norm_(group["params"], self.steepest)
                optimizer.step()
            return {"loss": loss.detach()}

        return step
