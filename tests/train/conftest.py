"""A calorimeter and a CaloGAN that are small enough to train in a second."""

from pathlib import Path

import pytest

from caloforge.geometry import Axis, Calorimeter, Layer, Slab, Stack
from caloforge.showers import Showers
from tests.conftest import MakeShowers


@pytest.fixture(scope="session")
def small() -> Calorimeter:
    square = Axis.uniform(4, -20.0, 20.0)
    layers = (
        Layer(z=(0.0, 6.0), eta=Axis.uniform(8, -20.0, 20.0), phi=Axis.uniform(2, -20.0, 20.0)),
        Layer(z=(6.0, 12.0), eta=square, phi=square),
    )
    slabs = (Slab("G4_Pb", 2.0, "absorber"), Slab("G4_lAr", 4.0, "active"))
    return Calorimeter("small", "for tests", "none", (Stack(2, slabs),), ("absorber", "active"), layers)


@pytest.fixture(scope="session")
def small_showers(small: Calorimeter, make_showers: MakeShowers) -> Showers:
    return make_showers(96, small)


@pytest.fixture
def small_file(tmp_path: Path, small_showers: Showers) -> Path:
    path = tmp_path / "small.h5"
    small_showers.save(path)
    return path
