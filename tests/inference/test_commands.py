"""The command lines that messages, cards and pages quote."""

import shlex
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from caloforge.cli import app
from caloforge.incident.particles import parse_particle
from caloforge.inference import zoo
from caloforge.inference.commands import incidence, recipe
from caloforge.inference.model import TrainedModel
from caloforge.stages.export import model_card as card


def record(pdg: int, geometry: str = "calogan", quality: str | None = None) -> dict[str, Any]:
    return {
        "model": "copula",
        "data": [{"showers": 2000}, {"showers": 400}],
        "pdg": [pdg],
        "geometry": {"name": geometry},
        "energy_range_GeV": [1.0, 100.0],
        "quality": quality,
    }


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
    lines = recipe(record(22, quality="fast"), pdg, "my read-out.toml", (0.3, 500.0)).splitlines()
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
    assert simulate["geometry"] == "my read-out.toml"
    assert train["geometry"] == [simulate["geometry"]]
    assert parse_particle(simulate["particle"]) == parse_particle(generate["particle"]) == pdg


@pytest.mark.parametrize("name", zoo.names())
def test_the_command_of_a_card_is_one(name: str) -> None:
    record = TrainedModel.load(name).record
    words = shlex.split(card.training_command(record))
    train = get_command(app).commands["train"]  # type: ignore[attr-defined]
    context = train.make_context("train", words[2:])
    assert context.params["batch"] == record["plan"]["batch"]
    assert context.params["model"] == record["model"]
    assert context.params["output"] == Path("FOLDER")


@pytest.mark.parametrize(
    ("ranges", "words"),
    [
        ({}, "perpendicular to the front face, at the centre of the front face"),
        (
            {"direction_range_deg": [[0, 45], [-180, 180]], "position_range_mm": [[-40, 40], [0, 0]]},
            "theta 0 to 45 degrees and phi -180 to 180 degrees, at eta -40 to 40 mm and phi 0 mm",
        ),
        (
            {"direction_range_deg": [[30, 30], [0, 0]]},
            "theta 30 degrees and phi 0 degrees, at the centre of the front face",
        ),
    ],
)
def test_where_particles_come_from_is_said_in_words(ranges: dict[str, Any], words: str) -> None:
    assert incidence(record(22) | ranges) == words
