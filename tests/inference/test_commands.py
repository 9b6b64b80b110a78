"""The command lines that messages, cards and pages quote."""

import shlex
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from caloforge.cli import app
from caloforge.incident.particles import parse_particle
from caloforge.inference import zoo
from caloforge.inference.commands import export_command, incidence, recipe, training_command
from caloforge.inference.model import TrainedModel


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
    words = shlex.split(training_command(record))
    train = get_command(app).commands["train"]  # type: ignore[attr-defined]
    context = train.make_context("train", words[2:])
    assert context.params["batch"] == record["plan"]["batch"]
    assert context.params["model"] == record["model"]
    assert context.params["output"] == Path("FOLDER")


@pytest.mark.parametrize("flips", [True, False])
@pytest.mark.parametrize("parent", [None, {"folder": "their run"}])
def test_a_training_is_done_again_with_what_it_was_done_with(
    flips: bool, parent: dict[str, str] | None
) -> None:
    trained = record(22, "my read-out.toml") | {
        "data": [{"file": "a.h5", "showers": 2000}, {"file": "b c.h5", "showers": 400}],
        "plan": {"epochs": 7, "batch": 32, "held_out": 9, "average": None, "flips": flips},
        "config": {"width": 5, "names": ["a", "b"], "particles": ["gamma"], "position_range": [0, 1]},
        "surroundings": {"threads": 3},
        "parent": parent,
    }
    program, stage, *words = shlex.split(training_command(trained))
    train = get_command(app).commands["train"]  # type: ignore[attr-defined]
    asked = train.make_context("train", words).params
    assert (program, stage) == ("caloforge", "train")
    assert (asked["epochs"], asked["batch"], asked["held_out"]) == (7, 32, 9)
    assert (asked["flips"], asked["threads"]) == (flips, 3)
    assert asked["parent"] == (parent and Path(parent["folder"]))
    assert asked["data"] == [Path("a.h5"), Path("b c.h5")]
    assert asked["geometry"] == ["my read-out.toml"]
    assert asked["settings"] == ["width=5", 'names=["a", "b"]']
    assert "--average" not in words


@pytest.mark.parametrize("chosen", ["best", "last", None])
@pytest.mark.parametrize("quality", ["fast", None])
@pytest.mark.parametrize("preferred", [True, False])
def test_an_export_is_done_again_as_it_was_done(
    chosen: str | None, quality: str | None, preferred: bool
) -> None:
    exported = {"graph": "a.onnx", "quality": quality, "preferred": preferred}
    program, stage, *words = shlex.split(export_command(exported | ({"chosen": chosen} if chosen else {})))
    export = get_command(app).commands["export"]  # type: ignore[attr-defined]
    asked = export.make_context("export", words).params
    assert (program, stage, asked["output"]) == ("caloforge", "export", Path("a.onnx"))
    assert asked["folder"] == Path("FOLDER" if chosen == "last" else "FOLDER/best")
    assert (asked["quality"], asked["preferred"], asked["precision"]) == (quality, preferred, "int8")


@pytest.mark.parametrize("precision", ["int8", "float32", "int8-weights"])
def test_a_graph_is_exported_again_in_its_precision(precision: str) -> None:
    words = shlex.split(export_command({"graph": "a.onnx", "precision": precision}))[2:]
    export = get_command(app).commands["export"]  # type: ignore[attr-defined]
    assert export.make_context("export", words).params["precision"] == precision


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
