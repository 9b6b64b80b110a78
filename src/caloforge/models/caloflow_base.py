r"""What the teacher and the student of CaloFlow share: how showers become numbers, and flow I.

C. Krause, D. Shih, *CaloFlow: Fast and Accurate Generation of Calorimeter Showers with Normalizing Flows*,
arXiv:2106.05285, and *CaloFlow II: Even Faster and Still Accurate Generation of Calorimeter Showers with
Normalizing Flows*, arXiv:2110.11377. A shower is drawn in two steps,

```math
p(x \mid E) = p_\mathrm{I}(E_0, \dots, E_{L-1} \mid E)\; p_\mathrm{II}(x \mid E_0, \dots, E_{L-1}, E)
```

Flow I draws the energies of the layers (`EnergyFlow`), flow II the cells' shares of these (`CellCoding`).

What differs from the papers, and what they leave open:

- The available energy includes what a particle brings besides its kinetic energy (`to_shares`). Without it,
  0.07 % of the positrons' showers in this package's CaloGAN samples hold more energy than came in (by up to
  two electron masses); with it none does, apart from rounding. Training reports the share as ``above``.
- Shares that come out below 0, by rounding or from beyond the logits of the training, count as 0. The papers
  take absolute values, which can turn a cell that is emptier than empty into a hit.
- The papers compute in double precision. Here it is single precision, in which a shower comes back from the
  numbers to within a thousandth of the threshold below which cells are cut (tests/models/test_caloflow.py).
- Any calorimeter with any number of layers can be learned.
- Cells below the threshold are lost after the energies of the layers are exact, as published. With 10 keV
  this removes 2 % of the hits of electrons and photons in the CaloGAN calorimeter, and 11 % of pions' hits.
"""

from collections.abc import Sequence
from dataclasses import fields
from itertools import zip_longest
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.optim.lr_scheduler import LRScheduler, MultiStepLR

from caloforge.config import strict_dataclass
from caloforge.errors import InputError
from caloforge.geometry import Calorimeter
from caloforge.incident.particles import brought, parse_particle
from caloforge.models import base
from caloforge.models.base import GenerativeModel, ModelConfig
from caloforge.models.flows import (
    Autoregressive,
    Backward,
    Flow,
    MaskedNetwork,
    Permutation,
    Spline,
    shuffle,
)
from caloforge.preprocessing.recursive_shares import from_logits, from_shares, to_logits, to_shares
from caloforge.units import GeV

__all__ = [
    "CaloFlowConfig",
    "CaloFlowModel",
    "CaloFlowSampler",
    "CellCoding",
    "EnergyFlow",
    "energy_context",
    "halved",
    "interleaved",
]

_UNIT = 100 * GeV  # of energies in the papers
_NOTHING = 1e-8  # of this unit: keeps logarithms of layer energies finite
_TINY = 1e-16  # a sum of shares is at least this


@strict_dataclass
class CaloFlowConfig(ModelConfig):
    """What a student must have in common with its teacher; defaults are the published ones.

    Attributes
    ----------
    blocks
        Autoregressive transforms of flow II.
    bins, bound, least
        Of the splines of both flows (`caloforge.models.flows.Spline`).
    energy_blocks, energy_hidden, energy_layers
        Autoregressive transforms of flow I, units of a layer, and layers from units to units.
    noise
        MeV; uniform noise up to this is added to every cell in training, so that empty cells have a density.
    alpha
        How far shares are moved away from 0 and 1 before their logits are taken.
    threshold
        MeV; generated cells with less are empty.
    """

    particles: Annotated[tuple[str, ...], Field(min_length=1, max_length=1)] = ("e+",)
    blocks: int = Field(default=8, gt=0)
    bins: int = Field(default=8, gt=1)
    bound: float = Field(default=14.0, gt=0)
    least: float = Field(default=1e-6, gt=0)
    energy_blocks: int = Field(default=6, gt=0)
    energy_hidden: int = Field(default=64, gt=0)
    energy_layers: int = Field(default=2, ge=0)
    noise: float = Field(default=1e-3, gt=0)
    alpha: float = Field(default=1e-6, gt=0, lt=0.5)
    threshold: float = Field(default=0.01, ge=0)

    def __post_init__(self) -> None:
        """Refuse values that do not fit together."""
        ModelConfig.__post_init__(self)
        if self.least * self.bins >= 1:
            raise ValueError(f"{self.bins} bins of at least {self.least:g} of the interval are more than it.")

    def spline(self, inverted: bool = False) -> Spline:
        """Return the splines of both flows."""
        return Spline(self.bins, self.bound, self.least, inverted)


