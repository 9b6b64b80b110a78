r"""Geometry-aware autoregressive models: one cell after the other, given the sizes of all cells up to it.

J. Liu, A. Ghosh, D. Smith, P. Baldi, D. Whiteson, *Geometry-aware Autoregressive Models for Calorimeter
Shower Simulations*, arXiv:2212.08233. Each layer of the calorimeter has a discrete autoregressive model
(the paper's D+D ARM), a MADE (Germain et al., arXiv:1502.03509) whose every hidden unit belongs to a
cell. The cells are taken on a spiral from the centre outwards (`caloforge.geometry.spiral`). With a
cell's category

```math
c_i = \mathrm{round}\bigl((E_i / \mathrm{MeV})^{1/2}\bigr), \qquad
p(c) = \prod_i p(c_i \mid c_{<i}, s_{\le i}), \qquad s_i = (\Delta\eta_i, \Delta\phi_i)
```

one masked, fully connected layer (inner layer of the calorimeter) or five (all others) with GELU lead from
energies and sizes to hidden units, and one causal convolution along the spiral from these to the logits of
the categories. Trained by the negative log-likelihood with Adam, up to 100 epochs. The centre cell is drawn
from the training's histogram for a centre cell of its size.

What the paper leaves open, and what is chosen here:

- **How different numbers of cells share a network.** Every weight belongs to places on the spiral, and D
  cells use the first D. Since no cell depends on a later one, the shorter spiral is exactly the beginning
  of the longer one, so nothing is padded, and all segmentations train the places near the core.
- **Hidden units.** ``channels`` units for each cell. A full matrix between all cells of the (192, 48) grid
  would have 85 million weights for each input; here it is the lower triangle of a product of two of rank
  ``hidden``,

  ```math
  h_i = \mathrm{GELU}\Bigl(P_i \sum_{j \le i} Q_j x_j + b_i\Bigr),
  ```

  so that a shower costs cells times ``hidden`` operations: the sum grows by what each new cell adds. (The
  energy enters with the cell after it, which is what makes the condition j < i.)
- **Sizes** enter as the steps of ln(size / 10 mm) from cell to cell. This is the same linear map of sizes,
  summed by parts; equal cells, which thousands of terms would count again and again, count once.
- **Category 0 is an empty cell**; in any other the square root of the energy is uniform within half a unit.
- **The convolution** has 3 taps. **Adam's** rate is 2e-3, without a schedule.
- **Energy.** The paper has one, 65 GeV. Where the configuration has a range, the logarithm of the incident
  energy is one more input of the first hidden units, and the centre cell should come from the network
  (``centre="network"``), as the paper proposes in its outlook.
- The likelihood of a step is that of the 512 inner cells and of 512 others, drawn anew in stretches of 16
  (`_some`).
- Showers are mirrored at random in training where the read-out allows it.

No cell, published or not, gets more than what is left of the incident energy after the cells drawn before
it, in its layer and, where layers are conditional, in those in front: a long sequence of draws can't
diverge. (The likelihood needs no term for it, since the same holds for every training shower.)

``head="mixture"`` takes the first of the steps that the paper names next: the sparse autoregressive model
(Y. Lu, J. Collado, D. Whiteson, P. Baldi, Phys. Rev. D 103 (2021) 036012), with a probability of an empty
cell and a continuous density of the energy of any other. Here it is one of the share that the cell takes of
what is left, R,

```math
p(E) = p_0\,\delta(E) + \sum_{k=1}^{K} p_k\,N(u;\, \mu_k, \sigma_k), \quad u = \ln\frac{E}{R - E}, \quad
\sum_{k=0}^{K} p_k = 1
```

so that the energy adds up by construction. The parameters are the outputs of the convolution. The next
cells see the root of the energy, the energy and, unless the cell is empty, its logarithm. The centre cell
comes from the network.

``layers="conditional"`` is the paper's next step towards the correlation of the layers: the first hidden
units of a layer also see what the layers in front of it hold, each in its own segmentation: the energy, its
mean in eta and phi, and its widths (`summary`).

``weights="cells"`` is a step that the paper does not name, and what makes segmentations that were never
seen possible. Places on the spiral are other positions in each segmentation, so that weights of places
learn a mean over these. Here P, Q, the biases and the slopes are functions of a cell's edges
(`features_of`), given by a small network, one for each layer, that knows no shower:

```math
h_i = \mathrm{GELU}\Bigl(P(x_i) \Bigl[\sum_{j < i} Q(x_j)\,e_j + \sum_{j \le i} q(x_j)\Bigr] + b(x_i) +
S(x_i)\,k_i\Bigr)
```

is a learned kernel between cells, with features e of the energies. All segmentations share what it
learns, it interpolates between positions and sizes, and generation evaluates it once for all showers. It
also gives the outputs an offset, and so each cell its mean spectrum, and a linear term, of what is known
of the shower before the cell: k_i are the incident energy, the summaries of the layers in front and of
the cells before, and ln(R). Sums over cells are integrals over the area (`area_of`), except that energies
add up. Deeper masked layers add to the hidden units before them. Training differs too: a cell's
likelihood counts by its part of that integral, so that the core counts alike in all segmentations;
gradients are cut at a norm of 10; the rate grows for 100 steps and falls to 0 along a cosine.

``sizes=False`` is the geometry-blind twin, for comparison: the same network, to which all cells are alike.
"""

import copy
import math
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, NamedTuple, cast

import torch
from pydantic import Field
from torch import Tensor, nn
from torch._higher_order_ops import scan
from torch.nn import functional

from caloforge.config import strict_dataclass
from caloforge.errors import InputError
from caloforge.geometry import Calorimeter
from caloforge.geometry.spiral import check_segmentation, spiral_inputs
from caloforge.models import base
from caloforge.models.base import Batch, Figures, GenerativeModel, ModelConfig, Phase, TrainingShowers
from caloforge.units import GeV

__all__ = [
    "ENTRY",
    "HEADS",
    "Arm",
    "ArmSampler",
    "Categories",
    "Cells",
    "Config",
    "Head",
    "LayerArm",
    "Mixture",
    "Places",
    "Spiral",
    "Weights",
    "alike",
    "area_of",
    "features_of",
    "masked_product",
    "moments_of",
    "read_out",
    "scaled_energy",
    "steps_of",
    "summary",
]

