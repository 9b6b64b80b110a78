"""Wasserstein, Kolmogorov-Smirnov and chi-square on known answers."""

import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

from caloforge.metrics._ordered import counts
from caloforge.metrics.base import every
from caloforge.metrics.chi2 import chi2
from caloforge.metrics.floor import scores
from caloforge.metrics.kolmogorov_smirnov import kolmogorov_smirnov
from caloforge.metrics.wasserstein import wasserstein

N = 20_000
# Few different values, so that samples have ties.
SAMPLES = st.lists(st.integers(-8, 8).map(float), min_size=1, max_size=40).map(np.array)


def normal(n: int, mean: float = 0.0, scale: float = 1.0, seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).normal(mean, scale, n)


def deviation(values: np.ndarray) -> float:
    return float(np.abs(values - np.median(values)).mean())


@given(first=SAMPLES, second=SAMPLES)
def test_wasserstein_is_that_of_scipy_over_the_deviation(first: np.ndarray, second: np.ndarray) -> None:
    unit = deviation(first) or deviation(np.concatenate([first, second])) or 1.0
    expected = scipy.stats.wasserstein_distance(first, second) / unit
    assert wasserstein(first, second) == pytest.approx(expected, abs=1e-12)


@given(shift=st.floats(-5, 5), scale=st.floats(1e-3, 1e3))
def test_a_shift_is_a_wasserstein_distance_of_as_much_in_any_unit(shift: float, scale: float) -> None:
    values = normal(300)
    distance = wasserstein(scale * values, scale * (values + shift * deviation(values)))
    assert distance == pytest.approx(abs(shift), abs=1e-9)


def test_a_wider_normal_distribution_has_the_analytic_wasserstein_distance() -> None:
    # Quantiles move by (s - 1) |z|, of which the mean is (s - 1) times the deviation.
    found = wasserstein(normal(N), normal(N, scale=1.5, seed=2))
    assert found == pytest.approx(0.5, abs=5 * 2 * 1.5 / np.sqrt(N))


def test_the_unit_of_the_wasserstein_distance_does_not_follow_an_outlier() -> None:
    first, second = normal(1000), normal(1000, mean=0.3, seed=2)
    before = wasserstein(first, second)
    first[0] = second[0] = 100
    assert wasserstein(first, second) == pytest.approx(before, rel=0.2)


@given(first=SAMPLES, second=SAMPLES)
def test_kolmogorov_smirnov_is_the_largest_difference_of_the_steps(
    first: np.ndarray, second: np.ndarray
) -> None:
    places = np.union1d(first, second)
    risen = [np.searchsorted(np.sort(part), places, side="right") / len(part) for part in (first, second)]
    expected = np.abs(risen[0] - risen[1]).max()
    assert kolmogorov_smirnov(first, second) == pytest.approx(expected, abs=1e-12)
    assert kolmogorov_smirnov(second, first) == pytest.approx(expected, abs=1e-12)


def test_two_normal_distributions_have_the_analytic_kolmogorov_smirnov_distance() -> None:
    expected = 2 * scipy.stats.norm.cdf(0.25) - 1
    found = kolmogorov_smirnov(normal(N), normal(N, mean=0.5, seed=2))
    # F - G at its fixed place spreads with less than sqrt(2 / 4N); that it is a maximum adds less than that.
    assert found == pytest.approx(expected, abs=5 * np.sqrt(0.5 / N))


@given(first=SAMPLES, second=SAMPLES)
def test_chi2_is_that_of_a_contingency_table(first: np.ndarray, second: np.ndarray) -> None:
    table = np.array(counts(first, second))
    filled = table[:, table.sum(axis=0) > 0]
    test = scipy.stats.chi2_contingency(filled, correction=False)
    assert chi2(first, second) == pytest.approx(test.statistic / max(test.dof, 1), abs=1e-9)


@given(first=SAMPLES, second=SAMPLES, undefined=st.integers(0, 5))
def test_each_shower_is_in_a_bin(first: np.ndarray, second: np.ndarray, undefined: int) -> None:
    second = np.append(second, np.full(undefined, np.nan))
    n, m = counts(first, second)
    assert (n.sum(), m.sum()) == (len(first), len(second))
    assert (n[-1], m[-1]) == (0, undefined)


def test_bins_hold_equal_numbers_of_the_reference() -> None:
    assert (counts(normal(3000), normal(10))[0][:-1] == 100).all()


@pytest.mark.parametrize(("n", "m"), [(500, 500), (500, 2000)])
def test_chi2_of_equal_distributions_is_one_for_any_size(n: int, m: int) -> None:
    found = [chi2(normal(n, seed=2 * i), normal(m, seed=2 * i + 1)) for i in range(100)]
    spread = np.sqrt(2 / 29)
    assert np.mean(found) == pytest.approx(1, abs=5 * spread / 10 + 30 / n / 2)
    assert np.std(found) == pytest.approx(spread, rel=5 / np.sqrt(200))


def test_chi2_grows_with_the_size_of_the_samples() -> None:
    small, large = (chi2(normal(n), normal(n, mean=0.3, seed=2)) - 1 for n in (N // 10, N))
    assert large / small == pytest.approx(10, rel=0.5)


@pytest.mark.parametrize("metric", every(joint=False), ids=lambda metric: metric.name)
class TestOfOneObservable:
    """What holds for each of them."""

    def test_a_sample_has_no_distance_from_itself(self, metric) -> None:
        values = normal(1000)
        values[:100] = np.nan
        assert metric(values, values) == 0
        assert metric(values, np.random.default_rng(1).permutation(values)) == pytest.approx(0, abs=1e-12)

    def test_samples_that_are_in_order_are_compared_alike(self, metric) -> None:
        first, second = normal(500), normal(400, mean=0.2, seed=2)
        first[:7], second[:9] = np.nan, np.nan
        assert metric(np.sort(first), np.sort(second)) == metric(first, second)

    def test_undefined_values_are_a_difference(self, metric) -> None:
        first, second = normal(1000), normal(1000, seed=2)
        second[:100] = np.nan
        assert metric(first, second) > metric(first, normal(1000, seed=2))
        nothing = np.full(1000, np.nan)
        assert metric(nothing, nothing) == 0
        assert metric(first, nothing) > 0.5
        assert metric(nothing, first) > 0.5

    def test_an_observable_that_never_changes_is_compared_too(self, metric) -> None:
        same, other = np.full(600, 0.1), np.full(600, 0.3)
        assert metric(same, same) == 0
        assert metric(same, other) == pytest.approx(metric(same, other))
        assert np.isfinite(metric(same, normal(600)))

    def test_infinities_are_undefined(self, metric) -> None:
        first, second = normal(1000), normal(1000, seed=2)
        undefined = second.copy()
        second[:50], second[50:100], undefined[:100] = np.inf, -np.inf, np.nan
        assert metric(first, second) == pytest.approx(metric(first, undefined))

    def test_samples_may_be_empty(self, metric) -> None:
        assert np.isfinite(metric(normal(0), normal(10)))
        assert np.isfinite(metric(normal(10), normal(0)))

    def test_only_the_smeared_observable_is_far_from_its_floor(self, metric) -> None:
        first, second = normal(4000), normal(4000, seed=2)
        smeared = second + normal(4000, scale=1.5, seed=3)
        alike, wrong = (scores((metric,), first, part)[metric.name].sigma for part in (second, smeared))
        assert abs(alike) < 5 < wrong
