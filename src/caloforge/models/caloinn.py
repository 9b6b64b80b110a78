r"""CaloINN: an invertible network that draws the shares of all cells and the energies of all layers at once.

F. Ernst, L. Favaro, C. Krause, T. Plehn, D. Shih, *Normalizing Flows for High-Dimensional Detector
Simulations*, arXiv:2312.09290; for CaloGAN's showers in L. Das, L. Favaro, T. Heimel, C. Krause, T. Plehn, D.
Shih, *How to Understand Limitations of Generative Networks*, arXiv:2305.16774. Sizes are those of the
authors' configuration for e+: params/example.yaml of https://github.com/heidelberg-hepml/CaloINN, "the
source" below.

A shower is a vector x of numbers: the share that each cell has of its layer's energy, and the energies of the
layers (`Numbers`). Coupling blocks, each followed by a fixed random permutation, lead it to a vector z of
standard normal numbers, given $\ln(E / \mathrm{GeV})$ of the incident particle. In a block one half of the
numbers stays, and tells a network (`subnetwork`) how splines bend the other half. Training minimises

```math
-\ln p(x \mid E) = \sum_i \frac{z_i^2 + \ln 2\pi}{2} - \ln \left| \det \frac{\partial z}{\partial x} \right|
```

Generation goes the other way, in one pass; cells are then scaled to the layer energies that were drawn.

Where the sources differ from each other or say nothing, and where this model differs from them:

- Splines are rational-quadratic, as in the source's later configuration for CaloGAN's photons
  (params/calogan_photons_bayes.yaml); those of example.yaml are cubic, whose inverse solves a cubic equation
  and loses digits in single precision.
- The noise that makes empty cells continuous has no unit: the source adds it to numbers that are normalised
  already (src/myDataLoader.py). A width of 8e-7 is 36 keV in a layer with 45 GeV. Here noisy shares are then
  divided by 1 + 8e-7, since a share above 1 would have no logit.
- Cells are shares of their layer, and there is a ratio for each layer. So it is in one version of the source;
  another one, and example.yaml, take shares of the whole shower, from which layers' energies follow. All of
  them normalise generated cells by layer where ratios of layers are drawn.
- The ratios are the logit of the visible share and the logarithms of layers' energies over that of one layer
  (`caloforge.preprocessing.LayerEnergies`), for any number of layers. The source leaves out showers that
  deposit more than the kinetic energy, as some positrons do, which annihilate; here they are learned. Up to
  1 keV is added to a layer, so that the logarithm of an empty one is finite (CaloFlow, arXiv:2106.05285, adds
  as much to cells).
- Of a layer in which all cells are below the noise or the threshold the hottest cell gets the energy; the
  source divides by 1e-7 then.
- Adam's first moment is constant; torch's one-cycle schedule, which the source uses (L. Smith, N. Topin,
  arXiv:1708.07120), moves it against the rate.
- The size of batches, mirror images and averages are choices of a training, not of the model: the source has
  ``--batch 512 --no-flips`` and no average. It has 100,000 showers of a particle: with fewer, 50 epochs are
  too few steps, and the likelihood of held-out showers chooses the parameters.

Blocks have about 15 ``width`` parameters for each cell: 20 million in all for CaloGAN's calorimeter, a
billion for 27,000 cells.
"""

import copy
import math
from collections.abc import Sequence
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn

from caloforge.config import strict_dataclass
from caloforge.geometry import Calorimeter
from caloforge.incident.particles import brought, parse_particle
from caloforge.models.base import (
    Batch,
    Figures,
    GenerativeModel,
    ModelConfig,
    Phase,
    Sampler,
    TrainingShowers,
)
from caloforge.models.flows import Coupling, Flow, Permutation, Spline
from caloforge.preprocessing import LayerEnergies
from caloforge.preprocessing.layer_energies import LAYER_LEAST
from caloforge.units import GeV

__all__ = ["ENTRY", "CaloINN", "CaloINNSampler", "Config", "Numbers", "subnetwork"]

_LEAST_BIN = 1e-3  # share of a spline's interval, and its least derivative (src/myBlocks/spline_blocks.py)
_LEAST_SPREAD = 1e-3  # of a number in units of its logit
_TINY = 1e-30  # MeV, so that an empty layer can be divided by its energy
_AT_ONCE = 512  # showers, of those held out
_RISE = 0.3  # share of the steps in which the rate rises
_FIRST, _LAST = 1 / 25, 4e-6  # the rate's first and last value over its highest


