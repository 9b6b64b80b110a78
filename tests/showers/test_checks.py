"""Samples that can't be shown or compared are refused."""

import numpy as np
import pytest

from caloforge.errors import InputError
from caloforge.incident.incident import Incident
from caloforge.incident.particles import brought
from caloforge.showers.checks import check_deposits, check_one, check_pair, check_some


@pytest.mark.parametrize(("pdg", "brings"), [(22, 0.0), (211, brought(211)), (0, 1e3)])
def test_a_shower_holds_a_thousand_times_what_its_particle_brings_and_no_more(
    pdg: int, brings: float
) -> None:
    """Of a particle that is not known, 1 GeV is allowed for its rest energy."""
    incident = Incident(pdg, [1.0, 10.0, 2.0])
    most = 1e3 * incident.energy + 1e3 * brings
    check_deposits(most, incident)
    for number in range(3):
        more = most.copy()
        more[number:] = np.nextafter(more[number:], np.inf)
        with pytest.raises(InputError, match=f"^Shower {number} has .* {incident.energy[number]:g} MeV of"):
            check_deposits(more, incident)
        with pytest.raises(InputError, match=f"^Shower {70 + number} has"):
            check_deposits(more, incident, before=70)


def test_what_one_particle_brings_is_not_allowed_for_another() -> None:
    incident = Incident([22, 211, 22], 1.0)
    check_deposits(np.array([0.0, 1001.0, 0.0]), incident)
    with pytest.raises(
        InputError, match=r"^Shower 2 has 1001 MeV in its cells, more than 1000 times the 1 MeV"
    ):
        check_deposits(np.array([0.0, 1001.0, 1001.0]), incident)


def test_one_shower_is_there_or_refused(make_showers) -> None:
    showers = make_showers(3)
    for number in range(3):
        one = check_one(showers, number)
        assert (len(one), one.energy[0]) == (1, showers.energy[number])
        assert np.array_equal(one.cells[0], showers.cells[number])
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
    for showers, reference in ((make_showers(0), make_showers(1)), (make_showers(1), make_showers(0))):
        with pytest.raises(InputError, match="no showers to draw"):
            check_pair(showers, reference)
    with pytest.raises(InputError, match=r"different cells \('calogan' and 'calogan_fine'\).*rebin"):
        check_pair(make_showers(1), make_showers(1, calogan_fine))
