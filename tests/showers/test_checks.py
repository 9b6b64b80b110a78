"""Samples that can't be shown or compared are refused."""

import pytest

from caloforge.errors import InputError
from caloforge.showers.checks import check_one, check_pair, check_some


def test_one_shower_is_there_or_refused(make_showers) -> None:
    showers = make_showers(3)
    assert check_one(showers, 2).energy == showers.energy[2:]
    for number in (-1, 3):
        with pytest.raises(InputError, match=f"no shower {number} among these 3 .* numbered 0 to 2"):
            check_one(showers, number)
    with pytest.raises(InputError, match="there are none"):
        check_one(showers[:0], 0)


def test_no_showers_are_refused(make_showers) -> None:
    check_some(make_showers(1))
    with pytest.raises(InputError, match="no showers to draw"):
        check_some(make_showers(0))


def test_a_pair_has_the_same_cells(make_showers, calogan_fine) -> None:
    check_pair(make_showers(1), make_showers(2))
    for showers, beside in ((make_showers(0), make_showers(1)), (make_showers(1), make_showers(0))):
        with pytest.raises(InputError, match="no showers to draw"):
            check_pair(showers, beside)
    with pytest.raises(InputError, match=r"different cells \('calogan' and 'calogan_fine'\).*rebin"):
        check_pair(make_showers(1), make_showers(1, calogan_fine))
