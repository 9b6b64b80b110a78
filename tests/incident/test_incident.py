"""The incident particles of showers."""

import doctest

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from caloforge.errors import InputError
from caloforge.incident import incident as module
from caloforge.incident.incident import FIELDS, Incident


def same(first: Incident, second: Incident) -> bool:
    pairs = [(getattr(first, name), getattr(second, name)) for name in FIELDS]
    return all(one.dtype == other.dtype and np.array_equal(one, other) for one, other in pairs)


def between(low: float, high: float) -> st.SearchStrategy[float]:
    return st.floats(low, high, width=32)


def directions(n: int) -> st.SearchStrategy[np.ndarray]:
    theta = arrays.arrays(np.float32, n, elements=between(0, 1.5))
    phi = arrays.arrays(np.float32, n, elements=between(-6.25, 6.25))
    return st.tuples(theta, phi).map(np.column_stack)


@st.composite
def particles(draw: st.DrawFn, least: int = 0) -> Incident:
    n = draw(st.integers(least, 6))
    return Incident(
        draw(arrays.arrays(np.int32, n, elements=st.integers(-(2**31) + 1, 2**31 - 1))),
        draw(arrays.arrays(np.float64, n, elements=st.floats(1e-300, 1e300))),
        draw(directions(n)),
        draw(arrays.arrays(np.float32, (n, 2), elements=between(-1e6, 1e6))),
    )


def test_the_examples_of_the_docstrings() -> None:
    found = doctest.testmod(module)
    assert found.attempted > 0
    assert found.failed == 0


def test_a_particle_is_perpendicular_and_central_unless_told_otherwise() -> None:
    incident = Incident(22, 5e4)
    assert len(incident) == 1
    assert [getattr(incident, name).tolist() for name in FIELDS] == [[22], [5e4], [[0, 0]], [[0, 0]]]
    assert [getattr(incident, name).dtype for name in FIELDS] == [
        np.int32,
        np.float64,
        np.float32,
        np.float32,
    ]


SEVERAL = {
    "pdg": [11, -11, 22],
    "energy": [1.0, 2.0, 3.0],
    "direction": [[0.0, 0.1], [0.2, 0.3], [0.4, 0.5]],
    "position": [[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]],
}
ONE = {"pdg": 22, "energy": 1e4, "direction": (0.1, 0.2), "position": (3.0, 4.0)}


@given(single=st.sets(st.sampled_from(FIELDS), max_size=3))
def test_one_value_stands_for_all(single: set[str]) -> None:
    incident = Incident(**{name: (ONE if name in single else SEVERAL)[name] for name in FIELDS})
    assert len(incident) == 3
    for name in FIELDS:
        expected = np.broadcast_to(ONE[name], np.shape(SEVERAL[name])) if name in single else SEVERAL[name]
        np.testing.assert_array_equal(
            getattr(incident, name), np.asarray(expected, getattr(incident, name).dtype)
        )


def test_two_directions_of_one_particle_are_two_particles() -> None:
    assert len(Incident(22, 1e4, [(0.0, 0.0), (0.1, 0.0)])) == 2
    assert len(Incident(22, 1e4, position=[(1.0, 2.0)])) == 1


