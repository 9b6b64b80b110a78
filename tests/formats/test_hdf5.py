"""What the foreign layouts share: shapes, units, batches and what a file that does not say it is read as."""

from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from caloforge import resources
from caloforge.errors import InputError, ShowerFileError
from caloforge.formats._hdf5 import HDF5Format, grow, shape_fault, to_gev, to_mev
from caloforge.formats.calochallenge import ENTRY, CaloChallenge
from caloforge.geometry import Calorimeter
from tests.conftest import MakeShowers


@pytest.mark.parametrize("part", sorted(HDF5Format.__abstractmethods__))
def test_a_layout_without_one_of_its_parts_can_not_be_made(part: str) -> None:
    with pytest.raises(TypeError, match=part):
        type("Partial", (CaloChallenge,), {part: getattr(HDF5Format, part)})()


def test_a_layout_has_nine_parts() -> None:
    assert len(HDF5Format.__abstractmethods__) == 9


@settings(max_examples=50)
@given(arrays.arrays(np.float32, 5, elements=st.floats(width=32, min_value=0, allow_infinity=False)))
def test_mev_of_single_precision_come_back_from_gev(energy: np.ndarray) -> None:
    mev = energy.astype(np.float64)
    np.testing.assert_array_equal(to_mev(to_gev(mev)), mev)


@settings(max_examples=50)
@given(arrays.arrays(np.float64, 5, elements=st.floats(1e-200, 1e200)))
def test_mev_of_double_precision_come_back_but_for_their_last_digits(mev: np.ndarray) -> None:
    np.testing.assert_array_max_ulp(to_mev(to_gev(mev)), mev, 5)


def test_a_number_beside_one_of_single_precision_is_not_taken_for_it() -> None:
    near = 1e5 + 6 * np.spacing(1e5) * np.array([-1, 1])
    np.testing.assert_array_max_ulp(to_mev(near / 1000), near, 1)
    assert not np.isin(1e5, to_mev(near / 1000))


SHAPES = {"energy": [(1,), ()], "cells": [("cells", 3)]}


@pytest.mark.parametrize("kind", ["f4", "f8", "i2", "u8"])
@pytest.mark.parametrize("shape", [(4,), (4, 1)])
@pytest.mark.parametrize("cells", [1, 2, 7])
def test_shapes_that_fit_have_no_fault(tmp_path: Path, kind: str, shape: tuple[int, ...], cells: int) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["energy"], file["cells"] = np.ones(shape, kind), np.ones((4, cells, 3), kind)
        assert shape_fault(file, SHAPES) is None


@pytest.mark.parametrize(
    ("name", "values", "fault"),
    [
        ("energy", None, "it has no dataset 'energy' of numbers"),
        ("cells", None, "it has no dataset 'cells' of numbers"),
        ("cells", np.zeros((4, 2, 3), "S1"), "it has no dataset 'cells' of numbers"),
        ("cells", np.zeros((4, 2, 3), complex), "it has no dataset 'cells' of numbers"),
        ("energy", np.ones((4, 2)), "'energy' has shape (4, 2) instead of (N, 1) or (N)"),
        ("energy", np.float64(1), "'energy' has shape () instead of (N, 1) or (N)"),
        ("energy", h5py.Empty("f4"), "'energy' has shape None instead of (N, 1) or (N)"),
        ("cells", np.ones((4, 2, 2)), "'cells' has shape (4, 2, 2) instead of (N, cells, 3)"),
        ("cells", np.ones((4, 3)), "'cells' has shape (4, 3) instead of (N, cells, 3)"),
        ("cells", np.ones((5, 2, 3)), "'cells' has 5 showers, but 'energy' has 4"),
        ("cells", np.ones((3, 2, 3)), "'cells' has 3 showers, but 'energy' has 4"),
    ],
)
def test_a_fault_is_put_into_words(tmp_path: Path, name: str, values: object, fault: str) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["energy"], file["cells"] = np.ones(4), np.ones((4, 2, 3))
        del file[name]
        if values is not None:
            file[name] = values
        assert shape_fault(file, SHAPES) == fault


def test_a_group_is_no_dataset(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_group("energy")
        assert shape_fault(file, SHAPES) == "it has no dataset 'energy' of numbers"


@settings(max_examples=20)
@given(shape=st.lists(st.integers(1, 3000), max_size=2).map(tuple))
def test_pieces_hold_whole_showers_and_about_1_mib_at_most(
    tmp_path_factory: pytest.TempPathFactory, shape: tuple[int, ...]
) -> None:
    with h5py.File(tmp_path_factory.mktemp("grow") / "a.h5", "w") as file:
        grow(file, "a", shape, np.float32)
        rows, *rest = file["a"].chunks
        assert tuple(rest) == shape
        assert 1 <= rows <= 4096
        assert rows == 1 or rows * np.prod(shape, dtype=int) <= 1 << 18


@pytest.fixture
def bare(make_showers: MakeShowers, tmp_path: Path) -> Path:
    """Write a file of three showers that says nothing but their energies and cells."""
    ENTRY.write(make_showers(3), tmp_path / "bare.h5")
    with h5py.File(tmp_path / "bare.h5", "r+") as file:
        del file["caloforge"]
    return tmp_path / "bare.h5"


def test_what_a_file_does_not_say_is_a_particle_not_known_along_the_axis(
    bare: Path, calogan: Calorimeter
) -> None:
    found = ENTRY.read(bare, geometry=calogan)
    assert found.pdg.tolist() == [0, 0, 0]
    assert not found.incident.direction.any()
    assert not found.incident.position.any()
    assert ENTRY.read(bare, 211, calogan).pdg.tolist() == [211] * 3


def test_a_file_names_its_particle_before_the_caller_does(bare: Path, calogan: Calorimeter) -> None:
    with h5py.File(bare, "r+") as file:
        file.attrs["particle"] = "pi+"
    assert ENTRY.read(bare, 11, calogan).pdg.tolist() == [211] * 3
    with h5py.File(bare, "r+") as file:
        file.attrs["particle"] = "99999999"  # nobody
    assert ENTRY.read(bare, 11, calogan).pdg.tolist() == [11] * 3


def test_a_wrong_shower_of_a_later_batch_is_named_by_its_number_in_the_file(
    make_showers: MakeShowers, tmp_path: Path
) -> None:
    showers = make_showers(6)
    showers.cells[4, 0] = 1e10
    with pytest.raises(InputError, match=r"Shower 4 has .* 1000"):
        ENTRY.write((showers[start : start + 3] for start in (0, 3)), tmp_path / "a.h5")
    assert not list(tmp_path.iterdir())


def test_showers_are_read_if_the_memory_just_has_room(
    bare: Path, calogan: Calorimeter, monkeypatch: pytest.MonkeyPatch
) -> None:
    with ENTRY.open(bare, geometry=calogan) as file:
        monkeypatch.setattr(resources, "available_memory", lambda: 12.0 * 504 * 2)
        assert len(file.read(1, 3)) == 2
        with pytest.raises(ShowerFileError, match=r"The 3 showers of 504 cells .* in batches"):
            file.read()


@pytest.mark.parametrize(("n", "end"), [(1, "'n0'."), (5, "'n3', 'n4'."), (6, "'n3', 'n4', ....")])
def test_the_names_in_a_foreign_file_are_listed_up_to_five(tmp_path: Path, n: int, end: str) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        for number in range(n):
            file[f"n{number}"] = 1.0
    with pytest.raises(ShowerFileError, match="it has 'n0'") as caught:
        ENTRY.read(tmp_path / "a.h5")
    assert str(caught.value).endswith(end)
