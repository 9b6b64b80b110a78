"""Names of particles."""

import pytest

from caloforge.errors import InputError
from caloforge.particles import parse_particle, particle_name


@pytest.mark.parametrize(
    ("text", "pdg"), [("e+", -11), ("gamma", 22), ("pi+", 211), ("proton", 2212), ("211", 211), ("-11", -11)]
)
def test_names_and_ids_are_understood(text: str, pdg: int) -> None:
    assert parse_particle(text) == pdg
    assert parse_particle(particle_name(pdg)) == pdg


def test_a_nucleus_keeps_a_name() -> None:
    assert particle_name(parse_particle("1000020040"))


@pytest.mark.parametrize("text", ["", "positorn", "0", "99999999"])
def test_what_is_no_particle_is_refused_in_a_sentence(text: str) -> None:
    with pytest.raises(InputError, match="no known particle"):
        parse_particle(text)
