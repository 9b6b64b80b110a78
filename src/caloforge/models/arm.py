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
"""

import copy
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, cast

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

__all__ = ["ENTRY", "Arm", "ArmSampler", "Config", "LayerArm", "MaskedLinear"]

_CHUNK = 64  # cells whose pairs are multiplied out at once in training
_CORE = 512  # cells around the centre that every training step looks at
_SCALE = 16.0  # categories are divided by it: the networks see numbers of order 1
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
    centre
        Where the centre cell comes from: the training's histogram, or the network.
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
    centre: Literal["histogram", "network"] = "histogram"
    rate: float = Field(default=2e-3, gt=0)
    epochs: int = Field(default=100, gt=0)

    def __post_init__(self) -> None:
        """Refuse what no single field can tell."""
        ModelConfig.__post_init__(self)
        if min(self.depths) < 1:
            raise ValueError(f"depths must be at least 1 (found {self.depths[0]}, {self.depths[1]}).")

    @property
    def categories(self) -> int:
        """Categories that a cell can have: it holds at most the incident energy."""
        return round(math.sqrt(self.energy_range[1] * GeV)) + 1


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


class LayerArm(nn.Module):
    """The autoregressive model of one layer.

    Parameters
    ----------
    config
        Widths, categories, energies.
    cells
        The longest spiral.
    depth
        Masked layers.
    centres
        (G, 2), sizes of the centre cells that are trained on, in mm.
    """

    categories: Tensor
    centres: Tensor
    histogram: Tensor

    def __init__(self, config: Config, cells: int, depth: int, centres: Tensor) -> None:
        super().__init__()
        width = config.channels
        rest = (MaskedLinear(cells, width, width, config.hidden, _SUM) for _ in range(depth - 1))
        self.layers = nn.ModuleList([MaskedLinear(cells, 3, width, config.hidden), *rest])
        self.energy = nn.Parameter(torch.zeros(cells, width))
        self.kernel = nn.Parameter(
            torch.randn(config.kernel, width, config.categories) / math.sqrt(config.kernel * width)
        )
        self.offset = nn.Parameter(torch.zeros(config.categories))
        self.register_buffer("categories", torch.tensor(config.categories))
        self.register_buffer("centres", centres)
        self.register_buffer("histogram", torch.ones(len(centres), config.categories))

    def forward(
        self, category: Tensor, steps: Tensor, energy: Tensor, places: Tensor | None = None
    ) -> Tensor:
        """Return the logits of cells' categories, given those of the cells before each.

        Parameters
        ----------
        category
            (N, D) numbers of categories on the spiral.
        steps
            (D, 2), see `steps_of`.
        energy
            (N,), the incident energy, see `scaled_energy`.
        places
            (M,) the cells whose logits are returned; by default all.

        Returns
        -------
        (N, M, categories).
        """
        n, d = category.shape
        earlier = functional.pad(category[:, :-1] / _SCALE, (1, 0)).unsqueeze(2)
        first, *rest = self.masked
        hidden = first(torch.cat([earlier, steps.expand(n, d, 2)], dim=2))
        hidden = functional.gelu(hidden + energy[:, None, None] * self.energy[:d])
        for layer in rest:
            hidden = functional.gelu(layer(hidden))
        places = torch.arange(d, device=category.device) if places is None else places
        taps = functional.pad(hidden, (0, 0, len(self.kernel) - 1, 0))
        seen = torch.cat([taps.index_select(1, places + tap) for tap in range(len(self.kernel))], dim=2)
        top = int(self.categories)
        logits: Tensor = seen @ self.kernel[..., :top].flatten(0, 1) + self.offset[:top]
        return logits

    @property
    def masked(self) -> list[MaskedLinear]:
        """The masked layers."""
        return cast(list[MaskedLinear], list(self.layers))

    def nearest_centre(self, sizes: Tensor) -> Tensor:
        """Return the number of the trained centre cell whose size is nearest to one of (2,) mm."""
        return (self.centres.log() - sizes.log()).square().sum(dim=1).argmin()


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
        self.categories = [int(network.categories) for network in arm.networks]
        self.noise_size = 2 * geometry.n_cells
        self.read_out = read_out(geometry)
        self.most_cells = [len(network.energy) for network in arm.networks]

    def forward(self, noise: Tensor, energy: Tensor, *read_out: Tensor) -> Tensor:  # type: ignore[override]
        """Turn noise (N, 2 n_cells) and energies (N,) MeV into cells (N, n_cells) MeV.

        The first half of the noise draws categories, the second energies within them. ``read_out`` is what
        `read_out` returns of another read-out.
        """
        *sizes, order = read_out or (value.to(noise.device) for value in self.read_out.values())
        uniform = 0.5 * (1 + torch.erf(noise / math.sqrt(2)))
        scaled = scaled_energy(energy, self.bounds)
        drawn, first = [], 0
        for network, top, each in zip(self._networks, self.categories, sizes, strict=True):
            chances = uniform.narrow(1, first, each.shape[0])
            drawn.append(self._layer(cast(LayerArm, network), top, chances, each, scaled))
            first = first + each.shape[0]
        category = torch.cat(drawn, dim=1)
        root = category - 0.5 + uniform.narrow(1, order.shape[0], order.shape[0])
        return torch.where(category > 0, root.square(), 0.0).index_select(1, order)

    def _layer(self, network: LayerArm, top: int, uniform: Tensor, sizes: Tensor, energy: Tensor) -> Tensor:
        """(N, D) uniform numbers -> (N, D) categories on the spiral."""
        n, d = uniform.shape
        taps, width = self.config.kernel, self.config.channels
        first, *rest = network.masked
        depth = 1 + len(rest)
        kernel = network.kernel[..., :top].flatten(0, 1)
        offset = network.offset[:top].clone()
        # What the sizes add is the same for all showers.
        sums = torch.bmm(steps_of(sizes).unsqueeze(1), first.source[:d, 1:]).cumsum(dim=0)
        fixed = torch.bmm(sums, first.target[:d]).squeeze(1) + first.bias[:d]
        start = [
            uniform.new_zeros(n, 1),  # the cell before
            uniform.new_zeros(n, taps - 1, width),  # hidden units of the cells before
            *(uniform.new_zeros(n, self.config.hidden) for _ in range(depth)),  # the sums
        ]
        cells = [
            uniform.T.unsqueeze(2),
            self._given(network, uniform, sizes),
            network.energy[:d].clone(),
            first.source[:d, :1].clone(),  # of the energy; that of the sizes is in what is fixed
            *(layer.source[:d] * layer.weight for layer in rest),
            *(layer.target[:d].clone() for layer in (first, *rest)),
            fixed,
            *(layer.bias[:d].clone() for layer in rest),
        ]

        def step(carry: list[Tensor], cell: list[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
            hidden, tail, *sums = carry
            chance, given, slope = cell[:3]
            sources, targets, biases = (cell[3 + depth * part : 3 + depth * (part + 1)] for part in range(3))
            grown = []
            for number in range(depth):
                grown.append(sums[number] + hidden @ sources[number])
                inner = grown[-1] @ targets[number] + biases[number]
                hidden = functional.gelu(inner + energy.unsqueeze(1) * slope if number == 0 else inner)
            seen = torch.cat([tail, hidden.unsqueeze(1)], dim=1)
            drawn = _drawn(seen.flatten(1) @ kernel + offset, chance)
            category = torch.where(given < 0, drawn, given)
            tail = seen[:, 1:].clone(memory_format=torch.contiguous_format)
            return [category / _SCALE, tail, *grown], [category.squeeze(1)]

        _, (found,) = scan(step, start, cells)
        categories: Tensor = found.T
        return categories

    def _given(self, network: LayerArm, uniform: Tensor, sizes: Tensor) -> Tensor:
        """Return categories that the network does not draw, (D, N, 1): the centre's; -1 where it does."""
        nothing = torch.full_like(uniform.T, -1.0)
        if self.config.centre == "network":
            return nothing.unsqueeze(2)
        counts = network.histogram.index_select(0, network.nearest_centre(sizes[0]).reshape(1))
        total = counts.cumsum(dim=1)
        centre = (total <= uniform[:, :1] * total[:, -1:]).sum(dim=1).float()
        return torch.cat([centre.unsqueeze(0), nothing[1:]]).unsqueeze(2)


