"""High-level features of the CaloChallenge, on showers computed by hand from its published definitions."""

import numpy as np
import pytest

from caloforge import observables
from caloforge.geometry import Calorimeter


def test_features_by_hand(rings: Calorimeter, one_shower) -> None:
    # Ring centres are at 5 and 20 mm; the sectors of layer 1 at -135, -45, 45 and 135 degrees.
    one = one_shower(rings, (0, 0, 0, 6.0), (0, 0, 1, 2.0), (1, 2, 1, 3.0), (1, 3, 1, 1.0))
    found = {feature.name: feature(one)[0] for feature in observables.high_level(rings)}
    place = 20 / np.sqrt(2)
    assert found == pytest.approx(
        {
            "layer_energy_0": 8.0,
            "layer_energy_1": 4.0,
            "centre_1_eta": place / 2,  # 3/4 at +place, 1/4 at -place
            "centre_1_phi": place,
            "lateral_width_1_eta_mm": place * np.sqrt(1 - 1 / 4),
            "lateral_width_1_phi_mm": 0.0,
            "total_energy": 12.0,
            "sparsity_0": 1.0,
            "sparsity_1": 2 / 8,
            "centre_0_r": 0.75 * 5 + 0.25 * 20,
            "centre_1_r": 20.0,
            "radial_width_0": np.sqrt(0.75 * 0.25) * 15,
            "radial_width_1": 0.0,
        },
        abs=1e-9,
    )


def test_features_above_the_threshold_of_the_dataset(rings: Calorimeter, one_shower) -> None:
    one = one_shower(rings, (1, 2, 0, 0.015), (1, 2, 1, 0.016))
    seen = observables.above(one, observables.THRESHOLDS[1])
    found = {feature.name: feature(seen)[0] for feature in observables.high_level(rings)}
    assert found["layer_energy_1"] == pytest.approx(0.016)
    assert found["sparsity_1"] == 1 / 8
    assert found["centre_1_r"] == pytest.approx(20.0)
    assert np.isnan(found["centre_0_r"])


@pytest.mark.parametrize("name", ["calogan", "ild_ecal", "calochallenge_2"])
def test_every_read_out_has_features_of_their_own_names(name: str) -> None:
    geometry = Calorimeter.load(name)
    names = [feature.name for feature in observables.high_level(geometry)]
    assert len(set(names)) == len(names) == 8 * len(geometry.layers) + 1
