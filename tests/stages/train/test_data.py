"""Showers for training."""

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch

from caloforge import catalog
from caloforge.errors import InputError
from caloforge.formats.native import write
from caloforge.geometry import Calorimeter
from caloforge.incident.incident import Incident
from caloforge.models.base import Symmetries
from caloforge.showers import Showers
from caloforge.stages.train.data import load
from caloforge.stages.train.phases import mirrored
from tests.conftest import MakeShowers


def test_a_file_is_held_as_it_is(small_file: Path, small_showers: Showers) -> None:
    data = load([small_file], [small_showers.geometry])
    np.testing.assert_array_equal(data.sample().cells.numpy(), small_showers.cells)
    np.testing.assert_array_equal(data.sample().energy.numpy(), small_showers.energy)
    assert data.provenance[0]["showers"] == len(small_showers)


def test_files_of_several_particles_get_a_label_each(tmp_path: Path, small_showers: Showers) -> None:
    for pdg in (22, -11):
        write(
            Showers(small_showers.geometry, small_showers.cells, Incident(pdg, small_showers.energy)),
            tmp_path / f"{pdg}.h5",
        )
    data = load([tmp_path / "22.h5", tmp_path / "-11.h5"], [small_showers.geometry])
    assert data.particles == (22, -11)
    assert data.sample().label.tolist() == [0] * len(small_showers) + [1] * len(small_showers)


def test_published_files_are_read_when_they_say_their_particle(
    tmp_path: Path, calogan: Calorimeter, make_showers: MakeShowers
) -> None:
    showers = make_showers(5)
    catalog.load("formats", "calogan").write(showers, tmp_path / "published.h5")
    data = load([tmp_path / "published.h5"], [calogan])
    np.testing.assert_array_equal(data.sample().cells.numpy(), showers.cells)
    with h5py.File(tmp_path / "published.h5", "r+") as file:
        file.attrs.pop("particle", None)
        file.pop("caloforge", None)
    with pytest.raises(InputError, match="does not say the particle"):
        load([tmp_path / "published.h5"], [calogan])


def test_reading_tells_how_far_it_is(small_file: Path, small: Calorimeter) -> None:
    told: list[tuple[int, int]] = []
    load([small_file, small_file], [small], lambda done, total: told.append((done, total)))
    assert told == [(96, 192), (192, 192)]


def test_files_without_showers_are_refused(tmp_path: Path, small_showers: Showers) -> None:
    write(small_showers[:0], tmp_path / "empty.h5")
    with pytest.raises(InputError, match=r"No showers to train on were found in .*empty\.h5"):
        load([tmp_path / "empty.h5"], [small_showers.geometry])


def test_flips_move_energy_and_the_particle_and_keep_it(small_file: Path, small: Calorimeter) -> None:
    plain = load([small_file], [small]).sample()
    plain = plain._replace(position=plain.position + torch.tensor([1.0, 2.0]))
    symmetries = Symmetries(small.symmetries(), small.mirror_signs())
    torch.manual_seed(1)
    flipped = mirrored(plain, symmetries)
    assert not torch.equal(plain.cells, flipped.cells)
    for first, last in pairwise(small.offsets):
        for one, other in zip(plain.cells, flipped.cells, strict=True):
            assert torch.equal(one[first:last].sort().values, other[first:last].sort().values)
    torch.testing.assert_close(flipped.position.abs(), plain.position)
    # mirrored cells and mirrored particles belong together: the centre of gravity follows the sign of eta
    eta = torch.tensor(np.concatenate([layer.centres[0].ravel() for layer in small.layers])).float()
    turned = torch.sign(flipped.position[:, 0] * plain.position[:, 0])
    torch.testing.assert_close(flipped.cells @ eta, turned * (plain.cells @ eta), rtol=1e-4, atol=1.0)


def test_cells_are_kept_sparsely_and_given_back(small_file: Path, small_showers: Showers) -> None:
    data = load([small_file], [small_showers.geometry])
    assert len(data.parts[0].value) == np.count_nonzero(small_showers.cells)
    numbers = [5, 3, 90, 3]
    np.testing.assert_array_equal(data.__getitems__(numbers).cells, small_showers.cells[numbers])
    parts = [batch.cells for batch in data.batches(7)]
    np.testing.assert_array_equal(torch.cat(parts), small_showers.cells)


