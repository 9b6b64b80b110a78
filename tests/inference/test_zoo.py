"""Where models are looked for, and which one a name means."""

import json
import os
from pathlib import Path

import pytest

from caloforge import catalog
from caloforge.errors import CatalogError, CheckpointError
from caloforge.geometry import Calorimeter
from caloforge.inference import zoo
from caloforge.inference.model import TrainedModel
from caloforge.inference.shipped import find, known
from tests import small_weights

ROOT = Path(__file__).parents[2]
CHECKOUT = sorted(path.stem for path in (ROOT / "zoo").glob("*.json"))


@pytest.fixture
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Path]:
    """Return folders that stand for those in which models are looked for, in their order."""
    wanted = {
        "shipped": tmp_path / "src" / "caloforge" / "weights",
        "zoo": tmp_path / "zoo",
        "first": tmp_path / "first",
        "second": tmp_path / "second",
        "home": tmp_path / "home",
    }
    for folder in wanted.values():
        folder.mkdir(parents=True)
    monkeypatch.setattr(zoo, "shipped", lambda: wanted["shipped"])
    monkeypatch.setattr(zoo, "home", lambda: wanted["home"])
    monkeypatch.setenv(zoo.VARIABLE, os.pathsep.join([str(wanted["first"]), "", str(wanted["second"])]))
    return wanted


def test_models_of_the_checkout_are_found_by_name() -> None:
    assert {"calogan_eplus", "calogan_gamma", "calogan_piplus"} <= set(CHECKOUT)
    assert zoo.names()[: len(catalog.names("weights"))] == catalog.names("weights")
    for name in CHECKOUT:
        assert TrainedModel.load(name, threads=1).record["sha256"]
        assert zoo.locate(name).with_suffix(".md").is_file()


def test_the_folder_of_the_user_is_caloforges_own() -> None:
    assert zoo.home().is_absolute()
    assert zoo.home().parts[-2:] == ("caloforge", "models")


def test_every_place_is_looked_into_in_its_order(places: dict[str, Path], small: Calorimeter) -> None:
    assert zoo.folders() == list(places.values())
    for name, folder in reversed(places.items()):
        for shared in ("shared", name):
            small_weights.write(folder / f"{shared}.json", small)
        assert zoo.locate("shared") == folder / "shared.json"
    assert zoo.names() == ["shared", *places]
    assert zoo.locate("second") == places["second"] / "second.json"


def test_an_installed_caloforge_knows_no_zoo(
    tmp_path: Path, small: Calorimeter, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = tmp_path / "site-packages" / "caloforge" / "weights"
    for folder in (site, tmp_path / "zoo"):
        folder.mkdir(parents=True)
    small_weights.write(site / "fast_gamma.json", small)
    small_weights.write(tmp_path / "zoo" / "calogan_gamma.json", small)
    monkeypatch.setattr(zoo, "shipped", lambda: site)
    monkeypatch.setattr(zoo, "home", lambda: tmp_path / "home")
    monkeypatch.delenv(zoo.VARIABLE, raising=False)
    assert zoo.names() == ["fast_gamma"]
    with pytest.raises(CatalogError, match=r"There are: fast_gamma.*'caloforge models add FOLDER'"):
        TrainedModel.load("calogan_gamma")
    monkeypatch.setenv(zoo.VARIABLE, str(tmp_path / "zoo"))
    assert TrainedModel.load("calogan_gamma").name == "calogan_gamma"


def test_other_json_is_no_model(places: dict[str, Path], small: Calorimeter) -> None:
    for name, content in {"figures": '{"speeds": []}', "list": "[1]", "broken": "{"}.items():
        (places["first"] / f"{name}.json").write_text(content)
    (places["first"] / "folder.json").mkdir()
    assert zoo.names() == []
    small_weights.write(places["first"] / "mine.json", small)
    assert zoo.names() == ["mine"]


def test_what_is_not_understood_is_left_out_but_not_of_what_ships(
    places: dict[str, Path], small: Calorimeter
) -> None:
    newer = small_weights.write(places["first"] / "newer.json", small)
    newer.write_text(newer.read_text().replace('"bytes"', '"quanta"'))
    small_weights.write(places["shipped"] / "fast_gamma.json", small)
    assert list(known()) == ["fast_gamma"]
    with pytest.raises(CheckpointError, match="install a newer"):
        TrainedModel.load("newer")
    (places["shipped"] / "broken.json").write_text("{")
    with pytest.raises(CheckpointError, match=r"broken\.json is not the record"):
        known()


def test_what_ships_is_taken_before_what_was_added(places: dict[str, Path], small: Calorimeter) -> None:
    added = small_weights.write(places["home"] / "a.json", small, quality="fast")
    added.write_text(json.dumps(json.loads(added.read_text()) | {"preferred": True}))
    assert find(22, "small").name == "a"
    small_weights.write(places["shipped"] / "b.json", small, quality="fast")
    assert find(22, "small").name == "b"
    assert find(22, "small", "fast").name == "b"
    small_weights.write(places["home"] / "c.json", small, quality="of my own")
    assert find(22, "small").name == "b"
