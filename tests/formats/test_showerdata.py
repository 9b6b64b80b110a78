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


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("showers", np.zeros((5, 4), np.float32)),
        ("showers", np.zeros(5, np.float32)),
        ("showers", 1.0),
        ("shape", np.array([5, 9])),
        ("shape", np.array([5, 9, 4, 1])),
        ("shape", np.array([5.0, 9.0, 4.0])),
        ("shape", np.array([5, 9, 3])),
        ("energies", np.ones((5, 2))),
        ("directions", np.ones((5, 2))),
        ("directions", np.ones((4, 3))),
        ("pdg", np.ones((5, 1))),
        ("num_points", np.ones(6)),
    ],
)
def test_other_shapes_are_named(tmp_path, make_showers_in, boxes, name, values):
    path = tmp_path / "a.h5"
    ENTRY.write(make_showers_in(boxes), path)
    with h5py.File(path, "r+") as file:
        del file[name]
        file[name] = values
    with pytest.raises(ShowerFileError, match=f"does not have the layout 'showerdata': '{name}'"):
        ENTRY.read(path)


@pytest.mark.parametrize(("kind", "n"), [(np.int32, 5), (np.float32, 4), (np.float32, 6)])
def test_points_are_one_list_of_numbers_a_shower(tmp_path, make_showers_in, boxes, kind, n):
    path = tmp_path / "a.h5"
    ENTRY.write(make_showers_in(boxes), path)
    with h5py.File(path, "r+") as file:
        del file["showers"]
        file.create_dataset("showers", (n,), h5py.vlen_dtype(kind))
        for i in range(n):
            file["showers"][i] = np.zeros(4, kind)
    with pytest.raises(ShowerFileError, match="one list of numbers for each of the 5 showers"):
        ENTRY.read(path)


def read_points(path, geometry, points, direction=(0, 0, 1)):
    """Return what one shower of points (x, y, layer, energy) is read as."""
    given = np.array([points], np.float32)
    showerdata.Showers(given, [[10.0]], 22, [direction]).save(path, overwrite=True)
    return ENTRY.read(path, geometry=geometry)


@pytest.mark.parametrize(
    ("x", "y", "cell"),
    [
        (-10.0, -20.0, 0),
        (-10.01, 0.0, None),
        (0.0, -20.01, None),
        (9.99, 29.9, 11),
        (10.0, 0.0, None),
        (0.0, 30.0, None),
        (-5.01, -1.01, 0),
        (-5.01, -1.0, 1),
        (-5.0, -1.01, 3),
    ],
)
@pytest.mark.parametrize("number", [0, 1])
def test_a_point_lies_in_the_box_whose_lower_edges_it_has(tmp_path, boxes, x, y, cell, number):
    found = read_points(tmp_path / "a.h5", boxes, [(x, y, number, 1.0)])
    expected = np.zeros(24)
    if cell is not None:
        expected[12 * number + cell] = 1000.0
    assert found.cells[0].tolist() == expected.tolist()
    assert found.columns["outside"].tolist() == [1000.0 if cell is None else 0.0]


@pytest.mark.parametrize("turn", [-0.499, -0.3, -0.251, -0.249, -0.1, 0.1, 0.251, 0.4, 0.499, 0.5])
@pytest.mark.parametrize(("r", "ring"), [(0.01, 0), (0.99, 0), (1.01, 1), (29.9, 2), (30.01, None)])
def test_a_point_lies_in_the_sector_and_ring_around_it(tmp_path, rings, turn, r, ring):
    y, x = r * np.cos(2 * np.pi * turn), r * np.sin(2 * np.pi * turn)
    found = read_points(tmp_path / "a.h5", rings, [(x, y, 1, 1.0)])
    expected = np.zeros((3, 4, 3))  # layers, sectors from -pi on, rings
    if ring is not None:
        expected[1, min(3, int((turn + 0.5) * 4)), ring] = 1000.0
    assert found.cells[0].tolist() == expected.ravel().tolist()


@pytest.mark.parametrize(("number", "layer"), [(-0.1, 0), (0.0, 0), (0.89, 0), (0.91, 1), (1.89, 1)])
def test_layers_are_rounded_as_the_package_does(tmp_path, boxes, number, layer):
    found = read_points(tmp_path / "a.h5", boxes, [(0, 0, number, 1.0)])
    assert found.layer_energies()[0].tolist() == [1000.0 * (layer == i) for i in range(2)]


@pytest.mark.parametrize("number", [-0.11, 1.91])
def test_layers_beyond_the_calorimeter_are_refused(tmp_path, boxes, number):
    with pytest.raises(ShowerFileError, match="but boxes has the layers 0 to 1"):
        read_points(tmp_path / "a.h5", boxes, [(0, 0, number, 1.0)])


def test_a_particle_along_the_axis_has_no_azimuth(tmp_path, boxes):
    for direction in ((0, 0, 1), (0, -0.0, 1), (-0.0, -0.0, 3)):
        found = read_points(tmp_path / "a.h5", boxes, [(0, 0, 0, 1.0)], direction)
        assert found.incident.direction.tolist() == [[0.0, 0.0]]


@pytest.mark.parametrize("mev", [1e-38, 0.5, 1.0, 999.0, 3e41])
def test_energies_from_the_smallest_to_the_largest_of_float32_are_written(tmp_path, boxes, mev):
    ENTRY.write(Showers(boxes, np.zeros((1, 24)), Incident(11, mev)), tmp_path / "a.h5")
    assert ENTRY.read(tmp_path / "a.h5").energy.tolist() == [mev]
    np.testing.assert_allclose(contents(tmp_path / "a.h5")["energies"], [[mev / 1000]], rtol=1e-3)


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
