"""The words in pictures."""

import math

import numpy as np
import pytest

from caloforge.incident.incident import Incident
from caloforge.showers import Showers, labels


@pytest.mark.parametrize(
    ("value", "error", "text"),
    [
        (0.99353, 0.00038, "0.99353 ± 0.00038"),
        (-28.41, 1.83, "−28.4 ± 1.8"),
        (1234.0, 56.0, "1234 ± 56"),
        (0.5, math.nan, "0.5"),
        (0.5, 0.0, "0.5"),
        (0.123456, math.inf, "0.1235"),
        (0.123456, -1.0, "0.1235"),
        (5.0, 1.0, "5.0 ± 1.0"),
        (512.0, 10.0, "512 ± 10"),
    ],
)
def test_value_with_error(value: float, error: float, text: str) -> None:
    assert labels.with_error(value, error) == text


@pytest.mark.parametrize(
    ("energy", "text"),
    [
        (49.5e3, "49.5 GeV"),
        (1e3, "1 GeV"),
        (999.0, "999 MeV"),
        (66.1, "66.1 MeV"),
        (1.0, "1 MeV"),
        (0.5, "500 keV"),
        (0.0, "0 keV"),
        (-2e3, "-2 GeV"),
    ],
)
def test_energy_has_a_fitting_unit(energy: float, text: str) -> None:
    assert labels.energy_text(energy) == text


@pytest.mark.parametrize(
    ("provenance", "text"),
    [
        ({"model": "calogan_eplus", "seed": 1}, "calogan_eplus"),
        ({"geant4": "geant4-11-04-patch-01", "physics": "FTFP_BERT"}, "Geant4 11.4.1 FTFP_BERT"),
        ({"attributes": {"simulator": "Geant4 10.2.0 (x)", "physics_list": "QGSP"}}, "Geant4 10.2.0 QGSP"),
        ({"parts": [{"model": "a"}, {"model": "b"}, {"model": "a"}]}, "a, b"),
        ({}, "unknown source"),
    ],
)
def test_source_is_what_the_provenance_says(make_showers, calogan, provenance, text: str) -> None:
    showers = make_showers(1)
    assert (
        labels.source_text(Showers(calogan, showers.cells, Incident(22, 1e4), provenance=provenance)) == text
    )


@pytest.mark.parametrize(
    ("energies", "text"),
    [
        ([10], "10 GeV"),
        ([10, 10, 0.5], "0.5, 10 GeV"),
        ([1, 2, 3, 4, 5], "1, 2, 3, 4, 5 GeV"),
        ([6, 2, 3, 4, 5, 1], "1–6 GeV"),
    ],
)
def test_up_to_five_energies_are_named_and_more_are_a_range(calogan, energies, text: str) -> None:
    showers = Showers(calogan, np.zeros((len(energies), 504)), Incident(22, 1e3 * np.array(energies)))
    assert labels.energies_text(showers) == text


def test_a_particle_without_a_name_is_said_to_be_unknown(calogan) -> None:
    cells = np.zeros((2, 504))
    assert labels.particle_text(Showers(calogan, cells, Incident([0, 99999999], 1.0))) == (
        "unknown particle, PDG 99999999"
    )


def test_layers_are_counted_where_not_all_are_shown(calogan) -> None:
    assert labels.choice_text([0, 1, 2], calogan) == []
    assert labels.choice_text([0, 2], calogan) == ["the 2 of 3 layers with most energy"]


def test_a_shower_has_the_number_that_its_file_gives_it(calogan) -> None:
    def numbered(columns) -> Showers:
        return Showers(calogan, np.zeros((2, 504)), Incident(22, 1.0), columns)

    assert labels.shower_number(numbered({"number": [7, 9]}), 3) == 7
    assert labels.shower_number(numbered({"other": [7, 9]}), 3) == 3


def test_one_shower_is_no_showers(calogan) -> None:
    for number, said in ((0, "0 showers"), (1, "1 shower"), (2, "2 showers"), (1200, "1,200 showers")):
        showers = Showers(calogan, np.zeros((number, 504)), Incident([22] * number, [1e3] * number))
        assert said in labels.describe(showers).split("  ·  ")
        assert labels.average_headline(showers).startswith(f"Average of {said}: ")


