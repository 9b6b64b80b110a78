"""What a training leaves to look at."""

import csv
from pathlib import Path

import pytest
import torch

from caloforge.errors import ConfigError, InputError
from caloforge.geometry import Calorimeter
from caloforge.models.calogan import CaloGAN, Config
from caloforge.stages.train.data import load
from caloforge.stages.train.fit import Plan
from caloforge.stages.train.log import RunLog
from caloforge.stages.train.run import train
from caloforge.stages.train.validation import Validation


def rows(folder: Path) -> list[list[str]]:
    with (folder / "log.csv").open(newline="") as file:
        return list(csv.reader(file))


def test_rows_that_will_be_made_again_are_dropped(tmp_path: Path) -> None:
    first = RunLog(tmp_path, done=0, every=1)
    for step in (1, 2, 3):
        first(step, {"loss": step / 10})
    RunLog(tmp_path, done=2, every=1)(3, {"loss": 0.5})
    expected = [["step", "figure", "value"], ["1", "loss", "0.1"], ["2", "loss", "0.2"], ["3", "loss", "0.5"]]
    assert rows(tmp_path) == expected


def test_closed_curves_are_on_the_disk(tmp_path: Path) -> None:
    with RunLog(tmp_path, done=0, every=1) as log:
        log(1, {"loss": 0.25})
    (events,) = (tmp_path / "tensorboard").iterdir()
    assert b"loss" in events.read_bytes()


def test_validations_are_logged_between_the_turns(tmp_path: Path) -> None:
    log = RunLog(tmp_path, done=0, every=10)
    log(3, {"loss": 1.0})
    log(4, {"loss": 1.0, "separation": 0.5})
    assert [row[0] for row in rows(tmp_path)[1:]] == ["4", "4"]


def test_a_validation_compares_and_draws(tmp_path: Path, small_file: Path, small: Calorimeter) -> None:
    data = load([small_file], small)
    torch.manual_seed(1)
    model = CaloGAN(Config(latent=8), small)
    figures = Validation(data, tmp_path)(7, model)
    assert 0 < figures["separation"] <= 1
    shapes = {"separation/response", "separation/shower_depth", "separation/depth_width"}
    of_layers = (
        "e_ratio_{}",
        "lateral_width_{}_eta",
        "lateral_width_{}_phi",
        "layer_fraction_{}",
        "sparsity_{}",
    )
    shapes |= {f"separation/{name.format(layer)}" for name in of_layers for layer in (0, 1)}
    assert set(figures) == {"separation", *shapes}  # whatever else the catalogue may hold
    assert (tmp_path / "pictures" / "step-000007.png").read_bytes().startswith(b"\x89PNG")
    assert Validation(data, tmp_path)(8, model) == figures


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
        train("calogan", [small_file], tmp_path / "run", Plan(held_out=10), geometry=small, settings=settings)
    assert not (tmp_path / "run").exists()
