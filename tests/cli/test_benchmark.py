import importlib.util
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from caloforge.errors import SimulationError
from caloforge.geometry import Calorimeter
from caloforge.stages.simulate.geant4 import data

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
    arguments = ("--points", "gamma:1", "-c", command, "-n", "6", "--rounds", "1", "-o", tmp_path)
    code, output, errors = run("benchmark", "settings", block, *arguments)
    assert code == 0, errors
    results = json.loads((tmp_path / "settings.json").read_text())["results"]["gamma 1 GeV"]
    assert results[command]["identical"], "photons' general process is what Geant4 does anyway"
    assert command in output


def test_settings_in_another_calorimeter_are_not_those_of_the_first(
    run: Run, block: Path, tmp_path: Path
) -> None:
    arguments = (
        "--points",
        "gamma:1",
        "-c",
        "/process/em/UseGeneralProcess true",
        "-n",
        "2",
        "--rounds",
        "1",
    )
    assert run("benchmark", "settings", block, *arguments, "-o", tmp_path)[0] == 0
    (tmp_path / "settings.json").unlink()
    block.write_text(block.read_text().replace("G4_Pb", "G4_W"))
    code, _, errors = run("benchmark", "settings", block, *arguments, "-o", tmp_path)
    assert code == 2
    assert "made by another job (another geometry)" in errors
    assert not (tmp_path / "settings.json").exists()


@pytest.mark.parametrize("points", ["e+", "e+:ten", "nothing:10", "e+:-1", "e+:0", "e+:inf", "e+:nan"])
def test_a_point_that_is_none(run: Run, tmp_path: Path, points: str) -> None:
    code, output, errors = run("benchmark", "settings", "--points", points, "-c", "/x", "-o", tmp_path)
    assert code == 2
    assert errors.startswith(("Error: '", "Error: The energy"))
    assert output == ""
    assert list(tmp_path.iterdir()) == []


def test_energies_are_looked_at_before_anything_is_measured(
    run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(
        "caloforge.stages.simulate.run.simulate", lambda *_, **__: pytest.fail("it was measured")
    )
    code, output, errors = run("benchmark", "simulate", "--energies", "1,-1", "-o", tmp_path / "new")
    assert code == 2
    assert errors.startswith("Error: The energy -1 GeV is not possible")
    assert output == ""
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("measure", [("simulate",), ("settings", "-c", "/process/em/applyCuts true")])
def test_a_file_in_place_of_the_folder_is_refused_before_anything_is_measured(
    run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, measure: tuple[str, ...]
) -> None:
    monkeypatch.setattr(
        "caloforge.stages.simulate.run.simulate", lambda *_, **__: pytest.fail("it was measured")
    )
    (tmp_path / "results").write_text("mine")
    code, _, errors = run("benchmark", *measure, "-o", tmp_path / "results")
    assert code == 2
    assert "results is a file, but results go into a folder" in errors
    assert (tmp_path / "results").read_text() == "mine"


def test_the_speed_of_a_model_beside_that_of_geant4(run: Run, block: Path, tmp_path: Path) -> None:
    arguments = ("--model", "calogan_gamma", "--batches", "1", "--seconds", "0", "--energies", "1")
    more = ("--physics", "em", "--effort", "0", "-o", tmp_path)
    code, _, errors = run("benchmark", "generate", *arguments, *more)
    assert code == 0, errors
    simulated, model = json.loads((tmp_path / "generate.json").read_text())["speeds"]
    assert simulated["model"] == "Geant4"
    assert simulated["conditions"].startswith("em, 1 GeV, one core")
    assert simulated["ms"] > model["ms"] > 0


def test_the_speed_of_a_model(run: Run, tmp_path: Path) -> None:
    arguments = ("--model", "calogan_eplus", "--no-geant4", "--batches", "1,3", "--seconds", "0")
    code, output, errors = run("benchmark", "generate", *arguments, "--energies", "5", "-o", tmp_path)
    assert code == 0, errors
    record = json.loads((tmp_path / "generate.json").read_text())
    assert [(row["model"], row["particle"], row["batch"]) for row in record["speeds"]] == [
        ("calogan_eplus", "e+", 1),
        ("calogan_eplus", "e+", 3),
    ]
    assert all(0 < row["ms"] < 1000 for row in record["speeds"])
    (written,) = record["written"]
    assert (written["model"], written["showers"]) == ("calogan_eplus", 1024)
    assert 0 < written["ms"] < 1000
    assert "calogan_eplus" in output
    assert "written to a file" in output
    assert (tmp_path / "generate.svg").stat().st_size > 1000


@pytest.mark.parametrize(
    ("options", "answer"),
    [
        (("--batches", "0"), "is not a list of batch sizes"),
        (("--batches", "many"), "is not a list of batch sizes"),
        (
            ("--batches", str(10**12), "--model", "fast_gamma"),
            "showers of 504 cells would take about 2.02 PB of memory",
        ),
        (("--seconds", "inf"), "less than or equal to 3600"),
        (("--energies", "500"), "was trained from 1 to 100 GeV"),
        (("--model", "calogan_epuls"), "Did you mean 'calogan_eplus'"),
    ],
)
def test_what_can_not_be_timed(run: Run, tmp_path: Path, options: tuple[str, ...], answer: str) -> None:
    code, _, errors = run("benchmark", "generate", "--no-geant4", *options, "-o", tmp_path)
    assert code == 2
    assert answer in errors
