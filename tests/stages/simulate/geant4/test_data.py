import importlib.util
import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from caloforge.errors import SimulationError
from caloforge.stages.simulate.geant4 import data

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


@pytest.mark.parametrize(("made_for", "chosen"), [("", "8.10"), ("8.8", "8.8"), ("8.9", "8.10")])
def test_the_version_that_fits_wins_then_the_highest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, made_for: str, chosen: str
) -> None:
    monkeypatch.setattr(data, "made_for", lambda: {"G4EMLOW": made_for})
    others = ("G4EMLOW", "G4EMLOWs", "G4EMLOW-8.11", "G4ENSDFSTATE3.0", "PhotonEvaporation")
    environment = folders(tmp_path, "G4EMLOW8.8", "G4EMLOW8.10", "G4EMLOW7.99.1", *others)
    assert data.versions(data.find("em", environment))["G4LEDATA"] == f"G4EMLOW{chosen}"
    strange = {known.name: known.strange for known in data.survey(environment)}
    assert strange["G4EMLOW"] == (made_for == "8.9")
    assert not strange["G4ENSDFSTATE"]


def test_an_official_variable_wins_over_the_folder(tmp_path: Path) -> None:
    environment = folders(tmp_path / "all", *HADRONIC)
    (tmp_path / "mine").mkdir()
    found = data.find("em", environment | {"G4LEDATA": str(tmp_path / "mine")})
    assert found["G4LEDATA"] == str(tmp_path / "mine")


def test_missing_data_are_named_with_the_way_to_get_them(tmp_path: Path) -> None:
    environment = folders(tmp_path, "G4EMLOW8.8", "G4ENSDFSTATE3.0", "PhotonEvaporation6.1.2")
    data.find("em", environment)
    with pytest.raises(SimulationError, match="G4PARTICLEXS") as caught:
        data.find("QGSP_BERT_HP", environment)
    message = str(caught.value)
    assert "G4EMLOW" not in message
    assert "PhotonEvaporation" not in message
    assert message.endswith("Run: caloforge doctor --download --physics QGSP_BERT_HP")
    assert all(part in message for part in ("G4NDL (G4NEUTRONHPDATA)", str(tmp_path), "GEANT4_DATA_DIR"))


def test_a_folder_that_does_not_exist_is_no_crash(tmp_path: Path) -> None:
    with pytest.raises(SimulationError, match="G4EMLOW"):
        data.find("em", {"GEANT4_DATA_DIR": str(tmp_path / "nowhere")})


def test_fluorescence_needs_its_files(tmp_path: Path) -> None:
    variables = data.find("em", folders(tmp_path, *HADRONIC))
    assert not data.has_fluorescence(variables)
    (tmp_path / "G4EMLOW" / "fluor").mkdir()
    assert data.has_fluorescence(variables)


# A downloader that behaves as geant4-pybind's: asks, then fills ~/.geant4_pybind with what has no variable.
DOWNLOADER = """
import os, pathlib
if "GEANT4_DATA_DIR" in os.environ or os.environ.get("CI") == "true":
    raise SystemExit("would not ask")
home = pathlib.Path("~/.geant4_pybind").expanduser()
sets = {"G4LEDATA": "G4EMLOW8.8", "G4ENSDFSTATEDATA": "G4ENSDFSTATE3.0", "G4PIIDATA": "G4PII1.3"}
for variable, name in sets.items():
    if variable in os.environ:
        continue
    assert input("Would you like to download the missing ones? [Y/n] ") == "y"
    (home / name).mkdir(parents=True)
    if (pathlib.Path(__file__).parent / "offline").exists():
        raise OSError("no route to host")
    (home / name / "data").write_text("data")
"""


@pytest.fixture
def downloader(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, str]]:
    """Yield an environment in which geant4-pybind is a few lines that download nothing."""
    package = tmp_path / "package"
    package.mkdir()
    (package / "geant4_pybind.py").write_text(DOWNLOADER)
    monkeypatch.syspath_prepend(package)
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(package), "CI": "true"}
    data.made_for.cache_clear()
    yield environment | {"GEANT4_DATA_DIR": str(tmp_path / "data")}
    data.made_for.cache_clear()


def test_what_is_missing_is_downloaded_and_nothing_else(tmp_path: Path, downloader: dict[str, str]) -> None:
    base = tmp_path / "data"
    base.mkdir()
    (base / "G4ENSDFSTATE2.3").mkdir()
    (base / "PhotonEvaporation").mkdir()
    calls: list[tuple[int, int]] = []
    new = data.download("em", downloader, lambda done, total, note="": calls.append((done, total)))
    assert new == [base / "G4EMLOW8.8"]
    there = sorted(path.name for path in base.iterdir())
    assert there == ["G4EMLOW8.8", "G4ENSDFSTATE2.3", "PhotonEvaporation"]
    assert (base / "G4EMLOW8.8" / "data").read_text() == "data"
    assert calls == [(0, 1), (1, 1)]
    assert data.find("em", downloader)
    assert data.download("em", downloader) == []


def test_a_download_that_breaks_leaves_nothing_behind(tmp_path: Path, downloader: dict[str, str]) -> None:
    (tmp_path / "package" / "offline").touch()
    with pytest.raises(SimulationError, match=r"G4EMLOW \(no route to host\).*unpack it in"):
        data.download("em", downloader)
    assert list((tmp_path / "data").iterdir()) == []


def test_what_the_downloader_does_not_have_is_said(downloader: dict[str, str]) -> None:
    with pytest.raises(SimulationError, match="did not deliver PhotonEvaporation: run it again"):
        data.download("FTFP_BERT", downloader)


def test_a_download_does_not_cure_a_variable_that_misleads(
    tmp_path: Path, downloader: dict[str, str]
) -> None:
    wrong = downloader | {"G4LEDATA": str(tmp_path / "nowhere")}
    for attempt in (data.find, data.download):
        with pytest.raises(
            SimulationError, match=r"G4LEDATA names .*nowhere, which is not a folder\. Run: unset G4LEDATA"
        ):
            attempt("em", wrong)
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize(
    ("physics", "variables"),
    [
        ("em", {"G4LEDATA", "G4ENSDFSTATEDATA", "G4LEVELGAMMADATA"}),
        ("FTFP_BERT", {"G4LEVELGAMMADATA", "G4PARTICLEXSDATA"}),
        ("QGSP_BIC_AllHP", {"G4NEUTRONHPDATA", "G4RADIOACTIVEDATA"}),
        ("LBE", {"G4NEUTRONHPDATA", "G4RADIOACTIVEDATA"}),
        ("QGSP_INCLXX_HP", {"G4NEUTRONHPDATA", "G4INCLDATA", "G4ABLADATA"}),
    ],
)
def test_what_a_physics_list_reads(physics: str, variables: set[str]) -> None:
    needed = set(data.needed(physics))
    assert variables <= needed
    assert physics != "em" or needed == variables


def test_all_data_sets_are_known_to_geant4_pybind(geant4: None) -> None:
    """The names and variables are those of the downloader inside the installed package."""
    spec = importlib.util.find_spec("geant4_pybind")
    assert spec is not None
    assert spec.origin is not None
    content = Path(spec.origin).read_bytes()
    for known in data.survey({}):
        assert re.fullmatch(r"[\d.]+", known.version)
        assert f'"envvar": "{known.variable}"'.encode() in content
        assert f'{{"name": "{known.name}"'.encode() in content
    assert f'DATASET_URL = "{data.SOURCE}"'.encode() in content
