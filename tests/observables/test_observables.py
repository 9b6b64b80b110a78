"""Every observable of the catalogue, on showers computed by hand and by the symmetries it must have."""

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.mathtext import MathTextParser

from caloforge import catalog
from caloforge.errors import InputError
from caloforge.geometry import Calorimeter
from caloforge.incident.incident import Incident
from caloforge.observables import GROUPS, every
from caloforge.observables.base import Observable, spread
from caloforge.observables.depth_width import DepthWidth
from caloforge.observables.e_ratio import ERatio
from caloforge.observables.lateral_width import LateralWidth
from caloforge.observables.layer_fraction import LayerFraction
from caloforge.observables.response import Response
from caloforge.observables.shower_depth import ShowerDepth
from caloforge.observables.sparsity import Sparsity
from caloforge.showers import Showers

CALOGAN = Calorimeter.load("calogan")
EVERYTHING = every(CALOGAN)
SIGNED = re.compile(r"centre_\d_(eta|phi)")
"""Names of the observables that may be negative, and change their sign when the shower is flipped."""


def of_kind(kind: str) -> tuple[Observable, ...]:
    found: tuple[Observable, ...] = catalog.load("observables", kind).every(CALOGAN)
    return found


def shower(*hits: tuple[int, int, int, float], energy: float = 1000.0) -> Showers:
    """One shower with energy in MeV at (layer, phi, eta)."""
    images = [np.zeros((1, *shape)) for shape in CALOGAN.shapes]
    for layer, phi, eta, deposit in hits:
        images[layer][0, phi, eta] = deposit
    return Showers(CALOGAN, CALOGAN.join(images), Incident(22, energy))


@st.composite
def samples(draw: st.DrawFn) -> Showers:
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    shape = (draw(st.integers(1, 4)), CALOGAN.n_cells)
    hit = random.random(shape) < draw(st.sampled_from([0.0, 0.01, 0.3, 1.0]))
    return Showers(
        CALOGAN, np.where(hit, random.lognormal(0, 3, shape), 0), Incident(22, random.uniform(1e3, 1e5))
    )


def test_response_and_layers_by_hand() -> None:
    one = shower((0, 1, 40, 100.0), (1, 5, 5, 300.0), (2, 0, 0, 400.0), energy=1000.0)
    assert Response()(one) == pytest.approx([0.8])
    assert [LayerFraction(i)(one)[0] for i in range(3)] == pytest.approx([0.125, 0.375, 0.5])
    assert ShowerDepth()(one) == pytest.approx([0.375 + 2 * 0.5])
    # <i^2> - <i>^2 = 0.375 + 4 * 0.5 - 1.375^2
    assert DepthWidth()(one) == pytest.approx([np.sqrt(2.375 - 1.375**2)])


def test_widths_by_hand() -> None:
    # Three quarters in column 10 and one quarter in column 14: variance 3/4 * 1/4 * 4^2 = 3.
    one = shower((0, 1, 10, 75.0), (0, 1, 14, 25.0))
    assert LateralWidth(0)(one) == pytest.approx([np.sqrt(3)])
    assert LateralWidth(0, unit="mm")(one) == pytest.approx([5 * np.sqrt(3)])
    assert LateralWidth(0, axis="phi")(one) == pytest.approx([0.0])
    both = shower((2, 3, 1, 50.0), (2, 5, 1, 50.0))
    assert LateralWidth(2, axis="phi")(both) == pytest.approx([1.0])
    assert LateralWidth(2, axis="phi", unit="mm")(both) == pytest.approx([40.0])


def test_cells_by_hand() -> None:
    one = shower((1, 3, 3, 60.0), (1, 3, 4, 20.0), (1, 0, 0, 1e-6))
    assert ERatio(1)(one) == pytest.approx([0.5])
    assert Sparsity(1)(one) == pytest.approx([3 / 144])
    assert ERatio(1)(shower((1, 3, 3, 60.0))) == pytest.approx([1.0])
    assert ERatio(1)(shower((1, 3, 3, 60.0), (1, 4, 4, 60.0))) == pytest.approx([0.0])


