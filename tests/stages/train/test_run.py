"""A training from files to a folder."""

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from caloforge import catalog
from caloforge.errors import CheckpointError, ConfigError, InputError
from caloforge.formats.native import write
from caloforge.geometry import Calorimeter
from caloforge.incident.incident import Incident
from caloforge.inference.commands import training_commands
from caloforge.models import checkpoint
from caloforge.showers import Showers
from caloforge.stages.train.fit import Plan
from caloforge.stages.train.run import held_out, train
from tests import toys
from tests.batches import read_out
from tests.conftest import MakeShowers


def test_a_run_does_not_mix_the_particles_up(tmp_path: Path, small_file: Path, small: Calorimeter) -> None:
    with pytest.raises(ConfigError, match="leave 'particles' out"):
        train(
            "calogan",
            [small_file],
            tmp_path,
            Plan(held_out=10),
            geometry=small,
            settings={"particles": ["mu-"]},
        )


def test_a_run_of_too_few_showers_makes_no_folder(
    tmp_path: Path, small_file: Path, small: Calorimeter
) -> None:
    plan = Plan(held_out=10, batch=256)
    with pytest.raises(InputError, match="fewer than a batch"):
        train("calogan", [small_file], tmp_path / "run", plan, geometry=small, settings={"latent": 8})
    assert not (tmp_path / "run").exists()


def test_a_run_names_a_wrong_key_before_it_makes_a_folder(
    tmp_path: Path, small_file: Path, small: Calorimeter
) -> None:
    with pytest.raises(ConfigError, match="Did you mean 'latent'"):
        train(
            "calogan",
            [small_file],
            tmp_path / "run",
            Plan(held_out=10),
            geometry=small,
            settings={"laten": 8},
        )
    assert not (tmp_path / "run").exists()


def test_a_run_refuses_energies_that_the_data_do_not_have(
    tmp_path: Path, small_file: Path, small: Calorimeter
) -> None:
    settings = {"latent": 8, "energy_range": [1.0, 200.0]}
    with pytest.raises(InputError, match="give the range of the data"):
        train(
            "calogan",
            [small_file],
            tmp_path / "run",
            Plan(held_out=10),
            geometry=small,
            settings=settings,
        )
    assert not (tmp_path / "run").exists()


def tilted(small: Calorimeter, path: Path, **incident: object) -> Path:
    """Write showers whose particles vary in what is given."""
    random = np.random.default_rng(1)
    cells = random.exponential(100, (60, small.n_cells))
    write(Showers(small, cells, Incident(-11, random.uniform(1e3, 1e5, 60), **incident)), path)
    return path


@pytest.mark.parametrize(
    ("incident", "words"),
    [
        ({"direction": np.linspace([0, 0], [0.5, 1], 60)}, "direction (theta 0 to 28.65 degrees"),
        (
            {"position": np.linspace([-9, 0], [9, 0], 60)},
            "position (perpendicular to the front face, at eta -9",
        ),
    ],
)
@pytest.mark.parametrize("model", ["copula", "calogan"])
def test_a_model_refuses_what_varies_and_it_is_not_conditioned_on(
    tmp_path: Path, small: Calorimeter, incident: dict[str, np.ndarray], words: str, model: str
) -> None:
    file = tilted(small, tmp_path / "a.h5", **incident)
    with pytest.raises(InputError, match=re.escape(words)):
        train(model, [file], tmp_path / "run", Plan(held_out=10, batch=16), geometry=small)
    assert not (tmp_path / "run").exists()


def test_a_fixed_direction_is_learned_and_said(tmp_path: Path, small: Calorimeter) -> None:
    file = tilted(small, tmp_path / "a.h5", direction=(np.deg2rad(30), 0.0))
    train("shower_library", [file], tmp_path / "run", Plan(held_out=10, batch=16), geometry=small)
    saved = checkpoint.load(tmp_path / "run")
    assert saved.record["config"]["direction_range"] == [[30.0, 30.0], [0.0, 0.0]]
    assert len(saved.build_model().symmetries(small).cells) == 2  # not those that turn eta around


def test_two_read_outs_need_a_model_that_knows_them(
    tmp_path: Path, small_file: Path, small: Calorimeter, calogan: Calorimeter
) -> None:
    with pytest.raises(InputError, match="learns one read-out"):
        train("copula", [small_file], tmp_path / "run", Plan(), geometry=[small, calogan])


def test_a_model_without_a_parent_refuses_one(tmp_path: Path, small_file: Path, small: Calorimeter) -> None:
    plan = Plan(held_out=10, batch=16)
    train("shower_library", [small_file], tmp_path / "parent", plan, geometry=small)
    with pytest.raises(InputError, match="leave --from out"):
        train("copula", [small_file], tmp_path / "run", plan, geometry=small, parent=tmp_path / "parent")


