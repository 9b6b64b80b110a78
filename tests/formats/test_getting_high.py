"""Getting High's layout as its authors' files have it."""

import numpy as np
import pytest

from caloforge.errors import InputError, ShowerFileError
from caloforge.formats.getting_high import ENTRY
from caloforge.geometry import Calorimeter

from .conftest import same_contents, write


def publish(path, n=2, shape=(30, 30, 30), **changes):
    random = np.random.default_rng(1)
    hit = random.random((n, *shape)) < 0.05
    datasets = {
        "30x30/energy": random.uniform(10, 100, (n, 1)).astype(np.float32),
        "30x30/layers": np.where(hit, random.lognormal(0, 1, hit.shape), 0).astype(np.float32).astype(float),
    } | changes
    write(path, datasets)
    return datasets


@pytest.mark.parametrize("n", [0, 1, 2])
def test_the_authors_files_come_back(tmp_path, n):
    given = publish(tmp_path / "a.hdf5", n)
    showers = ENTRY.read(tmp_path / "a.hdf5", pdg=22)
    assert showers.geometry == Calorimeter.load("ild_ecal")
    images = np.stack(showers.geometry.split(showers.cells), axis=1)
    assert np.array_equal(images, given["30x30/layers"])
    np.testing.assert_allclose(showers.energy, given["30x30/energy"][:, 0] * 1000.0, rtol=1e-6)
    ENTRY.write(showers, tmp_path / "b.hdf5")
    assert same_contents(tmp_path / "a.hdf5", tmp_path / "b.hdf5")


def test_other_numbers_of_cells(tmp_path, boxes):
    publish(tmp_path / "a.h5", shape=(2, 4, 3))
    assert ENTRY.read(tmp_path / "a.h5", 22, boxes).geometry == boxes
    with pytest.raises(InputError, match="2 layers of 4 x 3 cells and does not say of which calorimeter"):
        ENTRY.read(tmp_path / "a.h5")
    with pytest.raises(InputError, match="its layers are not the 2 layers of 4 x 3 cells of the showers"):
        ENTRY.read(tmp_path / "a.h5", geometry=Calorimeter.load("calogan"))


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"30x30/layers": np.zeros((2, 27000))}, r"\(2, 27000\) instead of \(N, layers, rows, columns\)"),
        ({"30x30/energy": np.ones((3, 1))}, "'layers' has 2 showers, but 'energy' has 3"),
        ({"30x30/layers": np.full((2, 30, 30, 30), -1.0)}, "layer 0, phi 0, eta 0.* of shower 0 is -1 MeV"),
        ({"30x30/energy": np.zeros((2, 1))}, "energy of shower 0 is 0 MeV"),
    ],
)
def test_mistakes_are_named(tmp_path, changes, sentence):
    publish(tmp_path / "a.h5", **changes)
    with pytest.raises(ShowerFileError, match=sentence):
        ENTRY.read(tmp_path / "a.h5")


def test_one_group_holds_the_showers(tmp_path):
    publish(tmp_path / "a.h5", **{"15x15/energy": np.ones((2, 1)), "15x15/layers": np.ones((2, 1, 15, 15))})
    assert not ENTRY.recognises(tmp_path / "a.h5")


@pytest.mark.parametrize("missing", ["30x30/energy", "30x30/layers"])
def test_a_group_without_energies_or_layers_is_no_file_of_showers(tmp_path, missing):
    path = tmp_path / "a.h5"
    publish(path, **{missing: None})
    assert not ENTRY.recognises(path)
    with pytest.raises(ShowerFileError, match="does not have the layout 'getting_high': it has '30x30'"):
        ENTRY.read(path)


@pytest.mark.parametrize("name", ["0x30", "30x", "030x30", "30x30x30", "a30x30"])
def test_the_name_of_the_group_is_two_numbers(tmp_path, name):
    datasets = {f"{name}/energy": np.ones((2, 1)), f"{name}/layers": np.ones((2, 1, 30, 30))}
    assert not ENTRY.recognises(write(tmp_path / "a.h5", datasets))


def test_a_dataset_with_the_name_of_a_group_is_none(tmp_path):
    assert not ENTRY.recognises(write(tmp_path / "a.h5", {"30x30": np.ones(3)}))


def test_energies_may_be_in_one_row(tmp_path, boxes):
    publish(tmp_path / "a.h5", shape=(2, 4, 3), **{"30x30/energy": np.array([1.0, 2.0])})
    assert ENTRY.read(tmp_path / "a.h5", geometry=boxes).energy.tolist() == [1e3, 2e3]
