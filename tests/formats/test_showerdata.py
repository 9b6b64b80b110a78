"""The layout of the package showerdata, against the package itself."""

import h5py
import numpy as np
import pytest

from caloforge.errors import InputError, ShowerFileError
from caloforge.formats.showerdata import ENTRY
from caloforge.geometry import Calorimeter
from caloforge.incident.incident import Incident
from caloforge.showers import Showers

from .conftest import contents

showerdata = pytest.importorskip("showerdata")


@pytest.fixture(scope="module")
def showers(make_showers_in):
    return make_showers_in(Calorimeter.load("calochallenge_2"))


@pytest.fixture(scope="module")
def make_showers_in():
    def make(geometry, n=5):
        random = np.random.default_rng(1)
        hit = random.random((n, geometry.n_cells)) < 0.05
        return Showers(
            geometry,
            np.where(hit, random.lognormal(0, 3, hit.shape), 0),
            Incident(random.choice([11, 22], n), random.uniform(1e3, 1e5, n), random.uniform(0, 1, (n, 2))),
        )

    return make


def test_the_package_opens_what_is_written(tmp_path, showers):
    path = tmp_path / "a.h5"
    ENTRY.write((showers[start : start + 2] for start in (0, 2, 4)), path)
    found = showerdata.load(path)
    assert showerdata.get_file_shape(path) == found.points.shape
    np.testing.assert_allclose(found.energies[:, 0], showers.energy / 1000, rtol=1e-6)
    assert np.array_equal(found.pdg, showers.pdg)
    assert found.shower_ids.tolist() == [0, 1, 2, 3, 4]
    theta, phi = showers.incident.direction.T
    np.testing.assert_allclose(found.directions[:, 2], np.cos(theta), rtol=1e-6)
    np.testing.assert_allclose(found.directions[:, 0], np.sin(theta) * np.sin(phi), rtol=1e-6)  # x is phi
    layers = showerdata.observables.calc_energy_per_layer(found, len(showers.geometry.layers))
    np.testing.assert_allclose(layers * 1000, showers.layer_energies(), rtol=1e-4)
    with showerdata.ShowerDataFile(path) as file:
        assert len(file) == 5
        assert file[2].points.shape[1:] == found.points.shape[1:]


def test_points_lie_at_the_centres_of_cells(tmp_path, make_showers_in, boxes, voxels):
    for geometry in (boxes, voxels):
        cells = np.eye(geometry.n_cells, dtype=np.float32)  # one shower a cell
        ENTRY.write(Showers(geometry, cells, Incident(11, 1.0)), tmp_path / "a.h5")
        points = showerdata.load(tmp_path / "a.h5").points
        assert points.shape == (geometry.n_cells, 1, 4)
        x, y, number, energy = points[:, 0].T
        for i, (layer, first) in enumerate(zip(geometry.layers, geometry.offsets, strict=False)):
            here = slice(first, first + layer.n_cells)
            eta, phi = layer.centres
            np.testing.assert_allclose(x[here], phi.ravel(), rtol=1e-6, atol=1e-6)
            np.testing.assert_allclose(y[here], eta.ravel(), rtol=1e-6, atol=1e-6)
            assert set(number[here]) == {i}
        np.testing.assert_allclose(energy, 1e-3, rtol=1e-7)


def test_files_of_the_package_come_back(tmp_path, showers):
    """Points at the centres of cells come back as they were; energies to one unit in the last place."""
    ENTRY.write(showers, tmp_path / "ours.h5")
    first = showerdata.load(tmp_path / "ours.h5")
    first.shower_ids = np.array([7, 5, 3, 2, 11], np.int32)
    first.save(tmp_path / "theirs.h5")
    read = ENTRY.read(tmp_path / "theirs.h5", geometry=showers.geometry)
    assert read.provenance["format"] == "showerdata"
    assert not read.columns["outside"].any()
    np.testing.assert_array_max_ulp(read.cells, showers.cells, 2)
    ENTRY.write(read, tmp_path / "again.h5")
    second = showerdata.load(tmp_path / "again.h5")
    np.testing.assert_array_max_ulp(second.points, first.points, 1)
    for name in ("energies", "pdg", "shower_ids"):
        assert np.array_equal(getattr(second, name), getattr(first, name))
    np.testing.assert_allclose(second.directions, first.directions, rtol=2e-7, atol=1e-7)
    assert contents(tmp_path / "again.h5").keys() == contents(tmp_path / "theirs.h5").keys()


