"""Bad data are named."""

from pathlib import Path

import numpy as np
import pytest

from caloforge import observables
from caloforge.errors import InputError
from caloforge.formats.native import ShowerFile, write
from caloforge.geometry import Calorimeter
from caloforge.incident.incident import Incident
from caloforge.showers import Showers
from caloforge.stages.evaluate.checks import check_cells, copied, warnings
from caloforge.stages.evaluate.measure import Measured, measure


@pytest.fixture
def measured(tmp_path: Path):
    """Return a function that measures showers."""

    def measured(showers: Showers, name: str = "showers.h5") -> Measured:
        write(showers, tmp_path / name)
        with ShowerFile(tmp_path / name) as source:
            return measure(source, observables.every(showers.geometry), file=name)

    return measured


def scaled(showers: Showers, cells: float = 1.0, energy: float = 1.0, pdg: int | None = None) -> Showers:
    which = showers.pdg if pdg is None else pdg
    return Showers(showers.geometry, showers.cells * cells, Incident(which, showers.energy * energy))


def test_good_samples_deserve_no_warning(make, measured) -> None:
    assert warnings(measured(make(300, 1)), measured(make(300, 2))) == []


def test_wrong_units_are_suspected(make, measured) -> None:
    reference = measured(make(300, 1))
    cells = warnings(reference, measured(scaled(make(300, 2), cells=1e-3)))
    assert any("generated showers hold" in one and "in GeV and not in MeV" in one for one in cells)
    # The same where a calorimeter sees half of the energy; files with 1,000 times of it are refused.
    half = measured(scaled(make(300, 1), cells=0.5))
    incident = warnings(half, measured(scaled(make(300, 2), cells=0.5, energy=1e-3)))
    assert any("incident energies are probably in GeV" in one for one in incident)
    # A sampling calorimeter that sees 2 % of the energy is no mistake.
    sampled = [measured(scaled(make(300, seed), cells=0.02)) for seed in (1, 2)]
    assert warnings(*sampled) == []


def test_other_particles_and_spectra_are_named(make, measured) -> None:
    reference = measured(make(300, 1))
    (particle,) = warnings(reference, measured(scaled(make(300, 2), pdg=-11)))
    assert "gamma in the reference, e+ in the generated" in particle
    (spectrum,) = warnings(reference, measured(make(300, 2, low=5e4)))
    assert "--match-energies" in spectrum


def tilted(
    showers: Showers, theta: float | tuple[float, float] = 0.0, phi: float = 0.0, position: float = 0.0
) -> Showers:
    """The showers of particles at an angle theta or between two (rad), and a spread of positions (mm)."""
    random, n = np.random.default_rng(len(showers)), len(showers)
    angles = np.broadcast_to(theta, n) if isinstance(theta, float) else random.uniform(*theta, n)
    direction = np.stack([angles, random.uniform(0, phi, n)], axis=1)
    places = random.uniform(-position, position, (n, 2))
    incident = Incident(showers.pdg, showers.energy, direction, places)
    return Showers(showers.geometry, showers.cells, incident)


def test_samples_of_the_same_directions_and_positions_deserve_no_warning(make, measured) -> None:
    samples = [
        measured(tilted(make(n, seed), (0.0, 0.3), 2 * np.pi, 5.0)) for n, seed in ((300, 1), (320, 2))
    ]
    assert warnings(*samples) == []


def test_other_directions_are_named_in_degrees(make, measured) -> None:
    reference = measured(tilted(make(300, 1), (0.0, 0.3), 1.0))
    (steeper,) = warnings(reference, measured(tilted(make(320, 2), (0.2, 0.5), 1.0)))
    assert "directions are distributed differently" in steeper
    assert "theta 11." in steeper
    assert "degrees in the reference" in steeper
    (turned,) = warnings(reference, measured(tilted(make(320, 2), (0.0, 0.3), 2.0)))
    assert "directions are distributed differently" in turned


@pytest.mark.parametrize("n", [3, 300])
def test_a_generator_that_knows_no_tilt_is_named(make, measured, n: int) -> None:
    perpendicular = measured(make(n, 2))
    (said,) = warnings(measured(tilted(make(n, 1), 0.3)), perpendicular)
    assert "(theta 17.19 degrees and phi 0 degrees in the reference, perpendicular to the front" in said
    (said,) = warnings(perpendicular, measured(tilted(make(n, 1), (0.0, 0.3), 6.0)))
    assert "(perpendicular to the front face in the reference, theta" in said


def test_the_azimuth_of_a_perpendicular_particle_means_nothing(make, measured) -> None:
    assert warnings(measured(make(300, 1)), measured(tilted(make(300, 2), 0.0, 6.0))) == []


