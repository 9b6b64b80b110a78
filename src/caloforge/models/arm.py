r"""Geometry-aware autoregressive models: one cell after the other, given the sizes of all cells up to it.

J. Liu, A. Ghosh, D. Smith, P. Baldi, D. Whiteson, *Geometry-aware Autoregressive Models for Calorimeter
Shower Simulations*, arXiv:2212.08233. Each layer of the calorimeter has a discrete autoregressive model (the
paper's D+D ARM), a MADE (Germain et al., arXiv:1502.03509) whose every hidden unit belongs to a cell. The
cells are taken on a spiral from the centre outwards (`caloforge.geometry.spiral`). With a cell's category

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
  cells use the first D. Since no cell depends on a later one, the shorter spiral is exactly the beginning of
  the longer one, so nothing is padded, and all segmentations train the places near the core.
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
- The likelihood of a step is that of the 512 inner cells and of 512 others, drawn anew (`_some`).
- Showers are mirrored at random in training where the read-out allows it.

``head="mixture"`` takes the first of the steps that the paper names next: the sparse autoregressive model
(Y. Lu, J. Collado, D. Whiteson, P. Baldi, Phys. Rev. D 103 (2021) 036012), with a probability of an empty
cell and a continuous density of the energy of any other,

```math
p(E) = p_0\,\delta(E) + \sum_{k=1}^{K} p_k\,N(\ln E;\, \mu_k, \sigma_k), \qquad \sum_{k=0}^{K} p_k = 1
```

whose parameters are the outputs of the convolution. The next cells then see the root of the energy and,
unless the cell is empty, its logarithm. The centre cell comes from the network.

``layers="conditional"`` is the paper's next step towards the correlation of the layers: the first hidden
units of a layer also see what the layers in front of it hold, each in its own segmentation: the energy, its
mean in eta and phi, and its widths (`summary`).
"""

import copy
import math
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal, cast

import torch
from pydantic import Field
from torch import Tensor, nn
from torch._higher_order_ops import scan
from torch.nn import functional

from caloforge.config import strict_dataclass
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
    "Config",
    "Head",
    "LayerArm",
    "MaskedLinear",
    "Mixture",
    "Spiral",
    "read_out",
    "scaled_energy",
    "steps_of",
    "summary",
]

_CHUNK = 64  # cells whose pairs are multiplied out at once in training
_CORE = 512  # cells around the centre that every training step looks at
_SCALE = 16.0  # categories are divided by it: the networks see numbers of order 1
_LEAST = 1e-4  # MeV; cells with less count as empty where energies are continuous
_NARROWEST = 0.02  # width of a component, in ln E: no energy may become infinitely likely
_BINS = 500  # of ln E, in which training showers are counted
_LENGTH = 20.0  # mm; of the order of a shower's width
_SUMMARY = 5  # numbers of a layer that later layers know
_SUM = 1 / 16  # weight of a hidden unit in the sums of the next layer, which have thousands of terms


