r"""CaloFlow's student: inverse autoregressive flows that have learned the map of a teacher, and draw fast.

C. Krause, D. Shih, *CaloFlow II*, arXiv:2110.11377, Sec. 3: fully guided probability density distillation.
The student goes in one pass from noise to a shower through as many transforms as the teacher, which goes in
one pass from a shower to noise. Its splines are inverse functions of the teacher's with the same parameters,
its permutations are the teacher's backwards, so that every intermediate vector and every parameter of a
spline has a partner. With x = S(z) and z = T(x), and i counting these,

```math
L_x = \|S(T(x)) - x\|^2 + \sum_i \|s_i - t_i\|^2, \qquad
L_z = \|T(S(z)) - z\|^2 + \sum_i \|s_i - t_i\|^2, \qquad
L = (1 - \beta) L_z + \beta L_x
```

where partners are compared along x -> z -> x for showers x, and along z -> x -> z for normal z and conditions
that flow I draws for energies uniform in the range. Squares are summed over numbers, and averaged over
showers. The Kullback-Leibler divergence from the teacher to the student

```math
\mathrm{KL} = \langle \ln q_S(x) - \ln p_T(x) \rangle_{x = S(z)}
```

is only watched; its lowest value chooses the parameters that are kept. Adam at 1e-4, 100 epochs, halved after
10, 40 and 70; 8 transforms with one hidden layer of 504 units. Flow I is the teacher's.

The paper has batches of 175, and adds up the gradients of 2, 4, 8 and 16 of them from epochs 0, 10, 40 and 70
on. Here a step takes all showers of an update of the last kind, and makes 8, 4, 2 and 1 updates of them
(``updates``): the published training is ``--batch 2800``. Left open by the paper and chosen here: no dropout.

**The start** is not random unless ``start="random"``. What a network of the teacher says of x, one of the
student shall say of the partner of x that its own transform begins with. Numbers of one are nearly linear
functions of the other's, so that the teacher's networks with scaled inputs are a student already
(`MaskedNetwork.imitate`). For e+ in the CaloGAN calorimeter its divergence from the teacher is 1.3 nats
before the first step; from random networks it is still 22.5 after 820 updates of 128 and 256 showers, 45
minutes on one core.
"""

from collections.abc import Sequence
from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor

from caloforge.config import strict_dataclass
from caloforge.errors import InputError
from caloforge.geometry import Calorimeter
from caloforge.models.base import Batch, Figures, GenerativeModel, Phase, TrainingShowers
from caloforge.models.caloflow_base import (
    CaloFlowConfig,
    CaloFlowModel,
    CaloFlowSampler,
    halved,
    interleaved,
)
from caloforge.models.flows import (
    Autoregressive,
    Forward,
    MaskedNetwork,
    Path,
    Permutation,
    normal_log_density,
)
from caloforge.units import GeV

__all__ = ["ENTRY", "CaloFlow", "Config", "apart"]

_STAGES = (10 / 100, 40 / 100, 70 / 100)  # shares of the training at which rate and updates change
_AT_ONCE = 256  # showers of a validation, and of the start
_FLAT = 1e-6  # least sum of squares of numbers that vary


@strict_dataclass
class Config(CaloFlowConfig):
    """The published student, unless something else is set.

    Attributes
    ----------
    hidden
        Units of the hidden layer.
    beta
        Weight of the loss along x -> z -> x; the other one has the rest.
    rate
        Of Adam at the beginning.
    updates
        How many updates a step makes of its showers, in each of the four stages of a training.
    piece
        Showers that go through the flows at once; the gradients of an update's pieces add up.
    epochs
        Of the training, unless others are given.
    start
        What networks are at first: those of the "teacher", for scaled inputs, or "random" ones.
    """

    hidden: int = Field(default=504, gt=0)
    beta: float = Field(default=0.5, ge=0, le=1)
    rate: float = Field(default=1e-4, gt=0)
    updates: tuple[Annotated[int, Field(gt=0)], ...] = Field(default=(8, 4, 2, 1), min_length=4, max_length=4)
    piece: int = Field(default=175, gt=0)
    epochs: int = Field(default=100, gt=0)
    start: Literal["teacher", "random"] = "teacher"


