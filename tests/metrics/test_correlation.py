"""Correlations on distributions whose coefficients are known."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from caloforge.metrics.correlation import correlation, correlation_matrix

N = 20_000


def pair(n: int, r: float, seed: int = 1) -> np.ndarray:
    """Two features with correlation r."""
    first, second = np.random.default_rng(seed).normal(size=(2, n))
    return np.column_stack([first, r * first + np.sqrt(1 - r**2) * second])


def test_the_difference_is_that_of_the_coefficients() -> None:
    assert correlation(pair(N, 0.8), pair(N, -0.1, seed=2)) == pytest.approx(0.9, abs=5 * np.sqrt(2 / N))


def test_it_is_a_mean_over_pairs() -> None:
    third = np.random.default_rng(3).normal(size=(N, 1))
    first, second = (np.column_stack([pair(N, r), third]) for r in (0.9, 0.0))
    assert correlation(first, second) == pytest.approx(0.9 / 3, abs=5 * np.sqrt(2 / N))


def test_equal_distributions_have_the_analytic_mean() -> None:
    n, repeats = 500, 40
    found = [correlation(*np.random.default_rng(i).normal(size=(2, n, 6))) for i in range(repeats)]
    expected = np.sqrt(4 / (np.pi * n))
    assert np.mean(found) == pytest.approx(expected, abs=5 * np.std(found) / np.sqrt(repeats) + expected / n)


@given(scale=st.floats(1e-3, 1e3), shift=st.floats(-10, 10))
def test_units_do_not_matter(scale: float, shift: float) -> None:
    rows = pair(200, 0.4)
    moved = rows * [scale, 1] + [shift, 0]
    np.testing.assert_allclose(correlation_matrix(moved), correlation_matrix(rows), atol=1e-6)


def test_the_matrix_is_that_of_numpy() -> None:
    rows = np.random.default_rng(1).normal(size=(100, 5))
    rows[:, 1] += rows[:, 0]
    np.testing.assert_allclose(correlation_matrix(rows), np.corrcoef(rows.T), atol=1e-12)


def test_what_never_changes_is_not_correlated() -> None:
    rows = np.column_stack([pair(100, 0.5), np.full(100, 0.1)])
    matrix = correlation_matrix(rows)
    assert (matrix[2] == [0, 0, 1]).all()
    assert correlation(rows[:, :1], rows[:, :1]) == 0
