from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from caloforge.errors import SimulationError
from caloforge.formats.native import read, write
from caloforge.geometry import Calorimeter
from caloforge.incident.incident import Incident
from caloforge.showers import Showers
from caloforge.stages.benchmark import BenchmarkPoint, Setting


class Simulation:
    """Stands for Geant4: showers and times that follow from the setting's name and the shower's number."""

    def __init__(self, geometry: Calorimeter) -> None:
        self.geometry = geometry
        self.calls: list[tuple[str, str, int]] = []
        self.slowness = {"slow": 2.0}
        self.scale = {"slow": 0.98}
        self.showers = 200

    def __call__(self, point: BenchmarkPoint, setting: Setting, n: int, out: Path) -> npt.NDArray[np.float64]:
        self.calls.append((str(point), setting.name, n))
        if setting.name == "crashing":
            raise SimulationError("Geant4 crashes.")
        have = len(read(out)) if out.exists() else 0
        if have and read(out).geometry != self.geometry:
            raise SimulationError("These showers are of another job.")
        assert n >= have, "a file does not shrink"
        showers = self._showers(point, setting, n)
        write(showers, out)
        seconds = 1e-6 * self._deposits(showers) * self.slowness.get(setting.name, 1.0)
        seconds[have : have + 1] = np.nan  # if there is a new one at all
        return seconds[have:]

    def _showers(self, point: BenchmarkPoint, setting: Setting, n: int) -> Showers:
        cells = np.random.default_rng(point.pdg + 1000).lognormal(0, 1, (self.showers, self.geometry.n_cells))
        cells *= point.energy / cells.sum(axis=1).mean() * self.scale.get(setting.name, 1.0)
        cells = cells[:n]
        total = cells.sum(axis=1)
        columns = {"absorber": 0.8 * total, "active": 0.2 * total}
        provenance = {"particle": "?", "geant4": "geant4-1", "geant4_data": {"G4LEDATA": "G4EMLOW8.8"}}
        return Showers(
            self.geometry,
            cells.astype(np.float32),
            Incident(point.pdg, np.full(n, point.energy)),
            columns=columns,
            provenance=provenance,
        )

    @staticmethod
    def _deposits(showers: Showers) -> npt.NDArray[np.float64]:
        return np.asarray(showers.columns["absorber"] + showers.columns["active"], dtype=np.float64)


@pytest.fixture
def simulation(small: Calorimeter) -> Simulation:
    return Simulation(small)
