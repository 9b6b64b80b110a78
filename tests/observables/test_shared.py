"""Sums that observables share, and the radial profile."""

import gc
import weakref

import numpy as np
import pytest

from caloforge import observables
from caloforge.geometry import Calorimeter
from caloforge.observables import _shared
from caloforge.observables.total_energy import TotalEnergy
from caloforge.showers import Showers


def test_sums_are_made_once_for_each_sample(make_showers) -> None:
    calls: list[int] = []

    @_shared.once
    def total(showers: Showers, layer: int) -> float:
        calls.append(layer)
        return float(showers.layer_energies()[:, layer].sum())

    first, second = make_showers(2, seed=1), make_showers(2, seed=2)
    assert total(first, 0) == total(first, 0) != total(second, 0)
    assert total(first, 1) != total(first, 0)
    assert calls == [0, 0, 1]


def test_what_is_kept_goes_with_the_showers(calogan: Calorimeter, make_showers) -> None:
    showers = make_showers(2)
    for observable in observables.every(calogan):
        observable(showers)
    gone = weakref.ref(showers)
    del showers
    gc.collect()
    assert gone() is None


@pytest.mark.parametrize("name", ["calogan", "arm_48x4_36x48", "calochallenge_2"])
@pytest.mark.parametrize("direction", ["eta", "phi", "r"])
def test_lines_hold_all_energy_at_its_place(name: str, direction, make_showers) -> None:
    showers = make_showers(3, Calorimeter.load(name))
    for number, layer in enumerate(showers.geometry.layers[:3]):
        image = showers.geometry.split(showers.cells)[number].astype(float)
        lines = _shared.lines_of(layer, direction)
        sums = lines.sums(image)
        eta, phi = layer.centres
        place = {"eta": eta, "phi": phi, "r": np.hypot(eta, phi)}[direction]
        assert (np.diff(lines.positions) > 0).all()
        np.testing.assert_allclose(sums.sum(axis=1), image.sum(axis=(1, 2)))
        np.testing.assert_allclose(sums @ lines.positions, (image * place).sum(axis=(1, 2)), atol=1e-4)


def test_radial_profile_ends_with_all_energy(make_showers) -> None:
    showers = make_showers(4)
    radii, within = observables.energy_within(showers.geometry, showers.cells)
    assert (np.diff(radii) > 0).all()
    assert within.shape == (4, len(radii))
    assert (np.diff(within, axis=1) >= 0).all()
    np.testing.assert_allclose(within[:, -1], TotalEnergy()(showers))
    _, of_mean = observables.energy_within(showers.geometry, showers.cells.mean(axis=0, dtype=float))
    np.testing.assert_allclose(of_mean, within.mean(axis=0))


def test_radial_profile_by_hand(calogan: Calorimeter, one_shower) -> None:
    one = one_shower(calogan, (1, 5, 6, 3.0), (1, 6, 5, 1.0), (0, 1, 56, 2.0))  # at 28.3, 28.3 and 42.5 mm
    radii, within = observables.energy_within(calogan, one.cells)
    assert within[0][radii < 28].max() == 0
    assert within[0][radii < 42][-1] == 4.0
    assert within[0][radii == 42.5] == [6.0]