def apart(teacher: Path, student: Path) -> Tensor:
    """Return the squared distance (N,) of all partners between the ends of two paths.

    Parameters
    ----------
    teacher
        From x to z.
    student
        From z to x.
    """
    # After each permutation of the teacher stands what the student has before the same permutation.
    pairs = [
        *zip(teacher.values[1::2], reversed(student.values[:-1:2]), strict=True),
        *zip(teacher.raws, reversed(student.raws), strict=True),
    ]
    return torch.stack([_squares(one - other) for one, other in pairs]).sum(dim=0)


def _squares(difference: Tensor) -> Tensor:
    return difference.square().flatten(1).sum(dim=1)


class CaloFlow(CaloFlowModel):
    """The student; see the module. Its noise has one number for each layer and each cell."""

    parent_model = "caloflow_teacher"
    chosen_by = "kl"

    def __init__(self, config: Config, geometry: Calorimeter) -> None:
        super().__init__(config, geometry)
        self.config: Config = config
        self.energies.requires_grad_(False)  # it is the teacher's
        spline = config.spline(inverted=True)
        cells, known = geometry.n_cells, 1 + len(self.sizes)
        networks = [
            MaskedNetwork(cells, known, spline.parameters, config.hidden) for _ in range(config.blocks)
        ]
        # Orders come from the teacher, or a checkpoint.
        self.cells = interleaved(
            [Autoregressive(network, spline) for network in networks],
            [Permutation(torch.arange(cells)) for _ in range(config.blocks - 1)],
        )
        self._parents: list[CaloFlowModel] = []  # in a list, so that the teacher is no part of the student

    def inherit(self, parent: GenerativeModel) -> None:
        """Take flow I and the permutations of a teacher, and keep it at hand.

        Raises
        ------
        InputError
            The teacher is for another calorimeter, or other settings that both share.
        """
        assert isinstance(parent, CaloFlowModel)  # by parent_model
        self.check_same(parent)
        self.energies.load_state_dict(parent.energies.state_dict())
        theirs = [one for one in parent.cells.transforms if isinstance(one, Permutation)]
        ours = [one for one in self.cells.transforms if isinstance(one, Permutation)]
        for mine, other in zip(ours, reversed(theirs), strict=True):
            mine.order.copy_(other.back)
            mine.back.copy_(other.order)
        self._parents = [parent.eval().requires_grad_(False)]

    @property
    def _teacher(self) -> CaloFlowModel:
        if not self._parents:
            raise InputError(f"{self.name} starts from a training of {self.parent_model}: name its folder.")
        return self._parents[0].to(next(self.cells.parameters()).device)

    def sampler(self, geometry: Calorimeter) -> CaloFlowSampler:
        """Return the map from noise to showers as it stands now."""
        return self.sampler_of(Forward(self.cells))

    def phases(self) -> Sequence[Phase]:
        """Return the distillation."""
        optimizer = torch.optim.Adam(self.cells.parameters(), lr=self.config.rate, fused=True)

        def step(batch: Batch, done: float) -> Figures:
            updates = self.config.updates[sum(done >= begin for begin in _STAGES)]
            found = [self._update(batch, rows, optimizer) for rows in _rows(batch).chunk(updates)]
            from_x, from_z = torch.stack(found).mean(dim=0)
            return {"loss": self._together(from_x, from_z), "x": from_x, "z": from_z}

        return [
            Phase(
                "distillation",
                step,
                {"adam": optimizer},
                lambda steps: [halved(optimizer, steps, _STAGES)],
                epochs=self.config.epochs,
                prepare=self._imitate if self.config.start == "teacher" else None,
            )
        ]

    @torch.no_grad()
    def _imitate(self, showers: TrainingShowers) -> None:
        """Begin with the networks of the teacher, for inputs that are linear functions of its own."""
        batch = next(showers.batches(_AT_ONCE))
        numbers, layers = self.coding(batch.cells, torch.rand_like(batch.cells))
        teacher = self._teacher.cells
        path: Path = teacher(numbers, self.coding.context(layers, batch.energy))
        entered = [numbers, *path.values[:-1]]
        known = [
            (one.network, before, after)
            for one, before, after in zip(teacher.transforms, entered, path.values, strict=True)
            if isinstance(one, Autoregressive)
        ]
        own = [one.network for one in self.cells.transforms if isinstance(one, Autoregressive)]
        for network, (other, before, after) in zip(own, reversed(known), strict=True):
            network.imitate(other, *_line(after, before))

    def _update(self, batch: Batch, rows: Tensor, optimizer: torch.optim.Optimizer) -> Tensor:
        """Learn from some showers, and return their two losses (2,)."""
        optimizer.zero_grad()
        total = torch.zeros(2, device=batch.cells.device)
        for piece in rows.split(self.config.piece):
            weight = len(piece) / len(rows)
            losses = weight * torch.stack(self.losses(batch.cells[piece], batch.energy[piece]))
            self._together(*losses).backward()
            total += losses.detach()
        optimizer.step()
        return total

    def _together(self, from_x: Tensor, from_z: Tensor) -> Tensor:
        return self.config.beta * from_x + (1 - self.config.beta) * from_z

    def losses(self, cells: Tensor, energy: Tensor) -> tuple[Tensor, Tensor]:
        """Return both losses, for showers (N, n_cells) and (N,) MeV, and as many drawn ones."""
        numbers, layers = self.coding(cells, torch.rand_like(cells))
        context = self.coding.context(layers, energy)
        with torch.no_grad():
            there = self._teacher.cells(numbers, context)
        back = self.cells(there.values[-1], context)
        from_x = apart(there, back) + _squares(back.values[-1] - numbers)

        noise = torch.randn_like(numbers)
        context = self._drawn_context(torch.rand_like(energy), torch.randn_like(layers))
        there = self.cells(noise, context)
        back = self._teacher.cells(there.values[-1], context)
        from_z = apart(back, there) + _squares(back.values[-1] - noise)
        return from_x.mean(), from_z.mean()

    def _drawn_context(self, uniform: Tensor, noise: Tensor) -> Tensor:
        """Return the conditions of showers that nobody simulated: energies uniform in the range."""
        low, high = (bound * GeV for bound in self.config.energy_range)
        energy = low + (high - low) * uniform
        return self.coding.context(self.energies.draw(noise, energy), energy)

    @torch.no_grad()
    def measured(self, held_out: TrainingShowers) -> Figures:
        """Return the divergence of the student from the teacher, for the conditions of held-out showers."""
        generator = torch.Generator().manual_seed(0)  # the same showers in every validation
        found = []
        for batch in held_out.batches(_AT_ONCE):
            noise = torch.rand(batch.cells.shape, generator=generator).to(batch.cells.device)
            start = torch.randn(batch.cells.shape, generator=generator).to(batch.cells.device)
            context = self.coding.context(self.coding(batch.cells, noise)[1], batch.energy)
            path: Path = self.cells(start, context)
            ours = normal_log_density(start) - path.log_det
            found.append(ours - self._teacher.cells.log_density(path.values[-1], context))
        return {"kl": torch.cat(found).mean()}


def _line(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Return slopes and intercepts (D,) of the straight lines through numbers (N, D) and others."""
    apart = x - x.mean(dim=0)
    slope = (apart * y).sum(dim=0) / apart.square().sum(dim=0).clamp(min=_FLAT)
    return slope, y.mean(dim=0) - slope * x.mean(dim=0)


def _rows(batch: Batch) -> Tensor:
    return torch.arange(len(batch.cells), device=batch.cells.device)


CaloFlow.Config = Config
ENTRY = CaloFlow