def _drawn(logits: Tensor, chance: Tensor) -> Tensor:
    """Draw categories by their cumulative probability, (N, K) and (N, 1) uniform -> (N, 1) float."""
    total = logits.softmax(dim=1).cumsum(dim=1)
    # The last of the sums is left out, so that rounding can't lead beyond the last category.
    return (total[:, :-1] <= chance * total[:, -1:]).float().sum(dim=1, keepdim=True)


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
            centres = {tuple(one.sizes[number][0].tolist()): None for one in self._spirals.values()}
            cells = max(layer.n_cells for layer in same)
            networks.append(LayerArm(config, cells, config.depths[number > 0], torch.tensor(list(centres))))
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
        check_segmentation(geometry, self.geometry, [len(network.energy) for network in self.networks])
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
        energy = scaled_energy(batch.energy, self.bounds)
        spiral = self._spirals[batch.geometry.name]
        begin = 1 if self.config.centre == "histogram" else 0
        losses = []
        for network, categories, sizes in zip(
            self.networks, self._categories(batch), spiral.sizes, strict=True
        ):
            places, weight = _some(begin, len(sizes), energy.device)
            logits = network(categories.float(), steps_of(sizes.to(energy.device)), energy, places)
            known = categories.index_select(1, places).clamp(max=logits.shape[2] - 1)
            each = functional.cross_entropy(
                logits.float().flatten(0, 1), known.flatten(), reduction="none"
            ).view_as(known)
            losses.append((each.mean(dim=0) * weight).sum() / weight.sum())
        return losses

    def _categories(self, batch: Batch) -> list[Tensor]:
        """Return the categories of the cells of each layer on its spiral, (N, D) int64."""
        spiral = self._spirals[batch.geometry.name]
        root = batch.cells[:, spiral.sequence.to(batch.cells.device)].sqrt().round().long()
        return list(root.split([len(sizes) for sizes in spiral.sizes], dim=1))

    def _prepare(self, showers: TrainingShowers) -> None:
        """Count categories: how many there are, of all cells, and of centre cells of each size."""
        most = self.config.categories
        every = torch.zeros(len(self.networks), most)
        for network in self.networks:
            network.histogram.zero_()
        for batch in showers.batches():
            spiral = self._spirals[batch.geometry.name]
            for number, categories in enumerate(self._categories(batch)):
                network = self.networks[number]
                categories = categories.clamp(max=most - 1)
                every[number] += categories.flatten().bincount(minlength=most).cpu()
                centre = network.nearest_centre(spiral.sizes[number][0].to(categories.device))
                network.histogram[centre] += categories[:, 0].bincount(minlength=most)
        for network, counts in zip(self.networks, every, strict=True):
            top = int(counts.nonzero().max()) + 1
            network.categories.fill_(top)
            # Adam starts from the right frequencies, one of each category added.
            network.offset.data[:top] = ((counts[:top] + 1) / (counts[:top] + 1).sum()).log()


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
    """A read-out as tensors: which cell comes when, and the sizes of the cells of each layer, in mm."""

    sequence: Tensor
    sizes: list[Tensor]

    @classmethod
    def of(cls, geometry: Calorimeter) -> "Spiral":
        """Return that of a read-out."""
        *sizes, order = read_out(geometry).values()
        return cls(order.argsort(), sizes)


def read_out(geometry: Calorimeter) -> dict[str, Tensor]:
    """Return a read-out as `ArmSampler` takes it, see `caloforge.geometry.spiral.spiral_inputs`."""
    return {name: torch.from_numpy(value) for name, value in spiral_inputs(geometry).items()}


Arm.Config = Config
ENTRY = Arm
