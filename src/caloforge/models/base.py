"""What training, checkpoints and export know about a model: its whole contract."""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, ClassVar, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt
import torch
from pydantic import Field
from torch import Tensor, nn

from caloforge.config import strict_dataclass
from caloforge.errors import InputError
from caloforge.geometry import Calorimeter
from caloforge.incident.incident import Incident

__all__ = [
    "CONDITIONS",
    "Batch",
    "Figures",
    "GenerativeModel",
    "ModelConfig",
    "Pair",
    "Phase",
    "Sampler",
    "Symmetries",
    "TrainingShowers",
]

CONDITIONS = ("energy", "direction", "position", "label", "geometry")
"""What a model can be conditioned on: the incident particle, and the read-out itself."""

Pair = tuple[float, float]


@strict_dataclass
class ModelConfig:
    """What the configuration of every model has; a model's ``Config`` adds its own keys.

    Attributes
    ----------
    particles
        Names of the particles that the labels count.
    energy_range
        Incident kinetic energies that the model is for, GeV.
    direction_range
        Lowest and highest theta and phi of the incident particles, degrees; training takes them from the
        data.
    position_range
        Lowest and highest eta and phi at which they meet the front face, mm; training takes them from the
        data.

    Examples
    --------
    >>> ModelConfig(particles=("e+", "gamma")).energy_range
    (1.0, 100.0)
    """

    particles: tuple[str, ...] = Field(default=("e+",), min_length=1)
    energy_range: Pair = (1.0, 100.0)
    direction_range: tuple[Pair, Pair] = ((0.0, 0.0), (0.0, 0.0))
    position_range: tuple[Pair, Pair] = ((0.0, 0.0), (0.0, 0.0))

    def __post_init__(self) -> None:
        """Refuse values that do not fit together."""
        low, high = self.energy_range
        if not 0 < low <= high < math.inf:
            raise ValueError(f"energy_range must be two ascending energies above 0 (found {low}, {high}).")


class Batch(NamedTuple):
    """Showers to learn from, all of one read-out.

    Attributes
    ----------
    cells
        (N, n_cells) float32, energy in each cell, MeV.
    energy
        (N,) float32, incident kinetic energy, MeV.
    direction
        (N, 3) float32, unit vectors along eta, phi and z.
    position
        (N, 2) float32, eta and phi on the front face, mm.
    label
        (N,) int64, index into the particles that the model was configured for.
    geometry
        The read-out.

    Examples
    --------
    >>> geometry = Calorimeter.load("calogan")
    >>> upright, centre = torch.tensor([[0.0, 0.0, 1.0]] * 2), torch.zeros(2, 2)
    >>> energy, label = torch.tensor([1e4, 2e4]), torch.tensor([0, 1])
    >>> batch = Batch(torch.zeros(2, geometry.n_cells), energy, upright, centre, label, geometry)
    >>> batch.inputs(["label", "energy"])
    (tensor([0, 1]), tensor([10000., 20000.]))
    >>> batch.to(torch.device("meta")).cells.device
    device(type='meta')
    """

    cells: Tensor
    energy: Tensor
    direction: Tensor
    position: Tensor
    label: Tensor
    geometry: Calorimeter

    def inputs(self, names: Sequence[str]) -> tuple[Tensor, ...]:
        """Return the tensors of some conditions, in their order."""
        return tuple(getattr(self, name) for name in names)

    def to(self, device: torch.device) -> "Batch":
        """Return the same showers on a device."""
        # Not blocking: the CPU does not wait for a copy from pinned memory.
        tensors = {name: getattr(self, name).to(device, non_blocking=True) for name in self._fields[:-1]}
        return self._replace(**tensors)


class TrainingShowers(Protocol):
    """All showers to train on, as a phase sees them before its first step and after its last."""

    def __len__(self) -> int: ...

    def batches(self, size: int | None = None) -> Iterator[Batch]:
        """Yield all showers in one order, size at a time (default: as many as take 64 MiB)."""

    def sample(self, values: int = 1 << 26) -> Batch:
        """Return the first showers of the first read-out: all, or as many as have this many cells in all."""


Figures = dict[str, Tensor]


