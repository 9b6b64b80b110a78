import os
import re
from dataclasses import replace
from importlib import metadata
from pathlib import Path

import pytest

from caloforge.errors import GeometryError
from caloforge.geometry import Calorimeter
from caloforge.stages.simulate.geant4 import data, doctor

SETS = ("G4EMLOW", "G4ENSDFSTATE", "PhotonEvaporation", "G4PARTICLEXS")


def linked(base: Path) -> dict[str, str]:
    """An environment whose data folder has links to the real data sets."""
    base.mkdir()
    for known in data.survey():
        if known.found and known.path is not None:
            (base / known.name).symlink_to(known.path)
    cleaned = {name: value for name, value in os.environ.items() if name not in data.VARIABLES}
    return {**cleaned, "GEANT4_DATA_DIR": str(base)}


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pretend that geant4-pybind is installed, which the computer that runs this need not have."""
    real = metadata.version

    def version(name: str) -> str:
        return "0.1.3" if name == "geant4-pybind" else real(name)

    monkeypatch.setattr(metadata, "version", version)


def test_a_trial_proves_that_simulation_works(geant4: None) -> None:
    found = doctor.diagnose("FTFP_BERT")
    assert found.verdict.works, found.verdict.sentence
    assert "5 showers of pi+ at 20 GeV in calogan with FTFP_BERT" in found.verdict.sentence
    assert found.verdict.command == ""
    by_variable = {known.variable: known for known in found.data}
    assert all(by_variable[variable].found for variable in found.needed)


def test_incomplete_data_are_a_sentence_and_no_crash(geant4: None, tmp_path: Path) -> None:
    environment = linked(tmp_path / "data")
    (tmp_path / "data" / "G4PARTICLEXS").unlink()
    (tmp_path / "data" / "G4PARTICLEXS").mkdir()
    verdict = doctor.diagnose("FTFP_BERT", environment=environment).verdict
    assert not verdict.works
    assert verdict.sentence.startswith("Geant4 crashes with FTFP_BERT in calogan (SIGABRT): ")
    assert "G4PARTICLEXS" in verdict.sentence
    assert "incomplete" in verdict.sentence
    assert (
        verdict.command == "env GEANT4_DATA_DIR=A_NEW_FOLDER caloforge doctor --download --physics FTFP_BERT"
    )


def test_a_physics_list_that_geant4_does_not_have(geant4: None) -> None:
    verdict = doctor.diagnose("FTFP_BRT").verdict
    assert not verdict.works
    assert "Did you mean 'FTFP_BERT'?" in verdict.sentence


def test_a_calorimeter_of_ones_own(geant4: None, small: Calorimeter) -> None:
    assert "e+ at 20 GeV in small with em" in doctor.diagnose("em", small).verdict.sentence


def test_a_calorimeter_without_material_is_refused(calogan: Calorimeter) -> None:
    with pytest.raises(GeometryError):
        doctor.diagnose("em", replace(calogan, stack=()))


def test_a_trial_that_takes_too_long_is_given_up(geant4: None) -> None:
    verdict = doctor.diagnose("em", patience=0.1).verdict
    assert not verdict.works
    assert verdict.sentence.startswith("em made no shower in 0.1 s")
    assert re.search(r"[^.]\.$", verdict.sentence)


def test_em_works_with_exactly_the_data_that_are_said_to_be_needed(geant4: None, tmp_path: Path) -> None:
    environment = linked(tmp_path / "data")
    names = {known.name for known in data.survey(environment) if known.variable in data.needed("em")}
    for path in (tmp_path / "data").iterdir():
        if path.name not in names:
            path.unlink()
    assert {path.name for path in (tmp_path / "data").iterdir()} == names
    verdict = doctor.diagnose("em", environment=environment).verdict
    assert verdict.works, verdict.sentence


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize(
    "words", ["no tables", "no tables.", "no tables...", "issued by : G4X\nno tables.", ""]
)
def test_a_crash_is_told_in_sentences(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: str) -> None:
    for name in SETS:
        (tmp_path / "data" / name).mkdir(parents=True)
    crash = f"import os, sys\nsys.stderr.write({words!r})\nsys.stderr.flush()\nos._exit(3)\n"
    (tmp_path / "geant4_pybind.py").write_text(crash)
    monkeypatch.setattr(data, "made_for", dict)
    environment = {"GEANT4_DATA_DIR": str(tmp_path / "data"), "PYTHONPATH": str(tmp_path)}
    sentence = doctor.diagnose("FTFP_BERT", environment=environment).verdict.sentence
    assert re.search(r"\(exit code 3\): .*(no tables|it said nothing)\. Its data sets are there", sentence)


@pytest.mark.usefixtures("installed")
def test_without_data_the_command_that_gets_them_is_named(tmp_path: Path) -> None:
    found = doctor.diagnose("QGSP_BERT", environment={"GEANT4_DATA_DIR": str(tmp_path)})
    assert not found.verdict.works
    assert all(name in found.verdict.sentence for name in (*SETS, str(tmp_path)))
    assert found.verdict.command == "caloforge doctor --download --physics QGSP_BERT"
    assert not any(known.found for known in found.data)


@pytest.mark.usefixtures("installed")
def test_a_folder_that_does_not_exist(tmp_path: Path) -> None:
    found = doctor.diagnose("em", environment={"GEANT4_DATA_DIR": str(tmp_path / "nowhere")})
    assert "looked for in the folder of GEANT4_DATA_DIR, " in found.verdict.sentence
    assert found.folder == tmp_path / "nowhere"


@pytest.mark.usefixtures("installed")
def test_a_variable_that_names_no_folder_is_to_be_unset(tmp_path: Path) -> None:
    for name in SETS:
        (tmp_path / name).mkdir()
    environment = {"GEANT4_DATA_DIR": str(tmp_path), "G4LEDATA": str(tmp_path / "G4EMLOW9")}
    verdict = doctor.diagnose("FTFP_BERT", environment=environment).verdict
    assert "G4LEDATA names" in verdict.sentence
    assert verdict.command == "unset G4LEDATA"


def test_without_the_extra_pip_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def version(name: str) -> str:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "version", version)
    found = doctor.diagnose("em", environment={})
    assert found.verdict.command == "pip install 'caloforge[geant4]'"
    assert all(package.version is None for package in found.packages)


def test_the_extras_are_those_of_the_package() -> None:
    extras = {package.extra for package in doctor.packages()}
    assert {"geant4", "train"} <= extras
    assert not extras & {"test", "dev"}
