"""Showers in memory."""

import numpy as np
import pytest

from caloforge.errors import GeometryError, InputError
from caloforge.incident.incident import Incident
from caloforge.showers import Showers


def test_one_value_stands_for_all(calogan):
    showers = Showers(calogan, np.zeros((3, 504)), Incident(22, 50e3))
    assert showers.energy.tolist() == [50e3] * 3
    assert showers.pdg.tolist() == [22] * 3
    assert showers.incident.direction.tolist() == [[0, 0]] * 3
    assert showers.incident.position.tolist() == [[0, 0]] * 3
    assert (showers.cells.dtype, showers.energy.dtype, showers.pdg.dtype) == (
        np.float32,
        np.float64,
        np.int32,
    )


def test_selection(make_showers):
    showers = make_showers(6)
    assert np.array_equal(showers[1:4].energy, showers.energy[1:4])
    assert np.array_equal(
        showers[showers.energy > 3e4].columns["leaked"], showers.columns["leaked"][showers.energy > 3e4]
    )
    assert np.array_equal(showers[[5, 0]].cells, showers.cells[[5, 0]])
    assert np.array_equal(showers[-1].cells, showers.cells[-1:])
    assert len(showers[[]]) == 0
    with pytest.raises(IndexError):
        showers[6]


def test_a_sample_is_equal_to_itself_alone_and_stays_what_it_is(make_showers):
    showers = make_showers(2)
    assert showers != showers[:]
    assert {showers: 1}[showers] == 1
    with pytest.raises(AttributeError, match="cells"):
        showers.cells = showers.cells[:1]


def test_the_first_impossible_cell_is_named(calogan):
    cells = np.zeros((3, 504))
    cells[1, 288 + 144 + 6 + 2] = -0.5
    cells[2, 0] = np.nan
    with pytest.raises(InputError, match=r"Cell 440 \(layer 2, phi 1, eta 2\) of shower 1 is -0.5 MeV"):
        Showers(calogan, cells, Incident(22, 1.0))


def test_cells_are_as_large_as_their_numbers(calogan):
    cells = np.full((1, 504), np.finfo(np.float32).max)
    assert np.array_equal(Showers(calogan, cells, Incident(22, 1.0)).cells, cells)


@pytest.mark.parametrize("value", [np.nan, -1.0, np.inf, 1e39])
def test_an_impossible_cell_is_named(calogan, value):
    cells = np.zeros((3, 504))
    cells[1, 288 + 12 + 5] = value
    with pytest.raises(
        InputError, match=r"Cell 305 \(layer 1, phi 1, eta 5\) of shower 1 is (nan|-1|inf) MeV"
    ):
        Showers(calogan, cells, Incident(22, 1.0))


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"cells": np.zeros((2, 503))}, r"shape \(2, 503\); calogan needs \(showers, 504\)"),
        ({"cells": np.zeros(504)}, "shape"),
        ({"incident": Incident(22, [1.0, 2.0, 3.0])}, "3 incident particles do not fit 2 showers"),
        ({"incident": Incident([], [])}, "0 incident particles do not fit 2 showers"),
        ({"columns": {"a": [1.0]}}, r"column 'a' has shape \(1,\)"),
        ({"columns": {"a": ["x", "y"]}}, "The column 'a' can't hold values of type <U1; give real numbers"),
        ({"columns": {"a/b": [1, 2]}}, "'a/b' can't name"),
        ({"columns": {"a\0": [1, 2]}}, "can't name"),
        ({"columns": {5: [1, 2]}}, "5 can't name"),
        ({"columns": {"": [1, 2]}}, "'' can't name"),
        ({"columns": {".a": [1, 2]}}, "'.a' can't name"),
        (
            {"cells": np.full((2, 504), 1j)},
            "The cells can't hold values of type complex128; give real numbers",
        ),
    ],
)
def test_impossible_showers_are_refused(calogan, changes, sentence):
    fields = {"cells": np.zeros((2, 504)), "incident": Incident(22, 1.0)} | changes
    with pytest.raises(InputError, match=sentence):
        Showers(calogan, **fields)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda showers: showers.cells.__setitem__((1, 3), np.nan), "of shower 1 is nan MeV"),
        (lambda showers: showers.energy.__setitem__(0, -1.0), "energy of shower 0 is -1 MeV"),
        (lambda showers: showers.incident.direction.fill(2.0), "direction of shower 0 is 2, 2 rad"),
        (lambda showers: showers.columns.__setitem__("leaked", np.zeros(3)), r"'leaked' has shape \(3,\)"),
    ],
)
def test_what_was_changed_later_is_found_when_asked_for(make_showers, change, sentence):
    showers = make_showers(2)
    assert np.array_equal(showers.checked().cells, showers.cells)
    change(showers)
    with pytest.raises(InputError, match=sentence):
        showers.checked()


