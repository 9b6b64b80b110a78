"""What a training leaves to look at: a CSV, TensorBoard curves and sample pictures."""

import csv
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import torch
from torch.utils.tensorboard import SummaryWriter

from caloforge import catalog, plots
from caloforge.atomic import written_aside
from caloforge.metrics.separation import separation
from caloforge.models.base import GenerativeModel
from caloforge.showers import Showers
from caloforge.train.data import TrainingData

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


class RunLog:
    """Writes the figures of a training into its folder as ``log.csv`` and for TensorBoard.

    Use as a context manager, or the last curves may stay in the memory.

    Parameters
    ----------
    folder
        The training's folder.
    done
        Steps that are kept from an earlier part of the training; rows of later steps, which will be made
        again, are dropped.
    every
        Steps between rows.
    """

    def __init__(self, folder: Path, done: int, every: int = 10) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.path, self.every = folder / "log.csv", every
        self._curves = SummaryWriter(str(folder / "tensorboard"), purge_step=done or None)
        kept = [row for row in self._rows() if int(row[0]) <= done]
        with written_aside(self.path) as aside, aside.open("w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows([["step", "figure", "value"], *kept])

    def __enter__(self) -> "RunLog":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._curves.close()

    def __call__(self, step: int, figures: dict[str, float]) -> None:
        """Log the figures of a step, if its turn has come or a validation is among them."""
        if step % self.every and "separation" not in figures:
            return
        with self.path.open("a", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows([step, name, f"{value:.6g}"] for name, value in figures.items())
        for name, value in figures.items():
            self._curves.add_scalar(name, value, step)

    def _rows(self) -> list[list[str]]:
        if not self.path.is_file():
            return []
        with self.path.open(newline="", encoding="utf-8") as file:
            return [row for row in list(csv.reader(file))[1:] if len(row) == 3]


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
