"""Small models that use what the contract allows and no model of the catalogue needs yet."""

import copy
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn
from torch._higher_order_ops.scan import scan

from caloforge.config import strict_dataclass
from caloforge.geometry import Calorimeter
from caloforge.models.base import (
    Batch,
    Figures,
    GenerativeModel,
    ModelConfig,
    Phase,
    Sampler,
    TrainingShowers,
)


@strict_dataclass
class Config(ModelConfig):
    """Nothing of its own."""


class Scaled(Sampler):
    """Energy times a share, blurred by noise."""

    def __init__(self, share: Tensor, spread: Tensor) -> None:
        super().__init__()
        self.noise_size = len(share)
        self.register_buffer("share", share.detach().clone())
        self.register_buffer("spread", spread.detach().clone())

    def forward(self, noise: Tensor, energy: Tensor) -> Tensor:  # type: ignore[override]
        return (self.share * torch.exp(self.spread * noise) * energy.unsqueeze(1)).relu()


class TwoPhases(GenerativeModel):
    """First the mean shares by gradient, then their spread; in the end a covariance that has no gradient."""

    Config = Config

    def __init__(self, config: Config, geometry: Calorimeter) -> None:
        super().__init__(config, geometry)
        self.share = nn.Parameter(torch.full((geometry.n_cells,), 1 / geometry.n_cells))
        self.spread = nn.Linear(1, geometry.n_cells)
        self.register_buffer("mean", torch.zeros(()))

    def phases(self) -> Sequence[Phase]:
        means = torch.optim.SGD([self.share], lr=1e-3)
        spreads = torch.optim.Adam(self.spread.parameters())

        def fit_mean(batch: Batch, done: float) -> Figures:
            loss = (batch.cells / batch.energy.unsqueeze(1) - self.share).square().mean()
            return self._descend(loss, means)

        def fit_spread(batch: Batch, done: float) -> Figures:
            noise = torch.randn_like(batch.cells[:, :1])
            loss = (self.spread(noise) - batch.cells / batch.energy.unsqueeze(1)).square().mean()
            return self._descend(loss, spreads)

        return [
            Phase("mean", fit_mean, {"sgd": means}, lambda n: [falling(means, n)], steps=6),
            Phase(
                "spread",
                fit_spread,
                {"adam": spreads},
                epochs=1,
                frozen=[nn.ParameterList([self.share])],
                finish=self._finish,
            ),
        ]

    def _descend(self, loss: Tensor, optimizer: torch.optim.Optimizer) -> Figures:
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return {"loss": loss.detach()}

    def _finish(self, showers: TrainingShowers) -> None:
        self.mean.fill_(torch.cat([batch.energy for batch in showers.batches(8)]).mean())

    def sampler(self, geometry: Calorimeter) -> Sampler:
        return Scaled(self.share.relu(), self.spread.weight[:, 0].abs())


def falling(optimizer: torch.optim.Optimizer, steps: int) -> torch.optim.lr_scheduler.LRScheduler:
    return torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)


class AnyReadOut(GenerativeModel):
    """A share that falls with the distance of a cell from the centre, whatever the cells are."""

    Config = Config
    conditions = ("energy", "geometry")

    def __init__(self, config: Config, *geometries: Calorimeter) -> None:
        super().__init__(config, *geometries)
        self.width = nn.Parameter(torch.tensor(10.0))

    def _share(self, geometry: Calorimeter) -> Tensor:
        centres = [torch.tensor(np.stack(layer.centres)).flatten(1).float() for layer in geometry.layers]
        distance = torch.cat([centre.square().sum(dim=0).sqrt() for centre in centres])
        return torch.softmax(-distance / self.width.abs(), dim=0)

    def phases(self) -> Sequence[Phase]:
        optimizer = torch.optim.Adam([self.width])

        def step(batch: Batch, done: float) -> Figures:
            share = batch.cells / batch.energy.unsqueeze(1)
            loss = (share - self._share(batch.geometry)).square().mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            return {"loss": loss.detach()}

        return [Phase("width", step, {"adam": optimizer}, epochs=1)]

    def sampler(self, geometry: Calorimeter) -> Sampler:
        share = self._share(geometry)
        return OneNumber(share.detach())


class OneNumber(Sampler):
    """A shower's shares times one random number."""

    noise_size = 1

    def __init__(self, share: Tensor) -> None:
        super().__init__()
        self.register_buffer("share", share.clone())

    def forward(self, noise: Tensor, energy: Tensor) -> Tensor:  # type: ignore[override]
        return self.share * torch.exp(0.1 * noise) * energy.unsqueeze(1)


class CellByCell(GenerativeModel):
    """Each cell given those before it: the sampler iterates."""

    Config = Config

    def __init__(self, config: Config, geometry: Calorimeter) -> None:
        super().__init__(config, geometry)
        self.recurrent = nn.Linear(4, 4)
        self.out = nn.Linear(4, 1)

    def phases(self) -> Sequence[Phase]:
        optimizer = torch.optim.Adam(self.parameters())

        def step(batch: Batch, done: float) -> Figures:
            state = torch.tanh(self.recurrent(torch.randn(len(batch.energy), 4)))
            loss = (self.out(state) - batch.cells.mean(dim=1, keepdim=True) / batch.energy[:, None]).square()
            optimizer.zero_grad()
            loss.mean().backward()
            optimizer.step()
            return {"loss": loss.detach().mean()}

        return [Phase("cells", step, {"adam": optimizer}, steps=4)]

    def sampler(self, geometry: Calorimeter) -> Sampler:
        return copy.deepcopy(Iterating(self.recurrent, self.out, geometry.n_cells)).eval()


class Iterating(Sampler):
    """A loop over the cells that ONNX has as well."""

    def __init__(self, recurrent: nn.Linear, out: nn.Linear, cells: int) -> None:
        super().__init__()
        self.recurrent, self.out = recurrent, out
        self.noise_size = cells
        self.requires_grad_(False)

    def forward(self, noise: Tensor, energy: Tensor) -> Tensor:  # type: ignore[override]
        def step(state: Tensor, number: Tensor) -> tuple[Tensor, Tensor]:
            after = torch.tanh(self.recurrent(state) + number.unsqueeze(1))
            return after, self.out(after).relu().squeeze(1)

        begin = torch.zeros(noise.shape[0], 4) + energy.log().unsqueeze(1) / 10
        _, cells = scan(step, begin, noise.T, dim=0)
        return cells.T * energy.unsqueeze(1)


class Student(TwoPhases):
    """Learns the spread on top of a teacher's shares, and keeps to what the teacher draws."""

    parent_model = "toys"

    def inherit(self, parent: GenerativeModel) -> None:
        self.teacher = [parent.sampler(self.geometry)]  # in a list, so that it is no part of the student
        self.share.data.copy_(parent.share)

    def phases(self) -> Sequence[Phase]:
        optimizer = torch.optim.Adam(self.spread.parameters())

        def distil(batch: Batch, done: float) -> Figures:
            noise = torch.randn(len(batch.cells), self.teacher[0].noise_size)
            drawn = self.teacher[0](noise, batch.energy) / batch.energy.unsqueeze(1)
            return self._descend((self.spread(noise[:, :1]) - drawn).square().mean(), optimizer)

        return [
            Phase("distil", distil, {"adam": optimizer}, steps=4, frozen=[nn.ParameterList([self.share])])
        ]
