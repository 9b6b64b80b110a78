"""Training: exact resume, averages, and refusals."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from caloforge.errors import CheckpointError, InputError
from caloforge.formats.native import write
from caloforge.geometry import Calorimeter
from caloforge.models import checkpoint
from caloforge.models.base import Batch, GenerativeModel, Phase, TrainingShowers
from caloforge.models.calogan import CaloGAN, Config
from caloforge.stages.train.data import TrainingData, load
from caloforge.stages.train.fit import Plan, fit
from caloforge.stages.train.phases import lengths, load_batches
from tests import toys
from tests.conftest import MakeShowers

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

    fit(build(data.geometries[0]), data, plan, folder, validate=validate, log=log, minutes=0)
    return checkpoint.load(folder)


@pytest.fixture
def data(small_file: Path, small: Calorimeter) -> TrainingData:
    return load([small_file], [small])


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

    def phases(self) -> list[Phase]:
        (phase,) = super().phases()
        return [replace(phase, prepare=self.look)]

    def look(self, showers: TrainingShowers) -> None:
        type(self).looks += 1
        self.seen = showers.sample()
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
        model = Looking(CONFIG, data.geometries[0])
        torch.manual_seed(seed)  # whatever happened before, the look follows from the plan's seed
        try:
            fit(model, data, PLAN, folder, validate=validate, log=log, minutes=0)
        finally:
            seen[folder] = getattr(model, "seen", None)
        numbers[folder] = checkpoint.load(folder).tensors

    train(tmp_path / "whole")
    assert Looking.looks == 1
    assert torch.equal(seen[tmp_path / "whole"].cells, data.sample().cells)
    with pytest.raises(Killed):
        train(tmp_path / "killed", kill_at=4, seed=8)
    assert Looking.looks == 2
    train(tmp_path / "killed", seed=9)
    assert Looking.looks == 2
    assert seen[tmp_path / "killed"] is None
    whole, resumed = numbers[tmp_path / "whole"], numbers[tmp_path / "killed"]
    assert all(torch.equal(value, resumed[name]) for name, value in whole.items())


@pytest.mark.parametrize("average", [0.0, 0.5])
@pytest.mark.parametrize("kill_at", [2, 6, 8, 10])
def test_each_phase_ends_as_it_would_have_without_the_kill(
    tmp_path: Path, data: TrainingData, kill_at: int, average: float
) -> None:
    """The first phase has six steps, the second an epoch of six; both have schedules or a finish."""
    plan = replace(PLAN, epochs=None, average=average)

    def train(folder: Path, kill_at: int = 0) -> checkpoint.Checkpoint:
        seen: list[tuple[int, set[str]]] = []

        def log(step: int, figures: dict[str, float]) -> None:
            seen.append((step, set(figures)))
            if step == kill_at:
                raise Killed

        torch.manual_seed(0)
        model = toys.TwoPhases(toys.Config(), data.geometries[0])
        fit(model, data, plan, folder, validate=validate, log=log, minutes=0)
        return checkpoint.load(folder)

    whole = train(tmp_path / "whole")
    with pytest.raises(Killed):
        train(tmp_path / "killed", kill_at)
    resumed = train(tmp_path / "killed")
    assert whole.record["step"] == resumed.record["step"] == 12
    assert (whole.record["phase"], whole.record["phase_step"]) == (1, 6)
    assert resumed.tensors.keys() == whole.tensors.keys()
    for name, value in whole.tensors.items():
        assert torch.equal(value, resumed.tensors[name]), name
    energies = data.incident.energy.astype(np.float32)
    assert float(whole.tensors["model.mean"]) == pytest.approx(energies.mean(), rel=1e-6)


def test_a_frozen_part_stays_as_it_is(tmp_path: Path, data: TrainingData) -> None:
    shares: dict[int, torch.Tensor] = {}
    torch.manual_seed(0)
    model = toys.TwoPhases(toys.Config(), data.geometries[0])

    def log(step: int, figures: dict[str, float]) -> None:
        shares[step] = model.share.detach().clone()

    fit(model, data, replace(PLAN, epochs=None), tmp_path, validate=validate, log=log)
    assert not torch.equal(shares[1], shares[6])
    assert torch.equal(shares[6], shares[12])
    assert model.share.requires_grad


def test_rates_follow_their_schedule_over_the_phase(tmp_path: Path, data: TrainingData) -> None:
    torch.manual_seed(0)
    model = toys.TwoPhases(toys.Config(), data.geometries[0])
    phases = model.phases()
    rates = []

    class Watched(toys.TwoPhases):
        def phases(self) -> list[Phase]:
            return phases

    def log(step: int, figures: dict[str, float]) -> None:
        rates.append(phases[0].optimizers["sgd"].param_groups[0]["lr"])

    model.__class__ = Watched
    fit(model, data, replace(PLAN, epochs=2), tmp_path, validate=validate, log=log)
    expected = [1e-3 * (1 + np.cos(np.pi * step / 6)) / 2 for step in range(1, 7)]
    np.testing.assert_allclose(rates[:6], expected, atol=1e-9)


def test_epochs_are_shared_out_among_the_phases() -> None:
    own = [Phase("a", _no_step, steps=100), Phase("b", _no_step, epochs=2), Phase("c", _no_step, steps=0)]
    assert lengths(own, 50, None) == [100, 100, 0]
    assert lengths(own, 50, 1) == [25, 25, 0]
    assert sum(lengths(own, 7, 3)) == 21
    assert lengths(own[2:], 50, 5) == [0]


def _no_step(batch: Batch, done: float) -> dict[str, torch.Tensor]:
    return {}


def test_batches_are_of_one_read_out_each_and_mixed(
    tmp_path: Path, small: Calorimeter, calogan: Calorimeter, make_showers: MakeShowers
) -> None:
    for geometry in (small, calogan):
        write(make_showers(48, geometry), tmp_path / f"{geometry.name}.h5")
    data = load([tmp_path / "small.h5", tmp_path / "calogan.h5"], [small, calogan])
    batches = list(load_batches(data, 16, 1, range(12), torch.device("cpu")))
    names = [batch.geometry.name for batch in batches]
    assert names[:6].count("small") == names[6:].count("small") == 3
    assert names[:3] != names[3:6] or names[:6] != names[6:]
    energies = np.sort(np.concatenate([batch.energy for batch in batches[:6]]))
    np.testing.assert_array_equal(energies, np.sort(data.incident.energy.astype(np.float32)))
    torch.manual_seed(0)
    model = toys.AnyReadOut(toys.Config(), small, calogan)
    plan = replace(PLAN, epochs=2, average=0.0)
    fit(model, data, plan, tmp_path / "run", validate=validate, log=lambda step, figures: None)
    assert [one["name"] for one in checkpoint.load(tmp_path / "run").record["geometries"]] == [
        "small",
        "calogan",
    ]


def test_a_parent_is_part_of_what_a_training_is(tmp_path: Path, data: TrainingData) -> None:
    def train(parent: dict[str, str] | None) -> None:
        model = build(data.geometries[0])
        fit(
            model,
            data,
            PLAN,
            tmp_path,
            validate=validate,
            log=lambda step, figures: None,
            parent=parent,
        )

    train({"folder": "teacher", "model": "calogan", "sha256": "0"})
    with pytest.raises(CheckpointError, match="another parent"):
        train({"folder": "teacher", "model": "calogan", "sha256": "1"})


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


@pytest.mark.parametrize(("name", "kept"), [("separation", max), ("own", min)])
def test_a_model_names_the_figure_that_chooses_its_parameters(
    tmp_path: Path, data: TrainingData, monkeypatch: pytest.MonkeyPatch, name: str, kept: Callable[..., int]
) -> None:
    seen: list[int] = []

    def validate(step: int, model: GenerativeModel) -> dict[str, float]:
        seen.append(step)
        return {"separation": 1 / step, "own": float(step)}

    monkeypatch.setattr(CaloGAN, "chosen_by", name)
    plan = replace(PLAN, validate_every=1)
    model = build(data.geometries[0])
    fit(model, data, plan, tmp_path, validate=validate, log=lambda step, figures: None)
    assert len(seen) > 1
    assert checkpoint.load(tmp_path / "best").record["step"] == kept(seen)


def test_a_rebuilt_model_has_the_averaged_parameters(tmp_path: Path, data: TrainingData) -> None:
    trained = train(tmp_path, data)
    state = trained.build_model().state_dict()
    for name, value in state.items():
        assert torch.equal(value, trained.tensors[f"average.module.{name}"])
    assert any(not torch.equal(value, trained.tensors[f"model.{name}"]) for name, value in state.items())


@pytest.mark.parametrize("average", [0.4, 0.99])
def test_the_running_average_has_a_short_memory_at_first(
    tmp_path: Path, data: TrainingData, average: float
) -> None:
    """It keeps (n + 1) / (n + 10) at most after n steps, so that the initial values are soon forgotten."""
    model = build(data.geometries[0])
    steps: list[dict[str, torch.Tensor]] = []

    def log(step: int, figures: dict[str, float]) -> None:
        steps.append({name: value.detach().clone() for name, value in model.named_parameters()})

    plan = replace(PLAN, average=average)
    fit(model, data, plan, tmp_path, validate=validate, log=log)
    saved = checkpoint.load(tmp_path).group("average")
    assert len(steps) == 12
    for name, expected in steps[0].items():
        for n, step in enumerate(steps[1:], 1):
            expected = expected.lerp(step[name], 1 - min(average, (n + 1) / (n + 10)))
        torch.testing.assert_close(saved[f"module.{name}"], expected)