def energy_context(energy: Tensor) -> Tensor:
    """Return log10(10 E / 100 GeV), from -1 to 1 for 1 to 100 GeV: (N,) MeV -> (N, 1).

    Examples
    --------
    >>> energy_context(torch.tensor([1e3, 1e4, 1e5])).flatten().round(decimals=3)
    tensor([-1.,  0.,  1.])
    """
    return torch.log10(10 * energy / _UNIT).unsqueeze(1)


class CellCoding(nn.Module):
    """Cells of showers as logits of their shares of the layers, both ways.

    Parameters
    ----------
    sizes
        Cells of each layer.
    config
        Noise, alpha and threshold.

    Examples
    --------
    >>> coding = CellCoding([2, 1], CaloFlowConfig())
    >>> cells = torch.tensor([[30.0, 10.0, 5.0]])
    >>> numbers, layers = coding(cells, torch.zeros(1, 3))
    >>> layers
    tensor([[40.,  5.]])
    >>> coding.inverse(numbers, layers).round(decimals=3)
    tensor([[30., 10.,  5.]])
    """

    owner: Tensor

    def __init__(self, sizes: Sequence[int], config: CaloFlowConfig) -> None:
        super().__init__()
        self.sizes, self.config = list(sizes), config
        owner = [torch.full((size,), number) for number, size in enumerate(self.sizes)]
        self.register_buffer("owner", torch.cat(owner), persistent=False)

    def forward(self, cells: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
        """Cells (N, n_cells) MeV, and noise from 0 to 1 -> logits (N, n_cells), and layers (N, L) MeV."""
        noisy = cells + self.config.noise * noise
        layers = torch.stack([part.sum(dim=1) for part in noisy.split(self.sizes, dim=1)], dim=1)
        shares = noisy / layers.clamp(min=_TINY).index_select(1, self.owner)
        return to_logits(shares.clamp(max=1), self.config.alpha), layers

    def inverse(self, numbers: Tensor, layers: Tensor) -> Tensor:
        """Logits (N, n_cells) and layers (N, L) MeV -> cells (N, n_cells) MeV, with sums as given."""
        parts = from_logits(numbers, self.config.alpha).split(self.sizes, dim=1)
        energies = layers.split(1, dim=1)
        scaled = [
            part / (part.sum(dim=1, keepdim=True) + _TINY) * energy
            for part, energy in zip(parts, energies, strict=True)
        ]
        return torch.cat(scaled, dim=1)

    def cut(self, cells: Tensor) -> Tensor:
        """Empty the cells below the threshold."""
        return torch.where(cells < self.config.threshold, 0.0, cells)

    def context(self, layers: Tensor, energy: Tensor) -> Tensor:
        """Return what flow II knows, (N, 1 + L): logarithms of the incident and the layers' energies."""
        return torch.cat([energy_context(energy), torch.log10(layers / _UNIT + _NOTHING) + 2], dim=1)


class EnergyFlow(nn.Module):
    """Flow I: energies of layers, given the incident energy (arXiv:2106.05285, Sec. 3 and Table 2).

    Parameters
    ----------
    n_layers
        L.
    config
        Sizes, and the particle.
    """

    def __init__(self, n_layers: int, config: CaloFlowConfig) -> None:
        super().__init__()
        self.alpha, self.more = config.alpha, brought(parse_particle(config.particles[0]))
        spline = config.spline()
        size = (spline.parameters, config.energy_hidden, config.energy_layers)
        self.flow = interleaved(
            [Autoregressive(MaskedNetwork(n_layers, 1, *size), spline) for _ in range(config.energy_blocks)],
            [Permutation(shuffle([n_layers])) for _ in range(config.energy_blocks)],
        )

    def numbers(self, layers: Tensor, energy: Tensor) -> tuple[Tensor, Tensor]:
        """(N, L) and (N,) MeV -> logits (N, L), and which showers hold more than is available (N,) bool."""
        available = energy + self.more
        # Rounding of a sum in single precision is no energy.
        above = layers.sum(dim=1) > available * (1 + 1e-6)
        return to_logits(to_shares(layers, available), self.alpha), above

    def log_density(self, layers: Tensor, energy: Tensor) -> Tensor:
        """Return the logarithm of the density of the logits, (N,)."""
        return self.flow.log_density(self.numbers(layers, energy)[0], energy_context(energy))

    def energies(self, numbers: Tensor, energy: Tensor) -> Tensor:
        """Logits (N, L) and (N,) MeV -> (N, L) MeV."""
        return from_shares(from_logits(numbers, self.alpha), energy + self.more)

    @torch.no_grad()
    def draw(self, noise: Tensor, energy: Tensor) -> Tensor:
        """Standard normal noise (N, L) and (N,) MeV -> energies of the layers (N, L) MeV."""
        return self.energies(self.flow.inverse(noise, energy_context(energy)), energy)


def interleaved(transforms: Sequence[Autoregressive], orders: Sequence[Permutation]) -> Flow:
    """Return a flow of transforms, each followed by a permutation as long as there are any."""
    pairs = zip_longest(transforms, orders)
    return Flow([one for pair in pairs for one in pair if one is not None])


def halved(optimizer: torch.optim.Optimizer, steps: int, at: Sequence[float]) -> LRScheduler:
    """Return a schedule that halves the rate at some shares of the steps of a phase."""
    return MultiStepLR(optimizer, [round(share * steps) for share in at], gamma=0.5)


class CaloFlowModel(GenerativeModel):
    """Flow I with a flow II, which is that of the teacher or of the student.

    Attributes
    ----------
    energies
        Flow I.
    cells
        Flow II, as it is trained.
    coding
        Showers as numbers.
    """

    def __init__(self, config: CaloFlowConfig, geometry: Calorimeter) -> None:
        super().__init__(config, geometry)
        self.sizes = [layer.n_cells for layer in geometry.layers]
        self.coding = CellCoding(self.sizes, config)
        self.energies = EnergyFlow(len(self.sizes), config)
        self.cells = Flow()

    def check_same(self, parent: "CaloFlowModel") -> None:
        """Refuse a parent that makes other numbers of showers, or has another flow I.

        Raises
        ------
        InputError
            The message says what differs.
        """
        if parent.geometry != self.geometry:
            raise InputError(
                f"The training to start from has learned {parent.geometry.name}, not {self.geometry.name}."
            )
        names = [one.name for one in fields(CaloFlowConfig)]
        other = [name for name in names if getattr(self.config, name) != getattr(parent.config, name)]
        if other:
            settings = " and ".join(f"{name}={getattr(parent.config, name)!r}" for name in other)
            raise InputError(f"The training to start from has {settings}: set the same here.")

    def sampler_of(self, cells: nn.Module) -> "CaloFlowSampler":
        """Return a sampler with flow I as it stands now, and a copy of flow II that leads to the cells."""
        return CaloFlowSampler(Backward(self.energies.flow), cells, self.coding, self.energies.more)


class CaloFlowSampler(base.Sampler):
    """Noise to showers: energies of the layers, then shares, rescaled to these and cut.

    Parameters
    ----------
    energies
        Flow I from noise to logits.
    cells
        Flow II from noise to logits.
    coding
        How numbers become cells.
    more
        MeV that are available in addition to the kinetic energy.
    """

    def __init__(self, energies: nn.Module, cells: nn.Module, coding: CellCoding, more: float) -> None:
        super().__init__()
        self.energies, self.cells, self.more = energies, cells, more
        self.coding = CellCoding(coding.sizes, coding.config)
        self.layers = len(coding.sizes)
        self.noise_size = self.layers + sum(coding.sizes)
        self.eval().requires_grad_(False)

    def forward(self, noise: Tensor, energy: Tensor) -> Tensor:  # type: ignore[override]
        """(N, noise_size) and (N,) MeV -> (N, n_cells) MeV."""
        numbers = self.energies(noise[:, : self.layers], energy_context(energy))
        shares = from_logits(numbers, self.coding.config.alpha)
        layers = from_shares(shares, energy + self.more)
        numbers = self.cells(noise[:, self.layers :], self.coding.context(layers, energy))
        return self.coding.cut(self.coding.inverse(numbers, layers))