_CHUNK = 16  # cells whose pairs are multiplied out at once in training
_CORE = 512  # cells around the centre that every training step looks at
_SCALE = 16.0  # categories are divided by it: the networks see numbers of order 1
_LEAST = 1e-4  # MeV; cells with less count as empty where energies are continuous
_NARROWEST = 0.02  # width of a component: no energy may become infinitely likely
_BINS = 500  # of ln E, in which training showers are counted
_SUMMARY = 6  # numbers of a `summary`
_WIDTH = 128  # units of the networks that make weights of cells
_FEATURES = 7  # numbers that describe a cell to them
_NEAR = 3.0  # mm; the core of a shower, in which small cells are told apart
_WARM_UP = 100  # steps in which the rate grows, where weights are functions of cells
_STEEPEST = 10.0  # gradient, where weights are functions of cells; a usual one is 8 at first
_NETWORKS = (  # what must agree in a model and the one that it starts from
    *(
        "energy_range",
        "hidden",
        "channels",
        "depths",
        "kernel",
        "head",
        "components",
        "layers",
        "weights",
        "sizes",
    ),
)
_SUM = 1 / 16  # weight of a hidden unit in the sums of the next layer, which have thousands of terms


@strict_dataclass
class Config(ModelConfig):
    """The published model, unless something else is set.

    Attributes
    ----------
    hidden
        Rank of the masked matrices: what the sums over earlier cells are kept in.
    channels
        Hidden units of each cell.
    depths
        Masked layers of the inner layer of the calorimeter, and of the others (paper, Sec. 3).
    kernel
        Taps of the convolution.
    head
        What is drawn of a cell: one of the published categories, or a share of the energy from a mixture.
    components
        Of the mixture.
    centre
        Where the centre cell comes from: the training's histogram (categories only), or the network.
    layers
        Whether a layer knows of those in front of it.
    weights
        What weights belong to: places on the spiral, or cells, of which they are functions.
    sizes
        Whether the networks know where cells are and how large; without, all cells are alike (`alike`).
    rate
        Of Adam.
    epochs
        Of the training, unless others are given.
    """

    energy_range: tuple[float, float] = (65.0, 65.0)
    hidden: int = Field(default=64, gt=0)
    channels: int = Field(default=4, gt=0)
    depths: tuple[int, int] = (1, 5)
    kernel: int = Field(default=3, gt=0)
    head: Literal["categories", "mixture"] = "categories"
    components: int = Field(default=6, gt=0)
    centre: Literal["histogram", "network"] = "histogram"
    layers: Literal["independent", "conditional"] = "independent"
    weights: Literal["places", "cells"] = "places"
    sizes: bool = True
    rate: float = Field(default=2e-3, gt=0)
    epochs: int = Field(default=100, gt=0)

    def __post_init__(self) -> None:
        """Refuse what no single field can tell."""
        ModelConfig.__post_init__(self)
        if min(self.depths) < 1:
            raise ValueError(f"depths must be at least 1 (found {self.depths[0]}, {self.depths[1]}).")
        if self.head == "mixture" and self.centre == "histogram":
            raise ValueError("a mixture draws the centre cell by the network: set centre to 'network'.")

    @property
    def most_energy(self) -> float:
        """What a cell holds at most, in MeV: the incident energy."""
        return self.energy_range[1] * GeV


class Weights(NamedTuple):
    """What the network of a layer is made of, for the D cells of a read-out; lists count masked layers.

    Attributes
    ----------
    sources
        (D, inputs, hidden) each: ``sources[0][i]`` is that of the value of cell i - 1, which enters with
        cell i.
    targets
        (D, hidden, channels) each.
    biases
        (D, channels) each; the first holds all that sizes and positions add to the first hidden units.
    condition
        (D, known, channels): how the first hidden units follow from what is `LayerArm.known`.
    offset
        (D, outputs).
    trend
        (D, known, outputs): how the outputs follow from what is known; None where they don't.
    """

    sources: list[Tensor]
    targets: list[Tensor]
    biases: list[Tensor]
    condition: Tensor
    offset: Tensor
    trend: Tensor | None = None


def masked_product(x: Tensor, source: Tensor, target: Tensor, chosen: Tensor | None = None) -> Tensor:
    """Return the sum of what cells 0 to i add to cell i, for all cells at once; see the module.

    Parameters
    ----------
    x
        (N, D, inputs).
    source
        (D, inputs, hidden).
    target
        (D, hidden, outputs).
    chosen
        (K,) chunks of the spiral whose sums are asked for; by default all.

    Returns
    -------
    (N, D, outputs), or (N, K x cells of a chunk, outputs).
    """
    n, d, inputs = x.shape
    outputs = target.shape[2]
    source, target = _chunks(source), _chunks(target)
    source = source.flatten(1, 2)  # (chunks, cells of each x inputs, hidden)
    target = target.transpose(1, 2).flatten(2)  # (chunks, hidden, cells of each x outputs)
    x = _chunks(x.transpose(0, 1)).transpose(1, 2).flatten(2)  # (chunks, N, cells of each x inputs)
    sums = torch.bmm(x, source)
    every = torch.arange(len(sums), device=x.device)
    asked = every if chosen is None else chosen
    # Cells of earlier chunks enter through their sum, those of the same chunk pair by pair.
    earlier = (every < asked.unsqueeze(1)).to(sums)
    before = (earlier @ sums.flatten(1)).unflatten(1, (n, -1))
    x, source, target = (each.index_select(0, asked) for each in (x, source, target))
    mask = torch.ones(_CHUNK, _CHUNK, device=x.device).triu()
    mask = mask.repeat_interleave(inputs, 0).repeat_interleave(outputs, 1)
    out = torch.bmm(before, target) + torch.bmm(x, torch.bmm(source, target) * mask)
    whole: Tensor = out.transpose(0, 1).reshape(n, -1, outputs)
    return whole[:, :d] if chosen is None else whole


