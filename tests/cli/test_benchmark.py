import importlib.util
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from caloforge.errors import SimulationError
from caloforge.geometry import Calorimeter
from caloforge.simulate import data

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def block(small: Calorimeter, tmp_path: Path) -> Path:
    """A file that describes a small calorimeter, where there is a Geant4."""
    if importlib.util.find_spec("geant4_pybind") is None:
        pytest.skip("geant4_pybind is not installed")
    try:
        data.find("FTFP_BERT")
    except SimulationError as error:
        pytest.skip(str(error))
    path = tmp_path / "small.toml"
    path.write_text(
        """
name = "small"
description = "for tests"
reference = "none"
visible = ["absorber", "active"]

[[stack]]
repeat = 2
slabs = [
  { material = "G4_Pb", thickness = 2.0, role = "absorber" },
  { material = "G4_lAr", thickness = 4.0, role = "active" },
]

[[layers]]
z = [0.0, 12.0]
eta = { bins = 4, range = [-20.0, 20.0] }
phi = { bins = 4, range = [-20.0, 20.0] }
"""
    )
    return path


def test_the_speed_of_geant4(run: Run, block: Path, tmp_path: Path) -> None:
    arguments = (
        "--particles",
        "e+,gamma",
        "--energies",
        "1",
        "--physics",
        "em",
        "--effort",
        "0",
        "-o",
        tmp_path,
    )
    code, output, errors = run("benchmark", "simulate", block, *arguments)
    assert code == 0, errors
    points = json.loads((tmp_path / "simulate.json").read_text())["points"]
    assert [(point["particle"], point["showers"]) for point in points] == [("e+", 20), ("gamma", 20)]
    assert all(0 < point["ms_per_GeV"] < 100 for point in points)
    assert "1 GeV" in output
    assert "| gamma | " in (tmp_path / "simulate.md").read_text()


def test_a_command_of_ones_own(run: Run, block: Path, tmp_path: Path) -> None:
    command = "/process/em/UseGeneralProcess true"
    arguments = ("--shots", "gamma:1", "-c", command, "-n", "6", "--rounds", "1", "-o", tmp_path)
    code, output, errors = run("benchmark", "settings", block, *arguments)
    assert code == 0, errors
    results = json.loads((tmp_path / "settings.json").read_text())["results"]["gamma 1 GeV"]
    assert results[command]["identical"], "photons' general process is what Geant4 does anyway"
    assert command in output


@pytest.mark.parametrize("shots", ["e+", "e+:ten", "nothing:10"])
def test_a_shot_that_is_none(run: Run, tmp_path: Path, shots: str) -> None:
    code, _, errors = run("benchmark", "settings", "--shots", shots, "-c", "/x", "-o", tmp_path)
    assert code == 2
    assert errors.startswith("Error: '")
