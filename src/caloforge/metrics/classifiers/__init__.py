"""Classifiers that tell two samples of showers apart: one file per classifier.

>>> from caloforge import generate
>>> from caloforge.metrics import classifiers
>>> electrons, photons = generate("e+", "1:100", n=2000), generate("gamma", "1:100", n=2000)
>>> score = classifiers.load("boosted")(electrons, photons, trials=2)
>>> 0.5 <= score.auc.value <= 1
True
"""

from typing import cast

from caloforge import catalog
from caloforge.metrics.classifiers.base import Classifier, ClassifierScore, Trial

__all__ = ["Classifier", "ClassifierScore", "Trial", "load", "names"]

_FOLDER = "metrics/classifiers"


def names() -> list[str]:
    """Return the names of all classifiers, sorted.

    Examples
    --------
    >>> names()
    ['boosted', 'convolutional', 'high_level', 'low_level']
    """
    return catalog.names(_FOLDER)


def load(name: str) -> Classifier:
    """Return a classifier; raises `CatalogError` if there is none of this name.

    Examples
    --------
    >>> load("boosted").label
    'gradient-boosted trees on shower shapes'
    """
    return cast(Classifier, catalog.load(_FOLDER, name))
