"""Incident energies."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from caloforge.errors import InputError
from caloforge.incident.spectrum import Spectrum
from caloforge.units import GeV

seeds = st.integers(0, 2**32)


@given(seed=seeds, start=st.integers(0, 500), length=st.integers(0, 300), cut=st.integers(0, 300))
def test_a_shower_has_the_same_energy_in_whatever_part_it_is_made(
    seed: int, start: int, length: int, cut: int
) -> None:
    spectrum = Spectrum.parse("1:100")
    stop, middle = start + length, start + min(cut, length)
    whole = spectrum.sample(seed, start, stop)
    parts = [spectrum.sample(seed, start, middle), spectrum.sample(seed, middle, stop)]
    np.testing.assert_array_equal(whole, np.concatenate(parts))


@given(seed=seeds)
def test_uniform_energies_fill_their_range(seed: int) -> None:
    energies = Spectrum.parse("1:100").sample(seed, 0, 4000)
    assert 1 * GeV <= energies.min() < 1.5 * GeV
    assert 99.5 * GeV < energies.max() <= 100 * GeV
    # Mean and its standard error of a uniform distribution: 50.5 and 28.6 / sqrt(4000); five of them.
    assert abs(energies.mean() / GeV - 50.5) < 5 * 99 / np.sqrt(12 * 4000)


@given(seed=seeds)
def test_logarithmic_energies_are_uniform_in_their_logarithm(seed: int) -> None:
    spectrum = Spectrum.parse("log:0.5:50")
    energies = spectrum.sample(seed, 0, 4000)
    assert 0.5 * GeV <= energies.min()
    assert energies.max() <= 50 * GeV
    decades = np.log10(energies / GeV)
    # Mean and its standard error of a uniform distribution over two decades; five of them.
    assert abs(decades.mean() - np.log10(5)) < 5 * 2 / np.sqrt(12 * 4000)
    np.testing.assert_array_equal(spectrum.sample(seed, 100, 200), energies[100:200])
    assert Spectrum.parse(spectrum.text) == spectrum


def test_energies_survive_single_precision() -> None:
    energies = Spectrum.parse("1:100").sample(3, 0, 1000)
    np.testing.assert_array_equal(energies, energies.astype(np.float32))


def test_different_seeds_give_different_energies() -> None:
    spectrum = Spectrum.parse("1:100")
    assert not np.intersect1d(spectrum.sample(1, 0, 100), spectrum.sample(2, 0, 100)).size


def test_lists_are_taken_in_turn_and_numbers_are_fixed() -> None:
    np.testing.assert_array_equal(Spectrum.parse("10,50").sample(1, 1, 4), np.array([50, 10, 50]) * GeV)
    np.testing.assert_array_equal(Spectrum.parse("50").sample(1, 0, 2), np.array([50, 50]) * GeV)


@given(
    length=st.integers(1, 30),
    start=st.integers(0, 100),
    n=st.integers(1, 40),
    ranged=st.booleans(),
    seed=seeds,
)
def test_a_part_has_the_same_energies_and_no_others(
    length: int, start: int, n: int, ranged: bool, seed: int
) -> None:
    whole = Spectrum.parse("1:100") if ranged else Spectrum.listed(np.arange(1.0, length + 1))
    part = whole.part(start, start + n)
    np.testing.assert_array_equal(part.sample(seed, start, start + n), whole.sample(seed, start, start + n))
    assert len(part.values) <= n


def test_a_list_may_be_longer_than_any_path() -> None:
    spectrum = Spectrum.parse(",".join(["12.5"] * 2000))
    np.testing.assert_array_equal(spectrum.sample(1, 1990, 2010), np.full(20, 12.5 * GeV))


@pytest.mark.parametrize(
    "text",
    ["0", "-5", "nan", "inf", "5:nan", "100:1", "1:1", "", "ten", "1,0", "no/file.txt", "1e300", "1e-60"],
)
def test_what_is_no_energy_is_refused_in_a_sentence(text: str) -> None:
    with pytest.raises(InputError, match="GeV"):
        Spectrum.parse(text)
