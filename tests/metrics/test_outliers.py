"""Outliers of known distributions."""

import numpy as np
import pytest

from caloforge.errors import InputError
from caloforge.metrics.outliers import SHARE, OutlierCounts, Ranges
from caloforge.observables.hits import Hits
from caloforge.observables.response import Response

SHAPES = (Response(), Hits())
LOW, HIGH = 1e3, 1e5


def sample(n: int, seed: int, shift: float = 0.0) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """A shape whose mean and width follow the energy, and one with a tail."""
    random = np.random.default_rng(seed)
    energy = random.uniform(LOW, HIGH, n)
    width = 0.1 / np.sqrt(energy / LOW)
    response = 0.9 + 0.02 * np.log(energy / LOW) + width * (random.normal(size=n) + shift)
    return energy, {"response": response, "hits": random.exponential(1 + energy / LOW, n)}


@pytest.fixture(scope="module")
def ranges() -> Ranges:
    return Ranges.of(SHAPES, *sample(8000, 1))


def test_a_sample_of_the_same_kind_has_as_many_as_are_left_out(ranges: Ranges) -> None:
    near, error = ranges.outside(*sample(400_000, 2)).rates()
    far, _ = ranges.outside(*sample(400_000, 2)).rates(far=True)
    # The ends come from 16 showers a side, which is what limits the agreement.
    np.testing.assert_allclose(near[1:], 2 * SHARE, rtol=0.5)
    assert near[1:].max() <= near[0] <= near[1:].sum()
    assert (error < 2e-4).all()
    assert (far < 1e-4).all()


def test_shifted_showers_are_outliers_at_all_energies(ranges: Ranges) -> None:
    outside = ranges.outside(*sample(4000, 2, shift=5.0))
    shares = outside.near[1] / outside.showers
    assert len(shares) == 8
    assert (shares > 0.9).all()
    far = ranges.outside(*sample(4000, 2, shift=12.0)).far
    assert far[1].sum() > 3500
    assert far[2].sum() < 5
    assert far[0].sum() >= far[1].sum()


def test_what_is_usual_at_another_energy_is_not_usual_here(ranges: Ranges) -> None:
    energy = np.full(100, 9e4)
    wide = {"response": np.full(100, 0.7), "hits": np.full(100, 50.0)}
    assert ranges.outside(energy, wide).near[1].sum() == 100
    assert ranges.outside(np.full(100, 1.5e3), wide).near[1].sum() == 0


def test_energies_that_the_reference_lacks_do_not_count(ranges: Ranges) -> None:
    energy, values = sample(100, 3)
    outside = ranges.outside(energy * 1000, values)
    assert outside.showers.sum() == 0


def test_a_shape_may_be_undefined_where_it_often_is() -> None:
    energy, values = sample(4000, 1)
    values["hits"][energy < 2e4] = np.nan
    ranges = Ranges.of(SHAPES, energy, values)
    here = np.array([1.5e3, 9e4])
    undefined = {"response": np.array([0.9, 0.99]), "hits": np.full(2, np.nan)}
    outside = ranges.outside(here, undefined)
    assert outside.far[2].tolist() == [0, 0, 0, 1]


@pytest.mark.parametrize("energies", [[5e4], [1e4, 5e4]])
def test_few_energies_are_enough(energies: list[float]) -> None:
    random = np.random.default_rng(1)
    energy = np.resize(energies, 2000)
    values = {"response": random.normal(1, 0.1, 2000), "hits": np.ones(2000)}
    outside = Ranges.of(SHAPES, energy, values).outside(energy, values)
    assert outside.showers.sum() == 2000
    assert 0 < outside.near[1].sum() <= 8
    assert outside.near[2].sum() == 0


def test_few_showers_are_refused() -> None:
    with pytest.raises(InputError, match="give a reference of 1000 or more"):
        Ranges.of(SHAPES, *sample(499, 1))


def test_counts_of_parts_are_those_of_the_whole(ranges: Ranges) -> None:
    energy, values = sample(1000, 4, shift=3.0)
    parts = [
        ranges.outside(energy[rows], {name: value[rows] for name, value in values.items()})
        for rows in (slice(0, 300), slice(300, None))
    ]
    whole, both = ranges.outside(energy, values), parts[0] + parts[1]
    assert whole.showers.tolist() == both.showers.tolist()
    assert whole.near.tolist() == both.near.tolist()
    assert whole.far.tolist() == both.far.tolist()


def test_rates_are_those_of_the_reference_s_energies() -> None:
    outside = OutlierCounts(np.array([1000, 10, 0]), np.array([[0, 5, 0]]), np.array([[0, 0, 0]]))
    rate, error = outside.rates()
    assert rate.tolist() == [0.25]
    assert 0.07 < error[0] < 0.08
    none, unsure = outside.rates(far=True)
    assert none.tolist() == [0.0]
    assert unsure[0] > 0