@strict_dataclass
class Config(ModelConfig):
    """The network of one particle.

    Attributes
    ----------
    blocks
        Coupling blocks.
    width, layers
        Units of a hidden layer, and linear layers of the network of each block; the last of these gives the
        parameters of the splines, so that three layers are two hidden ones.
    dropout
        Share of hidden units that training sets to 0.
    bins, bound
        Bins of a spline, which reach from -bound to bound, in standard deviations of a number.
    noise
        Width of the uniform noise that is added to shares of a layer's energy; without a unit.
    alpha
        The logit is taken of ``alpha + (1 - 2 alpha) share``.
    threshold
        MeV below which generated cells are empty (1e-5 GeV in src/data_util.py).
    rate
        Highest rate of Adam, after 30 % of the steps; it begins at a 25th of this.
    epochs
        Passes over the training showers.
    """

    particles: Annotated[tuple[str, ...], Field(min_length=1, max_length=1)] = ("e+",)
    blocks: int = Field(default=10, gt=0)
    width: int = Field(default=256, gt=0)
    layers: int = Field(default=3, gt=1)
    dropout: float = Field(default=0.05, ge=0, lt=1)
    bins: int = Field(default=10, gt=1)
    bound: float = Field(default=20.0, gt=0)
    noise: float = Field(default=8e-7, gt=0, lt=1)
    alpha: float = Field(default=2e-7, gt=0, lt=0.5)
    threshold: float = Field(default=0.01, ge=0)
    rate: float = Field(default=3e-4, gt=0)
    epochs: int = Field(default=50, gt=0)


