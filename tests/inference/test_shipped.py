"""Finding a model that ships, and what is said where there is none."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from caloforge.errors import CatalogError
from caloforge.geometry import Calorimeter
from caloforge.incident.particles import parse_particle
from caloforge.inference import zoo
from caloforge.inference.shipped import find, nearest, refusal
from tests import small_weights

QUALITIES = ("fast", "precise")


def record(pdg: int, geometry: str = "calogan", quality: str | None = None) -> dict[str, Any]:
    return {
        "model": "copula",
        "data": [{"showers": 2000}, {"showers": 400}],
        "pdg": [pdg],
        "geometry": {"name": geometry},
        "energy_range_GeV": [1.0, 100.0],
        "quality": quality,
    }


SHIPPED = {
    "calogan_eplus": record(-11),
    "fast_eplus": record(-11, quality="fast"),
    "fast_gamma": record(22, quality="fast"),
    "fast_gamma_ild": record(22, "ild_ecal", "fast"),
    "fast_piplus": record(211, quality="fast"),
    "precise_eplus": record(-11, quality="precise"),
}


@pytest.mark.parametrize(
    ("particle", "geometry", "name"),
    [
        ("e-", "calogan", "fast_eplus"),
        ("proton", "calogan", "fast_piplus"),
        ("pi+", "ild_ecal", "fast_piplus"),
        ("gamma", "nowhere", "fast_gamma"),
        ("e-", "ild_ecal", "fast_gamma_ild"),
        ("e-", "nowhere", "fast_eplus"),
        ("e+", "nowhere", "fast_eplus"),
        ("mu-", "calogan", "fast_piplus"),
        ("gamma", "ild_ecal", "fast_gamma_ild"),
    ],
)
def test_the_nearest_shares_calorimeter_or_particle(particle: str, geometry: str, name: str) -> None:
    assert nearest(parse_particle(particle), geometry, SHIPPED, QUALITIES) == name


def test_the_refusal_names_the_nearest_and_the_energies_it_knows() -> None:
    text = refusal(2112, "calogan", SHIPPED, QUALITIES)
    assert "neutron in calogan. The nearest is fast_piplus: pi+ in calogan, 1 to 100 GeV" in text
    assert "simulate calogan --particle neutron --energy 1:100 -n 2400" in text


@pytest.fixture
def shipped(tmp_path: Path, small: Calorimeter, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder that stands for that of the models that ship."""
    monkeypatch.setattr(zoo, "shipped", lambda: tmp_path)
    monkeypatch.setattr(zoo, "folders", lambda: [tmp_path])
    small_weights.write(tmp_path / "calogan_gamma.json", small)
    return tmp_path


def test_the_fast_model_is_taken_unless_another_is_asked_for(shipped: Path, small: Calorimeter) -> None:
    assert find(22, "small").name == "calogan_gamma"
    small_weights.write(shipped / "precise_gamma.json", small, quality="precise")
    assert find(22, "small").name == "precise_gamma"
    small_weights.write(shipped / "fast_gamma.json", small, quality="fast")
    assert find(22, "small").name == "fast_gamma"
    assert find(22, "small", "precise").name == "precise_gamma"
    assert find(22, "small", quality="fast", threads=1).threads == 1


def test_a_preferred_model_comes_before_a_fast_one(shipped: Path, small: Calorimeter) -> None:
    small_weights.write(shipped / "fast_gamma.json", small, quality="fast")
    preferred = shipped / "precise_gamma.json"
    small_weights.write(preferred, small, quality="precise")
    preferred.write_text(json.dumps(json.loads(preferred.read_text()) | {"preferred": True}))
    assert find(22, "small").name == "precise_gamma"
    assert find(22, "small", "fast").name == "fast_gamma"


def test_what_ships_by_default_is_what_one_should_have() -> None:
    found = {name: find(parse_particle(name), "calogan").name for name in ("e+", "gamma", "pi+")}
    assert found == {"e+": "fast_eplus", "gamma": "fast_gamma", "pi+": "precise_piplus"}


def test_what_ships_comes_before_what_was_added(
    shipped: Path, small: Calorimeter, monkeypatch: pytest.MonkeyPatch
) -> None:
    (added := shipped / "added").mkdir()
    monkeypatch.setattr(zoo, "folders", lambda: [shipped, added])
    small_weights.write(added / "fast_gamma.json", small, quality="fast")
    small_weights.write(added / "mine.json", replace(small, name="known to its record alone"))
    assert find(22, "small").name == "calogan_gamma"
    assert find(22, "small", "fast").name == "fast_gamma"
    assert find(22, "known to its record alone").name == "mine"


def test_records_without_a_quality_are_found(shipped: Path) -> None:
    path = shipped / "calogan_gamma.json"
    record = json.loads(path.read_text())
    del record["quality"], record["noise"]
    path.write_text(json.dumps(record))
    assert find(22, "small").name == "calogan_gamma"


def test_a_quality_that_there_is_not_is_refused(shipped: Path) -> None:
    with pytest.raises(CatalogError, match=r"gamma in small is 'fast'. There are: calogan_gamma"):
        find(22, "small", "fast")
    with pytest.raises(CatalogError, match="Did you mean 'fast'"):
        find(22, "small", "fats")


def test_an_untrained_request_is_answered_with_the_nearest_and_a_way(shipped: Path) -> None:
    with pytest.raises(CatalogError, match=r"gamma in calogan. The nearest is calogan_gamma: gamma in small"):
        find(22, "calogan")
    with pytest.raises(CatalogError, match="caloforge simulate small --particle neutron"):
        find(2112, "small")