def test_layer_of_a_single_cell_has_no_second_deposit() -> None:
    plain = CALOGAN.to_dict()
    plain["layers"] = [{**plain["layers"][0], "z": [0.0, 480.0]}]
    plain["layers"][0] |= {axis: {"bins": 1, "range": [-240.0, 240.0]} for axis in ("eta", "phi")}
    lone = Showers(Calorimeter.from_dict(plain), [[5.0], [0.0]], Incident(22, 100.0))
    np.testing.assert_array_equal(ERatio(0)(lone), [1.0, np.nan])


def test_empty_shower_is_undefined_and_not_zero() -> None:
    empty = shower()
    assert Response()(empty) == 0.0
    assert [Sparsity(i)(empty)[0] for i in range(3)] == [0.0, 0.0, 0.0]
    undefined = [ShowerDepth(), DepthWidth(), LayerFraction(0), LateralWidth(1), ERatio(2)]
    assert all(np.isnan(observable(empty)[0]) for observable in undefined)


@pytest.mark.parametrize("kind", [LayerFraction, LateralWidth, Sparsity, ERatio])
def test_absent_layer_is_refused(kind: type[LayerFraction]) -> None:
    for layer in (-1, 3):
        with pytest.raises(InputError, match=rf"no layer {layer} .* 0 to 2"):
            kind(layer)(shower())


def test_widths_of_rings_are_in_mm_by_their_cells_centres() -> None:
    rings = Calorimeter.load("calochallenge_2")
    assert {width.unit for width in LateralWidth.every(rings)} == {"mm"}
    # A whole ring of radius R has the width R / sqrt(2) along any axis.
    image = np.zeros((45, 16, 9))
    image[7, :, 4] = 3.0
    ring = Showers(rings, image.reshape(1, -1), Incident(11, 1000.0))
    for axis in ("eta", "phi"):
        width = LateralWidth(7, axis, "mm")(ring)
        assert width == pytest.approx([4.65 * 4.5 / np.sqrt(2)], rel=1e-6)
    # alpha = -pi + pi/16 and its opposite lie almost along eta.
    image[:] = 0.0
    image[7, [0, 8], 8] = 1.0
    pair = Showers(rings, image.reshape(1, -1), Incident(11, 1000.0))
    assert LateralWidth(7, "eta", "mm")(pair) == pytest.approx([4.65 * 8.5 * np.cos(np.pi / 16)])
    assert LateralWidth(7, "phi", "mm")(pair) == pytest.approx([4.65 * 8.5 * np.sin(np.pi / 16)])
    with pytest.raises(InputError, match="Layer 7 consists of rings"):
        LateralWidth(7)(pair)


@pytest.mark.parametrize("name", ["calochallenge_2", "ild_hcal", "arm_48x4_36x48"])
def test_every_observable_knows_every_read_out(name: str, make_showers) -> None:
    geometry = Calorimeter.load(name)
    showers = make_showers(2, geometry, occupancy=0.05)
    for observable in every(geometry):
        assert np.isfinite(observable(showers)).all(), observable.name


def test_all_come_in_the_order_of_their_groups_and_whole_showers_first() -> None:
    groups = [GROUPS.index(observable.group) for observable in EVERYTHING]
    assert groups == sorted(groups)
    assert EVERYTHING[0].name == "response"
    names = [observable.name for observable in EVERYTHING]
    assert names.index("total_energy") < names.index("layer_energy_0") < names.index("layer_energy_1")
    assert len(EVERYTHING) == sum(len(of_kind(kind)) for kind in catalog.names("observables"))


def test_names_are_unique() -> None:
    assert len({observable.name for observable in EVERYTHING}) == len(EVERYTHING)