class Numbers(nn.Module):
    r"""Showers as D = n_cells + L unbounded numbers, both ways.

    With the noise $u_i$ uniform in 0 to 1, its width w, and the share $s_i$ of its layer's energy that cell i
    has,

    ```math
    x_i = \operatorname{logit}\!\left(\alpha + (1 - 2 \alpha) \frac{s_i + w u_i}{1 + w}\right)
    ```

    for each cell, and behind the cells `LayerEnergies`, to which up to `LAYER_LEAST` was added. All are
    scaled to mean 0 and deviation 1 in the training's showers.

    On the way back w is subtracted: cells below it are empty. Shares are then normalised, so that layers have
    the energies that the numbers say. Cells below the threshold are empty too, and layers below it, but never
    the hottest cell of a layer with energy, which takes all if there is no other.

    Parameters
    ----------
    geometry
        The calorimeter.
    config
        Noise, alpha, threshold, and the particle.

    Examples
    --------
    >>> geometry = Calorimeter.load("calogan")
    >>> numbers = Numbers(geometry, Config())
    >>> cells, energy = torch.zeros(2, 504), torch.tensor([1e3, 2e3])
    >>> cells[:, [0, 1, 300, 500]] = torch.tensor([[10.0, 90.0, 850.0, 20.0], [0.0, 40.0, 1900.0, 0.0]])
    >>> x = numbers(cells, energy, torch.rand(2, 507))
    >>> numbers.inverse(x, energy)[:, [0, 1, 300, 500]].round(decimals=1)
    tensor([[  10.,   90.,  850.,   20.],
            [   0.,   40., 1900.,    0.]])
    """

    mean: Tensor
    spread: Tensor

    def __init__(self, geometry: Calorimeter, config: Config) -> None:
        super().__init__()
        self.sizes = [layer.n_cells for layer in geometry.layers]
        self.size = sum(self.sizes) + len(self.sizes)
        self.noise, self.alpha, self.threshold = config.noise, config.alpha, config.threshold
        self.energies = LayerEnergies(len(self.sizes), brought(parse_particle(config.particles[0])))
        self.register_buffer("mean", torch.zeros(self.size))
        self.register_buffer("spread", torch.ones(self.size))

    def prepare(self, showers: TrainingShowers) -> None:
        """Take the ranges, means and deviations of all numbers from the training's showers."""
        sums = [(self._layers(batch.cells), batch.energy) for batch in showers.batches()]
        self.energies.prepare(*(torch.cat(each) for each in zip(*sums, strict=True)))
        first, second = torch.zeros(2, self.size, dtype=torch.float64, device=self.mean.device)
        for batch in showers.batches():
            # In double precision: a difference of sums over a million showers.
            x = self._unscaled(batch.cells, batch.energy, self.draw(batch.cells)).double()
            first += x.sum(dim=0)
            second += x.square().sum(dim=0)
        mean = first / len(showers)
        self.mean.copy_(mean)
        self.spread.copy_((second / len(showers) - mean.square()).clamp(min=_LEAST_SPREAD**2).sqrt())

    def draw(self, cells: Tensor) -> Tensor:
        """Return uniform noise (N, D) for N showers."""
        return torch.rand(cells.shape[0], self.size, device=cells.device)

    def forward(self, cells: Tensor, energy: Tensor, noise: Tensor) -> Tensor:
        """(N, n_cells) and (N,) MeV, and noise (N, D) from 0 to 1 -> numbers (N, D)."""
        return (self._unscaled(cells, energy, noise) - self.mean) / self.spread

    def _unscaled(self, cells: Tensor, energy: Tensor, noise: Tensor) -> Tensor:
        of_cells, of_layers = noise.split([sum(self.sizes), len(self.sizes)], dim=1)
        layers = self._layers(cells)
        images = zip(cells.split(self.sizes, dim=1), layers.split(1, dim=1), strict=True)
        shares = torch.cat([image / layer.clamp(min=_TINY) for image, layer in images], dim=1)
        shares = (shares + self.noise * of_cells) / (1 + self.noise)
        ratios, _ = self.energies(layers + LAYER_LEAST * of_layers, energy)
        return torch.cat([torch.logit(self.alpha + (1 - 2 * self.alpha) * shares), ratios], dim=1)

    def inverse(self, x: Tensor, energy: Tensor) -> Tensor:
        """(N, D) and (N,) MeV -> (N, n_cells) MeV, whose layers have exactly the energies drawn."""
        x = x * self.spread + self.mean
        *images, ratios = x.split([*self.sizes, len(self.sizes)], dim=1)
        layers = self.energies.inverse(ratios, energy)
        layers = torch.where(layers > self.threshold, layers, 0.0).split(1, dim=1)
        return torch.cat([self._filled(*each) for each in zip(images, layers, strict=True)], dim=1)

    def _filled(self, x: Tensor, layer: Tensor) -> Tensor:
        """Return the cells (N, n) of a layer with the energy (N, 1)."""
        shares = (torch.sigmoid(x) - self.alpha) * ((1 + self.noise) / (1 - 2 * self.alpha)) - self.noise
        hottest = x == x.amax(dim=1, keepdim=True)
        shares = torch.where(hottest, shares.clamp(min=self.noise), shares.clamp(min=0))
        shares = shares / shares.sum(dim=1, keepdim=True)
        shares = torch.where(hottest | (shares * layer >= self.threshold), shares, 0.0)
        return shares * (layer / shares.sum(dim=1, keepdim=True))

    def _layers(self, cells: Tensor) -> Tensor:
        return torch.stack([image.sum(dim=1) for image in cells.split(self.sizes, dim=1)], dim=1)


def subnetwork(inputs: int, outputs: int, config: Config) -> nn.Sequential:
    """Return the network of a block, (N, inputs) -> (N, outputs), whose output is 0 at first.

    Examples
    --------
    >>> subnetwork(3, 2, Config(width=8, layers=2))
    Sequential(
      (0): Linear(in_features=3, out_features=8, bias=True)
      (1): Dropout(p=0.05, inplace=False)
      (2): ReLU()
      (3): Linear(in_features=8, out_features=2, bias=True)
    )
    """
    parts: list[nn.Module] = []
    for layer in range(config.layers - 1):
        parts.append(nn.Linear(config.width if layer else inputs, config.width))
        parts += [nn.Dropout(config.dropout), nn.ReLU()]
    last = nn.Linear(config.width, outputs)
    # Splines begin as the identity, as in the source.
    nn.init.zeros_(last.weight)
    nn.init.zeros_(last.bias)
    return nn.Sequential(*parts, last)


class CaloINNSampler(Sampler):
    """Noise (N, D) and energies (N,) in MeV -> cells (N, n_cells) in MeV."""

    def __init__(self, flow: Flow, numbers: Numbers) -> None:
        super().__init__()
        self.noise_size = numbers.size
        self.flow, self.numbers = copy.deepcopy(flow), copy.deepcopy(numbers)

    def forward(self, noise: Tensor, energy: Tensor) -> Tensor:  # type: ignore[override]
        """Return showers whose layers have the energies that were drawn with the cells."""
        return self.numbers.inverse(self.flow.inverse(noise, _condition(energy)), energy)


