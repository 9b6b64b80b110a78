"""Measured samples -> numbers with uncertainties and floors."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Literal

import numpy as np

from caloforge.errors import CaloforgeError
from caloforge.metrics import base
from caloforge.metrics.classifiers import Classifier, ClassifierScore
from caloforge.metrics.features import features
from caloforge.metrics.floor import Score, against_floor, scores
from caloforge.observables.base import Observable
from caloforge.progress import Progress, no_progress
from caloforge.stages.evaluate import results
from caloforge.stages.evaluate.measure import Floats, Measured
from caloforge.stages.evaluate.results import EnergyResponse, MetricResult, Quantity
from caloforge.units import GeV

__all__ = [
    "ENERGIES",
    "WINDOW",
    "classifier",
    "joint",
    "linearity",
    "of_observables",
    "quantities",
    "responses",
]

WINDOW = 0.05
"""Showers within this relative distance of an energy count as showers of that energy."""

ENERGIES = (1 * GeV, 25 * GeV, 50 * GeV, 100 * GeV, 150 * GeV)
"""Incident energies of the conditional response (Paganini et al. 2018, Fig. 13), in MeV."""

_MOST_BINS = 15
_LEAST = 10
"""Fewest showers of one energy for which the resolution is given."""


def quantities(
    reference: Measured, generated: Measured, observables: Sequence[Observable]
) -> tuple[Quantity, ...]:
    """Return all observables with their means in both samples."""
    return tuple(
        Quantity(
            one.name,
            one.label,
            one.symbol,
            one.unit,
            one.citation,
            one.group,
            *_mean(reference.values[one.name]),
            *_mean(generated.values[one.name]),
        )
        for one in observables
    )


def of_observables(
    reference: Measured,
    generated: Measured,
    observables: Sequence[Observable],
    repeats: int,
    seed: int,
    progress: Progress = no_progress,
    threads: int = 2,
) -> list[MetricResult]:
    """Apply all metrics of one observable to all observables, several at a time."""
    metrics = base.every(joint=False)

    def compare(one: Observable) -> dict[str, Score]:
        return scores(metrics, reference.values[one.name], generated.values[one.name], repeats, seed)

    found = []
    with ThreadPoolExecutor(threads) as pool:
        for done, scored in enumerate(pool.map(compare, observables), 1):
            found.append(scored)
            progress(done, len(observables))
    return [
        _of_catalogue(metric, scored[metric.name], observable.name)
        for metric in metrics
        for observable, scored in zip(observables, found, strict=True)
    ]


def joint(
    reference: Measured,
    generated: Measured,
    repeats: int,
    seed: int,
    progress: Progress = no_progress,
    threads: int = 2,
) -> list[MetricResult]:
    """Apply all joint metrics to all observables together, several at a time."""
    both = features(reference.values, generated.values)
    metrics, found = base.every(joint=True), []

    def compare(metric: base.Metric) -> Score:
        return against_floor(metric, both.reference, both.generated, repeats, seed)

    with ThreadPoolExecutor(threads) as pool:
        for metric, score in zip(metrics, pool.map(compare, metrics), strict=True):
            found.append(_of_catalogue(metric, score))
            progress(len(found), len(metrics))
    return found


def classifier(
    reference: Measured, generated: Measured, test: Classifier, seed: int, progress: Progress = no_progress
) -> list[MetricResult]:
    """Train a classifier to tell the kept showers of both samples apart."""
    try:
        found = test(reference.kept, generated.kept, seed=seed, progress=progress)
    # One classifier that fails, for lack of torch or of showers, must not cost the whole evaluation.
    except CaloforgeError as error:
        found = ClassifierScore.missing(test.name, str(error))
    labels = {
        "auc": "AUC",
        "jsd": "Jensen-Shannon divergence [bit]",
        "calibration": "calibration error",
    }
    if not found.trials:
        # A test that could not run gives its reason once and not three times.
        del labels["calibration"], labels["jsd"]
    return [_classified(test, found, field, label) for field, label in labels.items()]


def _classified(test: Classifier, found: ClassifierScore, field: str, label: str) -> MetricResult:
    score: Score = getattr(found, field)
    if field == "calibration" and score.value is not None:
        # The calibration tells how far the divergence can be trusted, and nothing about showers.
        trust = "how far the divergence can be trusted; no distance of the samples"
        score = replace(score, sigma=None, reason=trust)
    return results.from_score(
        score,
        metric=f"{test.name}_{field}",
        label=f"{label}, {test.label}",
        citation=test.citation,
        kind="classifier",
        observable="",
    )


def _of_catalogue(metric: base.Metric, score: Score, observable: str = "") -> MetricResult:
    """Return a score of a metric of the catalogue."""
    return results.from_score(
        score,
        metric=metric.name,
        label=metric.label,
        citation=metric.citation,
        kind="observable" if observable else "joint",
        observable=observable,
        higher=metric.higher,
    )


def responses(reference: Measured, generated: Measured) -> tuple[EnergyResponse, ...]:
    """Return response and resolution near the energies of Fig. 13; energies without showers are left out."""
    found = []
    for energy in ENERGIES:
        for name, sample in _named(reference, generated):
            values = sample.values["response"][sample.near(energy, WINDOW)]
            if len(values):
                found.append(EnergyResponse(name, energy / GeV, len(values), *_resolution(values)))
    return tuple(found)


def linearity(reference: Measured, generated: Measured) -> tuple[EnergyResponse, ...]:
    """Return response and resolution against incident energy, in bins or, of few energies, at each."""
    edges = _bins(np.concatenate([reference.energy, generated.energy]))
    found = []
    for name, sample in _named(reference, generated):
        number = np.searchsorted(edges, sample.energy, side="right")
        for n in np.unique(number):
            inside = number == n
            energy = float(sample.energy[inside].mean()) / GeV
            values = sample.values["response"][inside]
            found.append(EnergyResponse(name, energy, len(values), *_resolution(values)))
    return tuple(found)


def _named(
    reference: Measured, generated: Measured
) -> tuple[tuple[Literal["reference", "generated"], Measured], ...]:
    return ("reference", reference), ("generated", generated)


def _bins(energies: Floats) -> Floats:
    """Return the inner edges of bins with as many showers each."""
    different = np.unique(energies)
    if len(different) <= _MOST_BINS:
        # A bin for each energy, with edges in the middle between them.
        return np.asarray((different[:-1] + different[1:]) / 2)
    return np.quantile(energies, np.linspace(0, 1, _MOST_BINS + 1)[1:-1])


def _resolution(values: Floats) -> tuple[float | None, float | None, float | None, float | None]:
    """Return mean and relative width of responses, each with its statistical error."""
    mean, error = _mean(values)
    if mean is None or error is None or not mean > 0 or len(values) < _LEAST:
        return mean, error, None, None
    width = float(values.std(ddof=1) / mean)
    # The variance of a sample's variance holds for any distribution with a fourth moment.
    kurtosis = float(np.mean((values - mean) ** 4) / values.var() ** 2) if width > 0 else 1.0
    return mean, error, width, width * float(np.sqrt(max(kurtosis - 1, 0) / (4 * len(values))))


def _mean(values: Floats) -> tuple[float | None, float | None]:
    """Return the mean of the defined values and its statistical error."""
    defined = values[np.isfinite(values)]
    if defined.size < 2:
        return None, None
    return float(defined.mean()), float(defined.std(ddof=1) / np.sqrt(defined.size))