def test_points_are_summed_and_those_outside_kept(tmp_path, boxes):
    """The package's padding, times and points anywhere: (phi, eta) of boxes are +-10 and -20 to 30 mm."""
    points = np.zeros((2, 5, 5), np.float32)
    points[0, :4, :4] = [(1, 2, 0, 0.5), (1.5, 29.0, 0, 0.25), (11, 0, 1, 2.0), (0, -21, 1, 1.0)]
    points[1, :1, :4] = [(-10, -20, 1.0, 0.125)]
    points[..., 4] = 3.0
    direction = [(0, 0, 1), (0, 2, 2)]
    showerdata.Showers(points, [[10.0], [20.0]], 211, direction).save(tmp_path / "a.h5")
    showers = ENTRY.read(tmp_path / "a.h5", geometry=boxes)
    first, second = boxes.split(showers.cells)
    assert first[0].tolist() == [[0, 0, 0], [0, 0, 0], [0, 0, 750.0], [0, 0, 0]]
    assert second[1, 0, 0] == 125.0
    assert not second[0].any()
    assert showers.columns["outside"].tolist() == [3000.0, 0.0]
    assert showers.energy.tolist() == [1e4, 2e4]
    assert set(showers.pdg) == {211}
    np.testing.assert_allclose(showers.incident.direction, [(0, 0), (np.pi / 4, 0)], atol=1e-7)


def test_a_direction_of_the_file_is_taken_where_it_was_changed(tmp_path, showers):
    ENTRY.write(showers, tmp_path / "a.h5")
    with h5py.File(tmp_path / "a.h5", "r+") as file:
        file["directions"][1] = (0.0, 0.0, 1.0)
    found = ENTRY.read(tmp_path / "a.h5").incident.direction
    assert np.array_equal(found[[0, 2, 3, 4]], showers.incident.direction[[0, 2, 3, 4]])
    assert not found[1].any()


def change(path, name, place, value):
    with h5py.File(path, "r+") as file:
        file[name][place] = value


@pytest.mark.parametrize(
    ("name", "place", "value", "sentence"),
    [
        ("showers", 1, np.array([0, 0, 2, 1], np.float32), "layer 2, but boxes has the layers 0 to 1"),
        ("showers", 1, np.array([0, 0, -1, 1], np.float32), "layer -1"),
        ("showers", 1, np.array([0, 0, 0, -1], np.float32), "their energies not negative"),
        ("showers", 1, np.array([np.nan, 0, 0, 1], np.float32), "points are finite"),
        (
            "showers",
            1,
            np.array([0, 0, 0, 1, 2], np.float32),
            "Shower 1 has 5 numbers, which are not points of 4",
        ),
        ("directions", 1, np.zeros(3), "direction .* points nowhere"),
        ("energies", (1, 0), 0.0, "energy of shower 1 is 0 MeV"),
        ("shape", 2, 6, "'shape' does not end with the 4 or 5 numbers of a point"),
    ],
)
def test_impossible_values_are_named(tmp_path, make_showers_in, boxes, name, place, value, sentence):
    path = tmp_path / "a.h5"
    ENTRY.write(make_showers_in(boxes), path)
    with h5py.File(path, "r+") as file:
        del file["caloforge"]
    change(path, name, place, value)
    with pytest.raises(ShowerFileError, match=sentence):
        ENTRY.read(path, geometry=boxes)


def test_points_that_were_removed(tmp_path, make_showers_in, boxes):
    ENTRY.write(make_showers_in(boxes), tmp_path / "a.h5")
    change(tmp_path / "a.h5", "showers", 1, np.tile([0, 0, 0, 1], 500).astype(np.float32))
    with pytest.raises(ShowerFileError, match="points are not those that its group"):
        ENTRY.read(tmp_path / "a.h5")


def test_the_calorimeter_must_be_named(tmp_path, showers):
    ENTRY.write(showers, tmp_path / "a.h5")
    with h5py.File(tmp_path / "a.h5", "r+") as file:
        del file["caloforge"]
    with pytest.raises(InputError, match=r"has points instead of cells and does not say .*\(\.xml\)\.$"):
        ENTRY.read(tmp_path / "a.h5")


def test_numbers_that_float32_can_not_hold(tmp_path, boxes):
    with pytest.raises(InputError, match="no place for 1e\\+100 MeV"):
        ENTRY.write(Showers(boxes, np.ones((1, 24)), Incident(11, 1e100)), tmp_path / "a.h5")
    assert not list(tmp_path.iterdir())
