"""Validates a model during its training."""

from collections.abc import Callable, Iterator

import numpy as np
import numpy.typing as npt
import torch

from caloforge import catalog
from caloforge.formats.base import batch_size
from caloforge.geometry import Calorimeter
from caloforge.metrics.separation import separation
from caloforge.models.base import Batch, GenerativeModel
from caloforge.observables.base import Observable
from caloforge.showers import Showers
from caloforge.stages.train.data import TrainingData
from caloforge.stages.train.phases import OnDevice

__all__ = ["VALIDATED", "Draw", "Validation", "Values", "compare", "no_picture", "validated"]

VALIDATED = (
    "depth_width",
    "e_ratio",
    "lateral_width",
    "layer_fraction",
    "response",
    "shower_depth",
    "sparsity",
)
"""Kinds of observables whose mean separation power chooses the best step.

They are listed here, since a new observable in the catalogue must not change which step a training keeps, or
the meaning of the figures on the cards of older models.
"""

_MOST = 1024  # showers that are drawn at once

Values = dict[str, npt.NDArray[np.float64]]
Draw = Callable[[int, Showers, Showers], None]
"""Draws a picture, given the step, generated showers and those they are compared with."""


def validated(geometry: Calorimeter) -> list[Observable]:
    """Return the observables of `VALIDATED` for a read-out."""
    return [one for name in VALIDATED for one in catalog.load("observables", name).every(geometry)]


def compare(generated: Values, reference: Values) -> dict[str, float]:
    """Return the separation power of every observable, and their mean as ``separation``."""
    powers = {f"separation/{name}": separation(values, generated[name]) for name, values in reference.items()}
    return {"separation": float(np.mean(list(powers.values()))), **powers}


def no_picture(step: int, generated: Showers, reference: Showers) -> None:
    """Draw nothing."""


class Validation:
    """Draws showers for the held-out particles, batch by batch, and compares them with the held-out showers.

    Parameters
    ----------
    held_out
        Showers that the training does not see.
    draw
        Called with the first batch of each validation.
    """

    def __init__(self, held_out: TrainingData, draw: Draw = no_picture) -> None:
        self.held_out, self._draw = held_out, draw
        self._reference: Values | None = None

    def __call__(self, step: int, model: GenerativeModel) -> dict[str, float]:
        """Return the separation powers of the model as it stands after a step, and its own figures."""
        if self._reference is None:
            self._reference = self._measured(self._held_out())
        powers = compare(self._measured(self._generated(step, model)), self._reference)
        own = model.measured(OnDevice(self.held_out, _device(model)))
        return powers | {name: float(value) for name, value in own.items()}

    def _held_out(self) -> Iterator[Showers]:
        for batch in self._batches():
            yield self.held_out.showers(batch, {"simulator": "held-out showers"})

    @torch.no_grad()
    def _generated(self, step: int, model: GenerativeModel) -> Iterator[Showers]:
        # The same noise in every validation, so that their differences are those of the model; and a separate
        # generator, so that the training's own random numbers do not depend on validations.
        noise = torch.Generator().manual_seed(0)
        device = _device(model)
        samplers = {one.name: model.sampler(one).to(device) for one in self.held_out.geometries}
        for number, batch in enumerate(self._batches()):
            sampler = samplers[batch.geometry.name]
            drawn = torch.randn(len(batch.cells), sampler.noise_size, generator=noise).to(device)
            cells = sampler(drawn, *batch.to(device).inputs(model.inputs)).cpu()
            showers = self.held_out.showers(
                batch._replace(cells=cells), {"model": f"{model.name} after {step} steps"}
            )
            if number == 0:
                self._draw(step, showers, self.held_out.showers(batch, {"simulator": "held-out showers"}))
            yield showers

    def _batches(self) -> Iterator[Batch]:
        most = min(batch_size(geometry) for geometry in self.held_out.geometries)
        return self.held_out.batches(min(_MOST, most))

    def _measured(self, samples: Iterator[Showers]) -> Values:
        """Return the values of all observables; those of several read-outs by their names."""
        several = len(self.held_out.geometries) > 1
        found: dict[str, list[npt.NDArray[np.float64]]] = {}
        for showers in samples:
            for observable in validated(showers.geometry):
                name = f"{showers.geometry.name}/{observable.name}" if several else observable.name
                found.setdefault(name, []).append(observable(showers))
        return {name: np.concatenate(parts) for name, parts in found.items()}


def _device(model: GenerativeModel) -> torch.device:
    # By the state and not the parameters: a model may have only buffers.
    return next((value.device for value in model.state_dict().values()), torch.device("cpu"))
