"""What holds for every metric: one body for all of the catalogue."""

import numpy as np
import pytest

from caloforge import catalog
from caloforge.metrics.base import Metric, every
from caloforge.metrics.floor import against_floor

METRICS = [*every(joint=False), *every(joint=True)]


def sample(metric: Metric, shift: float = 0.0, scale: float = 1.0, seed: int = 1) -> np.ndarray:
    n = max(1000, 2 * metric.least)
    shape = (n, 3) if metric.joint else n
    return shift + scale * np.random.default_rng(seed).normal(size=shape)


def by_name(metric: Metric) -> str:
    return metric.name


def test_both_kinds_are_found() -> None:
    assert {"separation", "wasserstein", "kolmogorov_smirnov", "chi2"} <= {m.name for m in every(joint=False)}
    assert {"correlation", "frechet", "frechet_robust", "kernel", "kernel_robust"} <= {
        m.name for m in every(joint=True)
    }
    assert {"precision", "recall", "density", "coverage"} <= {m.name for m in every(joint=True)}


@pytest.mark.parametrize("metric", METRICS, ids=by_name)
def test_a_metric_tells_what_it_is(metric: Metric) -> None:
    assert metric.name in catalog.names("metrics")
    assert metric.label
    assert metric.citation
    assert 1 < metric.least <= (metric.most or np.inf)


@pytest.mark.parametrize("metric", METRICS, ids=by_name)
def test_samples_of_equal_distribution_are_at_the_floor(metric: Metric) -> None:
    score = against_floor(metric, sample(metric), sample(metric, seed=2))
    assert score.sigma is not None
    assert abs(score.sigma) < 5


# A smaller spread lies where the reference is; its correlations remain.
BLIND = {"correlation": {"shifted", "narrow", "wide"}, "precision": {"narrow"}, "density": {"narrow"}}
BLIND |= {"recall": {"wide"}}


@pytest.mark.parametrize(
    ("kind", "shift", "scale"), [("shifted", 2.0, 1.0), ("narrow", 0.0, 0.5), ("wide", 0.0, 2.0)]
)
@pytest.mark.parametrize("metric", METRICS, ids=by_name)
def test_shifted_and_smeared_copies_are_above_the_floor(
    metric: Metric, kind: str, shift: float, scale: float
) -> None:
    score = against_floor(metric, sample(metric), sample(metric, shift, scale))
    assert score.sigma is not None
    assert (score.sigma > 5) is (kind not in BLIND.get(metric.name, ()))


@pytest.mark.parametrize("metric", METRICS, ids=by_name)
def test_too_few_showers_give_no_number(metric: Metric) -> None:
    few = sample(metric)[: 2 * metric.least - 1]
    score = against_floor(metric, few, few)
    assert score.value is score.floor is score.sigma is None
    assert str(metric.least) in score.reason
    enough = sample(metric)[: 2 * metric.least]
    assert against_floor(metric, enough, enough).value is not None


@pytest.mark.parametrize("metric", METRICS, ids=by_name)
def test_the_order_of_showers_in_a_file_does_not_matter(metric: Metric) -> None:
    first, second = sample(metric), sample(metric, 0.3, seed=2)
    turned = against_floor(metric, first[::-1], second[::-1])
    score = against_floor(metric, first, second)
    assert turned.n == score.n
    assert turned.value is not None
    assert score.value is not None
    assert score.error is not None
    assert turned.error is not None
    assert abs(turned.value - score.value) < 5 * np.hypot(turned.error, score.error)
