"""Calorimeters: what they are made of, their cells, and the files that describe them."""

import json
from pathlib import Path

import numpy as np
import pytest

from caloforge import catalog
from caloforge.errors import CatalogError, GeometryError
from caloforge.geometry import Calorimeter

from .conftest import describe


@pytest.mark.parametrize("name", catalog.names("geometries"))
def test_every_geometry_of_the_catalogue_survives_json(name):
    geometry = Calorimeter.load(name)
    assert geometry.name == name
    assert Calorimeter.from_dict(json.loads(json.dumps(geometry.to_dict()))) == geometry


def test_calogan_is_table_one_of_the_paper(calogan):
    sizes = [
        (np.diff(layer.z), np.diff(layer.eta.edges), np.diff(layer.phi.edges)) for layer in calogan.layers
    ]
    assert [(z.item(), set(eta), set(phi)) for z, eta, phi in sizes] == [
        (90, {5}, {160}),
        (347, {40}, {40}),
        (43, {80}, {40}),
    ]
    assert calogan.shapes == ((3, 96), (12, 12), (12, 6))
    assert calogan.n_cells == 504
    assert calogan.offsets == (0, 288, 432, 504)
    assert sum(slab.thickness for slab in calogan.slabs) == calogan.depth == 480


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        (
            {"stack": [{"repeat": 79, "slabs": [{"material": "G4_Pb", "thickness": 6, "role": "active"}]}]},
            "474 mm thick",
        ),
        (
            {"stack": [{"repeat": 80, "slabs": [{"material": "G4_Pb", "thickness": -6, "role": "active"}]}]},
            "greater than 0",
        ),
        ({"stack": [{"repeat": 0, "slabs": []}]}, "stack.0.repeat"),
        ({"visible": ["activ"]}, "'absorber' or 'active'"),
        ({"visible": []}, "visible"),
        ({"layers": []}, "layers"),
        ({"visibel": ["active"]}, "Did you mean 'visible'"),
        ({"name": ""}, "name"),
    ],
)
def test_a_wrong_calorimeter_is_refused(changes, sentence, calogan):
    with pytest.raises(GeometryError, match=sentence):
        Calorimeter.from_dict(calogan.to_dict() | changes)


@pytest.mark.parametrize("z", [(1.0, 90.0), (0.0, 89.0), (0.0, 91.0), (90.0, 0.0), (0.0, float("inf"))])
def test_layers_follow_each_other_from_zero(z, calogan):
    content = calogan.to_dict()
    content["layers"][0]["z"] = list(z)
    with pytest.raises(GeometryError, match="layer"):
        Calorimeter.from_dict(content)


def test_a_role_that_no_slab_has_can_not_be_visible():
    content = describe([((0, 1), [0, 1], [0, 1])], visible=["absorber"])
    with pytest.raises(GeometryError, match="visible names absorber"):
        Calorimeter.from_dict(content)


def test_thickness_is_added_as_decimals():
    content = describe([((0, 0.3), [0, 1], [0, 1])])
    content["stack"] = [{"repeat": 3, "slabs": [{"material": "G4_Si", "thickness": 0.1, "role": "active"}]}]
    assert Calorimeter.from_dict(content).depth == 0.3


def test_load_takes_names_and_files(tmp_path, calogan):
    file = tmp_path / "mine.toml"
    file.write_text(catalog.load("geometries", "calogan").read_text())
    assert Calorimeter.load(file) == Calorimeter.load(str(file)) == calogan
    with pytest.raises(CatalogError, match="Did you mean 'calogan'"):
        Calorimeter.load("calogn")
    with pytest.raises(GeometryError, match="can't be read"):
        Calorimeter.load(tmp_path / "none.toml")
    file.write_text("name =")
    with pytest.raises(GeometryError, match="not a TOML file"):
        Calorimeter.load(Path(file))


def test_split_gives_views_and_join_undoes_it(calogan, make_showers):
    cells = make_showers(5).cells
    images = calogan.split(cells)
    assert [image.shape for image in images] == [(5, 3, 96), (5, 12, 12), (5, 12, 6)]
    assert all(np.shares_memory(image, cells) for image in images)
    assert np.array_equal(calogan.join(images), cells)
    assert np.array_equal(calogan.split(cells[0])[1], images[1][0])
    with pytest.raises(GeometryError, match="503 cells, but calogan has 504"):
        calogan.split(cells[:, :-1])
    with pytest.raises(GeometryError, match="shapes"):
        calogan.join(images[:2])


