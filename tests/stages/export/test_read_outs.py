"""One graph for every read-out: a small autoregressive model, exported and asked for segmentations."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from caloforge.errors import CheckpointError, GeometryError, InputError
from caloforge.geometry import Calorimeter
from caloforge.incident.incident import Incident
from caloforge.inference.model import TrainedModel
from caloforge.models import checkpoint
from caloforge.models.arm import Arm, Config
from caloforge.showers import Showers
from caloforge.stages.export import model_card
from caloforge.stages.export.onnx import export
from caloforge.stages.generate import generate
from caloforge.stages.train.fit import Plan
from tests.models.test_arm import FINE, UNSEEN, WIDE, Few, box, showers

NEXT = {"head": "mixture", "centre": "network", "layers": "conditional", "weights": "cells"}


@pytest.fixture(scope="module", params=[{}, NEXT], ids=["published", "next"])
def model(request: pytest.FixtureRequest) -> Arm:
    torch.manual_seed(3)
    arm = Arm(Config(energy_range=(0.5, 0.5), hidden=4, depths=(1, 2), **request.param), WIDE, FINE)
    phase = arm.phases()[0]
    batches = [showers(one, torch.randint(0, 3, (32, one.n_cells)).float()) for one in (WIDE, FINE)]
    phase.prepare(Few(*batches))
    for batch in batches:
        phase.step(batch, 0.0)
    return arm


@pytest.fixture(scope="module")
def trained(model: Arm, tmp_path_factory: pytest.TempPathFactory) -> TrainedModel:
    folder = tmp_path_factory.mktemp("arm")
    record = {
        "model": "arm",
        "config": checkpoint.config.to_dict(model.config),
        "plan": checkpoint.config.to_dict(Plan(held_out=1)),
        "data": [],
    }
    record |= {"geometries": [one.to_dict() for one in model.geometries], "parent": None, "step": 2}
    tensors = {f"model.{name}": value for name, value in model.state_dict().items()}
    checkpoint.save(folder / "run", record, tensors)
    return export(folder / "run", folder / "arm_test.onnx")


@pytest.mark.parametrize("geometry", [WIDE, FINE, UNSEEN], ids=lambda one: one.name)
def test_the_graph_draws_what_the_model_draws(
    trained: TrainedModel, model: Arm, geometry: Calorimeter
) -> None:
    here = trained.on(geometry)
    noise, incident = here.noise(7, 0, 20), Incident(-11, np.full(20, 500.0))
    with torch.no_grad():
        expected = model.sampler(geometry)(torch.from_numpy(noise), torch.full((20,), 500.0)).numpy()
    np.testing.assert_allclose(here(noise, incident), expected, rtol=1e-3, atol=1e-2)


def test_a_shower_is_the_same_in_any_company(trained: TrainedModel) -> None:
    here = trained.on(UNSEEN)
    noise, incident = here.noise(7, 0, 200), Incident(-11, np.full(200, 500.0))
    together = here(noise, incident)
    assert np.array_equal(here(noise[150:151], incident[150:151])[0], together[150])


def test_the_read_out_is_asked_for_by_a_file(trained: TrainedModel, tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text(UNSEEN.to_toml())
    record = str(trained.graph.with_suffix(".json"))
    made = generate("e+", 500.0, 5, model=record, geometry=str(tmp_path / "mine.toml"))
    assert made.geometry == UNSEEN
    assert generate("e+", 500.0, 5, model=record).geometry == WIDE


def test_read_outs_that_are_no_segmentation_of_the_layers_are_refused(
    trained: TrainedModel, model: Arm
) -> None:
    many = box("many", np.linspace(-40, 40, 82).tolist(), [-40.0, 40.0])
    limit = "81 cells, but the model was trained for at most 80"
    if model.config.weights == "cells":
        many = box("many", np.linspace(-40, 40, 65_538).tolist(), [-40.0, 40.0])
        limit = "65,537 cells, but the model was trained for at most 65,536"
    refused = {
        "rings": Calorimeter.load("calochallenge_2"),
        "trained for the layers of wide": Calorimeter.load("calogan"),
        limit: many,
    }
    for words, geometry in refused.items():
        for draw in (trained.on, model.sampler):
            with pytest.raises(GeometryError, match=words):
                draw(geometry)


def test_another_energy_than_that_of_the_training_is_refused(trained: TrainedModel) -> None:
    record = str(trained.graph.with_suffix(".json"))
    with pytest.raises(InputError, match=r"trained at 0\.5 GeV only, not at 0\.6 GeV: ask for 0\.5 GeV"):
        generate("e+", 600.0, 1, model=record)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"most_cells": [80]}, "most_cells must have a number for each of the 2 layers"),
        ({"most_cells": [80, 0]}, "most_cells"),
        ({"noise_size": 25}, "noise_size must be a multiple of the 12 cells"),
    ],
)
def test_records_that_contradict_themselves_are_refused(
    trained: TrainedModel, tmp_path: Path, changes: dict[str, object], words: str
) -> None:
    (tmp_path / "a.json").write_text(json.dumps({**trained.record, **changes}))
    (tmp_path / trained.graph.name).write_bytes(trained.graph.read_bytes())
    with pytest.raises(CheckpointError, match=words):
        TrainedModel.load(tmp_path / "a.json")


def test_its_card_names_all_read_outs_and_the_only_energy(trained: TrainedModel, tmp_path: Path) -> None:
    incident = Incident(-11, np.full(20, 500.0))
    cells = trained(trained.noise(1, 0, 20), incident)
    made = Showers(trained.geometry, cells, incident)
    model_card.write(tmp_path / "card.md", trained, made, made, [made])
    text = (tmp_path / "card.md").read_text()
    assert "Showers of e+ at 0.5 GeV in wide" in text
    assert "Trained only at 0.5 GeV" in text
    assert "--geometry wide --geometry fine" in text
