"""Flow matching on top of the censored Gaussian copula: what the copula leaves unsaid, a network adds.

A shower is normal numbers (`caloforge.preprocessing`). Whitened by the copula's correlations they would be
independent noise if the copula were all there is. A flow leads from noise to what they are: Lipman et al.,
Flow Matching for Generative Modeling, arXiv:2210.02747, on trigonometric paths (Albergo and Vanden-Eijnden,
arXiv:2209.15571), x(t) = cos(t) noise + sin(t) shower for t from 0 to pi/2, whose velocity the network
learns. Along these paths noise stays what it is, so a network that says 0 is the copula itself: the
flow is almost straight, and one step of the midpoint rule goes along it.

Energies of the layers are as the copula draws them; the flow is of the cells given these.
"""

import copy
import math

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from caloforge.config import strict_dataclass
from caloforge.geometry import Calorimeter
from caloforge.models.base import Batch, GenerativeModel
from caloforge.preprocessing import CopulaConfig, Decoder, NormalShowers, Ramps, falling
from caloforge.units import GeV

_FREQUENCIES = 8  # of the time, as the network sees it
_MOST = 1.0  # norm at which gradients are cut


@strict_dataclass
class Config(CopulaConfig):
    """The copula's configuration, and the network's.

    Attributes
    ----------
    width, blocks
        Of the residual network.
    dropout
        Share of activations that training leaves out.
    flow_rate, decay
        Rate and weight decay (AdamW); the rate falls to a hundredth as a cosine does.
    flow_steps
        Steps in which it falls, after those of the copula.
    integration
        Steps of the midpoint rule that a shower takes; each evaluates the network twice.
    """

    width: int = Field(default=384, gt=0)
    blocks: int = Field(default=2, gt=0)
    dropout: float = Field(default=0.1, ge=0, lt=1)
    flow_rate: float = Field(default=5e-4, gt=0)
    decay: float = Field(default=0.05, ge=0)
    flow_steps: int = Field(default=1500, gt=0)
    integration: int = Field(default=1, gt=0)


class Block(nn.Module):
    """A residual block that scales and shifts what it sees as a condition says."""

    def __init__(self, width: int, dropout: float) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width, elementwise_affine=False)
        self.condition = nn.Linear(width, 2 * width)
        self.inner, self.outer = nn.Linear(width, width), nn.Linear(width, width)
        self.dropout = nn.Dropout(dropout)
        for layer in (self.condition, self.outer):
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        """(N, width) twice -> (N, width)."""
        scale, shift = self.condition(condition).chunk(2, dim=1)
        inner = functional.silu(self.inner(self.norm(x) * (1 + scale) + shift))
        out: Tensor = x + self.outer(self.dropout(inner))
        return out


class Velocity(nn.Module):
    """The network: where a point of a path goes, given time, incident energy and layers.

    Parameters
    ----------
    config
        Width, blocks, dropout, and the energies.
    layers, cells
        How many of each a shower has.
    """

    frequencies: Tensor

    def __init__(self, config: Config, layers: int, cells: int) -> None:
        super().__init__()
        low, high = (energy * GeV for energy in config.energy_range)
        self.energy = Ramps.of_energy((low, high), config.energy_knots)
        self.register_buffer("frequencies", 2.0 * torch.arange(1, _FREQUENCIES + 1), persistent=False)
        seen = 2 * _FREQUENCIES + config.energy_knots + 2 * layers
        self.condition = nn.Sequential(nn.Linear(seen, config.width), nn.SiLU())
        self.inlet, self.outlet = nn.Linear(cells, config.width), nn.Linear(config.width, cells)
        self.blocks = nn.ModuleList(Block(config.width, config.dropout) for _ in range(config.blocks))
        nn.init.zeros_(self.outlet.weight)
        nn.init.zeros_(self.outlet.bias)

    def forward(self, x: Tensor, time: Tensor, energy: Tensor, layers: Tensor) -> Tensor:
        """(N, cells), (N,), (N,) MeV and normal numbers of the layers (N, layers) -> (N, cells)."""
        phases = time.unsqueeze(1) * self.frequencies
        seen = [phases.sin(), phases.cos(), self.energy.hats(energy.log()), layers, layers.square() / 3]
        condition = self.condition(torch.cat(seen, dim=1))
        hidden = self.inlet(x)
        for block in self.blocks:
            hidden = block(hidden, condition)
        out: Tensor = self.outlet(hidden)
        return out