@pytest.mark.parametrize("empty", FIELDS)
def test_none_are_possible(empty: str) -> None:
    shape = (0,) if empty in ("pdg", "energy") else (0, 2)
    incident = Incident(**(ONE | {empty: np.zeros(shape)}))
    assert len(incident) == 0
    assert same(incident, Incident([], []))


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"pdg": [22]}, "one value each, or a single one for all, but here are 1 of pdg, 2 of energy"),
        ({"direction": [(0, 0)] * 3}, "2 of energy, 3 of direction"),
        ({"position": [(0, 0)] * 3}, "2 of energy, 3 of position"),
        ({"position": np.zeros((0, 2))}, "2 of energy, 0 of position"),
        (
            {"energy": [[1.0], [2.0]]},
            r"energy has shape \(2, 1\); one for each shower has \(2,\), one for all \(\)",
        ),
        (
            {"direction": (0, 0, 0)},
            r"direction has shape \(3,\); one for each shower has \(2, 2\), one for all \(2,\)",
        ),
        ({"direction": 0.5}, r"direction has shape \(\)"),
        ({"position": [(0, 0, 0)] * 2}, r"position has shape \(2, 3\)"),
        ({"pdg": 22.5}, "whole numbers, not float64"),
        ({"pdg": True}, "whole numbers, not bool"),
        ({"pdg": ["e-", "e+"]}, "The pdg can't hold values of type <U2; give real numbers"),
        ({"pdg": [2**200]}, "The pdg can't hold values other than plain numbers"),
        ({"energy": [1j, 2.0]}, "The energy can't hold values of type complex128; give real numbers"),
        ({"energy": [[1.0], [2.0, 3.0]]}, "The energy has parts of different lengths"),
        ({"pdg": [22, 10**10]}, "pdg of shower 1 is 10000000000; PDG ids end at 2147483647"),
        ({"pdg": [22, -(10**10)]}, "pdg of shower 1 is -10000000000"),
        ({"energy": [1.0, 0.0]}, "energy of shower 1 is 0 MeV"),
        ({"energy": [-2.5, 0.0]}, "energy of shower 0 is -2.5 MeV"),
        ({"energy": [np.nan, 1.0]}, "energy of shower 0 is nan MeV"),
        ({"energy": [1.0, np.inf]}, "energy of shower 1 is inf MeV"),
        ({"direction": (0.0, np.inf)}, "direction of shower 0 is 0, inf; give finite theta and phi in rad"),
        ({"direction": [(0, 0), (np.nan, 1)]}, "direction of shower 1 is nan, 1"),
        (
            {"direction": [(0, 0), (100, 0)]},
            r"direction of shower 1 is 100, 0 rad; theta is from 0 \(perpendicular\) to below pi / 2",
        ),
        ({"direction": (-0.1, 0)}, "direction of shower 0 is -0.1"),
        ({"direction": (np.pi / 2, 0)}, "to below pi / 2"),
        ({"direction": (0.1, 6.3)}, "direction of shower 0 is 0.1.*, 6.3.* rad"),
        ({"position": [(0, 0), (1e300, 1)]}, "position of shower 1 is inf, 1; give finite eta and phi in mm"),
    ],
)
def test_impossible_particles_are_refused(changes: dict[str, object], sentence: str) -> None:
    fields: dict[str, object] = {"pdg": 22, "energy": [1.0, 2.0]} | changes
    with pytest.raises(InputError, match=sentence):
        Incident(**fields)  # type: ignore[arg-type]


@given(incident=particles(), data=st.data())
def test_parts_in_their_order_are_the_whole(incident: Incident, data: st.DataObject) -> None:
    cuts = sorted(data.draw(st.lists(st.integers(0, len(incident)), max_size=4)))
    bounds = zip([0, *cuts], [*cuts, len(incident)], strict=True)
    parts = [incident[start:stop] for start, stop in bounds]
    assert same(Incident.concatenate(parts), incident)


@given(incident=particles(least=1), data=st.data())
def test_numbers_and_masks_select(incident: Incident, data: st.DataObject) -> None:
    mask = np.array(data.draw(st.lists(st.booleans(), min_size=len(incident), max_size=len(incident))))
    assert same(incident[mask], incident[np.flatnonzero(mask)])
    assert same(incident[mask], incident[np.flatnonzero(mask).tolist()])
    assert same(incident[-1], incident[len(incident) - 1 :])
    with pytest.raises(IndexError):
        incident[len(incident)]


def test_no_parts_can_not_be_joined() -> None:
    with pytest.raises(InputError, match="no incident particles to join"):
        Incident.concatenate([])


@given(incident=particles(), n=st.integers(0, 8))
def test_only_one_particle_is_repeated(incident: Incident, n: int) -> None:
    if len(incident) == n:
        assert incident.repeated(n) is incident
    elif len(incident) == 1:
        assert same(incident.repeated(n), incident[[0] * n])
    else:
        with pytest.raises(InputError, match=f"{len(incident)} incident particles do not fit {n} showers"):
            incident.repeated(n)


@given(incident=particles())
def test_directions_are_unit_vectors(incident: Incident) -> None:
    vectors = incident.unit_direction
    assert vectors.shape == (len(incident), 3)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1.0, rtol=1e-14)
    theta, phi = incident.direction.astype(float).T
    np.testing.assert_allclose(vectors[:, 2], np.cos(theta), rtol=1e-14, atol=1e-16)
    np.testing.assert_allclose(vectors[:, 0], np.sin(theta) * np.cos(phi), rtol=1e-14, atol=1e-16)


def test_directions_are_along_eta_phi_and_z() -> None:
    eighth, quarter = np.pi / 4, np.pi / 2
    vectors = Incident(22, 1.0, [(0, 0), (eighth, 0), (eighth, quarter), (eighth, -quarter)]).unit_direction
    expected = [(0, 0, 1), (1, 0, 1), (0, 1, 1), (0, -1, 1)]
    np.testing.assert_allclose(vectors, expected / np.linalg.norm(expected, axis=1)[:, None], atol=1e-7)


@pytest.mark.parametrize("turn", [-2 * np.pi, 2 * np.pi])
def test_a_whole_turn_is_possible_though_float32_rounds_it_up(turn: float) -> None:
    assert Incident(22, 1.0, (0.1, turn)).direction[0, 1] == np.float32(turn)
