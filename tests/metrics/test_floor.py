"""Scores: values, floors and their errors on cases that can be calculated."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from caloforge.metrics.base import Metric
from caloforge.metrics.floor import Score, against_floor, scores


def difference(reference: np.ndarray, sample: np.ndarray) -> float:
    return float(np.mean(sample) - np.mean(reference))


def size(reference: np.ndarray, sample: np.ndarray) -> float:
    assert len(reference) == len(sample)
    return float(len(reference))


MEAN = Metric("mean", "difference of means", "", least=10, measure=difference)
SIZE = Metric("size", "size", "", least=10, measure=size)


def normal(n: int, seed: int = 1, mean: float = 0.0) -> np.ndarray:
    return np.random.default_rng(seed).normal(mean, 1, n)


def test_all_samples_are_of_half_the_smaller_file() -> None:
    for n, m in [(100, 100), (100, 61), (61, 100)]:
        score = against_floor(SIZE, normal(n), normal(m))
        assert score.n == score.value == score.floor == min(n, m) // 2
        assert score.sigma == 0


def test_the_samples_of_the_reference_are_disjoint_and_change() -> None:
    seen: list[set[float]] = []

    def common(first: np.ndarray, second: np.ndarray) -> float:
        seen.append(set(first))
        return float(len(np.intersect1d(first, second)))

    values = np.arange(100.0)
    score = against_floor(Metric("common", "", "", least=10, measure=common), values, values)
    assert score.floor == 0
    assert score.value is not None
    assert score.value > 0
    assert len({frozenset(rows) for rows in seen}) == score.repeats == 10


def test_one_observable_is_handed_out_in_order_and_showers_of_many_together() -> None:
    def ordered(first: np.ndarray, second: np.ndarray) -> float:
        assert (np.diff(first) >= 0).all()
        assert (np.diff(second) >= 0).all()
        return 0.0

    def whole(first: np.ndarray, second: np.ndarray) -> float:
        assert (first[:, 0] == -first[:, 1]).all()
        assert not (np.diff(first[:, 0]) >= 0).all()
        return 0.0

    one = np.arange(1000.0)
    against_floor(Metric("ordered", "", "", 10, ordered), one[::-1], one)
    both = np.column_stack([one, -one])
    against_floor(Metric("whole", "", "", 10, whole, joint=True), both, both)


def test_a_metric_uses_no_more_showers_than_it_needs() -> None:
    few = Metric("few", "", "", least=10, measure=size, most=20)
    found = scores((SIZE, few), normal(100), normal(100))
    assert list(found) == ["size", "few"]
    assert (found["size"].value, found["few"].value) == (50, 20)
    assert (found["size"].n, found["few"].n) == (50, 20)


def test_the_seed_decides() -> None:
    first, second = normal(200), normal(200, seed=2)
    assert against_floor(MEAN, first, second) == against_floor(MEAN, first, second)
    assert against_floor(MEAN, first, second, seed=1) != against_floor(MEAN, first, second, seed=2)


@pytest.mark.parametrize(("n", "m"), [(200, 200), (1000, 200)])
def test_the_error_is_the_spread_of_independent_files(n: int, m: int) -> None:
    found = [against_floor(MEAN, normal(n, 2 * i), normal(m, 2 * i + 1, mean=3)) for i in range(200)]
    values, errors = (np.array([getattr(score, what) for score in found]) for what in ("value", "error"))
    # Each of the ten repeats adds a tenth of its own spread to what the files give.
    true = np.sqrt(1 / n + 1 / m + (2 / (m // 2) - 1 / n - 1 / m) / 10)
    assert values.mean() == pytest.approx(3, abs=5 * true / np.sqrt(200))
    assert values.std() == pytest.approx(true, rel=5 / np.sqrt(400))
    assert np.sqrt((errors**2).mean()) == pytest.approx(true, rel=5 / np.sqrt(2 * 9 * 200))


def test_the_floors_error_is_that_of_a_mean() -> None:
    assert Score.of([1, 2, 3], [0, 2, 4], n=7).floor_error == pytest.approx(2 / np.sqrt(3))


def test_repeats_of_independent_samples_have_the_error_of_a_mean() -> None:
    score = Score.of([1, 2, 3], [1, 1, 1], n=7)
    assert (score.value, score.floor, score.n, score.repeats) == (2, 1, 7, 3)
    assert score.error == pytest.approx(1 / np.sqrt(3))
    assert score.sigma == pytest.approx(np.sqrt(3))


def test_repeats_that_share_showers_are_less_certain() -> None:
    alone, halves = (Score.of([1, 2, 3], [1, 1, 1], n=7, share=share).error for share in (0, 0.5))
    assert halves == pytest.approx(np.sqrt(1 + 1 / 3))
    assert alone is not None
    assert halves is not None
    assert halves > alone


def test_where_more_is_better_less_is_above_the_floor() -> None:
    lower, higher = (Score.of([1, 2, 3], [4, 4, 4], n=7, higher=higher).sigma for higher in (False, True))
    assert lower is not None
    assert higher == -lower > 0


def test_what_does_not_vary_has_no_distance_in_standard_deviations() -> None:
    assert Score.of([1, 1], [1, 1], n=7).sigma == 0
    score = Score.of([2, 2], [1, 1], n=7)
    assert score.sigma is None
    assert (score.value, score.floor) == (2, 1)
    assert score.reason


@given(bad=st.sampled_from([np.nan, np.inf, -np.inf]))
def test_what_is_not_finite_is_no_number(bad: float) -> None:
    score = Score.of([1, bad], [1, 1], n=7)
    assert score.value is score.error is score.sigma is None
    assert "not finite" in score.reason


def test_too_few_showers_are_said_and_do_not_hinder_other_metrics() -> None:
    many = Metric("many", "", "", least=60, measure=difference)
    found = scores((many, MEAN), normal(100), normal(100))
    assert found["many"].value is None
    assert "60" in found["many"].reason
    assert "50" in found["many"].reason
    assert found["mean"].value is not None
    assert against_floor(MEAN, normal(0), normal(100)).value is None