@dataclass(frozen=True)
class Phase:
    """A part of a training: what is learned in it, and how.

    Attributes
    ----------
    name
        Short name, for the log.
    step
        Called with a batch and the share of the phase that is done (0 to below 1); makes all updates that the
        algorithm makes of a batch, and returns named scalars (0-dimensional, detached) for the log.
    optimizers
        Optimizers of the step by name; their state is part of a checkpoint.
    schedules
        Called with the number of steps of the phase; returns the schedules of the optimizers' rates, each of
        which is advanced after every step.
    epochs, steps
        How long the phase is unless the user says how many epochs all take together: one of the two. A phase
        of no steps is only prepared and finished.
    frozen
        Modules that it leaves as they are: without gradients, in evaluation mode.
    alone
        Modules whose parameters this phase learns, where none of these matters to other phases that name
        such modules: on a cluster, consecutive ones are trained at the same time. Empty if that is not so.
    prepare
        Called with all showers before the first step: for scales and starting values.
    finish
        Called with all showers after the last step: fits quantities without a gradient (a KDE, a covariance).

    Examples
    --------
    A phase that learns the mean response in 100 steps, by gradient, at a rate that falls to zero.

    >>> response = nn.Parameter(torch.tensor(1.0))
    >>> sgd = torch.optim.SGD([response], lr=0.1)
    >>> def step(batch: Batch, done: float) -> Figures:
    ...     loss = (batch.cells.sum(dim=1) / batch.energy - response).square().mean()
    ...     sgd.zero_grad()
    ...     loss.backward()
    ...     sgd.step()
    ...     return {"loss": loss.detach()}
    >>> def falling(steps: int) -> list[torch.optim.lr_scheduler.LRScheduler]:
    ...     return [torch.optim.lr_scheduler.CosineAnnealingLR(sgd, steps)]
    >>> phase = Phase("response", step, {"sgd": sgd}, falling, steps=100)

    What a training does with it, for showers of which 80 % is visible:

    >>> geometry = Calorimeter.load("calogan")
    >>> cells, energy = torch.full((4, geometry.n_cells), 8e3 / geometry.n_cells), torch.full((4,), 1e4)
    >>> upright, label = torch.tensor([[0.0, 0.0, 1.0]] * 4), torch.zeros(4, dtype=torch.int64)
    >>> batch = Batch(cells, energy, upright, torch.zeros(4, 2), label, geometry)
    >>> (schedule,) = phase.schedules(100)
    >>> for done in range(100):
    ...     figures = phase.step(batch, done / 100)
    ...     schedule.step()
    >>> round(response.item(), 3)
    0.8
    """

    name: str
    step: Callable[[Batch, float], Figures]
    optimizers: Mapping[str, torch.optim.Optimizer] = field(default_factory=dict)
    schedules: Callable[[int], Sequence[torch.optim.lr_scheduler.LRScheduler]] = lambda steps: ()
    epochs: float | None = None
    steps: int | None = None
    frozen: Sequence[nn.Module] = ()
    alone: Sequence[nn.Module] = ()
    prepare: Callable[[TrainingShowers], None] | None = None
    finish: Callable[[TrainingShowers], None] | None = None


class Symmetries(NamedTuple):
    """Mirror images of showers that are as likely as the showers themselves.

    Attributes
    ----------
    cells
        (S, n_cells) int64 permutations of the cells; the first is the identity.
    signs
        (S, 2) float32, what eta and phi of the incident particle are multiplied by.

    Examples
    --------
    >>> geometry = Calorimeter.load("calogan")
    >>> symmetries = Symmetries(geometry.symmetries(), geometry.mirror_signs())
    >>> symmetries.cells.shape
    (4, 504)
    >>> symmetries.signs[0].tolist()
    [1.0, 1.0]
    """

    cells: npt.NDArray[np.int64]
    signs: npt.NDArray[np.float32]


