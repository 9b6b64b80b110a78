"""The cell edges along one direction of a layer."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from caloforge.errors import GeometryError
from caloforge.geometry import Axis, Calorimeter
from caloforge.geometry.limits import LONGEST, MOST_BINS

from .conftest import describe

EDGES = st.lists(st.integers(-1000, 1000), min_size=2, max_size=12, unique=True).map(
    lambda edges: [edge / 8 for edge in sorted(edges)]
)


@given(
    bins=st.integers(1, 200),
    factor=st.integers(1, 7),
    low=st.decimals(-1000, 1000, places=3),
    width=st.decimals("0.001", 1000, places=3),
)
def test_edges_equal_on_paper_are_equal_bit_for_bit(bins, factor, low, width):
    low, high = float(low), float(low + width)
    coarse, fine = Axis.uniform(bins, low, high), Axis.uniform(bins * factor, low, high)
    assert np.array_equal(fine.edges[::factor], coarse.edges)
    assert (coarse.edges[0], coarse.edges[-1]) == (low, high)


@given(bins=st.integers(1, 300), width=st.decimals("0.01", 1000, places=2).map(float))
def test_a_uniform_grid_around_zero_is_symmetric(bins, width):
    assert Axis.uniform(bins, -width, width).symmetric


def test_an_axis_is_the_same_however_it_is_written(calogan):
    axis = calogan.layers[0].eta
    assert Axis(edges=axis.edges.tolist()) == axis
    assert hash(Axis(edges=axis.edges.tolist())) == hash(axis)
    assert axis.to_dict() == {"bins": 96, "range": [-240.0, 240.0]}
    assert Axis(edges=[0, 1, 3]).to_dict() == {"edges": [0.0, 1.0, 3.0]}


@given(edges=EDGES)
def test_an_axis_is_the_one_that_was_written(edges):
    axis = Axis(edges=edges)
    assert axis.edges.tolist() == edges
    content = describe([((0, 1), edges, edges)])
    content["layers"][0]["eta"] = axis.to_dict()
    assert Calorimeter.from_dict(content).layers[0].eta == axis


def test_axes_of_other_edges_and_other_things_differ():
    axis = Axis(edges=[0, 1, 3])
    for other in (Axis(edges=[0, 2, 3]), Axis(edges=[0, 1]), [0, 1, 3], "axis", None):
        assert axis != other


@given(edges=EDGES)
def test_the_middle_of_a_cell_is_as_far_from_both_edges(edges):
    axis = Axis(edges=edges)
    np.testing.assert_array_equal(axis.middles - axis.edges[:-1], axis.edges[1:] - axis.middles)


@given(edges=EDGES)
def test_an_axis_is_symmetric_if_its_mirror_image_is_itself(edges):
    mirrored = sorted(-edge for edge in edges)
    assert Axis(edges=edges).symmetric == (mirrored == edges)
    assert Axis(edges=sorted({*edges, *mirrored})).symmetric


@given(data=st.data(), edges=EDGES)
@settings(max_examples=40)
def test_finer_bins_lie_in_the_bin_that_contains_them(data, edges):
    kept = data.draw(st.sets(st.sampled_from(edges))) | {edges[0], edges[-1]}
    fine, coarse = Axis(edges=edges), Axis(edges=sorted(kept))
    around = coarse.containing(fine, "coarse", "fine")
    assert (coarse.edges[around] <= fine.edges[:-1]).all()
    assert (fine.edges[1:] <= coarse.edges[around + 1]).all()


@pytest.mark.parametrize(
    ("edges", "sentence"),
    [
        ([0, 0.5, 1.5, 4], "here: the edge at 0.5 mm is not an edge of fine"),
        ([1, 2, 4], "here: the edges span 1 to 4 mm, those of fine 0 to 4 mm"),
        ([0, 1, 2], "here: the edges span 0 to 2 mm, those of fine 0 to 4 mm"),
    ],
)
def test_what_does_not_fit_a_finer_axis_is_named(edges, sentence):
    with pytest.raises(GeometryError, match=sentence):
        Axis(edges=edges).containing(Axis(edges=[0, 1, 2, 4]), "here", "fine")


def test_edges_reach_as_far_as_allowed_and_no_further():
    assert Axis(edges=[-LONGEST, LONGEST]).n == 1
    beyond = np.nextafter(LONGEST, np.inf)
    for edges in ([-beyond, 0.0], [0.0, beyond]):
        with pytest.raises(ValueError, match="finite numbers of mm"):
            Axis(edges=edges)


def test_an_axis_has_as_many_bins_as_allowed_and_no_more():
    assert Axis(edges=np.arange(MOST_BINS + 1.0)).n == MOST_BINS
    with pytest.raises(ValueError, match="bins: 100,001, but at most 100,000"):
        Axis(edges=np.arange(MOST_BINS + 2.0))
    with pytest.raises(ValueError, match="bins: 100,001, but at most 100,000"):
        Axis.uniform(MOST_BINS + 1, 0.0, 1.0)


def test_one_bin_is_enough():
    content = describe([((0, 1), [0, 1], [0, 1])])
    content["layers"][0]["eta"] = {"bins": 1, "range": [0, 1]}
    assert Calorimeter.from_dict(content).layers[0].eta == Axis(edges=[0, 1])


@pytest.mark.parametrize(
    ("edges", "sentence"),
    [
        ([0, 0.5, 1, 0.75, 0.5], "1 mm is followed by 0.75 mm"),
        ([0, 2, 2, 1], "2 mm is followed by 2 mm"),
        ([3, 2, 4], "3 mm is followed by 2 mm"),
    ],
)
def test_the_first_edge_that_does_not_ascend_is_named(edges, sentence):
    with pytest.raises(ValueError, match=sentence):
        Axis(edges=edges)


def test_edges_can_not_be_changed(calogan):
    with pytest.raises(ValueError, match="read-only"):
        calogan.layers[0].eta.edges[0] = 1


@pytest.mark.parametrize(
    ("axis", "sentence"),
    [
        ({"bins": 0, "range": [0, 1]}, "at least 1"),
        ({"bins": 2.5, "range": [0, 1]}, "at least 1"),
        ({"bins": True, "range": [0, 1]}, "at least 1"),
        ({"bins": 2, "range": [1, 0]}, "1 mm is followed by 0 mm"),
        ({"bins": 2, "range": [0, 1, 2]}, r"range = \[low, high\]"),
        ({"bins": 2, "rang": [0, 1]}, "found: bins, rang"),
        ({"bins": 2, "range": [0, 1], "edges": [0, 1]}, "either bins and range"),
        ({"edges": [0, 2, 2]}, "2 mm is followed by 2 mm"),
        ({"edges": [0]}, "at least two edges"),
        ({"edges": [[0, 1], [2, 3]]}, "at least two edges"),
        ({"edges": 1}, "at least two edges"),
        ({"edges": [0, float("nan")]}, "finite"),
        ({"edges": ["a", "b"]}, "eta"),
        ({}, "found: nothing"),
    ],
)
def test_a_wrong_axis_is_refused(axis, sentence, calogan):
    content = calogan.to_dict()
    content["layers"][0]["eta"] = axis
    with pytest.raises(GeometryError, match=sentence):
        Calorimeter.from_dict(content)


def test_equal_axes_have_equal_hashes_whatever_the_sign_of_zero() -> None:
    one, other = Axis([-1.0, -0.0, 1.0]), Axis([-1.0, 0.0, 1.0])
    assert one == other
    assert hash(one) == hash(other)
