"""Kernel physics distance on distributions whose moments are known."""

from math import comb

import numpy as np
import pytest
import scipy.stats

from caloforge.metrics.kernel import kernel
from caloforge.metrics.kernel_robust import kernel_robust


def normal(n: int, d: int = 1, seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(n, d))


def moment(power: int, mean: float, spread: float) -> float:
    return float(scipy.stats.norm(mean, spread).moment(power))


def test_one_feature_has_the_distance_of_its_first_four_moments() -> None:
    # (x y + 1)^4 is a sum of products of powers, so its mean is one of products of moments.
    steps = [moment(power, 0.2, 1.1) - moment(power, 0, 1) for power in range(1, 5)]
    expected = sum(comb(4, power) * step**2 for power, step in enumerate(steps, start=1))
    found = [kernel(normal(4000, seed=i), 0.2 + 1.1 * normal(4000, seed=i + 100)) for i in range(20)]
    error = np.std(found, ddof=1) / np.sqrt(20)
    # A median of batches is not quite their mean, as they are not symmetric.
    assert np.mean(found) == pytest.approx(expected, abs=5 * error + 0.1 * expected)
    assert error < 0.1 * expected


def test_equal_distributions_scatter_about_zero() -> None:
    found = [kernel(normal(2000, 5, i), normal(2000, 5, i + 100)) for i in range(20)]
    assert np.mean(found) == pytest.approx(0, abs=5 * np.std(found, ddof=1))
    assert min(found) < 0


def test_it_is_symmetric() -> None:
    first, second = normal(500, 3), 0.3 + normal(500, 3, 2)
    assert kernel(first, second) == pytest.approx(kernel(second, first))


def test_an_outlier_spoils_no_more_than_its_batch() -> None:
    first, second = normal(2000, 3), 0.5 + normal(2000, 3, 2)
    before = kernel(first, second)
    second[17] = 1000.0
    assert kernel(first, second) == pytest.approx(before, rel=0.2)


@pytest.mark.parametrize("side", [0, 1])
def test_outliers_in_each_batch_do_not_spoil_the_robust_distance(side: int) -> None:
    pair = [normal(4000, 3), 0.5 + normal(4000, 3, 2)]
    plain, robust = kernel(*pair), kernel_robust(*pair)
    pair[side][:10] = 100.0
    assert abs(kernel(*pair) - plain) > 100 * plain
    assert kernel_robust(*pair) == pytest.approx(robust, rel=0.2)
