r"""A censored Gaussian copula: the numbers of `caloforge.preprocessing`, drawn from one normal distribution.

A copula is what remains of a joint distribution when the single ones are divided out (Sklar, Publ. Inst.
Stat. Univ. Paris 8 (1959) 229). Here the single ones are the conditional distributions of layer energies and
cells, and one correlation matrix joins them. A shower takes one product of a matrix with noise.

```math
z = A \varepsilon, \qquad A A^\mathsf{T} = \Sigma, \qquad \varepsilon \sim N(0, 1)
```

with a lower triangular A, so that the first numbers, those of the layers, depend on the first ones of the
noise alone. docs/generators.md has the derivation and the effect of each choice.
"""

import copy
from collections.abc import Sequence
from typing import Annotated

from pydantic import Field
from torch import Tensor

from caloforge.config import strict_dataclass
from caloforge.geometry import Calorimeter
from caloforge.incident.particles import brought, parse_particle
from caloforge.models import base
from caloforge.models.base import Batch, Figures, GenerativeModel, ModelConfig, Phase, TrainingShowers
from caloforge.preprocessing import CopulaConfig, Decoder, NormalShowers, falling
from caloforge.units import GeV

__all__ = ["ENTRY", "Config", "Copula", "CopulaSampler"]


@strict_dataclass
class Config(CopulaConfig, ModelConfig):
    """The copula of one particle.

    Attributes
    ----------
    steps
        Steps of the training, unless epochs are given.
    """

    particles: Annotated[tuple[str, ...], Field(min_length=1, max_length=1)] = ("e+",)
    steps: int = Field(default=1500, gt=0)

    def __post_init__(self) -> None:
        """Refuse values that do not fit together."""
        ModelConfig.__post_init__(self)
        self.check_levels()


class CopulaSampler(base.Sampler):
    """Noise to showers: the correlations as a matrix for the layers and one for the cells of each."""

    def __init__(self, factor: Tensor, decoder: Decoder) -> None:
        super().__init__()
        self.noise_size = len(factor)
        # Separate matrices make each layer's numbers directly: the graph needs no split of the product.
        parts = factor.T.split([len(decoder.sizes), *decoder.sizes], dim=1)
        self.parts = len(parts)
        for number, part in enumerate(parts):
            self.register_buffer(f"factor{number}", part.clone())
        self.decoder = decoder

    def forward(self, noise: Tensor, energy: Tensor) -> Tensor:  # type: ignore[override]
        """(N, noise_size) and (N,) MeV -> (N, n_cells) MeV."""
        heads, *cells = (noise @ self.get_buffer(f"factor{number}") for number in range(self.parts))
        return self.decoder.assemble(heads, cells, energy)


class Copula(GenerativeModel):
    """The copula; see the module. Its noise has one number for each layer and each cell."""

    def __init__(self, config: Config, geometry: Calorimeter) -> None:
        super().__init__(config, geometry)
        self.config: Config = config
        low, high = config.energy_range
        self.showers = NormalShowers(
            geometry,
            config,
            (low * GeV, high * GeV),
            brought(parse_particle(config.particles[0])),
            self.symmetries(geometry).cells,
        )

    def sampler(self, geometry: Calorimeter) -> CopulaSampler:
        """Return the map from noise to showers as it stands now."""
        showers = self.showers
        drawn = CopulaSampler(showers.gaussian.factor(), showers.scaling.decoder())
        # A copy, since the training may continue and change the tables that the decoder shares.
        return copy.deepcopy(drawn).eval().requires_grad_(False)

    def phases(self) -> Sequence[Phase]:
        """Return the only phase: Adam for the single distributions, and updates of the correlations."""
        optimizer = self.showers.optimizer()

        def step(batch: Batch, done: float) -> Figures:
            return self.showers.learn(batch.cells, batch.energy, optimizer, done)

        return [
            Phase(
                "copula",
                step,
                {"showers": optimizer},
                lambda steps: [falling(optimizer, steps)],
                steps=self.config.steps,
                prepare=self._prepare,
            )
        ]

    def _prepare(self, showers: TrainingShowers) -> None:
        sample = showers.sample()
        # A second pass over the data only where the sample is not all of it.
        rest = ((batch.cells, batch.energy) for batch in showers.batches())
        self.showers.prepare(sample.cells, sample.energy, rest if len(sample.energy) < len(showers) else ())


Copula.Config = Config
ENTRY = Copula
