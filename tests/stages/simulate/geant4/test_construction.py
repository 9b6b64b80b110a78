from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from caloforge.errors import GeometryError
from caloforge.geometry import Axis, Calorimeter, RingLayer
from caloforge.stages.simulate.geant4 import construction

CALOGAN = Calorimeter.load("calogan")

axes = st.builds(
    lambda start, widths: Axis(np.cumsum([start, *(n / 8 for n in widths)])),
    st.integers(-50, 50),
    st.lists(st.integers(1, 3), min_size=1, max_size=12),
)


def calorimeter(tenths: list[int], cut: float) -> Calorimeter:
    """Slabs (1/10 mm) that alternate between two materials, read out in two layers that meet at a depth."""
    materials = [("G4_W", "absorber"), ("G4_Si", "active")]
    plates = [
        {"material": materials[i % 2][0], "role": materials[i % 2][1], "thickness": tenth / 10}
        for i, tenth in enumerate(tenths)
    ]
    depth = sum(tenths) / 10
    axis = {"bins": 4, "range": [-40.0, 40.0]}
    return Calorimeter.from_dict(
        {
            "name": "test",
            "description": "",
            "reference": "",
            "visible": ["active"],
            "stack": [{"repeat": 1, "slabs": plates}],
            "layers": [
                {"z": [0.0, cut], "eta": axis, "phi": axis},
                {"z": [cut, depth], "eta": axis, "phi": axis},
            ],
        }
    )


def test_layers_of_calogan_hold_the_stack_once() -> None:
    parts = [piece for layer in range(3) for piece in construction.pieces(CALOGAN, layer)]
    lead = sum(piece.high - piece.low for piece in parts if piece.material == "G4_Pb")
    argon = sum(piece.high - piece.low for piece in parts if piece.material == "G4_lAr")
    assert (lead, argon) == (pytest.approx(160), pytest.approx(320))
    # 437 mm lies in the argon of the 73rd pair: that slab is in two layers.
    assert len(parts) == 161
    assert construction.pieces(CALOGAN, 2)[0] == construction.Piece(437, 438, "G4_lAr", "active")


@given(st.lists(st.integers(1, 50), min_size=2, max_size=9), st.data())
def test_pieces_fill_each_layer_without_gaps(tenths: list[int], data: st.DataObject) -> None:
    cut = data.draw(st.integers(1, sum(tenths) - 1)) / 10
    made = calorimeter(tenths, cut)
    for number, layer in enumerate(made.layers):
        parts = construction.pieces(made, number)
        assert parts[0].low == pytest.approx(layer.z[0])
        assert parts[-1].high == pytest.approx(layer.z[1])
        assert all(a.high == pytest.approx(b.low) for a, b in pairwise(parts))


@given(axes)
def test_widths_fill_an_axis(axis: Axis) -> None:
    np.testing.assert_array_equal(np.cumsum([axis.edges[0], *construction.widths(axis)]), axis.edges)
    assert construction.span(axis) == (sum(construction.widths(axis)), (axis.edges[0] + axis.edges[-1]) / 2)


def test_rounding_makes_no_widths() -> None:
    assert set(construction.widths(CALOGAN.layers[0].eta)) == {5.0}
    assert len(set(construction.widths(Axis.uniform(90, -0.7, 0.2)))) == 1
    thirds = Axis([0, *(i / 3 for i in range(1, 40)), 100])
    assert len(set(construction.widths(thirds))) == 2


@given(st.integers(1, 20), st.integers(1, 5))
def test_every_ring_cell_has_its_copy_numbers(sectors: int, rings: int) -> None:
    layer = RingLayer((0.0, 1.0), Axis.uniform(rings, 0, 10), sectors)
    cells = construction.ring_cells(layer)
    eta, phi = (coordinate.ravel() for coordinate in layer.centres)
    angle = np.arctan2(eta, phi)  # from x to y; the first sector begins at -90 degrees
    number = np.floor((angle + np.pi / 2) / (2 * np.pi) % 1 * sectors).astype(int)
    ring = np.searchsorted(layer.r.edges, np.hypot(eta, phi)) - 1
    np.testing.assert_array_equal(cells[number, ring, 0], np.arange(layer.n_cells))


def test_layers_that_are_cut_alike_are_one_block() -> None:
    assert construction.blocks(CALOGAN) == [range(1), range(1, 2), range(2, 3)]
    assert construction.blocks(Calorimeter.load("ild_ecal")) == [range(30)]
    assert construction.blocks(Calorimeter.load("calochallenge_2")) == [range(45)]


def test_a_read_out_without_material_is_refused() -> None:
    bare = Calorimeter.from_dict(CALOGAN.to_dict() | {"stack": []})
    with pytest.raises(GeometryError, match="calogan is a read-out without material"):
        construction.check(bare)
    construction.check(CALOGAN)
