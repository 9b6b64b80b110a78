"""Base of classifiers: they learn to tell two samples of showers apart, and their success is measured.

Lopez-Paz and Oquab, Revisiting Classifier Two-Sample Tests, arXiv:1610.06545; for showers Krause and Shih
(CaloFlow), arXiv:2106.05285, and the CaloChallenge 2022, arXiv:2410.21611.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from importlib.util import find_spec
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from caloforge.errors import InputError, MissingExtra
from caloforge.geometry import Calorimeter
from caloforge.metrics.floor import Score
from caloforge.progress import Progress, no_progress
from caloforge.showers import Showers

__all__ = [
    "LEAST",
    "SPLIT",
    "TRIALS",
    "Classifier",
    "ClassifierScore",
    "Floats",
    "LabelledRows",
    "Scores",
    "Trained",
    "Trial",
    "auc",
    "calibration",
    "calibration_error",
    "joined",
    "split_sizes",
]

Floats = NDArray[np.floating[Any]]
Scores = Callable[[Floats], NDArray[np.float64]]

SPLIT = (0.6, 0.2, 0.2)
"""Shares of both samples for training, validation and test."""

TRIALS = 5
LEAST = 1000


class LabelledRows(NamedTuple):
    """What a classifier learns from: features (n, d), and labels (n,) of 0 (first sample) and 1 (second)."""

    features: Floats
    labels: NDArray[np.int64]


class Trained(NamedTuple):
    """A classifier after training.

    Attributes
    ----------
    scores
        Features (n, d) -> (n,) between 0 and 1: how likely a shower is from the second sample.
    epochs
        Passes over the training showers (trees, if it is made of trees) up to the state that was chosen.
    """

    scores: Scores
    epochs: int


class Trial(NamedTuple):
    """Results of one training on its test showers.

    Attributes
    ----------
    auc
        Area under the receiver operating characteristic: 0.5 for samples that can't be told apart, 1 for
        perfect separation.
    jsd
        Lower bound of the Jensen-Shannon divergence in bits: 1 - H / ln 2, where H is the cross-entropy of
        the calibrated scores. 0 for equal distributions, 1 for distributions without overlap; it can be a
        little below 0.
    calibration
        Expected calibration error of the calibrated scores (Guo et al., arXiv:1706.04599, Eq. 3): how far
        ``jsd`` can be trusted.
    epochs
        See `Trained`.

    Examples
    --------
    >>> Trial(auc=0.52, jsd=0.01, calibration=0.03, epochs=12).auc
    0.52
    """

    auc: float
    jsd: float
    calibration: float
    epochs: int


@dataclass(frozen=True)
class ClassifierScore:
    """How well a classifier tells generated showers from the reference, and the reference from itself.

    Attributes
    ----------
    classifier
        Its name.
    auc, jsd, calibration
        See `Trial`: mean over the trials, its error, and the floor. If there are no numbers, ``reason``
        says why.
    split
        Showers of each of the two samples for training, validation and test.
    trials, floors
        Results of each training: reference against generated, and two disjoint samples of the reference.

    Examples
    --------
    >>> trials, floors = [Trial(0.9, 0.5, 0.0, 10)] * 2, [Trial(0.49, 0.0, 0.0, 9), Trial(0.51, 0.0, 0.0, 8)]
    >>> score = ClassifierScore.of("boosted", trials, floors, n=1000)
    >>> round(score.auc.value, 3), round(score.auc.floor, 3), score.split
    (0.9, 0.5, (600, 200, 200))
    """

    classifier: str
    auc: Score
    jsd: Score
    calibration: Score
    split: tuple[int, int, int]
    trials: tuple[Trial, ...]
    floors: tuple[Trial, ...]

    @property
    def reason(self) -> str:
        """Why there are no numbers, in a sentence; empty if there are."""
        return "" if self.trials else self.auc.reason

    @property
    def spread(self) -> tuple[float, float] | None:
        """Standard deviation of the AUC from training to training, and that of its floor."""
        if not self.trials:
            return None
        trials, floors = ([one.auc for one in group] for group in (self.trials, self.floors))
        return float(np.std(trials, ddof=1)), float(np.std(floors, ddof=1))

    @classmethod
    def missing(cls, classifier: str, reason: str, n: int = 0) -> Self:
        """Return one that has no numbers, for a reason."""
        none = Score.missing(reason, n)
        return cls(classifier, none, none, none, (0, 0, 0), (), ())

    @classmethod
    def of(cls, classifier: str, trials: Sequence[Trial], floors: Sequence[Trial], n: int) -> Self:
        """Return the summary of trials with samples of n showers each.

        Trials draw the same showers again and again, so their mean is less certain than that of independent
        ones: its variance is s^2 (1 / k + test / training showers) for k trials of spread s (Nadeau and
        Bengio, Machine Learning 52 (2003) 239).
        """
        split = split_sizes(n)
        share = split[2] / (split[0] + split[2])
        columns = zip(*trials, strict=True), zip(*floors, strict=True)
        auc, jsd, calibration, _ = (
            Score.of(values, under, n, share) for values, under in zip(*columns, strict=True)
        )
        calibration = replace(calibration, sigma=None)  # describes the classifier, not the samples
        return cls(classifier, auc, jsd, calibration, split, tuple(trials), tuple(floors))


@dataclass(frozen=True)
class Classifier:
    """A classifier two-sample test.

    Parameters
    ----------
    name
        Plain identifier, as in the name of the file.
    label
        The classifier in words, as in the head of a table.
    citation
        Where it comes from.
    features
        Features of showers that it sees, (N, d).
    train
        Learns from training and validation rows of a calorimeter, with a seed.
    needs_torch
        Whether it is a neural network.
    least
        Fewest showers per sample for which its numbers are given.

    Examples
    --------
    >>> from caloforge.metrics import classifiers
    >>> boosted = classifiers.load("boosted")
    >>> boosted.label, boosted.needs_torch, boosted.least
    ('gradient-boosted trees on shower shapes', False, 1000)
    """

    name: str
    label: str
    citation: str
    features: Callable[[Showers], Floats]
    train: Callable[[LabelledRows, LabelledRows, Calorimeter, int, Progress], Trained]
    needs_torch: bool = True
    least: int = LEAST

    def __call__(
        self,
        reference: Showers,
        generated: Showers,
        *,
        trials: int = TRIALS,
        seed: int = 0,
        progress: Progress = no_progress,
    ) -> ClassifierScore:
        """Train on reference against generated showers, and on the reference against itself.

        Each trial divides the reference at random in two disjoint samples A and B and draws a sample G of
        the generated showers, all of n = min(N // 2, M). One classifier learns to tell A from G, another of
        the same kind to tell A from B: the floor. 60 % of each sample are for training, 20 % for choosing the
        best state and for the calibration, and 20 % for the test.

        Parameters
        ----------
        reference, generated
            N and M showers in the same cells. Incident energies are among the features, so they should be
            distributed alike.
        trials
            Number of trainings of each kind, at least two.
        seed
            Of the division and of the training.
        progress
            Called with (trainings done, trainings).

        Returns
        -------
            Without numbers, but with a reason, if there are too few showers or torch is not installed.

        Raises
        ------
        InputError
            There are fewer than two trials, or the samples have different cells.
        """
        if trials < 2:
            raise InputError(f"{trials} trials have no spread, so no uncertainty: ask for 2 or more.")
        if reference.geometry.layers != generated.geometry.layers:
            raise InputError("The two samples have different cells: rebin the finer ones.")
        n = min(len(reference) // 2, len(generated))
        reason = self._why_not(n)
        if reason:
            return ClassifierScore.missing(self.name, reason, n)
        first, second = self.features(reference), self.features(generated)
        values: list[Trial] = []
        floors: list[Trial] = []
        for trial in range(trials):
            random = np.random.default_rng([seed, trial])
            mixed, drawn = random.permutation(len(first)), random.permutation(len(second))
            one = first[mixed[:n]]
            for results, other in ((values, second[drawn[:n]]), (floors, first[mixed[n : 2 * n]])):
                part = _part(progress, len(values) + len(floors), 2 * trials)
                results.append(self.compare(one, other, reference.geometry, seed + trial, part))
        return ClassifierScore.of(self.name, values, floors, n)

    def compare(
        self,
        one: Floats,
        other: Floats,
        geometry: Calorimeter,
        seed: int = 0,
        progress: Progress = no_progress,
    ) -> Trial:
        """Train once on features (n, d) of two samples, each in random order, and test.

        Parameters
        ----------
        one, other
            (n, d) each.
        geometry
            Their calorimeter.
        seed
            Of the training.
        progress
            Called with the part of the training that is done.
        """
        train, validation, _ = np.cumsum(split_sizes(len(one)))
        parts = (slice(0, train), slice(train, validation), slice(validation, None))
        rows, choice, test = (joined(one[part], other[part]) for part in parts)
        trained = self.train(rows, choice, geometry, seed, progress)
        # Calibrated on validation rows: scores of training rows are too good, and test rows must stay unseen.
        calibrate = calibration(trained.scores(choice.features), choice.labels)
        return _tested(trained.scores(test.features), test.labels, calibrate, trained.epochs)

    def _why_not(self, n: int) -> str:
        # Looked for without an import, which would take seconds.
        if self.needs_torch and find_spec("torch") is None:
            return str(MissingExtra("train", "torch"))
        if n < self.least:
            return (
                f"It needs {2 * self.least} showers of the reference and {self.least} generated ones; these "
                f"files give {n} a sample."
            )
        return ""


def joined(one: Floats, other: Floats) -> LabelledRows:
    """Return two samples (n, d) and (m, d) as one with labels.

    Examples
    --------
    >>> import numpy as np
    >>> joined(np.zeros((1, 2)), np.ones((2, 2))).labels
    array([0, 1, 1])
    """
    labels = np.repeat([0, 1], [len(one), len(other)])
    return LabelledRows(np.concatenate([one, other]), labels)


def split_sizes(n: int) -> tuple[int, int, int]:
    """Return how many of n showers are for training, validation and test.

    Examples
    --------
    >>> split_sizes(1000)
    (600, 200, 200)
    """
    train, validation = (int(share * n) for share in SPLIT[:2])
    return train, validation, n - train - validation


def auc(scores: Floats, labels: NDArray[np.int64]) -> float:
    """Return the area under the receiver operating characteristic of scores (n,) for labels 1.

    Examples
    --------
    >>> import numpy as np
    >>> auc(np.array([0.1, 0.4, 0.6, 0.9]), np.array([0, 0, 1, 1]))
    1.0
    """
    from sklearn.metrics import roc_auc_score

    return float(roc_auc_score(labels, scores))


def calibration(scores: Floats, labels: NDArray[np.int64]) -> Scores:
    """Return the monotonic map from scores to probabilities that fits validation showers best.

    Probabilities stay 1 / (n + 2) away from 0 and 1, because n showers can't prove more (rule of succession).

    Examples
    --------
    >>> import numpy as np
    >>> probability = calibration(np.array([0.1, 0.2, 0.3, 0.4]), np.array([0, 1, 0, 1]))
    >>> probability(np.array([0.1, 0.25, 0.4])).round(3)
    array([0.167, 0.5  , 0.833])
    """
    from sklearn.isotonic import IsotonicRegression

    # A probability of 0 or 1 that is wrong once would make the cross-entropy infinite.
    least = 1 / (len(scores) + 2)
    fit = IsotonicRegression(y_min=least, y_max=1 - least, out_of_bounds="clip").fit(scores, labels)
    return lambda other: np.asarray(fit.predict(other), np.float64)


def calibration_error(probabilities: Floats, labels: NDArray[np.int64], bins: int = 10) -> float:
    """Return the expected calibration error: mean |probability - frequency| over bins of probability.

    Examples
    --------
    >>> import numpy as np
    >>> round(calibration_error(np.array([0.75, 0.75]), np.array([0, 1])), 3)
    0.25
    """
    # A probability of 1 belongs to the last bin.
    place = np.minimum((probabilities * bins).astype(np.int64), bins - 1)
    excess = np.bincount(place, weights=probabilities - labels, minlength=bins)
    return float(np.abs(excess).sum() / len(labels))


def _tested(scores: Floats, labels: NDArray[np.int64], calibrate: Scores, epochs: int) -> Trial:
    probabilities = calibrate(scores)
    entropy = -np.log2(np.where(labels == 1, probabilities, 1 - probabilities)).mean()
    return Trial(auc(scores, labels), float(1 - entropy), calibration_error(probabilities, labels), epochs)


def _part(progress: Progress, before: int, trainings: int) -> Progress:
    """Return a listener that reports one of several trainings as part of the whole."""

    def listen(done: float, total: float, note: str = "") -> None:
        progress(before + done / total, trainings, note)

    return listen
