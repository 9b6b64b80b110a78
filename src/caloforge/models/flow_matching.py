r"""Flow matching on top of the censored Gaussian copula: a network adds what the copula does not describe.

A shower becomes normal numbers (`caloforge.preprocessing`). If the copula were exact, these numbers, whitened
by its correlations, would be independent noise. A flow leads from noise to their true distribution: Lipman et
al., Flow Matching for Generative Modeling, arXiv:2210.02747, on trigonometric paths (Albergo and
Vanden-Eijnden, arXiv:2209.15571), x(t) = cos(t) noise + sin(t) shower for t from 0 to pi/2, whose velocity
the network learns. If the showers are noise, so are all points of these paths, and a network with the output
0 is the copula itself. The flow is therefore almost straight, and one step of the midpoint rule follows it.

The copula draws the energies of the layers; the flow is of the cells, given these.

With y the whitened numbers of a shower's cells and t from 0 to pi/2 the network v learns to lower

```math
\langle | v(x(t), t, E, z_\mathrm{layers}) - (y \cos t - \varepsilon \sin t) |^2 \rangle, \qquad
x(t) = \varepsilon \cos t + y \sin t
```

and a shower is one step of the midpoint rule from noise (`FlowSampler`):

```math
x_{1/2} = \varepsilon + \tfrac{\pi}{4} v(\varepsilon, 0), \qquad
y = \varepsilon + \tfrac{\pi}{2} v(x_{1/2}, \tfrac{\pi}{4})
```
"""

import copy
import math
from collections.abc import Sequence
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from caloforge.config import strict_dataclass
from caloforge.geometry import Calorimeter
from caloforge.incident.particles import brought, parse_particle
from caloforge.models import base
from caloforge.models.base import Batch, Figures, GenerativeModel, ModelConfig, Phase, TrainingShowers
from caloforge.preprocessing import CopulaConfig, Decoder, NormalShowers, Ramps, falling
from caloforge.units import GeV

__all__ = ["ENTRY", "Block", "Config", "FlowMatching", "FlowSampler", "Velocity"]

_FREQUENCIES = 8  # of sines and cosines of the time, inputs of the network
_MOST = 1.0  # norm at which gradients are cut


@strict_dataclass
class Config(CopulaConfig, ModelConfig):
    """The copula's configuration, and the network's.

    Attributes
    ----------
    steps, flow_steps
        Steps of the copula and then of the network, unless epochs are given: these are divided in proportion.
    width, blocks
        Size of the residual network.
    dropout
        Share of activations that training sets to zero.
    flow_rate, decay
        Learning rate and weight decay (AdamW); the rate falls to a hundredth along a cosine.
    integration
        Steps of the midpoint rule that a shower takes; each evaluates the network twice.
    """

    particles: Annotated[tuple[str, ...], Field(min_length=1, max_length=1)] = ("e+",)
    steps: int = Field(default=1500, gt=0)
    flow_steps: int = Field(default=1500, gt=0)
    width: int = Field(default=384, gt=0)
    blocks: int = Field(default=2, gt=0)
    dropout: float = Field(default=0.1, ge=0, lt=1)
    flow_rate: float = Field(default=5e-4, gt=0)
    decay: float = Field(default=0.05, ge=0)
    integration: int = Field(default=1, gt=0)

    def __post_init__(self) -> None:
        """Refuse values that do not fit together."""
        ModelConfig.__post_init__(self)
        self.check_levels()


class Block(nn.Module):
    """A residual block whose input is scaled and shifted according to a condition."""

    def __init__(self, width: int, dropout: float) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width, elementwise_affine=False)
        self.condition = nn.Linear(width, 2 * width)
        self.inner, self.outer = nn.Linear(width, width), nn.Linear(width, width)
        self.dropout = nn.Dropout(dropout)
        # With zeros each block starts as the identity, which keeps the first gradients well scaled.
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
        # A velocity of 0 is the copula itself: the training starts from there.
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