def _chunks(value: Tensor) -> Tensor:
    """(D, a, b) -> (chunks, cells of each, a, b), with zeros at the end of the last."""
    chunks: Tensor = functional.pad(value, (0, 0, 0, 0, 0, -len(value) % _CHUNK)).unflatten(0, (-1, _CHUNK))
    return chunks


class Places(nn.Module):
    """Weights of their own for every place on the spiral, as published.

    Parameters
    ----------
    config
        Widths.
    cells
        The longest spiral.
    depth
        Masked layers.
    features
        Numbers by which the networks see a cell.
    context
        Numbers that the layer knows of those in front of it.
    """

    def __init__(self, config: Config, cells: int, depth: int, features: int, context: int) -> None:
        super().__init__()
        rank, width = config.hidden, config.channels
        inputs = [features + 2] + [width] * (depth - 1)
        self.features, self.most_cells = features, cells
        self.sources = nn.ParameterList([torch.randn(cells, each, rank) for each in inputs])
        # A sum grows with the root of the number of its terms; the first outputs shall not.
        terms = [weight * torch.arange(1, cells + 1).mul(each).sqrt() for weight, each in self._with(inputs)]
        self.targets = nn.ParameterList(
            [torch.randn(cells, rank, width) / math.sqrt(rank) / each[:, None, None] for each in terms]
        )
        self.biases = nn.ParameterList([torch.zeros(cells, width) for _ in inputs])
        self.condition = nn.Parameter(torch.zeros(cells, 1 + context, width))

    def forward(self, cells: Tensor) -> Weights:
        """Return the weights of the first D places, for cells (D, 4) in mm."""
        d = cells.shape[0]
        sources = [weight * source[:d] for weight, source in self._with(self.sources)]
        targets, biases = [one[:d] for one in self.targets], [one[:d] for one in self.biases]
        values, sizes = sources[0].split([self.features, 2], dim=1)
        # What the sizes add is the same for all showers.
        sums = torch.bmm(steps_of(cells[:, 2:]).unsqueeze(1), sizes).cumsum(dim=0)
        biases[0] = torch.bmm(sums, targets[0]).squeeze(1) + biases[0]
        return Weights([values, *sources[1:]], targets, biases, self.condition[:d], cells.new_zeros(d, 1))

    @staticmethod
    def _with(layers: Iterable[Any]) -> list[tuple[float, Any]]:
        """Return masked layers with the weights of their sums."""
        return [(_SUM if number else 1.0, layer) for number, layer in enumerate(layers)]


class Cells(nn.Module):
    """Weights as functions of a cell's edges, which all read-outs share; see the module.

    Parameters
    ----------
    config
        Widths.
    depth
        Masked layers.
    head
        What the outputs say of a cell.
    context
        Numbers that the layer knows of those in front of it.
    """

    intensive: Tensor
    most_cells = 1 << 16  # no limit of the model: noise and weights of a layer take some 100 MB

    def __init__(self, config: Config, depth: int, head: "Head", context: int) -> None:
        super().__init__()
        rank, width = config.hidden, config.channels
        self.depth, self.features = depth, head.features
        known = 1 + context + _SUMMARY + 1
        self.register_buffer("intensive", torch.tensor([*head.intensive, 1.0]), persistent=False)
        inputs = [head.features + 1] + [width] * (depth - 1)
        self.shapes = [
            *((each, rank) for each in inputs),
            *((rank, width) for _ in inputs),
            *((1, width) for _ in inputs),
            (known, width),
            (1, len(head.offset)),
            (known, len(head.offset)),
        ]
        numbers = sum(rows * columns for rows, columns in self.shapes)
        self.network = nn.Sequential(
            nn.Linear(_FEATURES, _WIDTH),
            nn.GELU(),
            nn.Linear(_WIDTH, _WIDTH),
            nn.GELU(),
            nn.Linear(_WIDTH, numbers),
        )

    def forward(self, cells: Tensor) -> Weights:
        """Return the weights for cells (D, 4) in mm."""
        found = self.network(features_of(cells)).split([a * b for a, b in self.shapes], dim=1)
        *parts, condition, offset, trend = (
            part.unflatten(1, shape) for part, shape in zip(found, self.shapes, strict=True)
        )
        sources, targets, biases = (parts[self.depth * i : self.depth * (i + 1)] for i in range(3))
        targets = [target / math.sqrt(target.shape[1]) for target in targets]
        share = area_of(cells)[:, None, None]
        values, place = (sources[0] * share ** self.intensive[:, None]).split([self.features, 1], dim=1)
        biases[0] = torch.bmm(place.cumsum(dim=0), targets[0]) + biases[0]
        # The energy of a cell enters one step after it, and with the cell's own weights.
        earlier = functional.pad(values[:-1], (0, 0, 0, 0, 1, 0))
        return Weights(
            [earlier, *(source * share for source in sources[1:])],
            targets,
            [bias.squeeze(1) for bias in biases],
            condition,
            offset.squeeze(1),
            trend,
        )


def features_of(cells: Tensor) -> Tensor:
    """Return what the weights of cells are functions of, (D, 4) mm -> (D, 7).

    The four edges, on a scale that is linear within a few mm of the axis and logarithmic far from it, and the
    logarithms of both sizes and of the mean distance from the axis.
    """
    centre, size = cells.split(2, dim=1)
    edges = torch.cat([centre - size / 2, centre + size / 2], dim=1)
    return torch.cat([(edges / _NEAR).asinh(), (size / 10).log(), _distance2(cells).log() / 4], dim=1)


def area_of(cells: Tensor) -> Tensor:
    """Return the area of cells over the square of their distance from the axis, (D, 4) mm -> (D,).

    Sums with these weights are integrals over the layer, in which each doubling of the distance counts alike:
    however finely the layer is cut, they stay what they are.
    """
    return cells[:, 2] * cells[:, 3] / (2 * math.pi * _distance2(cells).squeeze(1))


def _distance2(cells: Tensor) -> Tensor:
    """Return the mean square of the distance from the axis, and some mm^2 more, (D, 4) mm -> (D, 1)."""
    square: Tensor = cells[:, :2].square() + cells[:, 2:].square() / 12
    return square.sum(dim=1, keepdim=True) + _NEAR**2


