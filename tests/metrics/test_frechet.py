"""Fréchet distances of normal distributions, which are known."""

import numpy as np
import pytest
import scipy.linalg
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

from caloforge.metrics.frechet import frechet, gaussian_distance, moments
from caloforge.metrics.frechet_robust import frechet_robust

COVARIANCES = [np.array([[2.0, 0.6], [0.6, 0.5]]), np.array([[1.0, -0.3], [-0.3, 1.5]])]


def normal(n: int, d: int, seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(n, d))


def drawn(n: int, mean: np.ndarray, covariance: np.ndarray, seed: int) -> np.ndarray:
    return mean + normal(n, len(mean), seed) @ np.linalg.cholesky(covariance).T


def analytic(shift: np.ndarray, first: np.ndarray, second: np.ndarray) -> float:
    shared = np.trace(scipy.linalg.sqrtm(first @ second)).real
    return float(shift @ shift + np.trace(first) + np.trace(second) - 2 * shared)


def spread(measure, pair, repeats: int = 20) -> tuple[float, float]:
    """Mean of independent repeats and its error."""
    found = [measure(*pair(seed)) for seed in range(repeats)]
    return float(np.mean(found)), float(np.std(found, ddof=1) / np.sqrt(repeats))


@pytest.mark.parametrize("d", [1, 7])
def test_shifted_and_widened_features_have_the_analytic_distance(d: int) -> None:
    expected = d * (0.3**2 + 0.4**2)
    mean, error = spread(frechet, lambda i: (normal(2000, d, i), 0.3 + 1.4 * normal(2000, d, i + 100)))
    assert mean == pytest.approx(expected, abs=5 * error)


def test_correlated_features_have_the_analytic_distance() -> None:
    shift = np.array([0.2, -0.4])

    def pair(seed: int) -> tuple[np.ndarray, np.ndarray]:
        first = drawn(2000, 0 * shift, COVARIANCES[0], seed)
        return first, drawn(2000, shift, COVARIANCES[1], seed + 100)

    mean, error = spread(frechet, pair)
    assert mean == pytest.approx(analytic(shift, *COVARIANCES), abs=5 * error)


def test_extrapolation_removes_what_finite_samples_add() -> None:
    def pair(seed: int) -> tuple[np.ndarray, np.ndarray]:
        return normal(1000, 20, seed), normal(1000, 20, seed + 100)

    mean, error = spread(frechet, pair)
    finite, _ = spread(lambda a, b: gaussian_distance(moments(a), moments(b)), pair)
    assert mean == pytest.approx(0, abs=5 * error)
    assert finite > 20 * error


def test_moments_of_parts_are_those_of_the_whole() -> None:
    rows = 5 + normal(101, 4)
    whole, joined = moments(rows), moments(rows[:30]).joined(moments(rows[30:]))
    assert joined.n == 101
    np.testing.assert_allclose(joined.mean, rows.mean(axis=0))
    np.testing.assert_allclose(joined.covariance, np.cov(rows.T))
    np.testing.assert_allclose(whole.covariance, np.cov(rows.T))


@given(seed=st.integers(0, 1000), step=st.floats(-10, 10))
def test_rotations_and_shifts_of_all_do_not_matter(seed: int, step: float) -> None:
    first, second = normal(40, 3, seed), 0.5 + 2 * normal(60, 3, seed + 1)
    turn = scipy.stats.ortho_group.rvs(3, random_state=seed)
    distance = frechet(first @ turn + step, second @ turn + step)
    assert distance == pytest.approx(frechet(first, second), rel=1e-6, abs=1e-6)


def test_features_that_repeat_others_or_never_change_are_allowed() -> None:
    first, second = (
        np.column_stack([rows, rows, np.zeros(500)]) for rows in (normal(500, 1), normal(500, 1, 2))
    )
    # Twice the same feature counts twice; what never changes counts nothing.
    expected = 2 * frechet(first[:, :1], second[:, :1])
    assert frechet(first, second) == pytest.approx(expected, abs=1e-6)
    assert frechet(first, first) == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("side", [0, 1])
def test_an_outlier_decides_on_the_distance_but_not_on_the_robust_one(side: int) -> None:
    pair = [normal(1000, 3), normal(1000, 3, 2)]
    plain, robust = frechet(*pair), frechet_robust(*pair)
    pair[side][17] = 1000.0
    assert frechet(*pair) > 100 * abs(plain)
    assert frechet_robust(*pair) == pytest.approx(robust, abs=0.01)


@pytest.mark.parametrize("side", [0, 1])
def test_the_unit_of_the_robust_distance_does_not_follow_outliers(side: int) -> None:
    pair = [normal(1000, 3), 0.3 + normal(1000, 3, 2)]
    before = frechet_robust(*pair)
    pair[side][:3] = 1e6
    assert frechet_robust(*pair) == pytest.approx(before, rel=0.2)


def test_the_robust_distance_sees_a_shift_as_the_other_does() -> None:
    mean, error = spread(frechet_robust, lambda i: (normal(2000, 3, i), 0.1 + normal(2000, 3, i + 100)))
    # Limits at 1.96 hold a twentieth of the shift back, and as much of the standard deviation.
    assert mean == pytest.approx(3 * 0.01, abs=5 * error + 0.05 * 3 * 0.01)