@strict_dataclass
class Config(ModelConfig):
    """The published model.

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
        What is drawn of a cell: one of the published categories, or an energy from a mixture.
    components
        Of the mixture.
    centre
        Where the centre cell comes from: the training's histogram (categories only), or the network.
    layers
        Whether a layer knows of those in front of it.
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


class MaskedLinear(nn.Module):
    """A fully connected layer whose unit i sees the inputs of cells 0 to i; see the module.

    Parameters
    ----------
    cells
        The longest spiral.
    inputs, outputs
        Numbers that each cell enters with, and its units.
    hidden
        Rank of the masked matrix.
    weight
        Factor of every term of the sums.
    """

    def __init__(self, cells: int, inputs: int, outputs: int, hidden: int, weight: float = 1.0) -> None:
        super().__init__()
        self.weight = weight
        self.source = nn.Parameter(torch.randn(cells, inputs, hidden))
        # A sum grows with the root of the number of its terms; the first outputs shall not.
        terms = weight * torch.arange(1, cells + 1).mul(inputs).sqrt()
        self.target = nn.Parameter(
            torch.randn(cells, hidden, outputs) / math.sqrt(hidden) / terms[:, None, None]
        )
        self.bias = nn.Parameter(torch.zeros(cells, outputs))

    def forward(self, x: Tensor) -> Tensor:
        """(N, D, inputs) -> (N, D, outputs), all cells at once."""
        n, d, inputs = x.shape
        spare = -d % _CHUNK
        source, target = (
            self._chunks(value[:d] * factor, spare)
            for value, factor in ((self.source, self.weight), (self.target, 1.0))
        )
        chunks = len(source)
        source = source.flatten(1, 2)  # (chunks, cells of each x inputs, hidden)
        target = target.transpose(1, 2).flatten(2)  # (chunks, hidden, cells of each x outputs)
        x = functional.pad(x, (0, 0, 0, spare)).unflatten(1, (chunks, _CHUNK)).flatten(2).transpose(0, 1)
        # Cells of earlier chunks enter through their sum, those of the same chunk pair by pair.
        sums = torch.bmm(x, source)
        before = sums.cumsum(dim=0) - sums
        mask = torch.ones(_CHUNK, _CHUNK, device=x.device).triu()
        mask = mask.repeat_interleave(inputs, 0).repeat_interleave(self.bias.shape[1], 1)
        out = torch.bmm(before, target) + torch.bmm(x, torch.bmm(source, target) * mask)
        whole: Tensor = out.transpose(0, 1).reshape(n, chunks * _CHUNK, -1)[:, :d] + self.bias[:d]
        return whole

    @staticmethod
    def _chunks(value: Tensor, spare: int) -> Tensor:
        chunks: Tensor = functional.pad(value, (0, 0, 0, 0, 0, spare)).unflatten(0, (-1, _CHUNK))
        return chunks


class Head(nn.Module, ABC):
    """The convolution along the spiral, and what its outputs say of a cell.

    A cell's *value* is what is drawn and what the networks see of it: its category, or its energy.

    Parameters
    ----------
    config
        Widths and energies.
    outputs
        Numbers for each cell.
    bins
        Bins in which the values of training showers are counted.

    Attributes
    ----------
    features
        Numbers by which the networks see a cell.
    """

    features: ClassVar[int]
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

    def count(self, values: Tensor) -> None:
        """Count the values of training showers."""
        self.counts += self.bins(values.flatten()).bincount(minlength=len(self.counts))

    @abstractmethod
    def bins(self, values: Tensor) -> Tensor:
        """Return the bins in which values are counted, int64."""

    @abstractmethod
    def start(self) -> None:
        """Let Adam start from the frequencies that were counted."""

    @abstractmethod
    def encode(self, energy: Tensor) -> Tensor:
        """MeV -> values, float32."""

    @abstractmethod
    def decode(self, value: Tensor, noise: Tensor) -> Tensor:
        """Values -> MeV; standard normal noise decides what values leave open."""

    @abstractmethod
    def see(self, value: Tensor) -> Tensor:
        """(..., 1) values -> (..., features)."""

    @abstractmethod
    def loss(self, outputs: Tensor, value: Tensor) -> Tensor:
        """(N, M, outputs) and values (N, M) -> negative log-likelihoods (N, M), in nats."""

    @abstractmethod
    def draw(self, outputs: Tensor, chance: Tensor, noise: Tensor) -> Tensor:
        """(N, outputs), uniform numbers (N, 1) and standard normal ones (N, 1) -> values (N, 1)."""


class Categories(Head):
    """The published head: a softmax over categories of the root of the energy."""

    features = 1
    number: Tensor

    def __init__(self, config: Config) -> None:
        most = round(math.sqrt(config.most_energy)) + 1
        super().__init__(config, most, most)
        self.register_buffer("number", torch.tensor(most))

    def used(self) -> int:
        """Return the number of categories that the training showers have."""
        return int(self.number)

    def bins(self, values: Tensor) -> Tensor:
        """Return the categories; those that the incident energy rules out count as the last."""
        return values.long().clamp(max=len(self.counts) - 1)

    def start(self) -> None:
        """Take the frequencies of the categories for their offsets, one of each added."""
        top = int(self.counts.nonzero().max()) + 1
        self.number.fill_(top)
        known = self.counts[:top] + 1
        self.offset.data[:top] = (known / known.sum()).log()

    def encode(self, energy: Tensor) -> Tensor:
        """MeV -> categories."""
        return energy.sqrt().round()

    def decode(self, value: Tensor, noise: Tensor) -> Tensor:
        """Return energies whose root is uniform within the category; 0 for category 0."""
        return torch.where(value > 0, (value - 0.5 + _uniform(noise)).square(), 0.0)

    def see(self, value: Tensor) -> Tensor:
        """Return categories of order 1."""
        return value / _SCALE

    def loss(self, outputs: Tensor, value: Tensor) -> Tensor:
        """Return the cross entropy."""
        known = value.long().clamp(max=outputs.shape[2] - 1)
        every = functional.cross_entropy(outputs.flatten(0, 1), known.flatten(), reduction="none")
        return every.view_as(value)

    def draw(self, outputs: Tensor, chance: Tensor, noise: Tensor) -> Tensor:
        """Draw a category."""
        return _drawn(outputs, chance)


class Mixture(Head):
    """The sparse head: the probability of an empty cell, and a mixture of log-normal energies.

    The outputs are the logits of "empty" and of the components, the components' means, and their widths.
    """

    features = 2

    def __init__(self, config: Config) -> None:
        self.components = config.components
        super().__init__(config, 1 + 3 * config.components, 1 + _BINS)
        self.reach = math.log(_LEAST), math.log(config.most_energy)

    def bins(self, values: Tensor) -> Tensor:
        """Return 0 for empty cells, and equal bins of the logarithm for all others."""
        low, high = self.reach
        place = ((values.clamp(min=_LEAST).log() - low) / (high - low) * _BINS).long().clamp(max=_BINS - 1)
        return torch.where(values > 0, 1 + place, 0)

    def start(self) -> None:
        """Put the components at quantiles of the filled cells."""
        low, high = self.reach
        share = (self.counts[1:].cumsum(0) / self.counts[1:].sum().clamp(min=1)).cpu()
        k = self.components
        quantiles = torch.searchsorted(share, (torch.arange(k) + 0.5) / k).clamp(max=_BINS - 1)
        means = low + (quantiles + 0.5) / _BINS * (high - low)
        spread = (means[-1] - means[0]).clamp(min=1.0) / k
        filled = (self.counts[1:].sum() + 1) / (self.counts.sum() + 2)
        offset = self.offset.data
        offset[0], offset[1 : 1 + k] = (1 - filled).log(), (filled / k).log()
        offset[1 + k : 1 + 2 * k], offset[1 + 2 * k :] = means.to(offset.device), spread.expm1().log()

    def encode(self, energy: Tensor) -> Tensor:
        """Return the energies; cells below 100 eV count as empty."""
        return torch.where(energy < _LEAST, 0.0, energy)

    def decode(self, value: Tensor, noise: Tensor) -> Tensor:
        """Return the energies as they are."""
        return value

    def see(self, value: Tensor) -> Tensor:
        """Return the root of the energy, and its logarithm above the least energy, both of order 1."""
        return torch.cat([value.sqrt() / _SCALE, (value / _LEAST).clamp(min=1).log() / _SCALE], dim=-1)

    def loss(self, outputs: Tensor, value: Tensor) -> Tensor:
        """Return minus the logarithm of the probability of empty cells, of the density in ln E of others."""
        shares, means, widths = self._parts(outputs)
        shares = shares.log_softmax(dim=-1)
        distance = (value.clamp(min=_LEAST).log().unsqueeze(-1) - means) / widths
        each = shares[..., 1:] - distance.square() / 2 - widths.log() - math.log(2 * math.pi) / 2
        return -torch.where(value > 0, each.logsumexp(dim=-1), shares[..., 0])

    def draw(self, outputs: Tensor, chance: Tensor, noise: Tensor) -> Tensor:
        """Draw "empty" or a component, and its energy."""
        shares, means, widths = self._parts(outputs)
        drawn = _drawn(shares, chance)
        own = (drawn == torch.arange(1, self.components + 1, device=drawn.device)).float()
        log = (own * (means + widths * noise)).sum(dim=1, keepdim=True)
        return torch.where(drawn > 0, log.clamp(*self.reach).exp(), 0.0)

    def _parts(self, outputs: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        k = self.components
        shares, means, widths = outputs.split([1 + k, k, k], dim=-1)
        return shares, means, functional.softplus(widths) + _NARROWEST


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
        width = config.channels
        self.head: Head = HEADS[config.head](config)
        rest = (MaskedLinear(cells, width, width, config.hidden, _SUM) for _ in range(depth - 1))
        self.layers = nn.ModuleList(
            [MaskedLinear(cells, self.head.features + 2, width, config.hidden), *rest]
        )
        self.condition = nn.Parameter(torch.zeros(cells, 1 + context, width))
        self.register_buffer("centres", centres)
        self.register_buffer("histogram", torch.ones(len(centres), len(self.head.counts)))

    def forward(
        self, values: Tensor, steps: Tensor, condition: Tensor, places: Tensor | None = None
    ) -> Tensor:
        """Return what the head needs to know of cells, given the values of the cells before each.

        Parameters
        ----------
        values
            (N, D), on the spiral.
        steps
            (D, 2), see `steps_of`.
        condition
            (N, 1 + context): the incident energy (`scaled_energy`) and the layers in front (`summary`).
        places
            (M,) the cells that are asked for; by default all.

        Returns
        -------
        (N, M, outputs).
        """
        n, d = values.shape
        earlier = functional.pad(self.head.see(values[:, :-1].unsqueeze(2)), (0, 0, 1, 0))
        first, *rest = self.masked
        hidden = first(torch.cat([earlier, steps.expand(n, d, 2)], dim=2))
        known = condition @ self.condition[:d].transpose(0, 1).flatten(1)
        hidden = functional.gelu(hidden + known.view(n, d, -1))
        for layer in rest:
            hidden = functional.gelu(layer(hidden))
        places = torch.arange(d, device=values.device) if places is None else places
        kernel, offset, used = self.head.kernel, self.head.offset, self.head.used()
        before = functional.pad(hidden, (0, 0, len(kernel) - 1, 0))
        seen = torch.cat([before.index_select(1, places + tap) for tap in range(len(kernel))], dim=2)
        outputs: Tensor = seen @ kernel[..., :used].flatten(0, 1) + offset[:used]
        return outputs.float()

    @property
    def masked(self) -> list[MaskedLinear]:
        """The masked layers."""
        return cast(list[MaskedLinear], list(self.layers))

    def nearest_centre(self, sizes: Tensor) -> Tensor:
        """Return the number of the trained centre cell whose size is nearest to one of (2,) mm."""
        return (self.centres.log() - sizes.log()).square().sum(dim=1).argmin()


def summary(energies: Tensor, cells: Tensor, most: float) -> Tensor:
    """Return what later layers know of one: its energy, and mean and width of it in eta and phi.

    Parameters
    ----------
    energies
        (N, D) MeV, on the spiral.
    cells
        (D, 4) mm, see `caloforge.geometry.spiral.spiral_inputs`.
    most
        The highest incident energy, in MeV.

    Returns
    -------
    (N, 5), of order 1; means and widths of an empty layer are 0.
    """
    total = energies.sum(dim=1, keepdim=True)
    share = energies / total.clamp(min=_LEAST)
    mean = share @ cells[:, :2]
    width = (share @ cells[:, :2].square() - mean.square()).clamp(min=0)
    return torch.cat([(total / most).sqrt(), mean / _LENGTH, (width + 1e-6).sqrt() / _LENGTH], dim=1)


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
        self.most_cells = [len(network.condition) for network in arm.networks]

    def forward(self, noise: Tensor, energy: Tensor, *read_out: Tensor) -> Tensor:  # type: ignore[override]
        """Turn noise (N, 2 n_cells) and energies (N,) MeV into cells (N, n_cells) MeV.

        The first half of the noise draws categories or components, the second energies within them.
        ``read_out`` is what `read_out` returns of another read-out.
        """
        *layers, order = read_out or (value.to(noise.device) for value in self.read_out.values())
        known = [scaled_energy(energy, self.bounds).unsqueeze(1)]
        drawn: list[Tensor] = []
        first = 0
        for network, used, cells in zip(self._networks, self.used, layers, strict=True):
            d = cells.shape[0]
            chance = _uniform(noise.narrow(1, first, d))
            within = noise.narrow(1, order.shape[0] + first, d)
            condition = torch.cat(known, dim=1)
            drawn.append(self._layer(cast(LayerArm, network), used, chance, within, cells[:, 2:], condition))
            if self.config.layers == "conditional":
                known.append(summary(drawn[-1], cells, self.config.most_energy))
            first = first + d
        return torch.cat(drawn, dim=1).index_select(1, order)

    def _layer(
        self, network: LayerArm, used: int, chance: Tensor, within: Tensor, sizes: Tensor, condition: Tensor
    ) -> Tensor:
        """(N, D) uniform numbers and (N, D) normal ones -> (N, D) MeV on the spiral."""
        n, d = chance.shape
        head, features = network.head, network.head.features
        first, *rest = network.masked
        depth = 1 + len(rest)
        kernel, offset = head.kernel[..., :used].flatten(0, 1), head.offset[:used].clone()
        # What the sizes add is the same for all showers.
        sums = torch.bmm(steps_of(sizes).unsqueeze(1), first.source[:d, features:]).cumsum(dim=0)
        fixed = torch.bmm(sums, first.target[:d]).squeeze(1) + first.bias[:d]
        start = [
            chance.new_zeros(n, features),  # the cell before
            chance.new_zeros(n, self.config.kernel - 1, self.config.channels),  # hidden units of those before
            *(chance.new_zeros(n, self.config.hidden) for _ in range(depth)),  # the sums
        ]
        cells = [
            chance.T.unsqueeze(2),
            within.T.unsqueeze(2),
            self._given(network, chance, sizes),
            network.condition[:d].clone(),
            first.source[:d, :features].clone(),  # of the values; that of the sizes is in what is fixed
            *(layer.source[:d] * layer.weight for layer in rest),
            *(layer.target[:d].clone() for layer in (first, *rest)),
            fixed,
            *(layer.bias[:d].clone() for layer in rest),
        ]

        def step(carry: list[Tensor], cell: list[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
            hidden, tail, *sums = carry
            chance, within, given, slope = cell[:4]
            sources, targets, biases = (cell[4 + depth * part : 4 + depth * (part + 1)] for part in range(3))
            grown = []
            for number in range(depth):
                grown.append(sums[number] + hidden @ sources[number])
                inner = grown[-1] @ targets[number] + biases[number]
                hidden = functional.gelu(inner + condition @ slope if number == 0 else inner)
            seen = torch.cat([tail, hidden.unsqueeze(1)], dim=1)
            drawn = head.draw(seen.flatten(1) @ kernel + offset, chance, within)
            value = torch.where(given < 0, drawn, given)
            tail = seen[:, 1:].clone(memory_format=torch.contiguous_format)
            return [head.see(value), tail, *grown], [value.squeeze(1)]

        _, (found,) = scan(step, start, cells)
        return head.decode(found.T, within)

    def _given(self, network: LayerArm, chance: Tensor, sizes: Tensor) -> Tensor:
        """Return values that the network does not draw, (D, N, 1): the centre's; -1 where it does."""
        nothing = torch.full_like(chance.T, -1.0)
        if self.config.centre == "network":
            return nothing.unsqueeze(2)
        counts = network.histogram.index_select(0, network.nearest_centre(sizes[0]).reshape(1))
        total = counts.cumsum(dim=1)
        centre = (total <= chance[:, :1] * total[:, -1:]).sum(dim=1).float()
        return torch.cat([centre.unsqueeze(0), nothing[1:]]).unsqueeze(2)