def alike(cells: Tensor) -> Tensor:
    """Return cells of 10 mm on a square spiral, as many as are given, (D, 4) mm: a blind network's view."""
    place = torch.arange(cells.shape[0], device=cells.device, dtype=cells.dtype)
    # The square of the places at most r cells away ends with place (2 r + 1)^2 - 1 at (r, -r), from where its
    # sides are counted backwards.
    r = ((place.add(1).sqrt() - 1) / 2 - 1e-4).ceil()
    back = (2 * r + 1).square() - 1 - place
    x = ((back - 3 * r).abs() - 2 * r).minimum(r).maximum(-r)
    y = (2 * r - (back - 5 * r).abs()).minimum(r).maximum(-r)
    return torch.stack([10 * x, 10 * y, torch.full_like(x, 10.0), torch.full_like(x, 10.0)], dim=1)


class Head(nn.Module, ABC):
    """The convolution along the spiral, and what its outputs say of a cell.

    Of a cell a *number* is drawn first (its category, or a component), and then its energy.

    Parameters
    ----------
    config
        Widths and energies.
    outputs
        Numbers for each cell.
    bins
        Bins in which the energies of training showers are counted.

    Attributes
    ----------
    features
        Numbers by which the networks see a cell.
    intensive
        For each of them 1, or 0 for one that adds up when cells are joined.
    """

    features: ClassVar[int]
    intensive: ClassVar[tuple[float, ...]]
    counts: Tensor

    def __init__(self, config: Config, outputs: int, bins: int) -> None:
        super().__init__()
        taps, width = config.kernel, config.channels
        self.kernel = nn.Parameter(torch.randn(taps, width, outputs) / math.sqrt(taps * width))
        self.offset = nn.Parameter(torch.zeros(outputs))
        self.register_buffer("counts", torch.zeros(bins), persistent=False)

    def used(self) -> int:
        """Return how many of the outputs are in use."""
        return len(self.offset)

    def count(self, energies: Tensor) -> None:
        """Count the cells of training showers, in MeV."""
        self.counts += self.bins(energies.flatten()).bincount(minlength=len(self.counts))

    @abstractmethod
    def bins(self, energies: Tensor) -> Tensor:
        """Return the bins in which energies are counted, int64."""

    @abstractmethod
    def start(self) -> None:
        """Let Adam start from the frequencies that were counted."""

    @abstractmethod
    def see(self, energy: Tensor, dim: int = -1) -> Tensor:
        """Return what networks see of energies in MeV, ``features`` numbers instead of 1 along ``dim``."""

    @abstractmethod
    def loss(self, outputs: Tensor, energy: Tensor, left: Tensor) -> Tensor:
        """(N, M, outputs), energies and what was left before, (N, M) MeV -> -ln(likelihood), (N, M) nats."""

    @abstractmethod
    def choose(self, outputs: Tensor, chance: Tensor) -> Tensor:
        """Draw numbers: (outputs, N), uniform numbers (1, N) -> (1, N) float."""

    @abstractmethod
    def energy(self, number: Tensor, outputs: Tensor, noise: Tensor, left: Tensor) -> Tensor:
        """Return energies, at most what is left, (1, N) MeV; standard normal noise (1, N) decides them."""


class Categories(Head):
    """The published head: a softmax over categories of the root of the energy."""

    features = 1
    intensive = (1.0,)
    number: Tensor

    def __init__(self, config: Config) -> None:
        most = round(math.sqrt(config.most_energy)) + 1
        super().__init__(config, most, most)
        self.register_buffer("number", torch.tensor(most))

    def used(self) -> int:
        """Return the number of categories that the training showers have."""
        return int(self.number)

    def bins(self, energies: Tensor) -> Tensor:
        """Return the categories; those that the incident energy rules out count as the last."""
        return energies.sqrt().round().long().clamp(max=len(self.counts) - 1)

    def start(self) -> None:
        """Take the frequencies of the categories for their offsets, one of each added."""
        top = int(self.counts.nonzero().max()) + 1
        self.number.fill_(top)
        known = self.counts[:top] + 1
        self.offset.data[:top] = (known / known.sum()).log()

    def see(self, energy: Tensor, dim: int = -1) -> Tensor:
        """Return categories of order 1."""
        return energy.sqrt().round() / _SCALE

    def loss(self, outputs: Tensor, energy: Tensor, left: Tensor) -> Tensor:
        """Return the cross entropy."""
        known = self.bins(energy).clamp(max=outputs.shape[2] - 1)
        every = functional.cross_entropy(outputs.flatten(0, 1), known.flatten(), reduction="none")
        return every.view_as(energy)

    def choose(self, outputs: Tensor, chance: Tensor) -> Tensor:
        """Draw a category."""
        return _drawn(outputs, chance)

    def energy(self, number: Tensor, outputs: Tensor, noise: Tensor, left: Tensor) -> Tensor:
        """Return energies whose root is uniform within the category; 0 for category 0."""
        return torch.where(number > 0, (number - 0.5 + _uniform(noise)).square(), 0.0).minimum(left)


