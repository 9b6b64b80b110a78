"""What may stand in the sparse cells of a file, to the very limits."""

import numpy as np
import pytest

from caloforge.errors import InputError
from caloforge.formats._sparse import checked_bounds, checked_energies, checked_index

CELLS = 6
FIRST = 100  # number in the file of the first shower that is looked at
LARGEST = float(np.finfo(np.float32).max)


@pytest.mark.parametrize("dtype", [np.int32, np.uint64, np.int64])
@pytest.mark.parametrize("bounds", [[0], [0, 0], [0, CELLS], [4, 4, 5, 5 + CELLS], [0, 1, 1, 1]])
def test_bounds_that_ascend_by_no_more_than_the_cells_are_taken(bounds: list[int], dtype: type) -> None:
    found = checked_bounds(np.array(bounds, dtype), CELLS, FIRST)
    assert found.tolist() == bounds
    assert found.dtype == np.int64


@pytest.mark.parametrize("bounds", [[-1, 2], [-3, -1], [0, 3, 2], [5, 4, 6], [0, 2, 2, 1]])
def test_bounds_that_do_not_ascend_are_refused(bounds: list[int]) -> None:
    with pytest.raises(InputError, match="do not ascend"):
        checked_bounds(np.array(bounds), CELLS, FIRST)


def test_a_shower_of_one_entry_more_than_cells_is_named() -> None:
    bounds = np.array([0, CELLS, CELLS + 1, 2 * CELLS + 2, 9 * CELLS])
    with pytest.raises(InputError, match=r"Shower 102 has 7 entries, more than there are cells \(6\)"):
        checked_bounds(bounds, CELLS, FIRST)


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.uint64])
def test_every_cell_is_taken_in_any_order_and_again_in_the_next_shower(dtype: type) -> None:
    index = np.array([0, CELLS - 1, CELLS - 2, 3, CELLS - 1, 0, 1], dtype)
    shower = np.array([0, 0, 0, 1, 1, 2, 2])
    found = checked_index(index, shower, CELLS, FIRST)
    assert found.tolist() == index.tolist()
    assert found.dtype == np.int64


@pytest.mark.parametrize("wrong", [-1, CELLS, 2**40])
def test_a_cell_that_there_is_not_is_named(wrong: int) -> None:
    with pytest.raises(InputError, match=f"Shower 101 names cell {wrong}; cells are numbered 0 to 5"):
        checked_index(np.array([5, 0, wrong, -7]), np.array([0, 1, 1, 2]), CELLS, FIRST)


@pytest.mark.parametrize("index", [[1, 4, 4], [4, 1, 4], [1, 4, 2, 4]])
def test_a_cell_that_a_shower_has_twice_is_named(index: list[int]) -> None:
    shower = np.array([0, *[1] * len(index)])
    with pytest.raises(InputError, match="Shower 101 has cell 4 twice"):
        checked_index(np.array([4, *index]), shower, CELLS, FIRST)


@pytest.mark.parametrize("energy", [0.0, 1e-30, 0.5, 1.0, LARGEST])
def test_energies_from_zero_to_the_largest_of_float32_are_taken(energy: float) -> None:
    found = checked_energies(np.array([energy]), np.array([0]), FIRST)
    assert found.tolist() == [np.float32(energy)]
    assert found.dtype == np.float32


@pytest.mark.parametrize("wrong", [-1e-30, -1.0, np.nextafter(LARGEST, np.inf), np.inf, np.nan])
def test_energies_beyond_are_refused_and_the_shower_is_named(wrong: float) -> None:
    with pytest.raises(
        InputError, match=r"A cell of shower 101 is .* MeV; cells are finite and not negative"
    ):
        checked_energies(np.array([1.0, 2.0, wrong]), np.array([0, 0, 1]), FIRST)
