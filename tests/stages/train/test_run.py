"""A training from files to a folder."""

from pathlib import Path

import pytest

from caloforge.errors import ConfigError, InputError
from caloforge.geometry import Calorimeter
from caloforge.stages.train.fit import Plan
from caloforge.stages.train.run import train


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
