"""What callers give for whole numbers."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from caloforge.arguments import whole_number
from caloforge.errors import InputError


@given(st.integers(-(2**40), 2**40))
def test_whole_numbers_stay_what_they_are(value: int) -> None:
    for same in (value, np.int64(value)):
        found = whole_number(same, "It")
        assert (found, type(found)) == (value, int)


@given(st.one_of(st.floats(), st.text(), st.none(), st.booleans(), st.lists(st.integers())))
def test_all_else_ends_in_a_sentence(value: object) -> None:
    with pytest.raises(InputError, match=r"^It is [^\0]*: give a whole number of at least 1\.$"):
        whole_number(value, "It", least=1)  # type: ignore[arg-type]


def test_too_small_is_refused() -> None:
    assert whole_number(1, "It", least=1) == 1
    with pytest.raises(InputError, match="It is 0: give a whole number of at least 1"):
        whole_number(0, "It", least=1)