def test_concatenate(make_showers, calogan_fine):
    first, second = make_showers(2), make_showers(3, seed=2)
    both = Showers.concatenate([first, second])
    assert np.array_equal(both.cells, np.concatenate([first.cells, second.cells]))
    assert both.provenance == {"parts": [{"seed": 1}, {"seed": 2}]}
    assert Showers.concatenate([both, first]).provenance == both.provenance
    with pytest.raises(InputError, match="differ in: name"):
        Showers.concatenate([first, make_showers(1, calogan_fine)])
    bare = Showers(first.geometry, first.cells, Incident(22, 1.0))
    with pytest.raises(InputError, match="columns leaked, tries can't be joined with columns none"):
        Showers.concatenate([first, bare])
    with pytest.raises(InputError, match="columns none can't be joined with columns leaked, tries"):
        Showers.concatenate([bare, first])
    with pytest.raises(InputError, match="nothing to join"):
        Showers.concatenate([])


def test_samples_are_joined_whole_and_in_their_order(make_showers):
    whole = make_showers(5)
    for parts in ([whole], [whole[:2], whole[2:]], [whole[:0], whole[:4], whole[4:]]):
        both = Showers.concatenate(parts)
        assert np.array_equal(both.cells, whole.cells)
        assert np.array_equal(both.energy, whole.energy)
        assert np.array_equal(both.columns["leaked"], whole.columns["leaked"])
        assert both.provenance == whole.provenance


def test_of_no_provenance_comes_none(make_showers):
    first = make_showers(1)
    bare = Showers(first.geometry, first.cells, first.incident, first.columns)
    assert Showers.concatenate([bare, bare]).provenance == {}
    assert Showers.concatenate([bare, first, bare]).provenance == first.provenance


def test_rebin_keeps_all_but_the_cells(make_showers, calogan_fine, calogan):
    fine = make_showers(3, calogan_fine)
    coarse = fine.rebin(calogan)
    np.testing.assert_allclose(coarse.layer_energies(), fine.layer_energies(), rtol=1e-6)
    assert np.array_equal(coarse.columns["tries"], fine.columns["tries"])
    assert coarse.provenance == {"seed": 1, "rebinned_from": "calogan_fine"}
    with pytest.raises(GeometryError):
        coarse.rebin(calogan_fine)


def test_a_calorimeter_is_known_by_its_name(calogan):
    showers = Showers("calogan", np.zeros((1, 504)), Incident(22, 1.0))
    assert showers.geometry == calogan
    with pytest.raises(GeometryError, match=r"a TOML file or a Calorimeter, not 7"):
        Showers(7, np.zeros((1, 504)), Incident(22, 1.0))


def test_the_image_of_a_layer_is_its_cells(make_showers):
    showers = make_showers(4)
    for number, image in enumerate(showers.geometry.split(showers.cells)):
        assert np.array_equal(showers.layer(np.int64(number)), image)
    for wrong in (3, -1):
        with pytest.raises(InputError, match=rf"no layer {wrong} .*'calogan': its layers are 0 to 2"):
            showers.layer(wrong)
    with pytest.raises(InputError, match=r"layer is 1.0 \(float\)"):
        showers.layer(1.0)
