"""What several tests share: small calorimeters and showers that are as sparse as real ones."""

import importlib.util
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

# Tensors of tests are small: a second thread would only be waited for.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import pytest
from hypothesis import Phase, settings

from caloforge.geometry import Axis, Calorimeter, Layer, Slab, Stack
from caloforge.incident.incident import Incident
from caloforge.showers import Showers

if TYPE_CHECKING:
    from caloforge.inference.model import TrainedModel

MakeShowers = Callable[..., Showers]

settings.register_profile("caloforge", deadline=None)  # what a busy machine takes long for is not wrong
settings.register_profile(
    "first", deadline=None, phases=[Phase.explicit, Phase.generate]
)  # for runs/mutation.py
settings.load_profile("caloforge")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the longest file, so that no process waits long for another one at the end."""
    items.sort(key=lambda item: item.path.name != "test_contract.py")


@pytest.fixture(scope="session")
def calogan() -> Calorimeter:
    return Calorimeter.load("calogan")


@pytest.fixture(scope="session")
def calogan_fine() -> Calorimeter:
    return Calorimeter.load("calogan_fine")


@pytest.fixture(scope="session")
def make_showers(calogan: Calorimeter) -> MakeShowers:
    """Return a function that makes n showers with a steep spectrum of cells, most of them empty."""

    def make(n: int, geometry: Calorimeter = calogan, seed: int = 1, occupancy: float = 0.2) -> Showers:
        random = np.random.default_rng(seed)
        hit = random.random((n, geometry.n_cells)) < occupancy
        cells = np.where(hit, random.lognormal(0, 3, hit.shape), 0).astype(np.float32)
        energy = random.uniform(1e3, 1e5, n).astype(np.float32).astype(np.float64)
        columns = {"leaked": random.exponential(10, n), "tries": random.integers(1, 5, n)}
        return Showers(geometry, cells, Incident(-11, energy), columns=columns, provenance={"seed": seed})

    return make


@pytest.fixture(scope="session")
def geant4_showers() -> Path:
    """Return the folder of Geant4 showers that the environment names, or skip."""
    folder = os.environ.get("CALOFORGE_TEST_DATA")
    if folder is None:
        pytest.skip("CALOFORGE_TEST_DATA does not name a folder of Geant4 showers")
    return Path(folder)


@pytest.fixture(scope="session")
def geant4() -> None:
    """Skip where there is no Geant4 or no data for it."""
    from caloforge.errors import SimulationError
    from caloforge.stages.simulate.geant4 import data

    if importlib.util.find_spec("geant4_pybind") is None:
        pytest.skip("geant4_pybind is not installed")
    try:
        data.find("FTFP_BERT")
    except SimulationError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def small() -> Calorimeter:
    """Return a calorimeter for which models train in a second."""
    square = Axis.uniform(4, -20.0, 20.0)
    layers = (
        Layer(z=(0.0, 6.0), eta=Axis.uniform(8, -20.0, 20.0), phi=Axis.uniform(2, -20.0, 20.0)),
        Layer(z=(6.0, 12.0), eta=square, phi=square),
    )
    slabs = (Slab("G4_Pb", 2.0, "absorber"), Slab("G4_lAr", 4.0, "active"))
    return Calorimeter("small", "for tests", "none", (Stack(2, slabs),), ("absorber", "active"), layers)


@pytest.fixture(scope="session")
def gamma() -> "TrainedModel":
    """Return the model of photons that one should have."""
    from caloforge.inference.shipped import find

    return find(22, "calogan", threads=1)


@pytest.fixture(scope="session")
def lavish() -> "TrainedModel":
    """Return a model of photons of which some showers hold more than came in."""
    from caloforge.inference.model import TrainedModel

    return TrainedModel.load("calogan_gamma")


@pytest.fixture(scope="session", params=["calogan", "bytes", "normal"])
def every_noise(
    request: pytest.FixtureRequest,
    gamma: "TrainedModel",
    small: Calorimeter,
    tmp_path_factory: pytest.TempPathFactory,
) -> "TrainedModel":
    """Return a model of photons that takes its noise in one of the possible ways."""
    from caloforge.inference.model import TrainedModel
    from tests import small_weights

    if request.param == "calogan":
        return gamma
    folder = tmp_path_factory.mktemp("weights")
    return TrainedModel.load(small_weights.write(folder / "a.json", small, request.param))
