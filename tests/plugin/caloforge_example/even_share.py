"""A model that learns one number: the share of the energy that every cell gets."""

import torch
from torch import Tensor, nn

from caloforge.config import strict_dataclass
from caloforge.geometry import Calorimeter
from caloforge.models.base import Batch, GenerativeModel


@strict_dataclass
class Config:
    particles: tuple[str, ...] = ("gamma",)
    energy_range: tuple[float, float] = (1.0, 100.0)


class EvenShare(GenerativeModel):
    Config = Config
    noise_size = 1

    def __init__(self, config: Config, geometry: Calorimeter) -> None:
        super().__init__(config, geometry)
        self.share = nn.Parameter(torch.tensor(1.0 / geometry.n_cells))

    def forward(self, noise: Tensor, energy: Tensor, label: Tensor) -> Tensor:
        fluctuation = 1 + 0.1 * noise.tanh()
        return (self.share.abs() * energy.unsqueeze(1) * fluctuation).expand(-1, self.geometry.n_cells)

    def optimizers(self) -> dict[str, torch.optim.Optimizer]:
        return {"share": torch.optim.Adam(self.parameters(), lr=1e-4)}

    def training_step(self, batch: Batch, optimizers: dict[str, torch.optim.Optimizer]) -> dict[str, Tensor]:
        optimizer = optimizers["share"]
        noise = torch.zeros(len(batch.energy), 1)
        drawn = self(noise, batch.energy, batch.label).sum(dim=1)
        loss = ((drawn - batch.cells.sum(dim=1)) / batch.energy).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return {"loss": loss.detach()}

    def sampler(self) -> nn.Module:
        return self


ENTRY = EvenShare
