"""What a training is judged by while it runs."""

from pathlib import Path
from typing import Any

import numpy as np
import torch

from caloforge import catalog, plots
from caloforge.metrics.separation import separation
from caloforge.models.base import GenerativeModel
from caloforge.showers import Showers
from caloforge.stages.train.data import TrainingData

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

They are named one by one, since a new observable in the catalogue must not change which step a training
keeps, nor what the figures on the cards of older models mean.
"""


def compare(generated: Showers, reference: Showers) -> dict[str, float]:
    """Return the separation power of every observable of `VALIDATED`, and their mean as ``separation``."""
    observables: list[Any] = [
        observable
        for name in VALIDATED
        for observable in catalog.load("observables", name).every(reference.geometry)
    ]
    powers = {
        f"separation/{observable.name}": separation(observable(reference), observable(generated))
        for observable in observables
    }
    return {"separation": float(np.mean(list(powers.values()))), **powers}


class Validation:
    """Draws showers of the held-out energies, compares them with the held-out showers and keeps a picture.

    Parameters
    ----------
    held_out
        Showers that the training does not see.
    folder
        The training's folder; pictures go below it.
    """

    def __init__(self, held_out: TrainingData, folder: Path) -> None:
        self.held_out, self.pictures = held_out, folder / "pictures"
        self._reference = held_out.showers({"simulator": "held-out showers"})
        self._noise = torch.Generator()

    def __call__(self, step: int, model: GenerativeModel) -> dict[str, float]:
        """Return the separation powers of the model as it stands after a step."""
        sample = self.held_out.replace_cells(self._sample(model))
        generated = sample.showers({"model": f"{model.name} after {step} steps"})
        self.pictures.mkdir(parents=True, exist_ok=True)
        picture = plots.average(generated, beside=self._reference)
        plots.save([picture], self.pictures / f"step-{step:06d}.png")
        return compare(generated, self._reference)

    @torch.no_grad()
    def _sample(self, model: GenerativeModel) -> torch.Tensor:
        self._noise.manual_seed(0)
        noise = torch.randn(len(self.held_out), model.noise_size, generator=self._noise)
        model.eval()
        cells = model(noise, self.held_out.energy, self.held_out.label)
        model.train()
        return torch.as_tensor(cells)
