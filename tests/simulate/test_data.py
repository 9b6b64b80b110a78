from pathlib import Path

import pytest

from caloforge.errors import SimulationError
from caloforge.simulate import data

HADRONIC = ("G4EMLOW", "G4ENSDFSTATE", "PhotonEvaporation", "G4PARTICLEXS")


def folders(base: Path, *names: str) -> dict[str, str]:
    for name in names:
        (base / name).mkdir(parents=True)
    return {"GEANT4_DATA_DIR": str(base)}


def test_plain_and_versioned_names_are_found(tmp_path: Path) -> None:
    environment = folders(tmp_path, "G4EMLOW8.8", "G4ENSDFSTATE", "PhotonEvaporation6.1.2", "G4PARTICLEXS4.2")
    found = data.find("FTFP_BERT", environment)
    assert found["G4LEDATA"] == str(tmp_path / "G4EMLOW8.8")
    assert found["GEANT4_DATA_DIR"] == str(tmp_path)
    assert data.versions(found)["G4LEVELGAMMADATA"] == "PhotonEvaporation6.1.2"
    assert "G4NEUTRONHPDATA" not in found


def test_the_highest_version_wins(tmp_path: Path) -> None:
    environment = folders(tmp_path, "G4EMLOW8.8", "G4EMLOW8.10", "G4EMLOW7.99.1", "G4ENSDFSTATE3.0")
    assert data.versions(data.find("em", environment))["G4LEDATA"] == "G4EMLOW8.10"


def test_an_official_variable_wins_over_the_folder(tmp_path: Path) -> None:
    environment = folders(tmp_path / "all", *HADRONIC)
    (tmp_path / "mine").mkdir()
    found = data.find("em", environment | {"G4LEDATA": str(tmp_path / "mine")})
    assert found["G4LEDATA"] == str(tmp_path / "mine")


def test_missing_data_are_named_with_the_way_to_get_them(tmp_path: Path) -> None:
    environment = folders(tmp_path, "G4EMLOW8.8", "G4ENSDFSTATE3.0")
    data.find("em", environment)
    with pytest.raises(SimulationError, match="PhotonEvaporation") as caught:
        data.find("QGSP_BERT_HP", environment)
    message = str(caught.value)
    assert "G4EMLOW" not in message
    assert all(part in message for part in ("G4NDL (G4NEUTRONHPDATA)", str(tmp_path), "GEANT4_DATA_DIR"))


def test_a_folder_that_does_not_exist_is_no_crash(tmp_path: Path) -> None:
    with pytest.raises(SimulationError, match="G4EMLOW"):
        data.find("em", {"GEANT4_DATA_DIR": str(tmp_path / "nowhere")})


def test_fluorescence_needs_its_files(tmp_path: Path) -> None:
    variables = data.find("em", folders(tmp_path, *HADRONIC))
    assert not data.has_fluorescence(variables)
    (tmp_path / "G4EMLOW" / "fluor").mkdir()
    assert data.has_fluorescence(variables)
