"""Small calorimeters of every kind of cells, and what files of foreign layouts contain."""

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from caloforge.geometry import Axis, Calorimeter, Layer, RingLayer
from caloforge.incident.incident import FIELDS
from caloforge.showers import Showers

R = Axis(edges=[0.0, 1.0, 4.65, 30.0])


def calorimeter(name: str, *layers: Layer | RingLayer) -> Calorimeter:
    return Calorimeter(name, "for tests", "none", (), ("active",), layers)


@pytest.fixture(scope="session")
def rings() -> Calorimeter:
    """Three layers of four sectors and three rings."""
    return calorimeter("rings", *(RingLayer(z=(i, i + 1), r=R, alpha=4) for i in range(3)))


@pytest.fixture(scope="session")
def voxels() -> Calorimeter:
    """Layers of rings that differ, as in the CaloChallenge's first data set."""
    wide = RingLayer(z=(0, 1), r=Axis(edges=[0.0, 5.0, 10.0]), alpha=1)
    return calorimeter("voxels", wide, RingLayer(z=(1, 2), r=R, alpha=5))


@pytest.fixture(scope="session")
def boxes() -> Calorimeter:
    """Two layers of four rows and three columns of unequal boxes."""
    eta, phi = Axis(edges=[-20.0, -1.0, 0.5, 30.0]), Axis.uniform(4, -10.0, 10.0)
    return calorimeter("boxes", *(Layer(z=(i, i + 1), eta=eta, phi=phi) for i in range(2)))


def contents(path: Path) -> dict[str, Any]:
    """Return the datasets of a file's layout; what caloforge keeps in addition is not part of it."""
    found = {}

    def add(name: str, item: object) -> None:
        if isinstance(item, h5py.Dataset) and not name.startswith("caloforge/"):
            found[name] = item[()]

    with h5py.File(path) as file:
        file.visititems(add)
    return found


def same_contents(first: Path, second: Path) -> bool:
    one, two = contents(first), contents(second)
    return one.keys() == two.keys() and all(np.array_equal(one[name], two[name]) for name in one)


def write(path: Path, datasets: dict[str, Any]) -> Path:
    with h5py.File(path, "w") as file:
        for name, values in datasets.items():
            if values is not None:
                file[name] = values
    return path


def same_showers(first: Showers, second: Showers) -> bool:
    """Whether two samples are the same bit for bit."""
    numbers = first.cells.tobytes() == second.cells.tobytes() and all(
        getattr(first.incident, name).tobytes() == getattr(second.incident, name).tobytes() for name in FIELDS
    )
    columns = first.columns.keys() == second.columns.keys() and all(
        first.columns[name].dtype == second.columns[name].dtype
        and np.array_equal(first.columns[name], second.columns[name], equal_nan=True)
        for name in first.columns
    )
    return numbers and columns and first.geometry == second.geometry and first.provenance == second.provenance
