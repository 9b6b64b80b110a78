"""The phases of a training: their lengths, their batches, and the modules that they leave unchanged."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Literal

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader

from caloforge.errors import InputError
from caloforge.models.base import Batch, GenerativeModel, Phase, Symmetries
from caloforge.stages.train.data import TrainingData

__all__ = [
    "Device",
    "EpochBatches",
    "OnDevice",
    "device_of",
    "frozen",
    "inside",
    "lengths",
    "load_batches",
    "mirrored",
    "steps_an_epoch",
]

Device = Literal["auto", "cpu", "cuda"]


def device_of(name: Device) -> torch.device:
    """Return the device of a name, here: "auto" is an accelerator if there is one.

    Raises
    ------
    InputError
        There is no accelerator.
    """
    there = torch.cuda.is_available()
    if name == "cuda" and not there:
        raise InputError("torch finds no CUDA device here: choose --device auto or cpu.")
    return torch.device("cuda" if there and name != "cpu" else "cpu")


def lengths(phases: Sequence[Phase], steps_an_epoch: int, epochs: int | None) -> list[int]:
    """Return the number of steps of each phase.

    Parameters
    ----------
    phases
        Each has a default length.
    steps_an_epoch
        Batches in an epoch.
    epochs
        Passes over the showers in all phases together, divided in proportion to their default lengths;
        None keeps these.
    """
    own = [_own_length(phase, steps_an_epoch) for phase in phases]
    if epochs is None or not sum(own):
        return own
    # Rounding the ends instead of the lengths keeps the sum exact.
    ends = np.rint(np.cumsum(own) * (epochs * steps_an_epoch / sum(own))).astype(int)
    return [int(length) for length in np.diff(ends, prepend=0)]


def _own_length(phase: Phase, steps_an_epoch: int) -> int:
    return phase.steps if phase.steps is not None else round((phase.epochs or 0) * steps_an_epoch)


def steps_an_epoch(data: TrainingData, batch: int) -> int:
    """Return the number of complete batches in an epoch, each of one read-out.

    Raises
    ------
    InputError
        There is none.
    """
    whole = sum(len(numbers) // batch for numbers in data.of_parts)
    if not whole:
        raise InputError(
            f"{len(data)} showers are left to train on, fewer than a batch of {batch}: "
            "simulate more, hold out fewer, or choose a smaller batch."
        )
    return whole


class EpochBatches:
    """Numbers of the showers in each batch from a step on, for torch's DataLoader.

    The order of an epoch follows from the seed and the epoch alone, and is made once for all its batches.
    Batches of several read-outs are mixed; each batch has only one.
    """

    def __init__(self, data: TrainingData, batch: int, seed: int, steps: range) -> None:
        self._numbers, self._size, self._seed, self._steps = data.of_parts, batch, seed, steps
        self._an_epoch = steps_an_epoch(data, batch)

    def __len__(self) -> int:
        return len(self._steps)

    def __iter__(self) -> Iterator[list[int]]:
        epoch, batches = -1, []
        for step in self._steps:
            if step // self._an_epoch != epoch:
                epoch = step // self._an_epoch
                batches = self._epoch(epoch)
            yield batches[step % self._an_epoch].tolist()

    def _epoch(self, epoch: int) -> list[np.ndarray]:
        batches = []
        for part, numbers in enumerate(self._numbers):
            key = [self._seed, epoch, part] if part else [self._seed, epoch]
            order = numbers[np.random.default_rng(key).permutation(len(numbers))]
            whole = len(numbers) // self._size
            batches += list(order[: whole * self._size].reshape(whole, self._size))
        if len(self._numbers) == 1:
            return batches
        # Or else the model would see one read-out after the other in each epoch.
        mixed = np.random.default_rng([self._seed, epoch, len(self._numbers)]).permutation(len(batches))
        return [batches[number] for number in mixed]


def load_batches(
    data: TrainingData, batch: int, seed: int, steps: range, device: torch.device
) -> Iterator[Batch]:
    """Yield the batches of some steps; for an accelerator they are made by separate processes."""
    away = device.type != "cpu"
    return iter(
        DataLoader(
            data,  # type: ignore[arg-type]
            batch_sampler=EpochBatches(data, batch, seed, steps),
            collate_fn=_as_it_is,  # type: ignore[arg-type]
            num_workers=2 if away else 0,
            pin_memory=away,
            generator=torch.Generator(),  # the global one is for the training's own numbers
        )
    )


def _as_it_is(batch: Batch) -> Batch:
    return batch


def mirrored(batch: Batch, symmetries: Symmetries) -> Batch:
    """Mirror each shower at random, with the particle that made it."""
    cells, signs = (torch.from_numpy(part).to(batch.cells.device) for part in symmetries)
    # Drawn on the CPU, so that all devices mirror the same showers.
    which = torch.randint(len(cells), (len(batch.cells),)).to(batch.cells.device)
    sign = signs[which]
    return batch._replace(
        cells=batch.cells.gather(1, cells[which]),
        direction=batch.direction * torch.cat([sign, torch.ones_like(sign[:, :1])], dim=1),
        position=batch.position * sign,
    )


class OnDevice:
    """Showers to train on whose batches are on a device; a `caloforge.models.base.TrainingShowers`."""

    def __init__(self, data: TrainingData, device: torch.device) -> None:
        self._data, self._device = data, device

    def __len__(self) -> int:
        return len(self._data)

    def batches(self, size: int | None = None) -> Iterator[Batch]:
        """Yield all showers in one order, size at a time."""
        return (batch.to(self._device) for batch in self._data.batches(size))

    def sample(self, values: int = 1 << 26) -> Batch:
        """Return the first showers, with at most this many cells in total."""
        return self._data.sample(values).to(self._device)


def inside(model: GenerativeModel, modules: Sequence[nn.Module]) -> set[str]:
    """Return the names of all numbers of some modules of a model, as its state has them."""
    starts = tuple(f"{name}." for name, one in model.named_modules() if any(one is each for each in modules))
    return {name for name in model.state_dict() if name.startswith(starts)}


@contextmanager
def frozen(model: GenerativeModel, phase: Phase) -> Iterator[None]:
    """Put a model into training mode, except for the modules that a phase leaves unchanged."""
    model.train()
    # Only those that had gradients: others must not get any afterwards.
    kept = [p for module in phase.frozen for p in module.parameters() if p.requires_grad]
    for module in phase.frozen:
        module.eval()
    for parameter in kept:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in kept:
            parameter.requires_grad_(True)
