"""Showers whose differences are known, in a calorimeter that takes no time."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from caloforge.formats.native import write
from caloforge.geometry import Calorimeter
from caloforge.incident.incident import Incident
from caloforge.showers import Showers
from caloforge.stages.evaluate import Evaluation, evaluate

Make = Callable[..., Showers]


@pytest.fixture(scope="session")
def make(small: Calorimeter) -> Make:
    """Return a function that makes n showers with a blob of energy in either layer."""

    def make(n: int, seed: int, scale: float = 1.0, low: float = 1e3, pdg: int = 22) -> Showers:
        random = np.random.default_rng(seed)
        energy = random.uniform(low, 1e5, n)
        images = []
        for layer, share in zip(small.layers, (0.3, 0.6), strict=True):
            eta, phi = layer.centres
            width = random.normal(9.0, 1.0, (n, 1, 1))
            blob = np.exp(-(eta**2 + phi**2) / (2 * width**2)) * random.uniform(0.5, 1.5, (n, *layer.shape))
            part = share * random.normal(1.0, 0.05, n) * energy
            images.append(scale * part[:, None, None] * blob / blob.sum(axis=(1, 2), keepdims=True))
        cells = small.join(images)
        return Showers(
            small,
            np.where(cells > 1.0, cells, 0),
            Incident(pdg, energy),
            provenance={"model": f"seed {seed}"},
        )

    return make


@pytest.fixture(scope="session")
def files(make: Make, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder of a reference, another sample of the same, a shifted one, and others."""
    folder = tmp_path_factory.mktemp("showers")
    write(make(1500, 1), folder / "reference.h5")
    write(make(1500, 2), folder / "same.h5")
    write(make(1500, 3, scale=1.02), folder / "shifted.h5")
    write(make(1500, 4, low=5e4), folder / "harder.h5")
    write(make(20, 5), folder / "few.h5")
    return folder


@pytest.fixture(scope="session")
def shifted(files: Path) -> Evaluation:
    """Return the evaluation of showers with 2 % more energy than the reference."""
    return evaluate(files / "reference.h5", files / "shifted.h5", classifiers=False, repeats=4)
