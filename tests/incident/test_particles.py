"""Names of particles."""

from typing import Any

import numpy as np
import pytest

from caloforge.errors import InputError
from caloforge.incident.particles import parse_particle, particle_name


@pytest.mark.parametrize(
    ("text", "pdg"),
    [
        *[("e+", -11), ("gamma", 22), ("pi+", 211), ("proton", 2212), ("211", 211), ("-11", -11)],
        *[("deuteron", 1000010020), ("alpha", 1000020040), ("anti_neutron", -2112), ("C12", 1000060120)],
    ],
)
def test_names_and_ids_are_understood(text: str, pdg: int) -> None:
    assert parse_particle(text) == pdg
    assert parse_particle(particle_name(pdg)) == pdg


@pytest.mark.parametrize("pdg", [1000020040, 3112, -3112, 421, 22])
def test_every_particle_has_a_name_that_is_understood(pdg: int) -> None:
    assert parse_particle(str(pdg)) == pdg
    assert parse_particle(particle_name(pdg)) == pdg


@pytest.mark.parametrize("pdg", [22, np.int32(22), np.int64(22)])
def test_ids_may_be_numbers(pdg: int) -> None:
    assert parse_particle(pdg) == 22


@pytest.mark.parametrize("wrong", [22.0, True, None, b"gamma"])
def test_ids_that_are_not_whole_numbers_are_refused(wrong: Any) -> None:
    with pytest.raises(InputError, match=r"The particle's PDG id is .*: give a whole number"):
        parse_particle(wrong)


@pytest.mark.parametrize("text", [0, 10**30, "", "positorn", "0", "99999999"])
def test_what_is_no_particle_is_refused_in_a_sentence(text: str) -> None:
    with pytest.raises(InputError, match="not a known particle"):
        parse_particle(text)