class GenerativeModel(nn.Module, ABC):
    """A network that draws showers, together with the way it is trained.

    A model is a frozen configuration (``Config``) and one concrete class in the same file. Random numbers
    come from torch's global generator only, so that seeding it makes a training step repeatable.

    Parameters
    ----------
    config
        An instance of the class's ``Config``.
    geometries
        The calorimeters whose cells are drawn: one, unless the model is conditioned on the read-out.

    Attributes
    ----------
    conditions
        Which of `CONDITIONS` the model uses. Showers that vary in another one are refused by training.
    parent_model
        Name of the model whose training this one starts from (`inherit`), or None.
    chosen_by
        The figure of a validation whose lowest value chooses the parameters that are kept: the one that all
        models have, or one of its own (`measured`).

    Examples
    --------
    >>> from caloforge import catalog
    >>> entry = catalog.load("models", "shower_library")
    >>> model = entry(entry.Config(particles=("e+",)), Calorimeter.load("calogan"))
    >>> model.name, model.inputs
    ('shower_library', ('energy', 'label'))
    >>> [phase.name for phase in model.phases()]
    ['library']
    """

    Config: type[Any]
    conditions: ClassVar[tuple[str, ...]] = ("energy",)
    parent_model: ClassVar[str | None] = None
    chosen_by: ClassVar[str] = "separation"

    def __init__(self, config: Any, *geometries: Calorimeter) -> None:
        super().__init__()
        self.config = config
        self.geometries = geometries

    @property
    def name(self) -> str:
        """Name of the model in the catalogue: that of its file."""
        return type(self).__module__.rpartition(".")[2]

    @property
    def geometry(self) -> Calorimeter:
        """The calorimeter; the first where there are several."""
        return self.geometries[0]

    @property
    def inputs(self) -> tuple[str, ...]:
        """Names of the tensors that a `sampler` takes after the noise: all conditions except the read-out."""
        return tuple(name for name in self.conditions if name != "geometry")

    def symmetries(self, geometry: Calorimeter) -> Symmetries:
        """Return the mirror images under which the model's showers have one distribution.

        A quantity that the model is not conditioned on must stay the same: if all showers come from one side,
        the image in which they come from the other side is not a symmetry of the model.
        """
        signs = geometry.mirror_signs()
        (theta, _), (phi, _) = self.config.direction_range
        (eta_mm, _), (phi_mm, _) = self.config.position_range
        direction = Incident(0, 1.0, np.deg2rad([theta, phi])).unit_direction[0, :2]
        fixed = {"direction": direction, "position": np.array([eta_mm, phi_mm])}
        same = np.ones(len(signs), bool)
        for name in fixed.keys() - set(self.conditions):
            # A sign of -1 moves a value by twice its size: only one that is 0 stays the same.
            same &= (np.abs((signs - 1) * fixed[name]) < _SAME).all(axis=1)
        return Symmetries(geometry.symmetries()[same], signs[same])

    def inherit(self, parent: "GenerativeModel") -> None:
        """Start from a trained model, of the kind that `parent_model` names: a teacher, an autoencoder.

        Called once in each process that trains, before the first phase or before a checkpoint is loaded.

        Raises
        ------
        InputError
            This model does not start from another one.
        """
        raise InputError(f"{self.name} does not start from another training: leave --from out.")

    def measured(self, held_out: TrainingShowers) -> Figures:
        """Return figures of its own, of showers that the training does not see: a likelihood, a divergence.

        Called in each validation, besides the comparison of generated with held-out showers.
        """
        return {}

    @abstractmethod
    def phases(self) -> Sequence[Phase]:
        """Return the parts of a training in their order, with fresh optimizers."""

    @abstractmethod
    def sampler(self, geometry: Calorimeter) -> "Sampler":
        """Return a copy for generation: evaluation mode, folded linear algebra; it can be exported to ONNX.

        Where the model iterates, it does so by `torch._higher_order_ops.scan`, which becomes ONNX's Scan, so
        that the graph does not grow with the number of iterations.
        """


class Sampler(nn.Module, ABC):
    """Noise and conditions to showers, deterministically, each shower on its own.

    Attributes
    ----------
    noise_size
        Standard normal numbers that a shower takes.
    read_out
        What a graph for any segmentation takes besides noise and conditions, by name, for the calorimeter
        that the sampler was made for (`caloforge.geometry.spiral.spiral_inputs`). Empty where a graph draws
        one calorimeter only.
    most_cells
        The most cells of each layer that such a graph can draw.
    unrolled
        Whether the graph has thousands of operations, without loops.

    Examples
    --------
    >>> class Flat(Sampler):
    ...     noise_size = 1
    ...     def forward(self, noise: Tensor, *conditions: Tensor) -> Tensor:
    ...         (energy,) = conditions
    ...         return (energy / 504).unsqueeze(1).expand(-1, 504)
    >>> Flat()(torch.zeros(2, 1), torch.tensor([1e4, 5e4])).sum(dim=1).round()
    tensor([10000., 50000.])
    """

    noise_size: int
    read_out: Mapping[str, Tensor] = MappingProxyType({})
    most_cells: Sequence[int] = ()
    unrolled: bool = False

    @abstractmethod
    def forward(self, noise: Tensor, *conditions: Tensor) -> Tensor:
        """Turn noise into showers.

        Parameters
        ----------
        noise
            (N, noise_size) float32, standard normal.
        conditions
            What `GenerativeModel.inputs` names, as `Batch` has it; then, if they are given, the tensors of
            another read-out in the order of ``read_out``.

        Returns
        -------
        (N, n_cells) float32, energy in each cell, MeV.
        """


_SAME = 1e-6  # of a unit vector's component, and in mm
