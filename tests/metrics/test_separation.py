"""Separation power on known answers."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from caloforge.metrics.separation import separation


def normal(n: int, mean: float = 0.0, seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).normal(mean, 1, n)


def test_a_sample_is_not_separated_from_itself() -> None:
    assert separation(normal(1000), normal(1000)) == 0


def test_samples_without_overlap_are_separated_as_far_as_bins_allow() -> None:
    # All of the sample falls in the last of the reference's 30 bins, which holds 1/30 of it.
    expected = 0.5 * (29 / 30 + (1 - 1 / 30) ** 2 / (1 + 1 / 30))
    assert separation(normal(3000), normal(3000, mean=100)) == pytest.approx(expected, rel=1e-3)


def test_two_normal_distributions_have_the_analytic_separation() -> None:
    x = np.linspace(-9, 10, 20_001)
    p, q = (np.exp(-0.5 * (x - mean) ** 2) / np.sqrt(2 * np.pi) for mean in (0, 1))
    expected = 0.5 * np.trapezoid((p - q) ** 2 / (p + q), x)
    found = separation(normal(200_000), normal(200_000, mean=1, seed=2), bins=200)
    assert found == pytest.approx(expected, rel=0.02)


@given(scale=st.floats(1e-3, 1e3), shift=st.floats(-10, 10))
def test_units_do_not_matter(scale: float, shift: float) -> None:
    first, second = normal(500), normal(400, mean=0.3, seed=2)
    rescaled = separation(scale * first + shift, scale * second + shift)
    assert rescaled == pytest.approx(separation(first, second), abs=0.02)


def test_undefined_values_count() -> None:
    defined, undefined = normal(100), np.full(100, np.nan)
    assert separation(defined, undefined) == pytest.approx(1)
    assert separation(undefined, undefined) == 0
