"""Showers that are written down cell by cell."""

from collections.abc import Callable

import numpy as np
import pytest

from caloforge.geometry import Calorimeter
from caloforge.incident.incident import Incident
from caloforge.showers import Showers

OneShower = Callable[..., Showers]


@pytest.fixture(scope="session")
def one_shower() -> OneShower:
    """Return a function that makes a shower with energy in MeV at (layer, row, column)."""

    def make(geometry: Calorimeter, *hits: tuple[int, int, int, float], energy: float = 1000.0) -> Showers:
        images = [np.zeros((1, *shape)) for shape in geometry.shapes]
        for layer, row, column, deposit in hits:
            images[layer][0, row, column] = deposit
        return Showers(geometry, geometry.join(images), Incident(22, energy))

    return make


@pytest.fixture(scope="session")
def rings() -> Calorimeter:
    """Return a layer of whole rings in front of one that is cut into four sectors."""
    layer = {"r": {"edges": [0.0, 10.0, 30.0]}, "alpha": 1}
    return Calorimeter.from_dict(
        {
            "name": "rings",
            "description": "for tests",
            "reference": "none",
            "stack": [],
            "visible": ["active"],
            "layers": [{**layer, "z": [0.0, 1.0]}, {**layer, "z": [1.0, 2.0], "alpha": 4}],
        }
    )
