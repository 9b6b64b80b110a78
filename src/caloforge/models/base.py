"""What training, checkpoints and export know about a model."""

from abc import ABC, abstractmethod
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from caloforge.geometry import Calorimeter


class Batch(NamedTuple):
    """Showers to learn from.

    Attributes
    ----------
    cells
        (N, n_cells) float32, energy in each cell, MeV.
    energy
        (N,) float32, incident kinetic energy, MeV.
    label
        (N,) int64, index into the particles that the model was configured for.
    """

    cells: Tensor
    energy: Tensor
    label: Tensor


class GenerativeModel(nn.Module, ABC):
    """A network that draws showers, together with the way it is trained.

    A model is a frozen configuration (``Config``) and one concrete class in the same file. Random numbers
    come from torch's global generator only, so that seeding it makes a training step repeatable.

    Parameters
    ----------
    config
        An instance of the class's ``Config``.
    geometry
        The calorimeter whose cells are drawn.
    """

    Config: type[Any]
    noise_size: int

    def __init__(self, config: Any, geometry: Calorimeter) -> None:
        super().__init__()
        self.config = config
        self.geometry = geometry

    @property
    def name(self) -> str:
        """Name of the model in the catalogue: that of its file."""
        return type(self).__module__.rpartition(".")[2]

    @property
    def sampled(self) -> nn.Module:
        """The part that draws showers, of which training may keep a running average."""
        return self

    def prepare(self, showers: Batch) -> None:
        """Look at all showers to train on, once before the first step: for scales and starting values.

        Nothing is done by a model that needs no look.
        """

    @abstractmethod
    def forward(self, noise: Tensor, energy: Tensor, label: Tensor) -> Tensor:
        """Turn noise into showers, deterministically.

        Parameters
        ----------
        noise
            (N, noise_size) float32, standard normal.
        energy
            (N,) float32, incident kinetic energy, MeV.
        label
            (N,) int64, index into ``config.particles``; zeros for a model of one particle.

        Returns
        -------
        (N, n_cells) float32, energy in each cell, MeV.
        """

    @abstractmethod
    def optimizers(self) -> dict[str, torch.optim.Optimizer]:
        """Return fresh optimizers, named, as `training_step` expects them."""

    @abstractmethod
    def training_step(self, batch: Batch, optimizers: dict[str, torch.optim.Optimizer]) -> dict[str, Tensor]:
        """Learn from one batch, with all updates that the model's algorithm makes of it.

        Returns
        -------
        Named scalars (0-dimensional, detached) for the log.
        """

    @abstractmethod
    def sampler(self) -> nn.Module:
        """Return a copy for generation: evaluation mode, folded linear algebra, same signature as `forward`.

        The copy equals `forward` in evaluation mode up to float32 rounding and can be exported to ONNX.
        """