class Sampler(nn.Module):
    """Noise to showers."""

    factor: Tensor

    def __init__(self, velocity: Velocity, factor: Tensor, decoder: Decoder, integration: int) -> None:
        super().__init__()
        self.velocity, self.decoder = velocity, decoder
        self.register_buffer("factor", factor.T.contiguous())
        self.layers = len(decoder.sizes)
        self.integration = integration

    def forward(self, noise: Tensor, energy: Tensor, label: Tensor) -> Tensor:
        """(N, noise_size), (N,) MeV, (N,) unused -> (N, n_cells) MeV."""
        layers, x = noise[:, : self.layers], noise[:, self.layers :]
        step = math.pi / 2 / self.integration
        for number in range(self.integration):
            begin = torch.full_like(energy, number * step)
            middle = x + step / 2 * self.velocity(x, begin, energy, layers)
            x = x + step * self.velocity(middle, begin + step / 2, energy, layers)
        cells: Tensor = self.decoder(torch.cat([layers, x], dim=1) @ self.factor, energy)
        return cells


class FlowMatching(GenerativeModel):
    """The flow; see the module. Its noise has one number for each layer and each cell.

    The copula is trained first, for `CopulaConfig.steps`, then the network.
    """

    flow_steps: Tensor

    def __init__(self, config: Config, geometry: Calorimeter) -> None:
        super().__init__(config, geometry)
        self.config: Config = config
        self.copula = NormalShowers(geometry, config)
        self.velocity = Velocity(config, len(geometry.layers), geometry.n_cells)
        self.noise_size = self.copula.size
        self.register_buffer("flow_steps", torch.tensor(0))

    def prepare(self, showers: Batch) -> None:
        """Set knots and starting values of the copula by all showers to train on."""
        self.copula.prepare(showers.cells, showers.energy)

    def forward(self, noise: Tensor, energy: Tensor, label: Tensor) -> Tensor:
        """Turn noise (N, noise_size), energy (N,) MeV and label (N,) into cells (N, n_cells) MeV."""
        cells: Tensor = self._sampler()(noise, energy, label)
        return cells

    def sampler(self) -> nn.Module:
        """Return the map from noise to showers as it stands now."""
        return copy.deepcopy(self._sampler()).eval().requires_grad_(False)

    def _sampler(self) -> Sampler:
        copula = self.copula
        return Sampler(
            self.velocity, copula.gaussian.factor(), copula.scaling.decoder(), self.config.integration
        )

    def optimizers(self) -> dict[str, torch.optim.Optimizer]:
        """Return Adam for the copula and AdamW for the network."""
        flow = torch.optim.AdamW(
            self.velocity.parameters(),
            lr=self.config.flow_rate,
            betas=(0.9, 0.99),
            weight_decay=self.config.decay,
        )
        return {"copula": self.copula.optimizer(), "flow": flow}

    def training_step(self, batch: Batch, optimizers: dict[str, torch.optim.Optimizer]) -> dict[str, Tensor]:
        """Teach the copula; once it has learned, the network."""
        self.train()
        if not self.copula.learned:
            return self.copula.learn(batch.cells, batch.energy, optimizers["copula"])
        optimizer = optimizers["flow"]
        for group in optimizer.param_groups:
            group["lr"] = self.config.flow_rate * falling(int(self.flow_steps) / self.config.flow_steps)
        loss = self._loss(batch)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(self.velocity.parameters(), _MOST)
        optimizer.step()
        self.flow_steps += 1
        return {"velocity": loss.detach()}

    def _loss(self, batch: Batch) -> Tensor:
        """Mean squared error of the velocity, in the middle of paths more than at their ends."""
        white = self.copula.whitened(batch.cells, batch.energy)
        n = len(self.geometry.layers)
        layers, shower = white[:, :n], white[:, n:]
        noise = torch.randn_like(shower)
        time = math.pi / 2 * torch.sigmoid(torch.randn(len(noise)))
        sin, cos = time.sin().unsqueeze(1), time.cos().unsqueeze(1)
        found = self.velocity(cos * noise + sin * shower, time, batch.energy, layers)
        return functional.mse_loss(found, cos * shower - sin * noise)


FlowMatching.Config = Config
ENTRY = FlowMatching
