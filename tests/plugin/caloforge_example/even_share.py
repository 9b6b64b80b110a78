"""A model that learns one number: the share of the energy that every cell gets."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from caloforge.config import strict_dataclass
from caloforge.geometry import Calorimeter
from caloforge.models.base import Batch, Figures, GenerativeModel, ModelConfig, Phase, Sampler


@strict_dataclass
class Config(ModelConfig):
    rate: float = 1e-4


class EvenSampler(Sampler):
    noise_size = 1

    def __init__(self, share: Tensor, n_cells: int) -> None:
        super().__init__()
        self.register_buffer("share", share.detach().abs().clone())
        self.n_cells = n_cells

    def forward(self, noise: Tensor, energy: Tensor) -> Tensor:
        fluctuation = 1 + 0.1 * noise.tanh()
        return (self.share * energy.unsqueeze(1) * fluctuation).expand(-1, self.n_cells)


class EvenShare(GenerativeModel):
    Config = Config

    def __init__(self, config: Config, geometry: Calorimeter) -> None:
        super().__init__(config, geometry)
        self.share = nn.Parameter(torch.tensor(1.0 / geometry.n_cells))

    def phases(self) -> Sequence[Phase]:
        optimizer = torch.optim.Adam(self.parameters(), lr=self.config.rate)

        def step(batch: Batch, done: float) -> Figures:
            response = batch.cells.sum(dim=1) / batch.energy
            loss = (self.share.abs() * self.geometry.n_cells - response).square().mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            return {"loss": loss.detach()}

        return [Phase("share", step, {"adam": optimizer}, epochs=20)]

    def sampler(self, geometry: Calorimeter) -> EvenSampler:
        return EvenSampler(self.share, geometry.n_cells)


ENTRY = EvenShare
