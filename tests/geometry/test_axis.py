"""The cell edges along one direction of a layer."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from caloforge.errors import GeometryError
from caloforge.geometry import Axis, Calorimeter


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
