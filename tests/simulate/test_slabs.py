from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from caloforge.errors import GeometryError
from caloforge.geometry import Calorimeter
from caloforge.simulate import slabs

CALOGAN = Calorimeter.load("calogan")


def calorimeter(tenths: list[int], cut: float, eta: dict[str, object] | None = None) -> Calorimeter:
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
                {"z": [0.0, cut], "eta": eta or axis, "phi": axis},
                {"z": [cut, depth], "eta": axis, "phi": axis},
            ],
        }
    )


def test_layers_of_calogan_hold_the_stack_once() -> None:
    parts = [piece for layer in range(3) for piece in slabs.pieces(CALOGAN, layer)]
    lead = sum(piece.high - piece.low for piece in parts if piece.material == "G4_Pb")
    argon = sum(piece.high - piece.low for piece in parts if piece.material == "G4_lAr")
    assert (lead, argon) == (pytest.approx(160), pytest.approx(320))
    # 437 mm lies in the argon of the 73rd pair: that slab is in two layers.
    assert len(parts) == 161
    assert slabs.pieces(CALOGAN, 2)[0] == slabs.Piece(437, 438, "G4_lAr", "active")


@given(st.lists(st.integers(1, 50), min_size=2, max_size=9), st.data())
def test_pieces_fill_each_layer_without_gaps(tenths: list[int], data: st.DataObject) -> None:
    cut = data.draw(st.integers(1, sum(tenths) - 1)) / 10
    made = calorimeter(tenths, cut)
    for number, layer in enumerate(made.layers):
        parts = slabs.pieces(made, number)
        assert parts[0].low == pytest.approx(layer.z[0])
        assert parts[-1].high == pytest.approx(layer.z[1])
        assert all(a.high == pytest.approx(b.low) for a, b in pairwise(parts))


def test_uneven_cells_are_refused_with_the_axis_named() -> None:
    uneven = calorimeter([10, 10], 1.0, eta={"edges": [-40.0, -20.0, 40.0]})
    with pytest.raises(GeometryError, match=r"test, layer 0, eta: the cells are 20 to 60 mm wide"):
        slabs.check(uneven)
    slabs.check(CALOGAN)


def test_span_and_pitch() -> None:
    axis = CALOGAN.layers[0].eta
    assert slabs.span(axis) == (480, 0)
    assert slabs.pitch(axis) == 5
