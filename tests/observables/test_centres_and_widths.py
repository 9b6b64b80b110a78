"""Centres and widths in mm, on showers computed by hand: boxes, uneven boxes, rings."""

import numpy as np
import pytest

from caloforge import observables
from caloforge.geometry import Calorimeter
from caloforge.observables.centre import Centre
from caloforge.observables.centre_distance import CentreDistance
from caloforge.observables.containment_radius import ContainmentRadius
from caloforge.observables.lateral_width import LateralWidth
from caloforge.observables.radial_width import RadialWidth
from caloforge.observables.shower_width import ShowerWidth


def test_centres_are_the_means_of_cell_centres(calogan: Calorimeter, one_shower) -> None:
    # Layer 1 has cells of 40 mm: columns 6 and 7 are centred on 20 and 60 mm, row 5 on -20 mm.
    one = one_shower(calogan, (1, 5, 6, 3.0), (1, 5, 7, 1.0))
    assert Centre(1, "eta")(one) == pytest.approx([30.0])
    assert Centre(1, "phi")(one) == pytest.approx([-20.0])
    assert Centre(1, "r")(one) == pytest.approx([0.75 * np.hypot(20, 20) + 0.25 * np.hypot(60, 20)])
    assert np.isnan(Centre(0, "eta")(one)).all()


def test_centres_know_cells_of_uneven_width(one_shower) -> None:
    geometry = Calorimeter.load("arm_48x4_36x48")
    eta = geometry.layers[1].eta
    assert np.ptp(np.diff(eta.edges)) > 0
    one = one_shower(geometry, (1, 0, 0, 1.0), (1, 0, 35, 1.0))
    assert Centre(1, "eta")(one) == pytest.approx([(eta.middles[0] + eta.middles[-1]) / 2])
    assert LateralWidth(1, "eta", "mm")(one) == pytest.approx([(eta.middles[-1] - eta.middles[0]) / 2])


def test_shower_width_divides_by_one_less_than_the_hits(calogan: Calorimeter, one_shower) -> None:
    # Two equal deposits 40 mm apart: sum E (eta - mean)^2 / E = 20^2, times M / (M - 1) = 2.
    one = one_shower(calogan, (1, 5, 6, 7.0), (1, 5, 7, 7.0))
    assert ShowerWidth(1, "eta")(one) == pytest.approx([20 * np.sqrt(2)])
    assert ShowerWidth(1, "phi")(one) == pytest.approx([0.0])
    # A third hit in the middle between them in phi: M = 3, E = 4, variance 2 * 1 * 40^2 / 4 in phi.
    three = one_shower(calogan, (1, 4, 6, 1.0), (1, 5, 6, 2.0), (1, 6, 6, 1.0))
    assert ShowerWidth(1, "phi")(three) == pytest.approx([np.sqrt(1.5 * 800)])


def test_shower_width_of_a_single_hit_is_undefined(calogan: Calorimeter, one_shower) -> None:
    single = one_shower(calogan, (1, 5, 6, 7.0))
    assert np.isnan([ShowerWidth(layer)(single)[0] for layer in (0, 1)]).all()
    assert LateralWidth(1)(single) == [0.0]


def test_centres_of_layers_with_different_cells_have_a_distance(calogan: Calorimeter, one_shower) -> None:
    # Layer 0: column 56 is centred on 42.5 mm, row 1 on 0. Layer 1: (20, -20) mm.
    one = one_shower(calogan, (0, 1, 56, 1.0), (1, 5, 6, 1.0))
    assert CentreDistance(0, 1)(one) == pytest.approx([np.hypot(22.5, 20)])
    assert np.isnan(CentreDistance(1, 2)(one)).all()
    assert [distance.name for distance in CentreDistance.every(calogan)] == [
        "centre_distance_0_1",
        "centre_distance_1_2",
    ]


def test_radial_width_is_that_of_the_distance_from_the_axis(
    calogan: Calorimeter, rings: Calorimeter, one_shower
) -> None:
    # Four cells around the axis are equally far from it.
    around = one_shower(calogan, *((1, row, column, 2.0) for row in (5, 6) for column in (5, 6)))
    assert Centre(1, "r")(around) == pytest.approx([20 * np.sqrt(2)])
    assert RadialWidth(1)(around) == pytest.approx([0.0])
    # Rings at 5 and 20 mm with one and two thirds of the energy.
    ring = one_shower(rings, (0, 0, 0, 1.0), (0, 0, 1, 2.0))
    assert Centre(0, "r")(ring) == pytest.approx([15.0])
    assert RadialWidth(0)(ring) == pytest.approx([np.sqrt(100 / 3 + 2 * 25 / 3)])


def test_whole_rings_have_no_place_in_eta_and_phi(rings: Calorimeter, one_shower) -> None:
    one = one_shower(rings, (0, 0, 1, 1.0), (1, 2, 1, 1.0))
    assert {centre.layer for centre in Centre.every(rings) if centre.axis != "r"} == {1}
    assert {width.layer for width in ShowerWidth.every(rings)} == {1}
    assert CentreDistance.every(rings) == ()
    assert np.isnan(Centre(0, "eta")(one)).all()
    assert np.isnan(LateralWidth(0, "phi", "mm")(one)).all()
    # Sector 2 of 4 spans 0 to 90 degrees.
    assert Centre(1, "eta")(one) == pytest.approx([20 / np.sqrt(2)])
    assert Centre(1, "phi")(one) == pytest.approx([20 / np.sqrt(2)])


def test_containment_grows_from_one_distance_of_cells_to_the_next(rings: Calorimeter, one_shower) -> None:
    # Half of the energy at 5 mm, half at 20 mm, whatever the layer.
    one = one_shower(rings, (0, 0, 0, 1.0), (1, 2, 1, 0.5), (1, 3, 1, 0.5))
    assert ContainmentRadius(0.5)(one) == pytest.approx([5.0])
    assert ContainmentRadius(0.75)(one) == pytest.approx([12.5])
    assert ContainmentRadius(0.25)(one) == pytest.approx([2.5])
    assert [radius.name for radius in ContainmentRadius.every(rings)] == ["radius_50", "radius_90"]


@pytest.mark.parametrize("name", ["calogan", "calochallenge_2"])
def test_sizes_are_ordered(name: str, make_showers) -> None:
    showers = make_showers(20, Calorimeter.load(name), occupancy=0.1)
    assert (ContainmentRadius(0.5)(showers) <= ContainmentRadius(0.9)(showers)).all()
    assert (ShowerWidth(1)(showers) > LateralWidth(1, "eta", "mm")(showers)).all()


def test_a_radius_beyond_the_cells_of_a_shower_is_not_invented(calogan: Calorimeter, one_shower) -> None:
    reach = observables.energy_within(calogan, np.zeros(calogan.n_cells))[0][-1]
    corner = one_shower(calogan, (2, 0, 0, 1.0))
    assert ContainmentRadius(0.9)(corner) < reach
    assert ContainmentRadius(1.0)(corner) == pytest.approx(np.hypot(200, 220))
