"""A shower library: stored showers, drawn again at other energies.

This is the oldest fast simulation, and networks have to be better. A library of N showers gives showers that
are right in every detail, but only these N, their mirror images, and their copies at nearby energies.
"""

import copy
import math
from collections.abc import Iterable, Sequence
from typing import Any

import torch
from pydantic import Field
from torch import Tensor, nn

from caloforge.config import strict_dataclass
from caloforge.geometry import Calorimeter
from caloforge.models import base
from caloforge.models.base import (
    Batch,
    Figures,
    GenerativeModel,
    ModelConfig,
    Phase,
    Symmetries,
    TrainingShowers,
)

__all__ = ["ENTRY", "Config", "Library", "ShowerLibrary"]

_ONE = 1 << 14  # what a share of 1 is stored as: 16 bits then reach from 4 down to below a billionth of a GeV


@strict_dataclass
class Config(ModelConfig):
    """The shower library.

    Attributes
    ----------
    nearest
        Number of showers nearest in energy, of which one is drawn.
    """

    nearest: int = Field(default=5, gt=0)


class Library(base.Sampler):
    """The stored showers, and the choice of one.

    Shares of the incident energy are stored in 16 bits with a sign and an exponent (relative rounding below
    0.05 %), which halves the library.
    """

    shares: Tensor
    log_energy: Tensor
    label: Tensor
    symmetries: Tensor

    noise_size = 2

    def __init__(self, config: Config, geometry: Calorimeter, symmetries: Symmetries) -> None:
        super().__init__()
        self.nearest = config.nearest
        self.register_buffer("shares", torch.empty(0, geometry.n_cells, dtype=torch.float16))
        self.register_buffer("log_energy", torch.empty(0))
        self.register_buffer("label", torch.empty(0, dtype=torch.int64))
        self.register_buffer("symmetries", torch.from_numpy(symmetries.cells), persistent=False)
        self.register_load_state_dict_pre_hook(_make_room)  # type: ignore[no-untyped-call]

    def __len__(self) -> int:
        return len(self.log_energy)

    def fill(self, batches: Iterable[Batch]) -> None:
        """Hold the showers of some batches, and no others."""
        parts = [(self._shares(batch), batch.energy.log(), batch.label) for batch in batches]
        self.shares, self.log_energy, self.label = (torch.cat(each) for each in zip(*parts, strict=True))

    @staticmethod
    def _shares(batch: Batch) -> Tensor:
        shares = batch.cells / batch.energy.unsqueeze(1) * _ONE
        # Without the clamp an overflow would be infinite.
        return shares.clamp(max=torch.finfo(torch.float16).max).half()

    def forward(self, noise: Tensor, energy: Tensor, label: Tensor) -> Tensor:  # type: ignore[override]
        """(N, 2), (N,) MeV, (N,) -> (N, n_cells) MeV: one of the nearest showers, rescaled and mirrored."""
        if not len(self):
            return energy.new_zeros(len(energy), self.shares.shape[1])
        uniform = 0.5 * (1 + torch.erf(noise / math.sqrt(2)))
        other = label.unsqueeze(1) != self.label
        distance = (energy.log().unsqueeze(1) - self.log_energy).abs()
        # Showers of other particles are infinitely far away, and so come last.
        distance = distance.masked_fill(other, math.inf)
        near = min(self.nearest, len(self))
        found = torch.topk(distance, near, largest=False).indices
        # A particle may have fewer showers than `nearest`: the rest of the list are other particles.
        candidates = (~other).sum(dim=1).clamp(min=1, max=near)
        rank = _pick(uniform[:, 0], candidates)
        row = found.gather(1, rank.unsqueeze(1)).squeeze(1)
        flip = self.symmetries[_pick(uniform[:, 1], torch.full_like(label, len(self.symmetries)))]
        shares = self.shares[row].float().gather(1, flip)
        return shares * (energy / _ONE).unsqueeze(1)


def _pick(uniform: Tensor, number: Tensor) -> Tensor:
    """Turn uniform numbers from 0 to 1 into whole ones below ``number``."""
    # A float32 close to 1 may be rounded to 1.
    return torch.minimum((uniform * number).long(), number - 1)


def _make_room(library: nn.Module, state: dict[str, Any], prefix: str, *_: Any) -> None:
    """Resize a library before it loads the showers of another one."""
    for name in ("shares", "log_energy", "label"):
        if prefix + name in state:
            setattr(library, name, torch.empty_like(state[prefix + name]))


class ShowerLibrary(GenerativeModel):
    """A library of showers: the nearest in energy, rescaled to the energy that is asked for, and mirrored.

    The distance is that of the logarithms of the energies, because the cells of a shower are multiplied by
    the ratio of energies. The noise chooses among the few nearest. Nothing is fitted: the training stores all
    showers, once.
    """

    conditions = ("energy", "label")

    def __init__(self, config: Config, geometry: Calorimeter) -> None:
        super().__init__(config, geometry)
        self.config: Config = config
        self.library = Library(config, geometry, self.symmetries(geometry))

    def sampler(self, geometry: Calorimeter) -> Library:
        """Return a copy of the library."""
        return copy.deepcopy(self.library).eval()

    def phases(self) -> Sequence[Phase]:
        """Return one phase of no steps."""

        def no_step(batch: Batch, done: float) -> Figures:
            raise AssertionError("a library has no steps")

        return [Phase("library", no_step, steps=0, finish=self._take)]

    def _take(self, showers: TrainingShowers) -> None:
        self.library.fill(showers.batches())


ShowerLibrary.Config = Config
ENTRY = ShowerLibrary