def _drawn(logits: Tensor, chance: Tensor) -> Tensor:
    """Draw numbers by their cumulative probability, (N, K) and (N, 1) uniform -> (N, 1) float."""
    total = logits.softmax(dim=1).cumsum(dim=1)
    # The last of the sums is left out, so that rounding can't lead beyond the last number.
    return (total[:, :-1] <= chance * total[:, -1:]).float().sum(dim=1, keepdim=True)


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
        self._spirals = {geometry.name: Spiral.of(geometry) for geometry in geometries}
        networks = []
        for number, same in enumerate(zip(*(one.layers for one in geometries), strict=True)):
            centres = {tuple(one.cells[number][0, 2:].tolist()): None for one in self._spirals.values()}
            cells = max(layer.n_cells for layer in same)
            context = _SUMMARY * number if config.layers == "conditional" else 0
            depth = config.depths[number > 0]
            networks.append(LayerArm(config, cells, depth, torch.tensor(list(centres)), context))
        self._networks = nn.ModuleList(networks)

    @property
    def networks(self) -> list[LayerArm]:
        """The model of each layer."""
        return cast(list[LayerArm], list(self._networks))

    def sampler(self, geometry: Calorimeter) -> ArmSampler:
        """Return the map from noise to showers as it stands now, for any segmentation of the layers.

        Raises
        ------
        GeometryError
            The calorimeter differs in more than its segmentation, or has more cells than were trained on.
        """
        check_segmentation(geometry, self.geometry, [len(network.condition) for network in self.networks])
        return copy.deepcopy(ArmSampler(self, geometry)).eval().requires_grad_(False)

    def phases(self) -> Sequence[Phase]:
        """Return the only phase; the layers' networks share batches and nothing else."""
        optimizer = torch.optim.Adam(self.parameters(), lr=self.config.rate)

        def step(batch: Batch, done: float) -> Figures:
            losses = self.losses(batch)
            optimizer.zero_grad()
            torch.stack(losses).sum().backward()
            optimizer.step()
            return {f"layer_{number}": loss.detach() for number, loss in enumerate(losses)}

        return [Phase("layers", step, {"adam": optimizer}, epochs=self.config.epochs, prepare=self._prepare)]

    def losses(self, batch: Batch) -> list[Tensor]:
        """Return the mean negative log-likelihood of a cell, for each layer, in nats."""
        known = [scaled_energy(batch.energy, self.bounds).unsqueeze(1)]
        begin = 1 if self.config.centre == "histogram" else 0
        losses = []
        for network, energies, cells in self._layers(batch):
            places, weight = _some(begin, len(cells), energies.device)
            values = network.head.encode(energies)
            outputs = network(values, steps_of(cells[:, 2:]), torch.cat(known, dim=1), places)
            each = network.head.loss(outputs, values.index_select(1, places))
            losses.append((each.mean(dim=0) * weight).sum() / weight.sum())
            if self.config.layers == "conditional":
                known.append(summary(energies, cells, self.config.most_energy))
        return losses

    def _layers(self, batch: Batch) -> Iterator[tuple[LayerArm, Tensor, Tensor]]:
        """Yield each layer's network, the energies on its spiral (N, D), and its cells (D, 4)."""
        spiral, device = self._spirals[batch.geometry.name], batch.cells.device
        energies = batch.cells[:, spiral.sequence.to(device)].split(list(map(len, spiral.cells)), dim=1)
        for network, each, cells in zip(self.networks, energies, spiral.cells, strict=True):
            yield network, each, cells.to(device)

    def _prepare(self, showers: TrainingShowers) -> None:
        """Count the values of all cells, and those of centre cells of each size."""
        for network in self.networks:
            network.histogram.zero_()
        for batch in showers.batches():
            for network, energies, cells in self._layers(batch):
                values = network.head.encode(energies)
                network.head.count(values)
                centres = network.head.bins(values[:, 0]).bincount(minlength=len(network.head.counts))
                network.histogram[network.nearest_centre(cells[0, 2:])] += centres
        for network in self.networks:
            network.head.start()