def test_showers_keep_their_place_in_any_number_of_dimensions(calogan, make_showers):
    cells = make_showers(6).cells
    for shape in ((6,), (2, 3), (1, 3, 2)):
        shaped = cells.reshape(*shape, 504)
        images = calogan.split(shaped)
        assert [image.shape for image in images] == [(*shape, *one) for one in calogan.shapes]
        assert np.array_equal(calogan.join(images), shaped)
        energies = calogan.layer_energies(shaped)
        assert np.array_equal(energies.reshape(6, 3), calogan.layer_energies(cells))
    assert np.array_equal(calogan.layer_energies(cells[4]), calogan.layer_energies(cells)[4])
    with pytest.raises(GeometryError, match="have 0 cells"):
        calogan.split(np.array(1.0))
    with pytest.raises(GeometryError, match="505 cells, but calogan has 504"):
        calogan.layer_energies(np.ones((2, 505)))


def test_layer_energies_add_up(calogan, make_showers):
    cells = make_showers(5).cells
    layers = calogan.layer_energies(cells)
    assert layers.shape == (5, 3)
    np.testing.assert_allclose(layers.sum(axis=1), cells.sum(axis=1, dtype=np.float64), rtol=1e-14)


def test_symmetries_are_the_flips(calogan, make_showers):
    cells = make_showers(4).cells
    identity, eta, phi, both = calogan.symmetries()
    assert np.array_equal(identity, np.arange(504))
    for image, flipped in zip(calogan.split(cells), calogan.split(cells[:, eta]), strict=True):
        assert np.array_equal(flipped, image[:, :, ::-1])
    for image, flipped in zip(calogan.split(cells), calogan.split(cells[:, phi]), strict=True):
        assert np.array_equal(flipped, image[:, ::-1])
    assert np.array_equal(eta[phi], both)
    for permutation in (eta, phi, both):
        assert np.array_equal(permutation[permutation], identity)


@pytest.mark.parametrize(
    ("eta", "phi", "number"), [([-1, 1], [-1, 2], 2), ([0, 1], [-1, 1], 2), ([0, 1], [0, 1], 1)]
)
def test_only_symmetric_edges_are_flipped(eta, phi, number):
    assert Calorimeter.from_dict(describe([((0, 1), eta, phi)])).symmetries().shape == (number, 1)


def test_a_flip_needs_the_symmetry_of_every_layer():
    even, odd = [-1, 0, 1], [-1, 0, 2]
    for eta, phi, number in ((odd, even, 2), (even, odd, 2), (odd, odd, 1), (even, even, 4)):
        layers = [((0, 1), even, even), ((1, 2), eta, phi)]
        for described in (layers, [((0, 1), eta, phi), ((1, 2), even, even)]):
            geometry = Calorimeter.from_dict(describe(described))
            assert geometry.symmetries().shape == (number, 8)
            assert geometry.mirror_signs().shape == (number, 2)


def test_the_signs_are_those_of_the_mirrored_places(small):
    rings = {"z": [0.0, 6.0], "r": {"edges": [0, 5, 20]}, "alpha": 6}
    content = small.to_dict()
    mixed = Calorimeter.from_dict({**content, "layers": [rings, content["layers"][1]]})
    for geometry in (small, mixed):
        eta, phi = (
            np.concatenate([layer.centres[axis].ravel() for layer in geometry.layers]) for axis in (0, 1)
        )
        signs = geometry.mirror_signs()
        assert signs.tolist() == [[1, 1], [-1, 1], [1, -1], [-1, -1]]
        for mirrored, (of_eta, of_phi) in zip(geometry.symmetries(), signs, strict=True):
            np.testing.assert_allclose(eta[mirrored], of_eta * eta, atol=1e-9)
            np.testing.assert_allclose(phi[mirrored], of_phi * phi, atol=1e-9)


def test_a_calorimeter_is_taken_as_it_is_or_by_its_name(calogan, tmp_path):
    assert Calorimeter.of(calogan) is calogan
    assert Calorimeter.of("calogan") == calogan
    (tmp_path / "mine.toml").write_text(calogan.to_toml(), encoding="utf-8")
    assert Calorimeter.of(tmp_path / "mine.toml") == calogan
    with pytest.raises(GeometryError, match="not 7"):
        Calorimeter.of(7)


