"""Calorimeters that are too large, refused before anything of their size is made."""

import time
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from caloforge.errors import GeometryError
from caloforge.geometry import Axis, Calorimeter

Change = Callable[[dict[str, Any]], None]


def changed(change: Change) -> Calorimeter:
    content = Calorimeter.load("calogan").to_dict()
    change(content)
    return Calorimeter.from_dict(content)


def bins(number: Any) -> Change:
    return lambda content: content["layers"][0]["eta"].update(bins=number)


def cells(content: dict[str, Any]) -> None:
    for axis in ("eta", "phi"):
        content["layers"][0][axis]["bins"] = 10**5


@pytest.mark.parametrize(
    ("change", "answer"),
    [
        (lambda content: content["stack"][0].update(repeat=10**8), r"200,000,000, but at most 10,000"),
        (lambda content: content["layers"][0].update(repeat=10**8), r"100,000,002, but at most 10,000"),
        (bins(10**9), r"cells of all layers: 3,000,000,216, but at most 100,000,000"),
        (bins(10**6), r"bins: 1,000,000, but at most 100,000"),
        (bins(10**400), r"e\+300, but at most"),
        (cells, r"10,000,000,216, but at most 100,000,000"),
        (lambda content: content["layers"][0].update(z=[0, 10**400]), r"z"),
        (lambda content: content["layers"][0].update(repeat=10**4 - 2, z=[0, 1e308]), r"z must be at most"),
        (lambda content: content["layers"][0]["eta"].update(range=[-1e8, 1e8]), r"from -1e\+07 to 1e\+07"),
        (lambda content: content["layers"][0]["eta"].update(range={"low": 1}), r"edges are numbers of mm"),
        (lambda content: content["stack"][0]["slabs"][0].update(thickness=1e9), r"less than or equal to"),
    ],
)
def test_too_large_is_refused_at_once(change: Change, answer: str) -> None:
    begin = time.monotonic()
    with pytest.raises(GeometryError, match=answer):
        changed(change)
    assert time.monotonic() - begin < 1


def test_rings_count(calogan: Calorimeter) -> None:
    ring = {"z": [0.0, 1.0], "r": {"bins": 1000, "range": [0.0, 10.0]}, "alpha": 10**6}
    content = {**calogan.to_dict(), "stack": [], "layers": [ring]}
    with pytest.raises(GeometryError, match="cells of all layers: 1,000,000,000"):
        Calorimeter.from_dict(content)


def test_as_many_layers_as_possible_are_written_and_read_again() -> None:
    axis = Axis.uniform(1, -1.0, 1.0).to_dict()
    layer = {"repeat": 10**4, "z": [0.0, 0.1], "eta": axis, "phi": axis}
    content = {"name": "a", "description": "", "reference": "", "stack": [], "visible": ["active"]}
    begin = time.monotonic()
    many = Calorimeter.from_dict({**content, "layers": [layer]})
    assert len(many.layers) == 10**4
    assert "repeat = 10000" in many.to_toml()
    assert time.monotonic() - begin < 5


odd = st.one_of(
    st.none(), st.integers(), st.floats(), st.text(max_size=5), st.lists(st.integers(), max_size=3),
    st.dictionaries(st.sampled_from(["bins", "range", "edges", "a"]), st.lists(st.floats(), max_size=3)),
    st.integers(min_value=10**300),
)  # fmt: skip


@given(st.sampled_from(["repeat", "z", "eta", "phi", "r", "alpha", "bins", "range", "edges"]), odd)
def test_nothing_but_a_sentence_comes_out(key: str, value: object) -> None:
    def change(content: dict[str, Any]) -> None:
        place = content["layers"][0]
        (place["eta"] if key in ("bins", "range", "edges") else place)[key] = value

    try:
        changed(change)
    except GeometryError as error:
        assert len(str(error)) < 400  # noqa: PT017
