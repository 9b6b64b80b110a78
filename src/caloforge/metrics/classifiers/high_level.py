"""A fully connected network on shower shapes."""

import numpy as np

from caloforge.geometry import Calorimeter
from caloforge.metrics.classifiers.base import Classifier, Floats, LabelledRows, Trained
from caloforge.metrics.classifiers.shapes import shapes
from caloforge.progress import Progress
from caloforge.showers import Showers

__all__ = ["ENTRY", "shapes_with_undefined", "train"]


def shapes_with_undefined(showers: Showers) -> Floats:
    """Return the shower shapes and, for each, whether it is undefined: (N, 2 d) float32.

    Examples
    --------
    >>> from caloforge import generate
    >>> showers = generate("gamma", energy="1:100", n=10, seed=1)
    >>> values = shapes_with_undefined(showers)
    >>> values.shape[1] == 2 * shapes(showers).shape[1]
    True
    """
    values = shapes(showers)
    return np.concatenate([values, np.isnan(values)], axis=1, dtype=np.float32)


def train(
    rows: LabelledRows, validation: LabelledRows, geometry: Calorimeter, seed: int, progress: Progress
) -> Trained:
    """Train the network of the low-level classifier, in the same way, on shower shapes."""
    from caloforge.metrics.classifiers import networks

    with networks.seeded(seed):
        network = networks.perceptron(rows.features.shape[1])
        return networks.fit(networks.Standardised(network, rows.features), rows, validation, progress)


ENTRY = Classifier(
    name="high_level",
    label="fully connected network on shower shapes",
    citation="CaloChallenge 2022, arXiv:2410.21611",
    features=shapes_with_undefined,
    train=train,
)