def test_a_headline_says_what_was_deposited(calogan) -> None:
    cells = np.zeros((1, 504))
    assert labels.headline(Showers(calogan, cells, Incident(22, 1e4))).endswith("10 GeV: nothing deposited")
    cells[0, :2] = 0.125
    assert labels.headline(Showers(calogan, cells, Incident(22, 1e4))).endswith("10 GeV: 250 keV deposited")


def test_a_description_ends_on_geometry_source_and_file(calogan) -> None:
    provenance = {"model": "m", "file": "a.h5"}
    showers = Showers(calogan, np.zeros((1, 504)), Incident(22, 1e4), provenance=provenance)
    assert labels.describe(showers).endswith("  ·  1 shower  ·  geometry calogan  ·  m  ·  a.h5")


def test_samples_of_one_source_are_told_apart_by_their_files(make_showers, calogan) -> None:
    cells = make_showers(1).cells
    first, second = (
        Showers(calogan, cells, Incident(22, 1e4), provenance={"model": "m", "file": name})
        for name in ("a.h5", "b.h5")
    )
    assert labels.sample_names(first, second) == ("m (a.h5)", "m (b.h5)")
    other = Showers(calogan, cells, Incident(22, 1e4), provenance={"model": "n"})
    assert labels.sample_names(first, other) == ("m", "n")
    assert labels.sample_names(first, first) == ("m (first)", "m (second)")


def test_description_names_particles_energies_and_numbers(make_showers, calogan) -> None:
    cells = make_showers(2).cells
    text = labels.describe(Showers(calogan, cells, Incident([-11, 22], [1e4, 5e4])))
    assert "$e^{+}$" in text
    assert r"$\gamma$" in text
    assert "10, 50 GeV" in text
    assert "2 showers" in text
    assert "shower 7" in labels.describe(Showers(calogan, cells[:1], Incident(11, 1e4)), number=7)
    assert labels.describe(Showers(calogan, cells[:0], Incident([], []))).startswith("no particle, no energy")


def test_names_lose_what_they_all_end_on() -> None:
    assert labels.short_names(["fast_eplus", "shower_library_eplus"]) == ["fast", "shower library"]
    assert labels.short_names(["fast_eplus", "fast_gamma"]) == ["fast eplus", "fast gamma"]
    assert labels.short_names(["fast_eplus"]) == ["fast eplus"]
    assert labels.short_names(["fast", "fast_eplus"]) == ["fast", "fast eplus"]


def test_directions_and_positions_are_said_where_they_are_not_the_usual_ones(make_showers, calogan) -> None:
    cells = make_showers(1).cells
    straight = Showers(calogan, cells, Incident(22, 1e4))
    assert labels.incident_text(straight) == ""
    assert "\n" not in labels.headline(straight)
    tilted = Showers(calogan, cells, Incident(22, 1e4, (np.pi / 6, np.pi / 2), (3.0, -4.0)))
    said = "theta 30 degrees and phi 90 degrees, at eta 3 mm and phi -4 mm"
    assert labels.headline(tilted).splitlines()[1] == said
    assert f"  ·  {said}  ·  1 shower" in labels.describe(tilted)
    moved = Showers(calogan, cells, Incident(22, 1e4, position=(3.0, 0.0)))
    assert labels.incident_text(moved) == "at eta 3 mm and phi 0 mm"
    sideways = Showers(calogan, cells, Incident(22, 1e4, position=(0.0, 3.0)))
    assert labels.incident_text(sideways) == "at eta 0 mm and phi 3 mm"
    turned = Showers(calogan, cells, Incident(22, 1e4, (np.pi / 6, 0.0)))
    assert labels.incident_text(turned) == "theta 30 degrees and phi 0 degrees"
    assert labels.incident_text(tilted[:0]) == ""
    assert labels.average_headline(tilted) == r"Average of 1 shower: $\gamma$, 10 GeV"
