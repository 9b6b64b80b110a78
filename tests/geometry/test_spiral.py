"""Cells as a sequence, and which read-outs are segmentations of the same layers."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from caloforge import catalog
from caloforge.errors import GeometryError
from caloforge.geometry import Axis, Calorimeter, Layer
from caloforge.geometry.spiral import check_segmentation, spiral, spiral_inputs

AXES = st.lists(st.integers(-50, 50), min_size=2, max_size=12, unique=True).map(
    lambda edges: Axis([float(edge) for edge in sorted(edges)])
)
ARM = [name for name in catalog.names("geometries") if name.startswith("arm_")]


@given(AXES, AXES)
def test_every_cell_comes_once_and_the_one_around_the_axis_first(eta: Axis, phi: Axis) -> None:
    layer = Layer((0.0, 1.0), eta, phi)
    order = spiral(layer)
    assert np.array_equal(np.sort(order), np.arange(layer.n_cells))
    for axis, place in ((phi, order[0] // layer.n_eta), (eta, order[0] % layer.n_eta)):
        low, high = axis.edges[place : place + 2]
        around_or_at_an_end = low <= 0 < high or place == (0 if axis.edges[0] > 0 else axis.n - 1)
        assert around_or_at_an_end


@given(st.integers(1, 9), st.integers(1, 9))
def test_no_cell_comes_before_one_of_an_inner_square(columns: int, rows: int) -> None:
    eta, phi = (Axis(np.arange(n + 1.0) - n // 2) for n in (columns, rows))
    layer = Layer((0.0, 1.0), eta, phi)
    row, column = np.divmod(spiral(layer), columns)
    distance = np.maximum(abs(row - row[0]), abs(column - column[0]))
    assert (np.diff(distance) >= 0).all()


def test_it_turns_counter_clockwise_through_neighbours() -> None:
    axis = Axis(np.arange(8.0) - 3.5)
    row, column = np.divmod(spiral(Layer((0.0, 1.0), axis, axis)), 7)
    steps = np.stack([np.diff(column), np.diff(row)], axis=1)
    assert (abs(steps).sum(axis=1) == 1).all()
    turns = steps[:-1, 0] * steps[1:, 1] - steps[:-1, 1] * steps[1:, 0]
    assert set(turns.tolist()) == {0, 1}  # straight on, or to the left


@pytest.mark.parametrize("name", ARM)
def test_the_sequence_of_all_layers_is_undone_by_the_order(name: str) -> None:
    calorimeter = Calorimeter.load(name)
    inputs = spiral_inputs(calorimeter)
    sequence = [
        first + spiral(layer) for layer, first in zip(calorimeter.layers, calorimeter.offsets, strict=False)
    ]
    cells = np.arange(calorimeter.n_cells)
    assert np.array_equal(cells[np.concatenate(sequence)][inputs["order"]], cells)


@pytest.mark.parametrize("name", ARM)
def test_the_sizes_cover_the_layer(name: str) -> None:
    inputs = spiral_inputs(Calorimeter.load(name))
    for number in range(3):
        assert inputs[f"cells_{number}"][:, 2:].prod(axis=1).sum() == pytest.approx(480.0**2)


def test_large_cells_stay_large_in_the_transition_region() -> None:
    layer = Calorimeter.load("arm_48x4_36x48").layers[1]
    cells = spiral_inputs(Calorimeter.load("arm_48x4_36x48"))["cells_1"]
    assert np.array_equal(cells[:, 0], layer.centres[0].ravel()[spiral(layer)])
    assert np.array_equal(cells[:, 1], layer.centres[1].ravel()[spiral(layer)])
    assert np.array_equal(cells[:, 2], np.where(cells[:, 0] < 0, 20.0, 10.0))


@pytest.mark.parametrize("name", ARM)
def test_segmentations_of_the_same_layers_are_accepted(name: str) -> None:
    check_segmentation(Calorimeter.load(name), Calorimeter.load("calogan_fine"))


def changed(name: str, **changes: object) -> Calorimeter:
    return dataclasses.replace(Calorimeter.load(name), **changes)


def test_anything_else_is_refused_in_a_sentence_that_says_what_was_trained() -> None:
    calogan = Calorimeter.load("calogan")
    other_depth = changed(
        "calogan", layers=(Layer((0.0, 480.0), calogan.layers[0].eta, calogan.layers[0].phi),)
    )
    narrow = dataclasses.replace(calogan.layers[0], eta=Axis([-10.0, 10.0]))
    cases = {
        "rings": Calorimeter.load("calochallenge_2"),
        "other materials": changed("calogan", visible=("active",)),
        "layers of .* 0 to 480 mm, not 0 to 90 mm": other_depth,
        "spans another area": changed("calogan", layers=(narrow, *calogan.layers[1:])),
    }
    for words, geometry in cases.items():
        with pytest.raises(GeometryError, match=words):
            check_segmentation(geometry, calogan)


def test_as_many_cells_as_were_trained_are_accepted_and_no_more() -> None:
    calogan = Calorimeter.load("calogan")
    check_segmentation(calogan, calogan, [288, 144, 72])
    with pytest.raises(GeometryError, match=r"Layer 1 of calogan has 144 cells, but .* at most 143"):
        check_segmentation(calogan, calogan, [288, 143, 72])
