"""How showers are read in batches, whatever they come from."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from caloforge.errors import InputError
from caloforge.formats.base import batch_size, in_batches
from caloforge.formats.memory import HeldShowers
from caloforge.geometry import Axis, Calorimeter, Layer
from tests.conftest import MakeShowers

from .conftest import calorimeter

MEMORY = 64 << 20  # bytes that the cells of a batch take at most


def of_cells(eta: int, phi: int) -> Calorimeter:
    return calorimeter("any", Layer((0, 1), Axis.uniform(eta, -1.0, 1.0), Axis.uniform(phi, -1.0, 1.0)))


@settings(max_examples=20)
@given(eta=st.integers(1, 5000), phi=st.integers(1, 30))
def test_a_batch_takes_as_many_showers_as_fit_into_64_mib(eta: int, phi: int) -> None:
    geometry = of_cells(eta, phi)
    size = batch_size(geometry)
    assert 4 * geometry.n_cells * size <= MEMORY < 4 * geometry.n_cells * (size + 1)


@pytest.mark.parametrize(("eta", "phi", "size"), [(4096, 4096, 1), (4096, 2048, 2), (4097, 4096, 1)])
def test_a_batch_has_at_least_one_shower(eta: int, phi: int, size: int) -> None:
    assert batch_size(of_cells(eta, phi)) == size


@pytest.mark.parametrize(
    ("n", "size", "lengths"), [(5, 1, [1] * 5), (5, 2, [2, 2, 1]), (4, 2, [2, 2]), (3, 9, [3]), (0, 2, [])]
)
def test_batches_have_the_size_that_was_asked_for_but_for_the_last(
    make_showers: MakeShowers, n: int, size: int, lengths: list[int]
) -> None:
    batches = list(in_batches(HeldShowers(make_showers(n)), size))
    assert [len(batch) for batch in batches] == lengths


def test_few_showers_are_one_batch_unless_a_size_is_given(make_showers: MakeShowers) -> None:
    assert [len(batch) for batch in in_batches(HeldShowers(make_showers(5)))] == [5]


@pytest.mark.parametrize("size", [0, -1])
def test_a_batch_of_no_showers_is_refused(make_showers: MakeShowers, size: int) -> None:
    with pytest.raises(InputError, match=f"A batch of {size} showers is not possible: give at least 1"):
        next(in_batches(HeldShowers(make_showers(5)), size))