class FlowSampler(base.Sampler):
    """Noise to showers."""

    factor: Tensor

    def __init__(self, velocity: Velocity, factor: Tensor, decoder: Decoder, integration: int) -> None:
        super().__init__()
        self.noise_size = len(factor)
        self.velocity, self.decoder = velocity, decoder
        self.register_buffer("factor", factor.T.contiguous())
        self.layers = len(decoder.sizes)
        self.integration = integration

    def forward(self, noise: Tensor, energy: Tensor) -> Tensor:  # type: ignore[override]
        """(N, noise_size) and (N,) MeV -> (N, n_cells) MeV."""
        layers, x = noise[:, : self.layers], noise[:, self.layers :]
        # The noise of the layers is not integrated: it is a condition, and stays as the copula draws it.
        step = math.pi / 2 / self.integration
        for number in range(self.integration):
            begin = torch.full_like(energy, number * step)
            middle = x + step / 2 * self.velocity(x, begin, energy, layers)
            x = x + step * self.velocity(middle, begin + step / 2, energy, layers)
        cells: Tensor = self.decoder(torch.cat([layers, x], dim=1) @ self.factor, energy)
        return cells


class FlowMatching(GenerativeModel):
    """The flow; see the module. Its noise has one number for each layer and each cell."""

    def __init__(self, config: Config, geometry: Calorimeter) -> None:
        super().__init__(config, geometry)
        self.config: Config = config
        low, high = config.energy_range
        self.copula = NormalShowers(
            geometry,
            config,
            (low * GeV, high * GeV),
            brought(parse_particle(config.particles[0])),
            self.symmetries(geometry).cells,
        )
        self.velocity = Velocity(config, len(geometry.layers), geometry.n_cells)

    def sampler(self, geometry: Calorimeter) -> FlowSampler:
        """Return the map from noise to showers as it stands now."""
        copula = self.copula
        drawn = FlowSampler(
            self.velocity, copula.gaussian.factor(), copula.scaling.decoder(), self.config.integration
        )
        return copy.deepcopy(drawn).eval().requires_grad_(False)

    def phases(self) -> Sequence[Phase]:
        """Return two phases: the copula is learned, then the network on top of it."""
        copula = self.copula.optimizer()
        flow = torch.optim.AdamW(
            self.velocity.parameters(),
            lr=self.config.flow_rate,
            betas=(0.9, 0.99),
            weight_decay=self.config.decay,
        )

        def learn(batch: Batch, done: float) -> Figures:
            return self.copula.learn(batch.cells, batch.energy, copula, done)

        def match(batch: Batch, done: float) -> Figures:
            loss = self._loss(batch)
            flow.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(self.velocity.parameters(), _MOST)
            flow.step()
            return {"velocity": loss.detach()}

        return [
            Phase(
                "copula",
                learn,
                {"copula": copula},
                lambda steps: [falling(copula, steps)],
                steps=self.config.steps,
                prepare=self._prepare,
            ),
            Phase(
                "flow",
                match,
                {"flow": flow},
                lambda steps: [falling(flow, steps)],
                steps=self.config.flow_steps,
                frozen=[self.copula],
            ),
        ]

    def _prepare(self, showers: TrainingShowers) -> None:
        sample = showers.sample()
        rest = ((batch.cells, batch.energy) for batch in showers.batches())
        self.copula.prepare(sample.cells, sample.energy, rest if len(sample.energy) < len(showers) else ())

    def _loss(self, batch: Batch) -> Tensor:
        """Mean squared error of the velocity, in the middle of paths more than at their ends."""
        white = self.copula.whitened(batch.cells, batch.energy)
        n = len(self.geometry.layers)
        # The factor is triangular with the layers first, so their white numbers do not depend on any cell.
        layers, shower = white[:, :n], white[:, n:]
        noise = torch.randn_like(shower)
        # The sigmoid of a normal number prefers the middle of the path, where the midpoint rule evaluates for
        # the second time.
        time = math.pi / 2 * torch.sigmoid(torch.randn(len(noise), device=noise.device))
        sin, cos = time.sin().unsqueeze(1), time.cos().unsqueeze(1)
        found = self.velocity(cos * noise + sin * shower, time, batch.energy, layers)
        return functional.mse_loss(found, cos * shower - sin * noise)


FlowMatching.Config = Config
ENTRY = FlowMatching