class Mixture(Head):
    """The sparse head: the probability of an empty cell, and a mixture for the share that another one takes.

    The outputs are the logits of "empty" and of the components, the components' means, and their widths.
    """

    features = 3
    intensive = (1.0, 1.0, 0.0)

    def __init__(self, config: Config) -> None:
        self.components, self.most = config.components, config.most_energy
        super().__init__(config, 1 + 3 * config.components, 1 + _BINS)
        self.reach = math.log(_LEAST), math.log(config.most_energy)

    def bins(self, energies: Tensor) -> Tensor:
        """Return 0 for empty cells, and equal bins of the logarithm for all others."""
        low, high = self.reach
        place = (energies.clamp(min=_LEAST).log() - low) / (high - low) * _BINS
        return torch.where(energies < _LEAST, 0, 1 + place.long().clamp(max=_BINS - 1))

    def start(self) -> None:
        """Put the components at quantiles of the filled cells, as shares of the whole energy."""
        low, high = self.reach
        share = (self.counts[1:].cumsum(0) / self.counts[1:].sum().clamp(min=1)).cpu()
        k = self.components
        quantiles = torch.searchsorted(share, (torch.arange(k) + 0.5) / k).clamp(max=_BINS - 1)
        logs = low + (quantiles + 0.5) / _BINS * (high - low)
        means = _logit(logs.exp(), torch.tensor(self.most))
        spread = (means[-1] - means[0]).clamp(min=1.0) / k
        filled = (self.counts[1:].sum() + 1) / (self.counts.sum() + 2)
        offset = self.offset.data
        offset[0], offset[1 : 1 + k] = (1 - filled).log(), (filled / k).log()
        offset[1 + k : 1 + 2 * k], offset[1 + 2 * k :] = means.to(offset.device), spread.expm1().log()

    def see(self, energy: Tensor, dim: int = -1) -> Tensor:
        """Return the root of the energy, its logarithm above the least one, and itself, all of order 1."""
        log = (energy / _LEAST).clamp(min=1).log()
        return torch.cat([energy.sqrt() / _SCALE, log / _SCALE, energy * (4 / self.most)], dim=dim)

    def loss(self, outputs: Tensor, energy: Tensor, left: Tensor) -> Tensor:
        """Return -ln of the probability of empty cells, of the density of the logit of others' shares."""
        shares, means, widths = self._parts(outputs)
        shares = shares.log_softmax(dim=-1)
        distance = (_logit(energy, left).unsqueeze(-1) - means) / widths
        each = shares[..., 1:] - distance.square() / 2 - widths.log() - math.log(2 * math.pi) / 2
        return -torch.where(energy < _LEAST, shares[..., 0], each.logsumexp(dim=-1))

    def choose(self, outputs: Tensor, chance: Tensor) -> Tensor:
        """Draw "empty" or a component, 1 to K."""
        return _drawn(outputs[: 1 + self.components], chance)

    def energy(self, number: Tensor, outputs: Tensor, noise: Tensor, left: Tensor) -> Tensor:
        """Return what is left times a share, whose logit is normal; less than 100 eV is nothing."""
        k = self.components
        own = number == torch.arange(1, k + 1, device=number.device).unsqueeze(1)
        mean, width = (torch.where(own, each, 0.0).sum(0, keepdim=True) for each in outputs[1 + k :].split(k))
        energy = left * (mean + self._width(width) * noise).sigmoid()
        return torch.where((number > 0) & (energy >= _LEAST), energy, 0.0)

    def _parts(self, outputs: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        k = self.components
        shares, means, widths = outputs.split([1 + k, k, k], dim=-1)
        return shares, means, self._width(widths)

    @staticmethod
    def _width(raw: Tensor) -> Tensor:
        return functional.softplus(raw) + _NARROWEST


def _logit(energy: Tensor, left: Tensor) -> Tensor:
    """Return ln(E / (left - E)), for E of at least 100 eV and less than what is left."""
    energy = energy.clamp(min=_LEAST)
    # Rounding must not make the rest negative.
    return (energy / (left - energy).maximum(1e-6 * energy)).log()


HEADS: dict[str, type[Categories] | type[Mixture]] = {"categories": Categories, "mixture": Mixture}


class LayerArm(nn.Module):
    """The autoregressive model of one layer.

    Parameters
    ----------
    config
        Widths, head, energies.
    cells
        The longest spiral.
    depth
        Masked layers.
    centres
        (G, 2), sizes of the centre cells that are trained on, in mm.
    context
        Numbers that the layer knows of those in front of it.
    """

    centres: Tensor
    histogram: Tensor

    def __init__(self, config: Config, cells: int, depth: int, centres: Tensor, context: int) -> None:
        super().__init__()
        self.head: Head = HEADS[config.head](config)
        if config.weights == "cells":
            self.weights: Places | Cells = Cells(config, depth, self.head, context)
        else:
            self.weights = Places(config, cells, depth, self.head.features, context)
        self.of_cells, self.most = config.weights == "cells", config.most_energy
        self.register_buffer("centres", centres)
        self.register_buffer("histogram", torch.ones(len(centres), len(self.head.counts)))

    def forward(
        self,
        energies: Tensor,
        cells: Tensor,
        condition: Tensor,
        left: Tensor,
        places: Tensor | None = None,
    ) -> Tensor:
        """Return what the head needs to know of cells, given the energies of the cells before each.

        Parameters
        ----------
        energies
            (N, D) MeV, on the spiral.
        cells
            (D, 4) mm, see `caloforge.geometry.spiral.spiral_inputs`.
        condition
            (N, 1 + context): the incident energy (`scaled_energy`) and the layers in front (`summary`).
        left
            (N, 1) MeV, what is left of the incident energy.
        places
            (M,) the cells that are asked for; by default all.

        Returns
        -------
        (N, M, outputs).
        """
        d = energies.shape[1]
        kernel, used = self.head.kernel, self.head.used()
        places = torch.arange(d, device=energies.device) if places is None else places
        # Cells of negative places, which the first cells' convolution would take, add nothing.
        taps = places.unsqueeze(1) - torch.arange(len(kernel) - 1, -1, -1, device=energies.device)
        chunks, chunk = (taps.clamp(min=0) // _CHUNK).unique(return_inverse=True)
        within = chunks.unsqueeze(1) * _CHUNK + torch.arange(_CHUNK, device=energies.device)
        moments = energies.unsqueeze(2) * moments_of(cells)
        moments = moments.cumsum(dim=1) - moments
        left = (left.unsqueeze(1) - moments[..., :1]).clamp(min=0)
        known = self.known(condition.unsqueeze(1).expand(-1, d, -1), moments, left)
        weights = self.weights(cells)
        hidden = self._hidden(energies, weights, known, chunks, within.flatten().clamp(max=d - 1))
        seen = hidden.index_select(1, (chunk * _CHUNK + taps.clamp(min=0) % _CHUNK).flatten())
        seen = seen.unflatten(1, taps.shape) * (taps >= 0).unsqueeze(2)
        offset = (self.head.offset + weights.offset)[places, :used]
        outputs: Tensor = seen.flatten(2) @ kernel[..., :used].flatten(0, 1) + offset
        if weights.trend is not None:
            outputs = outputs + _each(known[:, places], weights.trend[places, :, :used])
        return outputs.float()

    def _hidden(
        self, energies: Tensor, weights: Weights, known: Tensor, chunks: Tensor, within: Tensor
    ) -> Tensor:
        """Return the last hidden units of the cells within chunks of the spiral, (N, cells, channels)."""
        hidden = functional.pad(self.head.see(energies[:, :-1].unsqueeze(2)), (0, 0, 1, 0))
        layers = list(zip(weights.sources, weights.targets, weights.biases, strict=True))
        for number, (source, target, bias) in enumerate(layers):
            last = number == len(layers) - 1
            # Units of the last layer are needed only where outputs are asked for, all others everywhere.
            here: Tensor | slice = within if last else slice(None)
            inner = masked_product(hidden, source, target, chunks if last else None) + bias[here]
            if number == 0:
                hidden = functional.gelu(inner + _each(known[:, here], weights.condition[here]))
            else:
                hidden = self.next(hidden[:, here], inner)
        return hidden

    def known(self, condition: Tensor, moments: Tensor, left: Tensor, dim: int = -1) -> Tensor:
        """Return what is known before a cell is drawn, besides the cells before it one by one.

        Parameters
        ----------
        condition
            (..., 1 + context), see `forward`.
        moments
            (..., 5) of the cells before, see `moments_of`.
        left
            (..., 1) MeV, what is left of the incident energy after them.
        dim
            The dimension that is the last one here.

        Returns
        -------
        (..., known): the condition and, where weights are functions of cells, the `summary` of the cells
        before and the logarithm of what is left.
        """
        if not self.of_cells:
            return condition
        rest = (left / self.most + 1e-3).log() + 1
        return torch.cat([condition, summary(moments, self.most, dim), rest], dim=dim)

    def next(self, hidden: Tensor, inner: Tensor) -> Tensor:
        """Return the hidden units that follow others, given what these add up to."""
        return hidden + functional.gelu(inner) if self.of_cells else functional.gelu(inner)

    def nearest_centre(self, sizes: Tensor) -> Tensor:
        """Return the number of the trained centre cell whose size is nearest to one of (2,) mm."""
        return (self.centres.log() - sizes.log()).square().sum(dim=1).argmin()


def _each(x: Tensor, matrices: Tensor) -> Tensor:
    """(N, D, a), (D, a, b) -> (N, D, b): a product for each cell."""
    return torch.bmm(x.transpose(0, 1), matrices).transpose(0, 1)


def moments_of(cells: Tensor) -> Tensor:
    """Return what the energy of cells is multiplied by for a `summary`, (D, 4) mm -> (D, 5)."""
    centre = cells[:, :2]
    return torch.cat([torch.ones_like(centre[:, :1]), centre, centre.square()], dim=1)


def summary(moments: Tensor, most: float, dim: int = -1) -> Tensor:
    """Return what is known of cells as a whole: their energy, and mean and width of it in eta and phi.

    Parameters
    ----------
    moments
        (..., 5), sums of the cells' energies (MeV) times `moments_of` them.
    most
        The highest incident energy, in MeV.
    dim
        The dimension that is the last one here.

    Returns
    -------
    (..., 6): root and logarithm of the energy, means, widths, the latter logarithmic from some mm on. What is
    usual differs by about 1 from shower to shower: a slope of the order of 1 tells them apart.
    """
    total, lateral = moments.split([1, 4], dim=dim)
    filled = total.clamp(min=_LEAST)
    mean, square = (lateral / filled).split(2, dim=dim)
    width = (square - mean.square()).clamp(min=1e-6).sqrt()
    share = filled / most
    energy = [2 * share.sqrt(), ((share + 1e-4).log() + 4) / 2]
    return torch.cat([*energy, (torch.cat([mean, width], dim=dim) / _NEAR).asinh()], dim=dim)


def steps_of(sizes: Tensor) -> Tensor:
    """Return by how much the logarithms of the sizes change from cell to cell, (D, 2) mm -> (D, 2)."""
    logs = (sizes / 10).log()
    return torch.cat([logs[:1], logs[1:] - logs[:-1]])


class ArmSampler(base.Sampler):
    """Noise to showers, cell after cell, in the read-out that it is given.

    Parameters
    ----------
    arm
        The trained model.
    geometry
        The read-out that showers are drawn in unless another is given.
    """

    def __init__(self, arm: "Arm", geometry: Calorimeter) -> None:
        super().__init__()
        self.config, self.bounds = arm.config, arm.bounds
        self._networks = nn.ModuleList(arm.networks)
        self.used = [network.head.used() for network in arm.networks]
        self.noise_size = 2 * geometry.n_cells
        self.read_out = read_out(geometry)
        self.most_cells = arm.most_cells

    def forward(self, noise: Tensor, energy: Tensor, *read_out: Tensor) -> Tensor:  # type: ignore[override]
        """Turn noise (N, 2 n_cells) and energies (N,) MeV into cells (N, n_cells) MeV.

        The first half of the noise draws categories or components, the second energies within them.
        ``read_out`` is what `read_out` returns of another read-out.
        """
        *layers, order = read_out or (value.to(noise.device) for value in self.read_out.values())
        known = [scaled_energy(energy, self.bounds).unsqueeze(1)]
        left = energy.unsqueeze(1)
        drawn: list[Tensor] = []
        first = 0
        for network, used, cells in zip(self._networks, self.used, layers, strict=True):
            d = cells.shape[0]
            chance = _uniform(noise.narrow(1, first, d))
            within = noise.narrow(1, order.shape[0] + first, d)
            seen = cells if self.config.sizes else alike(cells)
            condition = torch.cat(known, dim=1)
            drawn.append(self._layer(cast(LayerArm, network), used, chance, within, seen, condition, left))
            if self.config.layers == "conditional":
                known.append(summary(drawn[-1] @ moments_of(seen), self.config.most_energy))
                left = (left - drawn[-1].sum(dim=1, keepdim=True)).clamp(min=0)
            first = first + d
        return torch.cat(drawn, dim=1).index_select(1, order)

    def _layer(
        self,
        network: LayerArm,
        used: int,
        chance: Tensor,
        within: Tensor,
        cells: Tensor,
        condition: Tensor,
        left: Tensor,
    ) -> Tensor:
        """(N, D) uniform numbers and (N, D) normal ones -> (N, D) MeV on the spiral."""
        n, width = chance.shape[0], self.config.channels
        head, weights = network.head, network.weights(cells)
        depth = len(weights.sources)
        kernel = head.kernel[..., :used].flatten(0, 1).T
        condition, left = condition.T, left.T
        # In the loop showers are the last dimension: to take parts of a matrix then costs least.
        start = [
            chance.new_zeros(head.features, n),  # the cell before
            chance.new_zeros((self.config.kernel - 1) * width, n),  # units of those before
            chance.new_zeros(5, n),  # moments of the cells before
            *(chance.new_zeros(self.config.hidden, n) for _ in range(depth)),  # the sums
        ]
        # How first hidden units and, where there is a trend, outputs follow from what is known: one product.
        slopes = [weights.condition, *([] if weights.trend is None else [weights.trend[..., :used]])]
        follow = [slope.shape[2] for slope in slopes]
        inputs = [
            chance.T.unsqueeze(1),
            within.T.unsqueeze(1),
            self._given(network, chance, cells[:, 2:]),
            (head.offset + weights.offset)[:, :used].unsqueeze(2),
            torch.cat(slopes, dim=2).mT,
            moments_of(cells).unsqueeze(2),
            *(source.mT for source in weights.sources),
            *(target.mT for target in weights.targets),
            *(bias.unsqueeze(2) for bias in weights.biases),
        ]

        def step(carry: list[Tensor], cell: list[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
            hidden, tail, moments, *sums = carry
            chance, within, given, offset, slopes, moment = cell[:6]
            sources, targets, biases = (cell[6 + depth * part : 6 + depth * (part + 1)] for part in range(3))
            rest = (left - moments[:1]).clamp(min=0)
            slope, *trend = (slopes @ network.known(condition, moments, rest, dim=0)).split(follow)
            grown = []
            for number in range(depth):
                grown.append(sums[number] + sources[number] @ hidden)
                inner = targets[number] @ grown[-1] + biases[number]
                hidden = functional.gelu(inner + slope) if number == 0 else network.next(hidden, inner)
            seen = torch.cat([tail, hidden])
            outputs = sum(trend, kernel @ seen + offset)
            drawn = head.choose(outputs, chance)
            if self.config.centre == "histogram":
                drawn = torch.where(given < 0, drawn, given)
            energy = head.energy(drawn, outputs, within, rest)
            carry = [head.see(energy, dim=0), seen[width:].clone(), moments + energy * moment, *grown]
            return carry, [energy.clone()]

        # A scan takes no two tensors that share memory, such as parts of one.
        copies = [each.clone(memory_format=torch.contiguous_format) for each in inputs]
        _, found = scan(step, start, copies)
        cells_drawn: Tensor = found[0].squeeze(1).T
        return cells_drawn

    def _given(self, network: LayerArm, chance: Tensor, sizes: Tensor) -> Tensor:
        """Return numbers that the network does not draw, (D, 1, N): the centre's; -1 where it does."""
        nothing = torch.full_like(chance.T, -1.0)
        if self.config.centre == "network":
            return nothing.unsqueeze(1)
        counts = network.histogram.index_select(0, network.nearest_centre(sizes[0]).reshape(1))
        total = counts.cumsum(dim=1)
        centre = (total <= chance[:, :1] * total[:, -1:]).sum(dim=1).float()
        return torch.cat([centre.unsqueeze(0), nothing[1:]]).unsqueeze(1)


def _drawn(logits: Tensor, chance: Tensor) -> Tensor:
    """Draw numbers by their cumulative probability, (K, N) and (1, N) uniform -> (1, N) float."""
    sums = (logits - logits.amax(dim=0, keepdim=True)).exp().cumsum(dim=0)
    # The last of the sums is left out, so that rounding can't lead beyond the last number.
    return (sums[:-1] <= chance * sums[-1:]).float().sum(dim=0, keepdim=True)


def _uniform(noise: Tensor) -> Tensor:
    """Turn standard normal numbers into uniform ones from 0 to 1."""
    return 0.5 * (1 + torch.erf(noise / math.sqrt(2)))


def scaled_energy(energy: Tensor, bounds: tuple[float, float]) -> Tensor:
    """Return the logarithm of energies in MeV, from -1 to 1 within the bounds; 0 where these are one."""
    low, high = (math.log(bound) for bound in bounds)
    return (energy.log() - (low + high) / 2) / max((high - low) / 2, 1e-9) * (high > low)


class Arm(GenerativeModel):
    """One autoregressive model for each layer, for all segmentations; see the module."""

    conditions = ("energy", "geometry")

    def __init__(self, config: Config, *geometries: Calorimeter) -> None:
        super().__init__(config, *geometries)
        self.config: Config = config
        low, high = config.energy_range
        self.bounds = (low * GeV, high * GeV)
        for other in geometries[1:]:
            check_segmentation(other, geometries[0])
        self._spirals = {geometry.name: Spiral.of(geometry, config.sizes) for geometry in geometries}
        networks = []
        for number, same in enumerate(zip(*(one.layers for one in geometries), strict=True)):
            centres = {tuple(one.cells[number][0, 2:].tolist()): None for one in self._spirals.values()}
            cells = max(layer.n_cells for layer in same)
            context = _SUMMARY * number if config.layers == "conditional" else 0
            depth = config.depths[number > 0]
            networks.append(LayerArm(config, cells, depth, torch.tensor(list(centres)), context))
        self._networks = nn.ModuleList(networks)
        self._trained = False

    @property
    def networks(self) -> list[LayerArm]:
        """The model of each layer."""
        return cast(list[LayerArm], list(self._networks))

    @property
    def most_cells(self) -> list[int]:
        """Cells that each layer may have."""
        return [network.weights.most_cells for network in self.networks]

    def inherit(self, parent: GenerativeModel) -> None:
        """Start from an autoregressive model with the same networks, trained on any segmentations.

        Raises
        ------
        InputError
            The parent is another model, or has other networks.
        """
        if not isinstance(parent, Arm):
            raise InputError(f"{self.name} starts from a training of {self.name}, not of {parent.name}.")
        other = [name for name in _NETWORKS if getattr(self.config, name) != getattr(parent.config, name)]
        if other:
            settings = " and ".join(f"{name}={getattr(parent.config, name)!r}" for name in other)
            raise InputError(f"The training to start from has {settings}: set the same here.")
        if self.config.weights == "places" and self.most_cells != parent.most_cells:
            raise InputError(
                f"The training to start from has weights for {parent.most_cells} places, but these read-outs "
                f"have up to {self.most_cells}: add a --geometry with as many, or use weights of cells."
            )
        for network, trained in zip(self.networks, parent.networks, strict=True):
            network.head.load_state_dict(trained.head.state_dict())
            network.weights.load_state_dict(trained.weights.state_dict())
        self._trained = True

    def sampler(self, geometry: Calorimeter) -> ArmSampler:
        """Return the map from noise to showers as it stands now, for any segmentation of the layers.

        Raises
        ------
        GeometryError
            The calorimeter differs in more than its segmentation, or has too many cells.
        """
        check_segmentation(geometry, self.geometry, self.most_cells)
        return copy.deepcopy(ArmSampler(self, geometry)).eval().requires_grad_(False)

    def phases(self) -> Sequence[Phase]:
        """Return the only phase; the layers' networks share batches and nothing else."""
        optimizer = torch.optim.Adam(self.parameters(), lr=self.config.rate)
        of_cells = self.config.weights == "cells"

        def step(batch: Batch, done: float) -> Figures:
            losses = self.losses(batch)
            optimizer.zero_grad()
            torch.stack(losses).sum().backward()
            if of_cells:
                # One network makes the weights of all cells, so that a few odd cells move everything.
                nn.utils.clip_grad_norm_(self.parameters(), _STEEPEST)
            optimizer.step()
            return {f"layer_{number}": loss.detach() for number, loss in enumerate(losses)}

        def schedules(steps: int) -> list[torch.optim.lr_scheduler.LRScheduler]:
            def rate(done: int) -> float:
                return min((done + 1) / _WARM_UP, 1.0) * (1 + math.cos(math.pi * done / steps)) / 2

            return [torch.optim.lr_scheduler.LambdaLR(optimizer, rate)] if of_cells else []

        return [
            Phase(
                "layers",
                step,
                {"adam": optimizer},
                schedules,
                epochs=self.config.epochs,
                prepare=self._prepare,
            )
        ]

    def losses(self, batch: Batch) -> list[Tensor]:
        """Return the mean negative log-likelihood of a cell, for each layer, in nats; see the module."""
        known, left = [scaled_energy(batch.energy, self.bounds).unsqueeze(1)], batch.energy.unsqueeze(1)
        begin = 1 if self.config.centre == "histogram" else 0
        losses = []
        for network, energies, cells in self._layers(batch):
            places, weight = _some(begin, len(cells), energies.device)
            outputs = network(energies, cells, torch.cat(known, dim=1), left, places)
            before = (left - energies.cumsum(dim=1) + energies).index_select(1, places)
            each = network.head.loss(outputs, energies.index_select(1, places), before)
            if self.config.weights == "cells":
                weight = weight * area_of(cells).index_select(0, places)
            losses.append((each.mean(dim=0) * weight).sum() / weight.sum())
            if self.config.layers == "conditional":
                known.append(summary(energies @ moments_of(cells), self.config.most_energy))
                left = left - energies.sum(dim=1, keepdim=True)
        return losses

    def _layers(self, batch: Batch) -> Iterator[tuple[LayerArm, Tensor, Tensor]]:
        """Yield each layer's network, the energies on its spiral (N, D), and its cells (D, 4)."""
        spiral, device = self._spirals[batch.geometry.name], batch.cells.device
        energies = batch.cells[:, spiral.sequence.to(device)].split(list(map(len, spiral.cells)), dim=1)
        for network, each, cells in zip(self.networks, energies, spiral.cells, strict=True):
            yield network, each, cells.to(device)

    def _prepare(self, showers: TrainingShowers) -> None:
        """Count the energies of all cells, and those of centre cells of each size."""
        for network in self.networks:
            network.histogram.zero_()
        for batch in showers.batches():
            for network, energies, cells in self._layers(batch):
                network.head.count(energies)
                centres = network.head.bins(energies[:, 0]).bincount(minlength=len(network.head.counts))
                network.histogram[network.nearest_centre(cells[0, 2:])] += centres
        if not self._trained:
            for network in self.networks:
                network.head.start()


def _some(begin: int, end: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Return places on the spiral to learn from in a step, and their weights in the mean over all places.

    The core is taken whole, and as many places are drawn at random from the rest, which is mostly empty: an
    unbiased estimate of the mean that costs a ninth of it for 9,216 cells. They are drawn in chunks, whose
    sums are made together.
    """
    core = torch.arange(begin, min(end, _CORE), device=device)
    every = -(-max(end - _CORE, 0) // _CHUNK)
    chunks = torch.randperm(every, device=device)[: _CORE // _CHUNK]
    rest = (_CORE + chunks.unsqueeze(1) * _CHUNK + torch.arange(_CHUNK, device=device)).flatten()
    rest = rest[rest < end]
    weight = torch.ones(len(core) + len(rest), device=device)
    weight[len(core) :] = every / max(len(chunks), 1)
    return torch.cat([core, rest]), weight


@dataclass(frozen=True)
class Spiral:
    """A read-out as tensors: which cell comes when, and the cells of each layer, (D, 4) in mm."""

    sequence: Tensor
    cells: list[Tensor]

    @classmethod
    def of(cls, geometry: Calorimeter, sizes: bool = True) -> "Spiral":
        """Return that of a read-out; without sizes, with the cells that a blind network sees (`alike`)."""
        *cells, order = read_out(geometry).values()
        return cls(order.argsort(), cells if sizes else [alike(each) for each in cells])


def read_out(geometry: Calorimeter) -> dict[str, Tensor]:
    """Return a read-out as `ArmSampler` takes it, see `caloforge.geometry.spiral.spiral_inputs`."""
    return {name: torch.from_numpy(value) for name, value in spiral_inputs(geometry).items()}


Arm.Config = Config
ENTRY = Arm