class CaloINN(GenerativeModel):
    """The invertible network; see the module.

    Examples
    --------
    >>> model = CaloINN(Config(blocks=2, width=8), Calorimeter.load("calogan"))
    >>> model.sampler(model.geometry)(torch.randn(3, 507), torch.full((3,), 1e4)).shape
    torch.Size([3, 504])
    """

    chosen_by = "nll/held_out"

    def __init__(self, config: Config, geometry: Calorimeter) -> None:
        super().__init__(config, geometry)
        self.config: Config = config
        self.numbers = Numbers(geometry, config)
        size, spline = self.numbers.size, Spline(config.bins, config.bound, _LEAST_BIN)
        kept = size - size // 2  # the larger half, as in the source
        parts: list[nn.Module] = []
        for _ in range(config.blocks):
            network = subnetwork(kept + 1, spline.parameters * (size - kept), config)
            parts += [Coupling(kept, network, spline), Permutation(torch.randperm(size))]
        self.flow = Flow(parts)

    def log_density(self, x: Tensor, energy: Tensor) -> Tensor:
        """Return ln p (N,) of the numbers (N, D) of showers, given energies (N,) in MeV."""
        return self.flow.log_density(x, _condition(energy))

    @torch.no_grad()
    def measured(self, held_out: TrainingShowers) -> Figures:
        """Return the negative log-likelihood of showers that are not learned from, in nats a shower."""
        was_training = self.training
        self.eval()
        # The same noise in every validation, so that their differences are those of the flow.
        generator, losses = torch.Generator().manual_seed(0), []
        for batch in held_out.batches(_AT_ONCE):
            noise = torch.rand(len(batch.cells), self.numbers.size, generator=generator).to(batch.cells)
            x = self.numbers(batch.cells, batch.energy, noise)
            losses.append(-self.log_density(x, batch.energy))
        self.train(was_training)
        return {self.chosen_by: torch.cat(losses).mean()}

    def phases(self) -> Sequence[Phase]:
        """Return the only phase: maximum likelihood."""
        adam = torch.optim.Adam(self.flow.parameters(), lr=self.config.rate, fused=True)

        def step(batch: Batch, done: float) -> Figures:
            x = self.numbers(batch.cells, batch.energy, self.numbers.draw(batch.cells))
            loss = -self.log_density(x, batch.energy).mean()
            adam.zero_grad()
            loss.backward()
            adam.step()
            return {"nll": loss.detach()}

        return [
            Phase(
                "flow",
                step,
                {"adam": adam},
                lambda steps: [_one_cycle(adam, steps)],
                epochs=self.config.epochs,
                prepare=self.numbers.prepare,
            )
        ]

    def sampler(self, geometry: Calorimeter) -> CaloINNSampler:
        """Return the map from noise to showers, with the current parameters."""
        return CaloINNSampler(self.flow, self.numbers).eval().requires_grad_(False)


def _condition(energy: Tensor) -> Tensor:
    """Incident energies (N,) in MeV as what the blocks are told, (N, 1)."""
    return (energy / GeV).log().unsqueeze(1)


def _one_cycle(optimizer: torch.optim.Optimizer, steps: int) -> torch.optim.lr_scheduler.LRScheduler:
    """Return the schedule of a rate that rises to that of the optimizer, then falls to nearly nothing.

    Both follow half a cosine, with the numbers of torch's own one-cycle schedule. That one fails when a
    training is extended, and a checkpoint does not hold the moments of Adam that it sets.
    """

    def factor(done: int) -> float:
        share = min(done / (steps - 1), 1.0) if steps > 1 else 1.0
        if share < _RISE:
            return _between(_FIRST, 1.0, share / _RISE)
        return _between(1.0, _LAST, (share - _RISE) / (1 - _RISE))

    return torch.optim.lr_scheduler.LambdaLR(optimizer, factor)


def _between(begin: float, end: float, share: float) -> float:
    return end + (begin - end) * 0.5 * (1 + math.cos(math.pi * share))


CaloINN.Config = Config
ENTRY = CaloINN
