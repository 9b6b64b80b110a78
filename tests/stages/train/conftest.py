"""Showers in a small calorimeter."""

from pathlib import Path

import pytest

from caloforge.formats.native import write
from caloforge.geometry import Calorimeter
from caloforge.showers import Showers
from tests.conftest import MakeShowers


@pytest.fixture(scope="session")
def small_showers(small: Calorimeter, make_showers: MakeShowers) -> Showers:
    return make_showers(96, small)


@pytest.fixture
def small_file(tmp_path: Path, small_showers: Showers) -> Path:
    path = tmp_path / "small.h5"
    write(small_showers, path)
    return path
