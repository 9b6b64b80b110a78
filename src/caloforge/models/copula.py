"""A censored Gaussian copula: the numbers of `caloforge.preprocessing`, drawn from one normal distribution.

A copula is a joint distribution with the single ones divided out (Sklar, Publ. Inst. Stat. Univ. Paris 8
(1959) 229). Here the single ones are the conditional distributions of layer energies and cells, and what
joins them is one correlation matrix. A shower costs one product of a matrix with noise.
"""

import copy

import torch
from torch import Tensor, nn

from caloforge.config import strict_dataclass
from caloforge.geometry import Calorimeter
from caloforge.models.base import Batch, GenerativeModel
from caloforge.preprocessing import CopulaConfig, Decoder, NormalShowers


@strict_dataclass
class Config(CopulaConfig):
    """The copula: what `caloforge.preprocessing.CopulaConfig` has, and nothing else."""


class Sampler(nn.Module):
    """Noise to showers: the correlations as a matrix for the layers and one for the cells of each."""

    def __init__(self, factor: Tensor, decoder: Decoder) -> None:
        super().__init__()
        parts = factor.T.split([len(decoder.sizes), *decoder.sizes], dim=1)
        self.parts = len(parts)
        for number, part in enumerate(parts):
            self.register_buffer(f"factor{number}", part.clone())
        self.decoder = decoder

    def forward(self, noise: Tensor, energy: Tensor, label: Tensor) -> Tensor:
        """(N, noise_size), (N,) MeV, (N,) unused -> (N, n_cells) MeV."""
        heads, *cells = (noise @ self.get_buffer(f"factor{number}") for number in range(self.parts))
        return self.decoder.assemble(heads, cells, energy)


class Copula(GenerativeModel):
    """The copula; see the module. Its noise has one number for each layer and each cell."""

    def __init__(self, config: Config, geometry: Calorimeter) -> None:
        super().__init__(config, geometry)
        self.config: Config = config
        self.showers = NormalShowers(geometry, config)
        self.noise_size = self.showers.size

    def prepare(self, showers: Batch) -> None:
        """Set knots and starting values by all showers to train on."""
        self.showers.prepare(showers.cells, showers.energy)

    def forward(self, noise: Tensor, energy: Tensor, label: Tensor) -> Tensor:
        """Turn noise (N, noise_size), energy (N,) MeV and label (N,) into cells (N, n_cells) MeV."""
        cells: Tensor = self._sampler()(noise, energy, label)
        return cells

    def sampler(self) -> nn.Module:
        """Return the map from noise to showers as it stands now."""
        return copy.deepcopy(self._sampler()).eval().requires_grad_(False)

    def _sampler(self) -> Sampler:
        return Sampler(self.showers.gaussian.factor(), self.showers.scaling.decoder())

    def optimizers(self) -> dict[str, torch.optim.Optimizer]:
        """Return Adam for the single distributions."""
        return {"showers": self.showers.optimizer()}

    def training_step(self, batch: Batch, optimizers: dict[str, torch.optim.Optimizer]) -> dict[str, Tensor]:
        """Fit the single distributions, and from `CopulaConfig.settled` on the correlations."""
        return self.showers.learn(batch.cells, batch.energy, optimizers["showers"])


Copula.Config = Config
ENTRY = Copula
