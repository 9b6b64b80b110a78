"""The beam: directions and positions in addition to energies."""

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from caloforge.errors import InputError
from caloforge.geometry import Axis, Calorimeter, RingLayer, Slab, Stack
from caloforge.incident.beam import (
    Beam,
    Coordinates,
    Range,
    as_direction,
    as_position,
    parse_direction,
    parse_position,
)
from caloforge.incident.incident import FIELDS
from caloforge.incident.spectrum import Spectrum

SPECTRUM = Spectrum.parse("1:100")
WIDE = Beam(-11, SPECTRUM, parse_direction("10:30", "-90:90"), parse_position("-5:5", "20"))

seeds = st.integers(0, 2**64 - 1)


@given(seed=seeds, start=st.integers(0, 500), length=st.integers(0, 50), cut=st.integers(0, 50))
def test_a_particle_is_the_same_in_whatever_part_it_is_made(
    seed: int, start: int, length: int, cut: int
) -> None:
    stop, middle = start + length, start + min(cut, length)
    whole = WIDE.sample(seed, start, stop)
    parts = WIDE.sample(seed, start, middle), WIDE.sample(seed, middle, stop)
    for name in FIELDS:
        joined = np.concatenate([getattr(part, name) for part in parts])
        np.testing.assert_array_equal(getattr(whole, name), joined)


@given(seed=seeds)
def test_the_energies_are_those_of_the_spectrum_whatever_the_direction(seed: int) -> None:
    np.testing.assert_array_equal(WIDE.sample(seed, 3, 20).energy, SPECTRUM.sample(seed, 3, 20))


def test_a_beam_is_perpendicular_and_central_unless_told_otherwise() -> None:
    incident = Beam(22, SPECTRUM).sample(1, 0, 5)
    assert not incident.direction.any()
    assert not incident.position.any()


def test_ranges_are_filled_evenly_and_independently() -> None:
    incident = WIDE.sample(5, 0, 4000)
    columns = np.stack([incident.energy, *incident.direction.T, incident.position[:, 0]])
    limits = [(1e3, 1e5), (math.radians(10), math.radians(30)), (-math.pi / 2, math.pi / 2), (-5, 5)]
    for values, (low, high) in zip(columns, limits, strict=True):
        uniform = (values - low) / (high - low)
        assert 0 <= uniform.min() < 0.01 < 0.99 < uniform.max() <= 1 + 1e-6
        assert abs(uniform.mean() - 0.5) < 5 / math.sqrt(12 * 4000)
    assert (incident.position[:, 1] == 20).all()
    off_diagonal = np.corrcoef(columns)[~np.eye(4, dtype=bool)]
    assert np.abs(off_diagonal).max() < 5 / math.sqrt(4000)


def test_different_seeds_give_different_directions() -> None:
    first, second = (WIDE.sample(seed, 0, 100).direction[:, 0] for seed in (1, 2))
    assert not np.intersect1d(first, second).size


@given(theta=st.floats(0, 89.9999), phi=st.floats(-360, 360))
def test_particles_always_fly_towards_the_calorimeter(theta: float, phi: float) -> None:
    beam = Beam(22, SPECTRUM, parse_direction(repr(theta), repr(phi)))
    incident = beam.sample(0, 0, 1)
    assert math.cos(incident.direction[0, 0]) > 0
    assert incident.direction[0].tolist() == pytest.approx([math.radians(theta), math.radians(phi)])


@pytest.mark.parametrize("beam", [WIDE, Beam(22, Spectrum.parse("10,50"))])
def test_a_beam_survives_json(beam: Beam) -> None:
    assert Beam.from_dict(json.loads(json.dumps(beam.to_dict()))) == beam


@pytest.mark.parametrize(("text", "written"), [("20", "20"), ("0:60", "0:60"), ("-5:1e1", "-5:10")])
def test_ranges_are_read_and_written(text: str, written: str) -> None:
    assert str(Range.parse(text, "theta")) == written


@pytest.mark.parametrize("text", ["", "ten", "nan", "inf", "1:", ":1", "5:5", "5:1", "1:inf", "1:2:3"])
def test_what_is_no_range_is_refused_in_a_sentence(text: str) -> None:
    with pytest.raises(InputError, match=r"not possible for eta \(mm\): give a number, or LOW:HIGH"):
        parse_position(text, "0")


@pytest.mark.parametrize(
    ("theta", "phi", "sentence"),
    [
        ("90", "0", "theta = 90 degrees"),
        ("-10:10", "0", "theta = -10:10 degrees"),
        ("0:120", "0", "theta = 0:120 degrees"),
        ("10", "0:1000", "phi = 0:1000 degrees is more than a turn"),
    ],
)
def test_directions_from_behind_are_refused(theta: str, phi: str, sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        Beam(22, SPECTRUM, parse_direction(theta, phi))


def test_positions_are_on_the_front_face(calogan: Calorimeter) -> None:
    slabs = (Slab("G4_Pb", 2.0, "absorber"),)
    disc = RingLayer(z=(0.0, 2.0), r=Axis(edges=[0.0, 50.0, 100.0]), alpha=8)
    rings = Calorimeter("rings", "for tests", "none", (Stack(1, slabs),), ("absorber",), (disc,))
    for calorimeter, inside, outside, face in [
        (calogan, ("-240:240", "240"), ("0", "241"), "eta -240 to 240 mm, phi -240 to 240 mm"),
        (rings, ("60", "-80:80"), ("61", "80"), "a disc with a radius of 100 mm"),
    ]:
        Beam(22, SPECTRUM).check(calorimeter)
        Beam(22, SPECTRUM, position=parse_position(*inside)).check(calorimeter)
        with pytest.raises(InputError, match=rf"is not on the front face of {calorimeter.name} \({face}"):
            Beam(22, SPECTRUM, position=parse_position(*outside)).check(calorimeter)


def test_coordinates_are_numbers_or_pairs() -> None:
    both = (Range(0.1, 0.1), Range(0.0, 3.0))
    assert as_direction((0.1, (0, 3))) == as_direction((0.1, Range(0.0, 3.0))) == both
    assert as_position((-2, np.float32(4))) == (Range(-2.0, -2.0), Range(4.0, 4.0))


@pytest.mark.parametrize(
    "wrong", [3, (1,), (1, 2, 3), ("0", "1"), (None, 0), (math.nan, 0), ((2, 1), 0), ((1, 2, 3), 0), "12"]
)
def test_wrong_coordinates_end_in_a_sentence(wrong: Coordinates) -> None:
    with pytest.raises(InputError, match=r"direction \(theta and phi in rad\) can't be .*: give two coordi"):
        as_direction(wrong)
    with pytest.raises(InputError, match=r"position \(eta and phi in mm\) can't be"):
        as_position(wrong)
