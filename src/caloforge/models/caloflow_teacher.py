r"""CaloFlow's teacher: two masked autoregressive flows, which are trained by their likelihood.

C. Krause, D. Shih, arXiv:2106.05285; `caloforge.models.caloflow_base` has what it shares with the student,
and what differs from the papers. Densities are exact and fast, drawing goes cell by cell:
`caloforge.models.caloflow` is the student that draws fast.

Flow I: 6 autoregressive transforms with rational-quadratic splines, a random permutation after each; Adam at
1e-4, halved after 5, 15, 40 and 60 of 75 epochs. Flow II: 8 transforms with one hidden layer of 378 units and
a dropout of 5 %; between them, in turns, the cells of each layer are put backwards and in a random order, so
that no cell leaves its layer; Adam at 1e-4, halved after 50 of 100 epochs. Both maximise

```math
\ln p(u \mid c) = \ln N(f(u \mid c); 0, 1) + \ln |\det \partial f / \partial u|
```

of the logits u. The parameters with the best likelihood of held-out showers are kept, of flow I those of its
last step. Left open by the papers and chosen here: weights start as torch's linear layers do; the degrees of
hidden units (`caloforge.models.flows.MaskedNetwork`); mirror images of showers are learned as well.
"""

from collections.abc import Iterator, Sequence

import torch
from pydantic import Field
from torch import Tensor

from caloforge.config import strict_dataclass
from caloforge.geometry import Calorimeter
from caloforge.models.base import Batch, Figures, Phase, TrainingShowers
from caloforge.models.caloflow_base import (
    CaloFlowConfig,
    CaloFlowModel,
    CaloFlowSampler,
    halved,
    interleaved,
)
from caloforge.models.flows import (
    Autoregressive,
    Backward,
    MaskedNetwork,
    Permutation,
    inversion,
    shuffle,
)

__all__ = ["ENTRY", "CaloFlowTeacher", "Config"]

_ENERGIES_HALVED = (5 / 75, 15 / 75, 40 / 75, 60 / 75)
_CELLS_HALVED = (50 / 100,)
_AT_ONCE = 256  # held-out showers


@strict_dataclass
class Config(CaloFlowConfig):
    """The published teacher, unless something else is set.

    Attributes
    ----------
    hidden
        Units of the hidden layer of flow II.
    dropout
        Share of them that training sets to 0.
    rate
        Of Adam at the beginning, in both phases.
    energy_epochs, epochs
        Of flow I and flow II, unless others are given.
    """

    hidden: int = Field(default=378, gt=0)
    dropout: float = Field(default=0.05, ge=0, lt=1)
    rate: float = Field(default=1e-4, gt=0)
    energy_epochs: int = Field(default=75, gt=0)
    epochs: int = Field(default=100, gt=0)


class CaloFlowTeacher(CaloFlowModel):
    """The teacher; see the module. Its noise has one number for each layer and each cell."""

    chosen_by = "nll/cells"

    def __init__(self, config: Config, geometry: Calorimeter) -> None:
        super().__init__(config, geometry)
        self.config: Config = config
        spline = config.spline()
        cells, known = geometry.n_cells, 1 + len(self.sizes)
        networks = [
            MaskedNetwork(cells, known, spline.parameters, config.hidden, dropout=config.dropout)
            for _ in range(config.blocks)
        ]
        orders = [(shuffle if between % 2 else inversion)(self.sizes) for between in range(config.blocks - 1)]
        self.cells = interleaved(
            [Autoregressive(network, spline) for network in networks],
            [Permutation(order) for order in orders],
        )

    def sampler(self, geometry: Calorimeter) -> CaloFlowSampler:
        """Return the map from noise to showers as it stands now: a loop over the cells for each transform."""
        return self.sampler_of(Backward(self.cells))

    def phases(self) -> Sequence[Phase]:
        """Return the two flows, which are trained one after the other."""
        first = torch.optim.Adam(self.energies.parameters(), lr=self.config.rate, fused=True)
        second = torch.optim.Adam(self.cells.parameters(), lr=self.config.rate, fused=True)

        def learn_energies(batch: Batch, done: float) -> Figures:
            _, layers = self.coding(batch.cells, torch.rand_like(batch.cells))
            loss = -self.energies.log_density(layers, batch.energy).mean()
            _descend(loss, first)
            above = self.energies.numbers(layers, batch.energy)[1]
            return {"nll": loss.detach(), "above": above.float().mean()}

        def learn_cells(batch: Batch, done: float) -> Figures:
            loss = -self._cells_log_density(batch, torch.rand_like(batch.cells)).mean()
            _descend(loss, second)
            return {"nll": loss.detach()}

        return [
            Phase(
                "energies",
                learn_energies,
                {"adam": first},
                lambda steps: [halved(first, steps, _ENERGIES_HALVED)],
                epochs=self.config.energy_epochs,
                frozen=[self.cells],
            ),
            Phase(
                "cells",
                learn_cells,
                {"adam": second},
                lambda steps: [halved(second, steps, _CELLS_HALVED)],
                epochs=self.config.epochs,
                frozen=[self.energies],
            ),
        ]

    @torch.no_grad()
    def measured(self, held_out: TrainingShowers) -> Figures:
        """Return the negative log-likelihoods of both flows, in nats a shower."""
        energies, cells = (torch.cat(each).mean() for each in zip(*self._losses(held_out), strict=True))
        return {"nll/energies": energies, "nll/cells": cells}

    def _losses(self, held_out: TrainingShowers) -> Iterator[tuple[Tensor, Tensor]]:
        was_training = self.training
        self.eval()
        # The same noise in every validation, so that their differences are those of the flows.
        generator = torch.Generator().manual_seed(0)
        for batch in held_out.batches(_AT_ONCE):
            noise = torch.rand(batch.cells.shape, generator=generator).to(batch.cells.device)
            _, layers = self.coding(batch.cells, noise)
            yield (
                -self.energies.log_density(layers, batch.energy),
                -self._cells_log_density(batch, noise),
            )
        self.train(was_training)

    def _cells_log_density(self, batch: Batch, noise: Tensor) -> Tensor:
        numbers, layers = self.coding(batch.cells, noise)
        return self.cells.log_density(numbers, self.coding.context(layers, batch.energy))


def _descend(loss: Tensor, optimizer: torch.optim.Optimizer) -> None:
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()


CaloFlowTeacher.Config = Config
ENTRY = CaloFlowTeacher
