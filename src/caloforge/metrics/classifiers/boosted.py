"""Gradient-boosted trees on shower shapes."""

from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from caloforge.geometry import Calorimeter
from caloforge.metrics.classifiers.base import Classifier, Floats, LabelledRows, Trained, auc
from caloforge.metrics.classifiers.shapes import shapes
from caloforge.progress import Progress

__all__ = ["ENTRY", "LEAVES", "RATE", "TREES", "train"]

TREES = 300
RATE = 0.05
LEAVES = 15


def train(
    rows: LabelledRows, validation: LabelledRows, geometry: Calorimeter, seed: int, progress: Progress
) -> Trained:
    """Grow trees, and keep the number of them that separates the validation showers best."""
    from sklearn.ensemble import HistGradientBoostingClassifier

    trees = HistGradientBoostingClassifier(
        max_iter=TREES,
        learning_rate=RATE,
        max_leaf_nodes=LEAVES,
        early_stopping=False,  # it would need part of the training rows
        random_state=seed % 2**32,  # the range that scikit-learn takes
    ).fit(rows.features, rows.labels)
    staged = trees.staged_predict_proba(validation.features)
    best = int(np.argmax([auc(probabilities[:, 1], validation.labels) for probabilities in staged]))
    progress(1, 1)
    return Trained(lambda features: _scores(trees, features, best), best + 1)


def _scores(trees: Any, features: Floats, stage: int) -> NDArray[np.float64]:
    """Scores of features (n, d) by the trees up to a stage."""
    staged = islice(trees.staged_predict_proba(features), stage, None)
    return np.asarray(next(staged)[:, 1], np.float64)


ENTRY = Classifier(
    name="boosted",
    label="gradient-boosted trees on shower shapes",
    citation="Ke et al. (LightGBM), NeurIPS 30 (2017) 3146, as in scikit-learn",
    features=shapes,
    train=train,
    needs_torch=False,
)
