"""Training: exact resume, averages, and refusals."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from caloforge.errors import CheckpointError, InputError
from caloforge.geometry import Calorimeter
from caloforge.models import checkpoint
from caloforge.models.base import Batch, GenerativeModel
from caloforge.models.calogan import CaloGAN, Config
from caloforge.stages.train.data import TrainingData, load
from caloforge.stages.train.fit import Plan, fit

PLAN = Plan(epochs=2, batch=16, seed=5, held_out=1, average=0.9, validate_every=3)
CONFIG = Config(latent=8)


class Killed(Exception):
    """Stands for kill -9: nothing after it runs."""


def build(geometry: Calorimeter) -> CaloGAN:
    torch.manual_seed(0)
    return CaloGAN(CONFIG, geometry)


def validate(step: int, model: GenerativeModel) -> dict[str, float]:
    """Consume random numbers, as a real validation may."""
    return {"separation": float(torch.rand(1)) + 1 / step}


def train(folder: Path, data: TrainingData, plan: Plan = PLAN, kill_at: int = 0) -> checkpoint.Checkpoint:
    def log(step: int, figures: dict[str, float]) -> None:
        if step == kill_at:
            raise Killed

    fit(build(data.geometry), data, plan, folder, validate=validate, log=log, minutes=0)
    return checkpoint.load(folder)


@pytest.fixture
def data(small_file: Path, small: Calorimeter) -> TrainingData:
    return load([small_file], small)


@pytest.mark.parametrize("kill_at", [2, 3, 7])
def test_a_killed_training_ends_with_the_same_numbers(
    tmp_path: Path, data: TrainingData, kill_at: int
) -> None:
    whole = train(tmp_path / "whole", data)
    with pytest.raises(Killed):
        train(tmp_path / "killed", data, kill_at=kill_at)
    resumed = train(tmp_path / "killed", data)
    assert resumed.record["step"] == whole.record["step"] == 12
    assert resumed.tensors.keys() == whole.tensors.keys()
    for name, value in whole.tensors.items():
        assert torch.equal(value, resumed.tensors[name]), name
    best = [checkpoint.load(tmp_path / run / "best") for run in ("whole", "killed")]
    assert best[0].record["sha256"] == best[1].record["sha256"]


class Looking(CaloGAN):
    """A model that counts how often it is shown all showers, and lets a random number say what it learns."""

    looks = 0

    def prepare(self, showers: Batch) -> None:
        type(self).looks += 1
        self.seen = showers
        with torch.no_grad():
            for parameter in self.generator.parameters():
                parameter.add_(0.01 * torch.randn_like(parameter))


def test_a_model_looks_at_all_showers_once_and_not_when_it_goes_on(
    tmp_path: Path, data: TrainingData, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Looking, "looks", 0)
    numbers, seen = {}, {}

    def train(folder: Path, kill_at: int = 0, seed: int = 0) -> None:
        def log(step: int, figures: dict[str, float]) -> None:
            if step == kill_at:
                raise Killed

        torch.manual_seed(0)
        model = Looking(CONFIG, data.geometry)
        torch.manual_seed(seed)  # whatever happened before, the look follows from the plan's seed
        try:
            fit(model, data, PLAN, folder, validate=validate, log=log, minutes=0)
        finally:
            seen[folder] = getattr(model, "seen", None)
        numbers[folder] = checkpoint.load(folder).tensors

    train(tmp_path / "whole")
    assert Looking.looks == 1
    assert all(map(torch.equal, seen[tmp_path / "whole"], data.whole))
    with pytest.raises(Killed):
        train(tmp_path / "killed", kill_at=4, seed=8)
    assert Looking.looks == 2
    train(tmp_path / "killed", seed=9)
    assert Looking.looks == 2
    assert seen[tmp_path / "killed"] is None
    whole, resumed = numbers[tmp_path / "whole"], numbers[tmp_path / "killed"]
    assert all(torch.equal(value, resumed[name]) for name, value in whole.items())


def test_a_training_goes_on_when_epochs_are_added(tmp_path: Path, data: TrainingData) -> None:
    longer = replace(PLAN, epochs=3)
    train(tmp_path / "grown", data)
    grown, whole = train(tmp_path / "grown", data, longer), train(tmp_path / "whole", data, longer)
    assert all(torch.equal(value, grown.tensors[name]) for name, value in whole.tensors.items())


def test_other_seeds_give_other_numbers(tmp_path: Path, data: TrainingData) -> None:
    one = train(tmp_path / "one", data)
    two = train(tmp_path / "two", data, replace(PLAN, seed=6))
    assert not all(torch.equal(value, two.tensors[name]) for name, value in one.tensors.items())


@pytest.mark.parametrize("change", [{"seed": 6}, {"batch": 8}, {"flips": False}])
def test_a_folder_of_another_plan_is_refused(
    tmp_path: Path, data: TrainingData, change: dict[str, int]
) -> None:
    train(tmp_path, data)
    with pytest.raises(CheckpointError, match="another plan"):
        train(tmp_path, data, replace(PLAN, **change))


def test_a_folder_of_other_data_is_refused(tmp_path: Path, data: TrainingData) -> None:
    train(tmp_path, data)
    other = replace(data, provenance=[{"file": "other.h5"}])
    with pytest.raises(CheckpointError, match="another data"):
        train(tmp_path, other)


def test_fewer_showers_than_a_batch_are_refused(tmp_path: Path, data: TrainingData) -> None:
    with pytest.raises(InputError, match="fewer than a batch of 97"):
        train(tmp_path / "run", data, replace(PLAN, batch=97))


def test_the_best_of_another_training_does_not_stay(tmp_path: Path, data: TrainingData) -> None:
    with pytest.raises(Killed):
        train(tmp_path, data, kill_at=3)
    record = checkpoint.load(tmp_path / "best").record
    (tmp_path / "checkpoint.json").unlink()
    flattered = {**record, "figures": {"separation": 0.0}}
    (tmp_path / "best" / "checkpoint.json").write_text(json.dumps(flattered))
    train(tmp_path, data, replace(PLAN, seed=6))
    assert checkpoint.load(tmp_path / "best").record["plan"]["seed"] == 6


def test_a_rebuilt_model_has_the_averaged_parameters(tmp_path: Path, data: TrainingData) -> None:
    trained = train(tmp_path, data)
    model = trained.build_model()
    for name, value in model.sampled.state_dict().items():
        assert torch.equal(value, trained.tensors[f"average.{name}"])
    assert any(
        not torch.equal(value, trained.tensors[f"model.generator.{name}"])
        for name, value in model.sampled.state_dict().items()
    )
