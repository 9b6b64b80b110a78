"""Showers for training."""

from pathlib import Path

import h5py
import numpy as np
import pytest

from caloforge import catalog
from caloforge.errors import InputError
from caloforge.formats.native import write
from caloforge.geometry import Calorimeter
from caloforge.incident.incident import Incident
from caloforge.showers import Showers
from caloforge.stages.train.data import load
from tests.conftest import MakeShowers


def test_a_file_is_held_as_it_is(small_file: Path, small_showers: Showers) -> None:
    data = load([small_file], small_showers.geometry)
    np.testing.assert_array_equal(data.cells.numpy(), small_showers.cells)
    np.testing.assert_array_equal(data.energy.numpy(), small_showers.energy)
    assert data.provenance[0]["showers"] == len(small_showers)


def test_files_of_several_particles_get_a_label_each(tmp_path: Path, small_showers: Showers) -> None:
    for pdg in (22, -11):
        write(
            Showers(small_showers.geometry, small_showers.cells, Incident(pdg, small_showers.energy)),
            tmp_path / f"{pdg}.h5",
        )
    data = load([tmp_path / "22.h5", tmp_path / "-11.h5"], small_showers.geometry)
    assert data.particles == (22, -11)
    assert data.label.tolist() == [0] * len(small_showers) + [1] * len(small_showers)


def test_published_files_are_read_when_they_say_their_particle(
    tmp_path: Path, calogan: Calorimeter, make_showers: MakeShowers
) -> None:
    showers = make_showers(5)
    catalog.load("formats", "calogan").write(showers, tmp_path / "published.h5")
    data = load([tmp_path / "published.h5"], calogan)
    np.testing.assert_array_equal(data.cells.numpy(), showers.cells)
    with h5py.File(tmp_path / "published.h5", "r+") as file:
        file.attrs.pop("particle", None)
        file.pop("caloforge", None)
    with pytest.raises(InputError, match="does not say the particle"):
        load([tmp_path / "published.h5"], calogan)


def test_reading_tells_how_far_it_is(small_file: Path, small: Calorimeter) -> None:
    told: list[tuple[int, int]] = []
    load([small_file, small_file], small, lambda done, total: told.append((done, total)))
    assert told == [(96, 192), (192, 192)]


def test_files_without_showers_are_refused(tmp_path: Path, small_showers: Showers) -> None:
    write(small_showers[:0], tmp_path / "empty.h5")
    with pytest.raises(InputError, match=r"no showers to train on in .*empty\.h5"):
        load([tmp_path / "empty.h5"], small_showers.geometry)


def test_flips_move_energy_and_keep_it(small_file: Path, small: Calorimeter) -> None:
    data = load([small_file], small)
    index = np.arange(len(data))
    plain, flipped = data.batch(index, flips=False), data.batch(index, flips=True)
    assert not np.array_equal(plain.cells, flipped.cells)
    np.testing.assert_array_equal(np.sort(plain.cells[:, :16]), np.sort(flipped.cells[:, :16]))
    np.testing.assert_array_equal(np.sort(plain.cells[:, 16:]), np.sort(flipped.cells[:, 16:]))


def test_no_shower_is_both_learned_and_held_out(small_file: Path, small: Calorimeter) -> None:
    data = load([small_file], small)
    known, unseen = data.split(20, seed=3)
    energies = np.concatenate([known.energy, unseen.energy])
    assert len(unseen) == 20
    np.testing.assert_array_equal(np.sort(energies), np.sort(data.energy))


def test_holding_out_everything_is_refused(small_file: Path, small: Calorimeter) -> None:
    data = load([small_file], small)
    with pytest.raises(InputError, match="hold out fewer"):
        data.split(len(data), seed=1)
