"""Cutting a calorimeter in two until its parts are its cells."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from caloforge.errors import GeometryError
from caloforge.geometry import Axis, Calorimeter, Layer, Slab, Stack
from caloforge.geometry.splits import Round, rounds

AXES = st.lists(st.integers(-50, 50), min_size=2, max_size=9, unique=True).map(
    lambda edges: Axis([float(edge) for edge in sorted(edges)])
)


@st.composite
def calorimeters(draw: st.DrawFn) -> Calorimeter:
    n = draw(st.integers(1, 5))
    layers = tuple(Layer((10.0 * z, 10.0 * (z + 1)), draw(AXES), draw(AXES)) for z in range(n))
    return Calorimeter("any", "", "", (Stack(n, (Slab("G4_Si", 10.0, "active"),)),), ("active",), layers)


def undone(cells: np.ndarray, every: list[Round]) -> list[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """What the parts, first and second halves of every round hold, from the first round on."""
    found = []
    for one in reversed(every):
        after = cells[:, np.argsort(one.order)]
        n = len(one.parts)
        first, second = after[:, :n], after[:, n : 2 * n]
        cells = np.empty((len(cells), n + len(one.whole)))
        cells[:, one.parts], cells[:, one.whole] = first + second, after[:, 2 * n :]
        found.append((cells, first, second))
    return found[::-1]


def measures(calorimeter: Calorimeter) -> np.ndarray:
    """Area, and area times eta and phi, of all cells."""
    found = []
    for layer in calorimeter.layers:
        area = np.outer(np.diff(layer.phi.edges), np.diff(layer.eta.edges)).ravel()
        eta, phi = (each.ravel() for each in layer.centres)
        found.append([area, area * eta, area * phi])
    return np.concatenate(found, axis=1)


@given(calorimeters())
def test_rounds_lead_from_the_whole_to_the_cells_in_their_order(calorimeter: Calorimeter) -> None:
    every = rounds(calorimeter)
    assert sum(len(one.parts) for one in every) == calorimeter.n_cells - 1
    found = undone(measures(calorimeter), every)
    whole = found[0][0] if found else measures(calorimeter)
    np.testing.assert_allclose(whole.sum(axis=1), measures(calorimeter).sum(axis=1), atol=1e-6)
    assert whole.shape[1] == 1
    for one, (parts, _, _) in zip(every, found, strict=True):
        if one.offsets:
            area, eta, phi = parts
            np.testing.assert_allclose(one.centres, np.stack([eta / area, phi / area], axis=1), atol=1e-4)
            assert one.offsets[-1] == len(area)
        assert sum(one.turns) == len(one.parts)


@given(calorimeters())
def test_halves_are_side_by_side_and_neither_is_empty(calorimeter: Calorimeter) -> None:
    every = rounds(calorimeter)
    for one, (_, first, second) in zip(every, undone(measures(calorimeter), every), strict=True):
        assert (first[0] > 0).all()
        assert (second[0] > 0).all()
        if one.offsets:
            steps = second[1:] / second[0] - first[1:] / first[0]
            moved = np.abs(steps) > 1e-9
            assert (moved.sum(axis=0) == 1).all()
            assert (steps[moved] > 0).all()


@given(calorimeters())
def test_a_part_sees_itself_first_and_others_once_in_its_layer(calorimeter: Calorimeter) -> None:
    for one in rounds(calorimeter):
        m = len(one.parts) + len(one.whole)
        assert np.array_equal(one.seen[:, 0], one.parts)
        assert ((one.seen >= 0) & (one.seen <= m)).all()
        for row in one.seen[:, :11]:
            real = row[row < m]
            assert len(set(real)) == len(real)


def test_neighbours_lie_around_a_part_and_layers_behind_at_its_place() -> None:
    one = rounds(Calorimeter.load("calogan_fine"))[-3]
    middle = int(np.flatnonzero((one.seen < len(one.centres)).all(axis=1))[0])
    own = one.centres[one.seen[middle, 0]]
    steps = one.centres[one.seen[middle, 1:11]] - own
    along = int(np.argmax(np.abs(steps[0])))
    assert (np.sign(steps[:4, along]) == [-1, 1, -1, 1]).all()
    assert (np.abs(steps[2:4, along]) > np.abs(steps[:2, along])).all()
    assert (steps[:4, 1 - along] == 0).all()
    assert (np.sign(steps[4:6, 1 - along]) == [-1, 1]).all()


def test_calorimeters_with_rings_are_refused() -> None:
    with pytest.raises(GeometryError, match="has rings; only layers of boxes"):
        rounds(Calorimeter.load("calochallenge_2"))


def test_mirrored_parts_are_cut_alike() -> None:
    axis = Axis.uniform(24, -240.0, 240.0)
    layer = Layer((0.0, 10.0), axis, axis)
    calorimeter = Calorimeter(
        "one", "", "", (Stack(1, (Slab("G4_Si", 10.0, "active"),)),), ("active",), (layer,)
    )
    for one in rounds(calorimeter):
        centres = {tuple(each) for each in one.centres[one.parts].round(3).tolist()}
        assert centres == {(-eta + 0.0, phi) for eta, phi in centres}