@pytest.mark.parametrize("repeat", [1, 2])
def test_a_layer_is_repeated_as_often_as_it_says(small, repeat):
    layer = {**small.to_dict()["layers"][0], "z": [0.0, 12.0 / repeat]}
    geometry = Calorimeter.from_dict({**small.to_dict(), "layers": [{**layer, "repeat": repeat}]})
    assert [one.z for one in geometry.layers] == [
        (i * 12 / repeat, (i + 1) * 12 / repeat) for i in range(repeat)
    ]


def test_toml_of_layers_that_differ_repeats_none(small):
    """Equal layers with another one between them, and layers of one thickness with other cells."""
    one = {"eta": {"edges": [-1, 1]}, "phi": {"edges": [-1, 1]}}
    two = {**one, "eta": {"edges": [-1, 0, 1]}}
    layers = [{**kind, "z": [3.0 * i, 3.0 * i + 3]} for i, kind in enumerate((one, two, one, one))]
    geometry = Calorimeter.from_dict({**small.to_dict(), "layers": layers})
    assert geometry.to_toml().count("[[layers]]") == 3
    assert geometry.to_toml().count("repeat = 2") == 2  # of the slabs and of the last two layers


def test_a_repeated_layer_is_written_out(small):
    layer = {"eta": {"edges": [-1, 1]}, "phi": {"edges": [-1, 1]}}
    first, rest = {**layer, "z": [0.0, 2.1], "repeat": 3}, {**layer, "z": [6.3, 12.0]}
    geometry = Calorimeter.from_dict({**small.to_dict(), "layers": [first, rest]})
    assert [layer.z for layer in geometry.layers] == [(0.0, 2.1), (2.1, 4.2), (4.2, 6.3), (6.3, 12.0)]
    assert Calorimeter.from_dict(geometry.to_dict()) == geometry


@pytest.mark.parametrize(
    ("layer", "sentence"),
    [
        ({"z": [0, 1], "repeat": 0}, r"at least 1 \(found 0\)"),
        ({"z": [0, 12], "repeat": {"many": [1.23456789] * 99}}, r"1 \(found \{'many': .{71}\)\.$"),
        ({"z": [0, 12], "repeat": True}, r"at least 1 \(found True\)"),
        ({"z": [0, 12], "repeat": 1.0}, r"at least 1 \(found 1.0\)"),
        ({"z": "deep", "repeat": 2}, "'layers.0.z'"),
        ({"repeat": 2}, "'layers.0.z' is missing"),
        ({"z": [0, 12], "r": {"edges": [0, 1]}, "alhpa": 3}, "'layers.0.alhpa'. Did you mean 'alpha'"),
        ({"z": [0, 12], "r": {"edges": [0, 1]}, "alpha": 0}, "'layers.0.alpha'"),
    ],
)
def test_a_wrong_layer_is_named(small, layer, sentence):
    boxes = {} if "r" in layer else {"eta": {"edges": [-1, 1]}, "phi": {"edges": [-1, 1]}}
    with pytest.raises(GeometryError, match=sentence):
        Calorimeter.from_dict({**small.to_dict(), "layers": [{**boxes, **layer}]})


def test_a_read_out_may_have_no_material(small):
    geometry = Calorimeter.from_dict({**small.to_dict(), "stack": []})
    assert geometry.slabs == ()
    assert geometry.depth == small.depth
    assert Calorimeter.from_dict(geometry.to_dict()) == geometry


@pytest.mark.parametrize("name", catalog.names("geometries"))
def test_toml_is_read_as_it_was_written(tmp_path, name):
    geometry = Calorimeter.load(name)
    (tmp_path / "copy.toml").write_text(geometry.to_toml(), encoding="utf-8")
    assert Calorimeter.load(tmp_path / "copy.toml") == geometry


def test_toml_says_once_what_repeats():
    for name, blocks in {"ild_ecal": 2, "ild_hcal": 1, "calochallenge_3": 1, "calogan": 3}.items():
        assert Calorimeter.load(name).to_toml().count("[[layers]]") == blocks