def _some(begin: int, end: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Return places on the spiral to learn from in a step, and their weights in the mean over all places.

    The core is taken whole, and as many places are drawn at random from the rest, which is mostly empty: an
    unbiased estimate of the mean that costs a fifth of it for 9,216 cells.
    """
    core = torch.arange(begin, min(end, _CORE), device=device)
    rest = _CORE + torch.randperm(max(end - _CORE, 0), device=device)[:_CORE]
    weight = torch.ones(len(core) + len(rest), device=device)
    weight[len(core) :] = (end - _CORE) / max(len(rest), 1)
    return torch.cat([core, rest]), weight


@dataclass(frozen=True)
class Spiral:
    """A read-out as tensors: which cell comes when, and the cells of each layer, (D, 4) in mm."""

    sequence: Tensor
    cells: list[Tensor]

    @classmethod
    def of(cls, geometry: Calorimeter) -> "Spiral":
        """Return that of a read-out."""
        *cells, order = read_out(geometry).values()
        return cls(order.argsort(), cells)


def read_out(geometry: Calorimeter) -> dict[str, Tensor]:
    """Return a read-out as `ArmSampler` takes it, see `caloforge.geometry.spiral.spiral_inputs`."""
    return {name: torch.from_numpy(value) for name, value in spiral_inputs(geometry).items()}


Arm.Config = Config
ENTRY = Arm
