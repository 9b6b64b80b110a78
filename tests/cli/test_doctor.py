import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from caloforge.stages.simulate.geant4 import data, doctor
from caloforge.stages.simulate.geant4.doctor import Diagnosis, Package, Verdict

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture(autouse=True)
def nothing_there(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for variable in data.VARIABLES:
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("GEANT4_DATA_DIR", str(tmp_path / "data"))


def pretend(monkeypatch: pytest.MonkeyPatch, verdict: Verdict, folder: Path) -> None:
    sets = data.survey({"GEANT4_DATA_DIR": str(folder)})
    packages = [Package("geant4-pybind", "geant4", "0.1.3"), Package("torch", "train", None)]
    found = Diagnosis(packages, folder, sets, data.needed("FTFP_BERT"), verdict)
    monkeypatch.setattr(doctor, "diagnose", lambda physics, geometry: found)


def test_all_is_well(run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "G4EMLOW8.8").mkdir()
    pretend(monkeypatch, Verdict(True, "Simulation works."), tmp_path)
    code, output, _ = run("doctor")
    assert code == 0
    assert "pip install 'caloforge[train]'" in output
    assert "G4EMLOW8.8" in output
    assert "PhotonEvaporation missing" in output
    assert output.rstrip().endswith("Simulation works.")


def test_the_command_comes_last_and_the_exit_code_is_1(
    run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    pretend(monkeypatch, Verdict(False, "Data are missing.", "caloforge doctor --download"), tmp_path)
    code, output, _ = run("doctor", "--physics", "QBBC")
    assert code == 1
    assert output.splitlines()[-2:] == ["Data are missing.", "Run: caloforge doctor --download"]


def test_an_unknown_calorimeter_is_no_diagnosis(run: Run) -> None:
    code, _, errors = run("doctor", "calogann")
    assert code == 2
    assert "calogann" in errors


def test_nobody_is_asked_where_there_is_no_terminal(run: Run) -> None:
    code, _, errors = run("doctor", "--download")
    assert code == 2
    assert "add --yes to agree" in errors


@pytest.mark.parametrize(("answer", "agreed"), [("y\n", True), ("n\n", False), ("\n", False)])
def test_consent_is_asked_on_a_terminal(
    run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, answer: str, agreed: bool
) -> None:
    pretend(monkeypatch, Verdict(True, "Simulation works."), tmp_path)
    calls: list[str] = []
    monkeypatch.setattr(data, "download", lambda physics, progress: calls.append(physics))
    monkeypatch.setattr(sys, "stdin", Terminal(answer))
    code, output, _ = run("doctor", "--download", "--physics", "em")
    assert calls == (["em"] if agreed else [])
    assert code == (0 if agreed else 1)
    assert "G4EMLOW, G4ENSDFSTATE, PhotonEvaporation from https://cern.ch" in output


class Terminal:
    """Standard input at which somebody sits who gives one answer."""

    def __init__(self, answer: str) -> None:
        self._answer = answer
        self.encoding = "utf-8"

    def isatty(self) -> bool:
        return True

    def readline(self, _: int = -1) -> str:
        return self._answer


def test_agreed_in_advance(run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    pretend(monkeypatch, Verdict(True, "Simulation works."), tmp_path)
    calls: list[str] = []
    monkeypatch.setattr(data, "download", lambda physics, progress: calls.append(physics))
    assert run("doctor", "--download", "--yes")[0] == 0
    assert calls == ["FTFP_BERT"]


def test_nothing_is_downloaded_twice(run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    pretend(monkeypatch, Verdict(True, "Simulation works."), tmp_path)
    for name in ("G4EMLOW", "G4ENSDFSTATE", "PhotonEvaporation"):
        (tmp_path / "data" / name).mkdir(parents=True)
    code, output, _ = run("doctor", "--download", "--physics", "em")
    assert code == 0
    assert "nothing is downloaded" in output
