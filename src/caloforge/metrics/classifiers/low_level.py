"""A fully connected network on all cells."""

from caloforge.geometry import Calorimeter
from caloforge.metrics.classifiers.base import Classifier, LabelledRows, Trained
from caloforge.metrics.classifiers.cells import conditioned
from caloforge.progress import Progress

__all__ = ["ENTRY", "train"]


def train(
    rows: LabelledRows, validation: LabelledRows, geometry: Calorimeter, seed: int, progress: Progress
) -> Trained:
    """Train the network.

    As in the CaloChallenge: incident energy and, layer by layer, its energy and the cells as shares of it;
    three hidden layers with leaky ReLUs, no dropout, Adam on the cross-entropy, at most 50 epochs of which
    the one with the best validation is kept, isotonic calibration on the validation showers.

    Differences, because samples are smaller and a laptop must be enough: 512 nodes per layer instead of 2048,
    batches of 256 instead of 1000, a learning rate of 1e-4 instead of 2e-4, features in standard deviations,
    single precision, validation by AUC instead of accuracy, and an end after ten epochs without improvement.
    """
    from caloforge.metrics.classifiers import networks

    with networks.seeded(seed):
        network = networks.perceptron(rows.features.shape[1])
        scaled = networks.Standardised(network, rows.features, shares=geometry.n_cells)
        return networks.fit(scaled, rows, validation, progress)


ENTRY = Classifier(
    name="low_level",
    label="fully connected network on cells",
    citation="Krause and Shih (CaloFlow), arXiv:2106.05285; CaloChallenge 2022, arXiv:2410.21611",
    features=conditioned,
    train=train,
)
