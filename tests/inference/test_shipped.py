"""What is said where no model was trained."""

import shlex
from typing import Any

import pytest
from typer.main import get_command

from caloforge.cli import app
from caloforge.incident.particles import parse_particle
from caloforge.inference.commands import recipe
from caloforge.inference.shipped import nearest, refusal

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
    ],
)
def test_the_nearest_shares_calorimeter_or_particle(particle: str, geometry: str, name: str) -> None:
    assert nearest(parse_particle(particle), geometry, SHIPPED, QUALITIES) == name


def test_the_refusal_names_the_nearest_and_the_energies_it_knows() -> None:
    text = refusal(2112, "calogan", SHIPPED, QUALITIES)
    assert "neutron in calogan. The nearest is fast_piplus: pi+ in calogan, 1 to 100 GeV" in text
    assert "simulate calogan --particle neutron --energy 1:100 -n 2400" in text


@pytest.mark.parametrize(
    ("more", "options", "folder"),
    [({"plan": {"epochs": 104}, "chosen": "last"}, ["--epochs", "104"], "mine"), ({}, [], "mine/best")],
)
def test_a_training_is_as_long_as_that_of_the_model_it_follows(
    more: dict[str, Any], options: list[str], folder: str
) -> None:
    lines = recipe(record(22) | more, 22, "calogan", (1, 160)).splitlines()
    _, train, export, _ = (shlex.split(line) for line in lines)
    after = train.index("--geometry") + 2
    assert train[after : train.index("--set")] == options
    assert export[2] == folder


@pytest.mark.parametrize("pdg", [22, -11, 130, 1000060120])
def test_the_commands_exist_and_follow_each_other(pdg: int) -> None:
    lines = recipe(SHIPPED["fast_gamma"], pdg, "my read-out.toml", (0.3, 500.0)).splitlines()
    stages = []
    for line in lines:
        program, stage, *arguments = shlex.split(line)
        command = get_command(app).commands[stage]  # type: ignore[attr-defined]
        parameters = command.make_context(stage, arguments).params
        assert program == "caloforge"
        stages.append((stage, parameters))
    simulate, train, export, generate = (parameters for _, parameters in stages)
    assert [stage for stage, _ in stages] == ["simulate", "train", "export", "generate"]
    assert train["data"] == [simulate["output"]]
    assert train["settings"] == ["energy_range=[0.3, 500.0]"]
    assert export["folder"].parent == train["output"]
    assert generate["model"] == str(export["output"].with_suffix(".json"))
    assert simulate["energy"] == generate["energy"] == "0.3:500"
    assert simulate["geometry"] == train["geometry"] == "my read-out.toml"
    assert parse_particle(simulate["particle"]) == parse_particle(generate["particle"]) == pdg
