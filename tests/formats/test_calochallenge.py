"""The CaloChallenge's layout as its files have it."""

import h5py
import numpy as np
import pytest

from caloforge.errors import InputError, ShowerFileError
from caloforge.formats.calochallenge import ENTRY
from caloforge.geometry import Calorimeter
from caloforge.incident.incident import Incident
from caloforge.showers import Showers

from .conftest import contents, same_contents, write


def publish(path, voxels, n=3, **changes):
    """A file as the challenge's authors write it."""
    random = np.random.default_rng(1)
    hit = random.random((n, voxels)) < 0.1
    datasets = {
        "incident_energies": 10 ** random.uniform(3, 6, (n, 1)),
        "showers": np.where(hit, random.lognormal(0, 3, hit.shape), 0).astype(np.float32).astype(np.float64),
    } | changes
    write(path, datasets)
    return datasets


@pytest.mark.parametrize(
    ("voxels", "name", "shape"),
    [(6480, "calochallenge_2", (45, 16, 9)), (40500, "calochallenge_3", (45, 50, 18))],
)
def test_the_challenges_data_sets_are_known(tmp_path, voxels, name, shape):
    given = publish(tmp_path / "a.hdf5", voxels)
    showers = ENTRY.read(tmp_path / "a.hdf5", pdg=11)
    assert showers.geometry == Calorimeter.load(name)
    assert np.array_equal(showers.energy, given["incident_energies"][:, 0])
    assert set(showers.pdg) == {11}
    assert showers.provenance == {"converted_from": "a.hdf5", "format": "calochallenge"}
    images = np.stack(showers.geometry.split(showers.cells), axis=1)
    assert np.array_equal(images, given["showers"].reshape(-1, *shape))
    ENTRY.write(showers, tmp_path / "b.hdf5")
    assert same_contents(tmp_path / "a.hdf5", tmp_path / "b.hdf5")


@pytest.mark.parametrize("n", [0, 1])
def test_few_showers_come_back(tmp_path, n):
    publish(tmp_path / "a.h5", 6480, n)
    ENTRY.write(ENTRY.read(tmp_path / "a.h5"), tmp_path / "b.h5")
    assert same_contents(tmp_path / "a.h5", tmp_path / "b.h5")


def test_voxels_of_a_binning_file(tmp_path):
    """The first rings of the challenge's layers are the first voxels, sector by sector."""
    binning = tmp_path / "binning.xml"
    binning.write_text(
        '<Bins><Bin pid="22" name="photon"><Layer id="0" r_edges="0,5,10" n_bin_alpha="1"/>'
        '<Layer id="1" r_edges="0" n_bin_alpha="1"/>'
        '<Layer id="2" r_edges="0,2,4,6" n_bin_alpha="2"/></Bin></Bins>'
    )
    given = publish(tmp_path / "a.h5", 8)
    showers = ENTRY.read(tmp_path / "a.h5", 22, Calorimeter.load(str(binning)))
    first, second = showers.geometry.split(showers.cells)
    assert np.array_equal(first, given["showers"][:, :2].reshape(-1, 1, 2))
    assert np.array_equal(second, given["showers"][:, 2:].reshape(-1, 2, 3))


def test_unknown_voxels_are_not_guessed(tmp_path, voxels):
    publish(tmp_path / "a.h5", 368)
    with pytest.raises(
        InputError, match=r"has 368 voxels and does not say .* convert .*a\.h5 OUT --geometry"
    ):
        ENTRY.read(tmp_path / "a.h5")
    with pytest.raises(
        InputError, match="not of the calorimeter voxels: the showers have 368 voxels, not 17"
    ):
        ENTRY.read(tmp_path / "a.h5", geometry=voxels)
    publish(tmp_path / "b.h5", 504)
    with pytest.raises(InputError, match=r"Of the catalogue's, .*calogan.* would fit"):
        ENTRY.read(tmp_path / "b.h5")


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"showers": np.zeros((3, 2, 9))}, r"'showers' has shape \(3, 2, 9\) instead of \(N, voxels\)"),
        ({"showers": np.zeros((2, 9))}, "'showers' has 2 showers, but 'incident_energies' has 3"),
        ({"showers": np.array([b"x"] * 3)}, "no dataset 'showers' of numbers"),
        ({"showers": np.float32(1)}, r"'showers' has shape \(\)"),
        ({"incident_energies": np.ones((3, 2))}, r"instead of \(N, 1\) or \(N\)"),
    ],
)
def test_other_shapes_are_named(tmp_path, changes, sentence):
    publish(tmp_path / "a.h5", 9, **changes)
    with pytest.raises(ShowerFileError, match=f"does not have the layout 'calochallenge': .*{sentence}"):
        ENTRY.read(tmp_path / "a.h5")


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("showers", np.nan, r"Cell 7 \(layer 1, alpha 1, r 2\) of shower 2 is nan MeV"),
        ("showers", -1e-3, "of shower 2 is -0.001 MeV; cells are finite and not negative"),
        ("showers", 1e300, "of shower 2 is inf MeV"),
        ("incident_energies", -5.0, "energy of shower 2 is -5 MeV; energies are finite and above 0"),
        ("incident_energies", np.nan, "energy of shower 2 is nan MeV"),
    ],
)
def test_impossible_values_are_named(tmp_path, voxels, name, value, sentence):
    publish(tmp_path / "a.h5", 17)
    with h5py.File(tmp_path / "a.h5", "r+") as file:
        values = file[name][:]
        values[2, 7 if name == "showers" else 0] = value
        file[name][:] = values
    with pytest.raises(ShowerFileError, match=f"showers from 0 on: .*{sentence}"):
        ENTRY.read(tmp_path / "a.h5", 22, voxels)


def test_energies_in_one_row(tmp_path):
    """Some generators write incident energies without the second axis."""
    publish(tmp_path / "a.h5", 6480, incident_energies=np.array([1e3, 2e3, 3e3]))
    assert ENTRY.read(tmp_path / "a.h5").energy.tolist() == [1e3, 2e3, 3e3]


def test_box_cells_are_voxels_too(tmp_path, boxes):
    showers = Showers(boxes, np.arange(48, dtype=np.float32).reshape(2, 24), Incident(11, 1.0))
    ENTRY.write(showers, tmp_path / "a.h5")
    assert np.array_equal(contents(tmp_path / "a.h5")["showers"], showers.cells)