@pytest.fixture
def families(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the catalogue hold a teacher and a student, which are called alike since they share a file."""
    kinds = {"teacher": toys.TwoPhases, "student": toys.Student, "toys": toys.TwoPhases}
    load = catalog.load
    monkeypatch.setattr(
        catalog, "load", lambda folder, name: kinds[name] if folder == "models" else load(folder, name)
    )


@pytest.mark.parametrize("folder", ["teacher", "teacher/best"])
def test_a_student_starts_from_its_teacher_and_its_record_says_which(
    tmp_path: Path, small_file: Path, small: Calorimeter, families: None, folder: str
) -> None:
    plan = Plan(held_out=10, batch=16)
    more: dict[str, Any] = {"geometry": small}
    train("teacher", [small_file], tmp_path / "teacher", plan, **more)
    teacher = checkpoint.load(tmp_path / folder)
    train("student", [small_file], tmp_path / "student", plan, parent=tmp_path / folder, **more)
    student = checkpoint.load(tmp_path / "student")
    parent = student.record["parent"]
    assert [parent[key] for key in ("folder", "model", "learned")] == [folder, "toys", ["small"]]
    assert all(parent[key] == teacher.record[key] for key in ("sha256", "config", "plan", "data"))
    assert torch.equal(student.tensors["model.share"], teacher.tensors["model.share"])
    first, last = training_commands({**student.record, "geometry": small.to_dict()})
    assert "--output teacher " in first
    assert f"--from {folder} " in last
    assert "--output FOLDER " in last


def test_a_student_without_a_teacher_or_with_another_one_is_refused(
    tmp_path: Path, small_file: Path, small: Calorimeter, families: None
) -> None:
    plan = Plan(held_out=10, batch=16)

    def no_reading(done: int, total: int) -> None:
        raise AssertionError("the showers are read before the teacher is asked for")

    with pytest.raises(InputError, match="starts from a training of toys: name its folder by --from"):
        train("student", [small_file], tmp_path / "student", plan, geometry=small, reading=no_reading)
    train("teacher", [small_file], tmp_path / "other", plan, geometry=small)
    record = json.loads((tmp_path / "other" / "checkpoint.json").read_text())
    (tmp_path / "other" / "checkpoint.json").write_text(json.dumps(record | {"model": "calogan"}))
    with pytest.raises(InputError, match="holds one of calogan"):
        train("student", [small_file], tmp_path / "run", plan, geometry=small, parent=tmp_path / "other")
    with pytest.raises(CheckpointError, match="no whole checkpoint"):
        train("student", [small_file], tmp_path / "run", plan, geometry=small, parent=tmp_path)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_a_device_that_is_not_there_is_refused(tmp_path: Path, small_file: Path, small: Calorimeter) -> None:
    with pytest.raises(InputError, match="no CUDA device"):
        train("copula", [small_file], tmp_path / "run", Plan(), geometry=small, device="cuda")


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_an_accelerator_trains_every_model(
    tmp_path: Path, small_file: Path, small: Calorimeter, precision: str
) -> None:
    parents = {name: catalog.load("models", name).parent_model for name in catalog.names("models")}
    plan = Plan(epochs=2, held_out=10, batch=16, average=0.5, precision=precision)
    for model, parent in sorted(parents.items(), key=lambda each: each[1] is not None):
        begun = None if parent is None else tmp_path / parent
        train(
            model,
            [small_file],
            tmp_path / model,
            plan,
            geometry=read_out(model, small),
            device="cuda",
            parent=begun,
        )
        assert checkpoint.load(tmp_path / model).record["step"] >= 0


def test_a_small_training_holds_a_tenth_out_and_records_it(
    tmp_path: Path, small_file: Path, small: Calorimeter
) -> None:
    settings = {"latent": 8}
    train(
        "calogan",
        [small_file],
        tmp_path / "run",
        Plan(epochs=1, batch=16),
        geometry=small,
        settings=settings,
    )
    record = checkpoint.read_record(tmp_path / "run")
    assert record is not None
    assert record["plan"]["held_out"] == 9  # of 96


def test_the_read_out_of_the_data_is_learned_unless_another_is_named(
    tmp_path: Path, small_file: Path, small: Calorimeter
) -> None:
    train("shower_library", [small_file], tmp_path / "run", Plan(batch=16))
    assert checkpoint.load(tmp_path / "run").build_model().geometry == small


@pytest.mark.parametrize(("asked", "showers", "kept"), [(None, 2, 1), (None, 10**6, 500), (7, 20, 7)])
def test_how_many_are_held_out(asked: int | None, showers: int, kept: int) -> None:
    assert held_out(asked, showers) == kept


def test_too_many_threads_are_refused_before_anything_is_read(tmp_path: Path, small: Calorimeter) -> None:
    with pytest.raises(InputError, match="100000 threads are not possible"):
        train("calogan", [tmp_path / "no.h5"], tmp_path, Plan(), geometry=small, threads=100_000)


def test_one_file_a_named_read_out_and_no_plan_are_enough(
    tmp_path: Path, small: Calorimeter, make_showers: MakeShowers
) -> None:
    read_out = tmp_path / "small.toml"
    read_out.write_text(small.to_toml())
    write(make_showers(800, small), tmp_path / "a.h5")
    best = train(
        "shower_library", str(tmp_path / "a.h5"), str(tmp_path / "run"), geometry=tmp_path / "small.toml"
    )
    assert best == tmp_path / "run" / "best"
    assert checkpoint.load(best).record["geometries"] == [small.to_dict()]


def test_nothing_to_learn_from_is_refused(tmp_path: Path, small_file: Path) -> None:
    with pytest.raises(InputError, match="No files of showers to learn from were given"):
        train("copula", [], tmp_path / "run")
    with pytest.raises(InputError, match="no read-out to learn"):
        train("copula", small_file, tmp_path / "run", geometry=[])
    with pytest.raises(InputError, match="number of threads is 0"):
        train("copula", small_file, tmp_path / "run", threads=0)
    assert not (tmp_path / "run").exists()
