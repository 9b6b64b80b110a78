import importlib.util

import pytest

from caloforge.errors import SimulationError
from caloforge.simulate import data


@pytest.fixture
def geant4() -> None:
    """Skip where there is no Geant4 or no data for it."""
    if importlib.util.find_spec("geant4_pybind") is None:
        pytest.skip("geant4_pybind is not installed")
    try:
        data.find("FTFP_BERT")
    except SimulationError as error:
        pytest.skip(str(error))
