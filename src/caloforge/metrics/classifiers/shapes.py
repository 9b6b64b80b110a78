"""High-level features of showers: their incident energy and all shower shapes."""

import numpy as np

from caloforge import observables
from caloforge.metrics.classifiers.base import Floats
from caloforge.showers import Showers

__all__ = ["shapes"]

_BATCH = 4096  # showers at once, which limits the memory of intermediate sums


def shapes(showers: Showers) -> Floats:
    """Return log10 of the incident energy and all observables of the catalogue, (N, d) float32.

    Observables that are not defined for a shower are nan.

    Examples
    --------
    >>> from caloforge import generate
    >>> showers = generate("gamma", energy="1:100", n=10, seed=1)
    >>> len(shapes(showers))
    10
    """
    every = observables.every(showers.geometry)
    features = np.empty((len(showers), 1 + len(every)), np.float32)
    for start in range(0, len(showers), _BATCH):
        rows = slice(start, start + _BATCH)
        batch = showers[rows]
        features[rows, 0] = np.log10(batch.energy)
        for column, observable in enumerate(every, start=1):
            features[rows, column] = observable(batch)
    return features
