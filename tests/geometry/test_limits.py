"""Calorimeters that are too large, refused before anything of their size is made."""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from caloforge.errors import GeometryError
from caloforge.geometry import Axis, Calorimeter, Layer, RingLayer
from caloforge.geometry.limits import LONGEST, MOST_CELLS, MOST_LAYERS, MOST_SLABS, check_size

from .conftest import describe

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
def test_too_large_is_refused(change: Change, answer: str) -> None:
    with pytest.raises(GeometryError, match=answer):
        changed(change)


def test_rings_count(calogan: Calorimeter) -> None:
    ring = {"z": [0.0, 1.0], "r": {"bins": 1000, "range": [0.0, 10.0]}, "alpha": 10**6}
    content = {**calogan.to_dict(), "stack": [], "layers": [ring]}
    with pytest.raises(GeometryError, match="cells of all layers: 1,000,000,000"):
        Calorimeter.from_dict(content)


def test_one_layer_too_many_is_refused() -> None:
    content = describe([((0, 1), [0, 1], [0, 1])], stack=[])
    content["layers"] += [{**content["layers"][0], "z": [1, 2], "repeat": MOST_LAYERS}]
    with pytest.raises(GeometryError, match="layers, with repeat written out: 10,001, but at most 10,000"):
        Calorimeter.from_dict(content)


def test_as_many_slabs_as_possible_are_stacked() -> None:
    content = describe([((0, MOST_SLABS), [0, 1], [0, 1])])
    slab = {"material": "G4_Si", "thickness": 0.5, "role": "active"}
    content["stack"] = [{"repeat": MOST_SLABS // 2, "slabs": [slab, {**slab, "thickness": 1.5}]}]
    assert len(Calorimeter.from_dict(content).slabs) == MOST_SLABS
    content["stack"] += [{"repeat": 1, "slabs": [slab]}]
    with pytest.raises(GeometryError, match="slabs, with repeat written out: 10,001, but at most 10,000"):
        Calorimeter.from_dict(content)


def test_a_slab_is_as_thick_as_possible() -> None:
    thick = Calorimeter.from_dict(describe([((0, LONGEST), [0, 1], [0, 1])]))
    assert thick.slabs[0].thickness == thick.depth == LONGEST


TEN, HUNDRED = (Axis.uniform(bins, -1.0, 1.0) for bins in (10, 100))
WIDE = {"bins": 10**4, "range": [-1.0, 1.0]}
LISTED = {"edges": [float(edge) for edge in range(10**4 + 1)]}


@pytest.mark.parametrize(
    "layer",
    [
        {"eta": WIDE, "phi": WIDE},
        {"eta": WIDE, "phi": LISTED},
        {"eta": WIDE, "phi": HUNDRED, "repeat": 100},
        {"r": {"bins": 10**4, "range": [0.0, 1.0]}, "alpha": 10**4},
    ],
)
def test_as_many_cells_as_possible_are_counted(layer: dict[str, Any]) -> None:
    """A cell more is too many: every way to write an axis or a layer counts."""
    content = describe([((0, 1), [0, 1], [0, 1])], stack=[])
    most = {**layer, "z": [0.0, 1.0]}
    assert Calorimeter.from_dict({**content, "layers": [most]}).n_cells == MOST_CELLS
    content["layers"][0]["z"] = [float(layer.get("repeat", 1)), 101.0]
    with pytest.raises(GeometryError, match="cells of all layers: 100,000,001, but at most 100,000,000"):
        Calorimeter.from_dict({**content, "layers": [most, *content["layers"]]})


@pytest.mark.parametrize(
    "last", [Layer((0.0, 1.0), TEN, TEN), RingLayer((0.0, 1.0), Axis.uniform(10, 0.0, 1.0), 10)]
)
def test_the_cells_of_ready_layers_count(last: Layer | RingLayer) -> None:
    content = describe([((0, 1), [0, 1], [0, 1])], stack=[])
    most = {"eta": WIDE, "phi": WIDE, "z": [0.0, 1.0]}
    assert Calorimeter.from_dict({**content, "layers": [last]}).n_cells == 100
    with pytest.raises(GeometryError, match="cells of all layers: 100,000,100, but"):
        Calorimeter.from_dict({**content, "layers": [most, last]})


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (11, "11"),
        (10**15 - 1, "999,999,999,999,999"),
        (10**15, r"1e\+15"),
        (10**400, r"1e\+300"),
    ],
)
def test_a_number_is_written_as_long_as_it_can_be_read(number: int, text: str) -> None:
    with pytest.raises(ValueError, match=f"^bins: {text}, but at most 10 are possible"):
        check_size("bins", number, 10)


def test_as_many_layers_as_possible_are_written_and_read_again() -> None:
    axis = Axis.uniform(1, -1.0, 1.0).to_dict()
    layer = {"repeat": 10**4, "z": [0.0, 0.1], "eta": axis, "phi": axis}
    content = {"name": "a", "description": "", "reference": "", "stack": [], "visible": ["active"]}
    many = Calorimeter.from_dict({**content, "layers": [layer]})
    assert len(many.layers) == 10**4
    assert "repeat = 10000" in many.to_toml()


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