def test_a_finer_read_out_is_rebinned_on_the_way(tmp_path: Path, make_showers: MakeShowers) -> None:
    fine, coarse = Calorimeter.load("calogan_fine"), Calorimeter.load("calogan")
    showers = make_showers(5, fine, occupancy=0.01)
    write(showers, tmp_path / "fine.h5")
    expected = showers.rebin(coarse).cells
    np.testing.assert_allclose(load([tmp_path / "fine.h5"], [coarse]).sample().cells, expected, rtol=1e-6)


def test_of_several_read_outs_each_shower_gets_one(tmp_path: Path, make_showers: MakeShowers) -> None:
    fine, coarse = Calorimeter.load("calogan_fine"), Calorimeter.load("calogan")
    write(make_showers(60, fine, occupancy=0.01), tmp_path / "fine.h5")
    data = load([tmp_path / "fine.h5"], [fine, coarse], seed=3)
    numbers = [len(part.incident) for part in data.parts]
    assert sum(numbers) == len(data) == 60
    assert min(numbers) > 10
    again = load([tmp_path / "fine.h5"], [fine, coarse], seed=3)
    for one, other in zip(data.batches(), again.batches(), strict=True):
        assert one.geometry == other.geometry
        assert torch.equal(one.cells, other.cells)
    default, first = (load([tmp_path / "fine.h5"], [fine, coarse], **seed) for seed in ({}, {"seed": 1}))
    np.testing.assert_array_equal(default.parts[0].incident.energy, first.parts[0].incident.energy)
    # as many as have so many cells of the first read-out, not of a coarser one behind it
    assert len(data.sample(5 * fine.n_cells).cells) == 5
    assert len(data.sample(5 * fine.n_cells - 1).cells) == 4
    assert len(data.sample(1).cells) == 1


def test_directions_and_positions_come_along(tmp_path: Path, small_showers: Showers) -> None:
    random = np.random.default_rng(1)
    n = len(small_showers)
    direction, position = random.uniform(0, 1, (n, 2)), random.uniform(-9, 9, (n, 2))
    incident = Incident(-11, small_showers.energy, direction, position)
    write(replace(small_showers, incident=incident), tmp_path / "a.h5")
    data = load([tmp_path / "a.h5"], [small_showers.geometry])
    batch = data.sample()
    np.testing.assert_allclose(batch.direction.numpy(), incident.unit_direction, rtol=1e-6)
    np.testing.assert_array_equal(batch.position.numpy(), incident.position)
    back = data.showers(batch, {}).incident
    np.testing.assert_allclose(back.direction, incident.direction, rtol=1e-5, atol=1e-6)


def test_no_shower_is_both_learned_and_held_out(small_file: Path, small: Calorimeter) -> None:
    data = load([small_file], [small])
    known, unseen = data.split(20, seed=3)
    energies = np.concatenate([known.incident.energy, unseen.incident.energy])
    assert len(unseen) == 20
    np.testing.assert_array_equal(np.sort(energies), np.sort(data.incident.energy))


def test_holding_out_everything_is_refused(small_file: Path, small: Calorimeter) -> None:
    data = load([small_file], [small])
    with pytest.raises(InputError, match="hold out fewer"):
        data.split(len(data), seed=1)


def test_one_shower_is_a_file_and_one_may_be_left_to_train_on(tmp_path: Path, small_showers: Showers) -> None:
    write(small_showers[:1], tmp_path / "one.h5")
    assert len(load([tmp_path / "one.h5"], [small_showers.geometry])) == 1
    write(small_showers[:3], tmp_path / "three.h5")
    data = load([tmp_path / "three.h5"], [small_showers.geometry])
    assert [len(part) for part in data.split(2, seed=1)] == [1, 2]
    for held_out in (-1, 0, 3, 4):
        with pytest.raises(InputError, match=f"{held_out} showers can't be held out of 3"):
            data.split(held_out, seed=1)
    with pytest.raises(IndexError):
        data.__getitems__([3])


def test_a_read_out_that_no_shower_fits_is_named(geant4_showers: Path) -> None:
    known, other = Calorimeter.load("arm_48x4_36x48"), Calorimeter.load("ild_ecal")
    with pytest.raises(InputError, match="No showers can be read out by ild_ecal"):
        load([geant4_showers / "fine_gamma65.h5"], [known, other])
