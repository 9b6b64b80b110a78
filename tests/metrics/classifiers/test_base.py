"""Trials against a floor, on samples whose separation is known."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.integrate import trapezoid
from scipy.special import ndtr
from sklearn.linear_model import LogisticRegression

from caloforge.errors import CatalogError, InputError
from caloforge.geometry import Calorimeter
from caloforge.incident.incident import Incident
from caloforge.metrics import classifiers
from caloforge.metrics.classifiers import base
from caloforge.metrics.classifiers.base import Classifier, Floats, LabelledRows, Trained
from caloforge.progress import Progress
from caloforge.showers import Showers


def logistic(
    rows: LabelledRows, validation: LabelledRows, geometry: Calorimeter, seed: int, progress: Progress
) -> Trained:
    fit = LogisticRegression().fit(rows.features, rows.labels)
    progress(1, 2)
    progress(2, 2)
    return Trained(lambda features: fit.predict_proba(features)[:, 1], 1)


def first_cells(showers: Showers) -> Floats:
    return np.log(showers.cells[:, :2])


SIMPLE = Classifier("simple", "logistic regression", "none", first_cells, logistic, needs_torch=False)


def gaussian(geometry: Calorimeter, n: int, shift: float, seed: int) -> Showers:
    """Showers whose first two cells have normal logarithms, one of them shifted."""
    cells = np.zeros((n, geometry.n_cells))
    cells[:, :2] = np.exp(np.random.default_rng(seed).normal([shift, 0], 1, (n, 2)))
    return Showers(geometry, cells, Incident(-11, 1e4))


def jensen_shannon(shift: float) -> float:
    """Divergence of two normal distributions of width 1 in bits, by numerical integration."""
    x = np.linspace(-10, 10 + shift, 20001)
    p, q = (np.exp(-((x - mean) ** 2) / 2) / np.sqrt(2 * np.pi) for mean in (0, shift))
    m = (p + q) / 2
    return float(trapezoid(0.5 * p * np.log2(p / m) + 0.5 * q * np.log2(q / m), x))


@pytest.mark.parametrize("shift", [0.5, 1.5])
def test_gaussians_have_their_analytic_auc_and_divergence(small: Calorimeter, shift: float) -> None:
    score = SIMPLE(gaussian(small, 40000, 0, 1), gaussian(small, 20000, shift, 2), trials=4)
    assert score.auc.value == pytest.approx(ndtr(shift / np.sqrt(2)), abs=0.012)
    assert score.jsd.value == pytest.approx(jensen_shannon(shift), abs=0.012)
    assert score.auc.floor == pytest.approx(0.5, abs=0.015)
    assert score.jsd.floor == pytest.approx(0.0, abs=0.01)
    assert score.calibration.value is not None
    assert score.calibration.value < 0.03
    assert score.auc.sigma is not None
    assert score.auc.sigma > 5
    assert score.split == (12000, 4000, 4000)
    assert len(score.trials) == len(score.floors) == 4
    assert score.reason == ""


def test_a_sample_against_its_own_kind_is_at_the_floor(small: Calorimeter) -> None:
    score = SIMPLE(gaussian(small, 8000, 0, 1), gaussian(small, 4000, 0, 2), trials=5)
    assert score.auc.sigma is not None
    assert abs(score.auc.sigma) < 4
    assert score.spread is not None
    assert max(score.spread) < 0.05


def test_the_same_seed_gives_the_same_score(small: Calorimeter) -> None:
    samples = gaussian(small, 2400, 0, 1), gaussian(small, 1200, 1, 2)
    assert SIMPLE(*samples, trials=2, seed=3) == SIMPLE(*samples, trials=2, seed=3)
    assert SIMPLE(*samples, trials=2, seed=3) != SIMPLE(*samples, trials=2, seed=4)


def test_progress_ends_at_the_number_of_trainings(small: Calorimeter) -> None:
    seen: list[tuple[float, float]] = []
    samples = gaussian(small, 2000, 0, 1), gaussian(small, 1000, 1, 2)
    SIMPLE(*samples, trials=2, progress=lambda done, total, note="": seen.append((done, total)))
    assert [done for done, _ in seen] == [0.5, 1, 1.5, 2, 2.5, 3, 3.5, 4]
    assert {total for _, total in seen} == {4}


def test_too_few_showers_get_a_sentence_and_no_number(small: Calorimeter) -> None:
    score = SIMPLE(gaussian(small, 1999, 0, 1), gaussian(small, 5000, 0, 2))
    assert score.auc.value is None
    assert score.spread is None
    assert "2000 showers of the reference" in score.reason


def test_without_torch_networks_say_what_they_need(
    small: Calorimeter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(base, "find_spec", lambda name: None)
    sample = gaussian(small, 2000, 0, 1)
    assert "pip install 'caloforge[train]'" in replace(SIMPLE, needs_torch=True)(sample, sample).reason
    assert SIMPLE(sample, sample, trials=2).reason == ""


def test_what_can_not_be_compared_is_refused(small: Calorimeter, calogan: Calorimeter) -> None:
    sample = gaussian(small, 2000, 0, 1)
    with pytest.raises(InputError, match="2 or more"):
        SIMPLE(sample, sample, trials=1)
    with pytest.raises(InputError, match="different cells"):
        SIMPLE(sample, gaussian(calogan, 2000, 0, 1))


def test_a_map_that_says_the_truth_has_no_calibration_error() -> None:
    random = np.random.default_rng(1)
    probabilities = random.uniform(0, 1, 100000)
    labels = (random.uniform(0, 1, 100000) < probabilities).astype(np.int64)
    assert base.calibration_error(probabilities, labels) < 0.01
    assert base.calibration_error(np.ones(4), np.array([1, 1, 1, 0])) == pytest.approx(0.25)


def test_calibration_undoes_a_monotonic_distortion() -> None:
    random = np.random.default_rng(1)
    probabilities = random.uniform(0, 1, 20000)
    labels = (random.uniform(0, 1, 20000) < probabilities).astype(np.int64)
    calibrate = base.calibration(probabilities**3, labels)
    assert np.abs(calibrate(probabilities**3) - probabilities).mean() < 0.03
    assert 0 < calibrate(np.array([-1.0])) < calibrate(np.array([2.0])) < 1


def test_the_catalogue_names_the_classifiers() -> None:
    assert set(classifiers.names()) == {"boosted", "convolutional", "high_level", "low_level"}
    for name in classifiers.names():
        entry = classifiers.load(name)
        assert entry.name == name
        assert entry.needs_torch == (name != "boosted")
    with pytest.raises(CatalogError, match="Did you mean 'low_level'"):
        classifiers.load("lowlevel")
