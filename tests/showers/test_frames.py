"""Showers as awkward arrays and data frames: nothing is lost, and everything is where it says."""

import sys

import numpy as np
import pytest

from caloforge.errors import InputError, MissingExtra
from caloforge.geometry import Axis, Calorimeter, Layer, RingLayer
from caloforge.incident.incident import Incident
from caloforge.showers import Showers, frames

LAYERS = (
    RingLayer((0.0, 1.0), Axis([0.0, 5.0, 20.0]), 3),
    Layer((1.0, 4.0), Axis.uniform(2, -10, 10), Axis.uniform(3, -30, 30)),
)
MIXED = Calorimeter("mixed", "for tests", "none", (), ("active",), LAYERS)


@pytest.fixture
def two() -> Showers:
    """Return a shower with energy in one cell of each layer, and an empty one."""
    cells = np.zeros((2, MIXED.n_cells))
    cells[0, 1] = 5.0  # sector 0, ring 1
    cells[0, 6 + 2 * 2 + 1] = 7.0  # phi 2, eta 1
    incident = Incident([22, -11], [1e3, 2e3], [(0.1, 0.2), (0.3, 0.4)], [(1, 2), (3, 4)])
    return Showers(MIXED, cells, incident, {"leaked": np.array([1, 2], ">i4"), "energy": [8.0, 9.0]})


def test_hits_are_where_their_cells_are(two: Showers) -> None:
    pytest.importorskip("pandas")
    frame = two.to_pandas()
    assert frame.index.tolist() == [(0, 0), (0, 1)]
    assert frame[["layer", "row", "column", "energy", "z"]].values.tolist() == [
        [0, 0, 1, 5.0, 0.5],
        [1, 2, 1, 7.0, 2.5],
    ]
    ring = 12.5 * np.exp(1j * (-np.pi + np.pi / 3))
    np.testing.assert_allclose(frame[["eta", "phi"]].values, [[ring.real, ring.imag], [5.0, 20.0]])


def test_hits_are_numbered_within_their_shower() -> None:
    pytest.importorskip("pandas")
    cells = np.zeros((4, MIXED.n_cells))
    cells[0, [1, 3]], cells[2, [0, 4, 7]], cells[3, 2] = 1.0, 2.0, 3.0
    frame = Showers(MIXED, cells, Incident(22, 1e3)).to_pandas()
    assert frame.index.tolist() == [(0, 0), (0, 1), (2, 0), (2, 1), (2, 2), (3, 0)]


def test_rows_of_showers_hold_the_particles_and_the_columns(two: Showers) -> None:
    pytest.importorskip("pandas")
    frame = two.to_pandas("showers")
    assert frame.index.name == "shower"
    assert frame.pdg.tolist() == [22, -11]
    assert frame.energy.tolist() == [1e3, 2e3]
    assert frame.column_energy.tolist() == [8.0, 9.0]
    assert frame.leaked.tolist() == [1, 2]
    np.testing.assert_allclose(frame.direction_phi, [0.2, 0.4], rtol=1e-6)
    assert frame.position_eta.tolist() == [1, 3]
    with pytest.raises(InputError, match="'hits' or 'showers', not 'cells'"):
        two.to_pandas("cells")  # type: ignore[arg-type]


def test_records_hold_particles_and_ragged_hits(two: Showers) -> None:
    pytest.importorskip("awkward")
    records = two.to_awkward()
    assert records.pdg.tolist() == [22, -11]
    assert records.hits.energy.tolist() == [[5.0, 7.0], []]
    assert records.hits.row.tolist() == [[0, 2], []]
    assert records.columns.leaked.tolist() == [1, 2]
    assert records.position.tolist() == [{"eta": 1.0, "phi": 2.0}, {"eta": 3.0, "phi": 4.0}]
    np.testing.assert_allclose(records.direction.theta.tolist(), [0.1, 0.3], rtol=1e-6)


def test_no_showers_are_empty_tables(two: Showers) -> None:
    pytest.importorskip("awkward")
    pytest.importorskip("pandas")
    assert len(two[[]].to_awkward()) == len(two[[]].to_pandas()) == len(two[[]].to_pandas("showers")) == 0


def test_the_libraries_are_not_needed_before_they_are_asked_for() -> None:
    assert not {"ak", "pd"} & vars(frames).keys()


@pytest.mark.parametrize(("library", "method"), [("awkward", "to_awkward"), ("pandas", "to_pandas")])
def test_a_missing_library_is_named(
    two: Showers, monkeypatch: pytest.MonkeyPatch, library: str, method: str
) -> None:
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(MissingExtra, match=rf"needs {library}.*caloforge\[frames\]"):
        getattr(two, method)()