def test_azimuths_that_differ_by_full_turns_are_the_same(make, measured) -> None:
    turned = [tilted(make(300, seed), 0.2) for seed in (1, 2)]
    incident = turned[1].incident
    around = Incident(incident.pdg, incident.energy, incident.direction + np.array([0, 2 * np.pi]))
    second = Showers(turned[1].geometry, turned[1].cells, around)
    assert warnings(measured(turned[0]), measured(second)) == []


def test_other_positions_are_named_in_mm(make, measured) -> None:
    centred = measured(make(300, 1))
    (said,) = warnings(centred, measured(tilted(make(300, 2), position=5.0)))
    assert (
        "positions on the front face are distributed differently (the centre of the front face in the" in said
    )
    near, far = (measured(tilted(make(n, n), position=width)) for n, width in ((300, 5.0), (310, 9.0)))
    (said,) = warnings(near, far)
    assert "mm in the reference, eta -" in said


def test_copies_and_repetitions_are_counted(make, measured) -> None:
    showers = make(300, 1)
    mixed = Showers.concatenate([showers[:30], make(270, 2)])
    (found,) = copied(measured(showers), measured(mixed))
    assert found.startswith("30 of 300 generated showers are exact copies")
    twice = Showers.concatenate([make(150, 2), make(150, 2)])
    (repeated,) = warnings(measured(showers), measured(twice))
    assert repeated.startswith("150 of 300 generated showers repeat")


@pytest.mark.parametrize("shift", [0.5, 1.5])
def test_almost_equal_energies_print_no_warning_of_scipy(make, measured, shift: float) -> None:
    """scipy's exact probability rounds to more than 1 for them: any warning is an error in tests."""
    showers = make(500, 1)
    ascending = np.arange(500.0) + 1e3
    samples = (
        measured(Showers(showers.geometry, showers.cells, Incident(22, ascending + moved)))
        for moved in (0.0, shift)
    )
    assert not [one for one in warnings(*samples) if "energies are distributed" in one]


def test_few_showers_of_other_energies_are_not_blamed(make, measured) -> None:
    """Of 5 showers all above 5 others are 1 in 126: less than the asymptotic probability says."""
    showers = make(5, 1)
    low, high = (
        measured(Showers(showers.geometry, showers.cells, Incident(22, np.arange(5.0) + start)))
        for start in (1e3, 2e3)
    )
    assert not [one for one in warnings(low, high) if "energies are distributed" in one]


def test_copies_in_disguise_are_named(make, measured) -> None:
    showers = make(300, 1)
    flip = showers.geometry.symmetries()[1]
    disguised = Showers(
        showers.geometry, 0.9 * showers.cells[:, flip], Incident(showers.pdg[0].item(), 0.9 * showers.energy)
    )
    (found,) = copied(measured(showers), measured(disguised))
    assert found.startswith("100 % of the generated showers are copies of showers of the reference")


def test_impossible_and_empty_showers_are_counted(make, measured) -> None:
    cells = make(300, 2).cells.copy()
    cells[:3] = 0
    cells[3:33] *= 2
    showers = make(300, 2)
    odd = Showers(showers.geometry, cells, Incident(showers.pdg, showers.energy))
    over, empty = warnings(measured(make(300, 1)), measured(odd))
    assert over.startswith("10.3 % of the generated showers hold more energy than came in")
    assert empty.startswith("1 % of the generated showers and 0 % of the reference hold no energy at all")


def test_other_cells_are_refused(calogan, calogan_fine, small) -> None:
    check_cells(calogan, calogan)
    with pytest.raises(InputError, match=r"504 cells against .*caloforge rebin"):
        check_cells(calogan, calogan_fine)
    content = small.to_dict()
    content["layers"][1]["eta"] = {"edges": [-20.0, -5.0, 0.0, 5.0, 20.0]}
    with pytest.raises(InputError, match="the edges of layer 1"):
        check_cells(small, Calorimeter.from_dict(content))


def test_nan_and_negative_energies_are_named_by_the_file(make, tmp_path: Path) -> None:
    import h5py

    from caloforge.errors import ShowerFileError

    for number, text in ((np.nan, "nan MeV"), (-1.0, "-1 MeV")):
        write(make(20, 1), tmp_path / "bad.h5")
        with h5py.File(tmp_path / "bad.h5", "r+") as file:
            file["cells/value"][5] = number
        with ShowerFile(tmp_path / "bad.h5") as source, pytest.raises(ShowerFileError, match=text):
            measure(source, [])