@pytest.mark.parametrize("kind", catalog.names("observables"))
class TestEveryKind:
    def test_describes_itself(self, kind: str) -> None:
        for observable in of_kind(kind):
            assert observable.name.isidentifier()
            assert observable.label
            assert observable.symbol
            assert "$" not in observable.symbol
            assert "arXiv" in observable.citation or "Phys. Rev. D" in observable.citation
            assert observable.unit in ("", "cells", "layers", "MeV", "mm")
            assert observable.group in GROUPS

    def test_has_a_symbol_that_can_be_drawn(self, kind: str) -> None:
        for observable in of_kind(kind):
            MathTextParser("path").parse(f"${observable.symbol}$")

    def test_of_no_showers_gives_no_number(self, kind: str) -> None:
        none = Showers(CALOGAN, np.zeros((0, CALOGAN.n_cells)), Incident([], []))
        assert all(observable(none).shape == (0,) for observable in of_kind(kind))

    @given(showers=samples())
    @settings(max_examples=15)
    def test_gives_one_number_per_shower(self, kind: str, showers: Showers) -> None:
        for observable in of_kind(kind):
            values = observable(showers)
            assert values.shape == (len(showers),)
            assert values.dtype == np.float64
            assert not np.isinf(values).any()
            assert SIGNED.match(observable.name) or (values[np.isfinite(values)] >= 0).all()
            alone = observable(showers[len(showers) - 1 :])
            np.testing.assert_array_equal(values[-1:], alone, err_msg=observable.name)

    def test_can_be_written_to_without_harm(self, kind: str) -> None:
        one = shower((0, 1, 40, 100.0), (1, 5, 5, 300.0), (1, 5, 6, 1.0), (2, 0, 0, 400.0))
        for observable in of_kind(kind):
            before = observable(one).copy()
            observable(one)[:] = -1
            np.testing.assert_array_equal(observable(one), before)

    @given(showers=samples(), exponent=st.integers(-8, 8))
    @settings(max_examples=15)
    def test_knows_the_unit_of_energy(self, kind: str, showers: Showers, exponent: int) -> None:
        factor = 2.0**exponent
        scaled = Showers(CALOGAN, showers.cells * factor, Incident(showers.pdg, showers.energy * factor))
        for observable in of_kind(kind):
            if "_above_" not in observable.name:
                expected = observable(showers) * (factor if observable.unit == "MeV" else 1)
                np.testing.assert_allclose(observable(scaled), expected, rtol=1e-9, err_msg=observable.name)

    @given(showers=samples())
    @settings(max_examples=15)
    def test_is_the_same_for_a_flipped_shower(self, kind: str, showers: Showers) -> None:
        for permutation in CALOGAN.symmetries():
            flipped = Showers(CALOGAN, showers.cells[:, permutation], Incident(showers.pdg, showers.energy))
            for observable in of_kind(kind):
                size = np.abs if SIGNED.match(observable.name) else np.array
                np.testing.assert_allclose(
                    size(observable(flipped)), size(observable(showers)), rtol=1e-9, atol=1e-9
                )


@given(showers=samples())
@settings(max_examples=25)
def test_layer_fractions_sum_to_one(showers: Showers) -> None:
    total = sum(fraction(showers) for fraction in LayerFraction.every(CALOGAN))
    hit = showers.cells.any(axis=1)
    np.testing.assert_allclose(np.asarray(total)[hit], 1.0, rtol=1e-12)


@given(showers=samples())
@settings(max_examples=25)
def test_widths_in_mm_are_widths_in_cells_times_their_size(showers: Showers) -> None:
    for layer, size in enumerate((5.0, 40.0, 80.0)):
        in_cells, in_mm = LateralWidth(layer)(showers), LateralWidth(layer, unit="mm")(showers)
        np.testing.assert_allclose(in_mm, size * in_cells, rtol=1e-9, atol=1e-9)


def test_spread_keeps_its_digits_far_from_the_origin() -> None:
    weights = np.array([[1.0, 1.0]])
    assert spread(weights, np.array([1e9, 1e9 + 1])) == pytest.approx([0.5], rel=1e-12)
