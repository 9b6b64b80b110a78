"""A convolutional network on all cells, for grids that are too large for a fully connected one."""

from caloforge.geometry import Calorimeter
from caloforge.metrics.classifiers.base import Classifier, LabelledRows, Trained
from caloforge.metrics.classifiers.cells import conditioned
from caloforge.metrics.classifiers.grid import common_grid
from caloforge.progress import Progress

__all__ = ["ENTRY", "train"]


def train(
    rows: LabelledRows, validation: LabelledRows, geometry: Calorimeter, seed: int, progress: Progress
) -> Trained:
    """Train the network on the features of the low-level classifier, in the same way but ten times as fast.

    The layers are the channels of one picture. Layers with different cells are first mapped to the grid of
    all their edges; sectors of rings are closed to a circle. The number of weights hardly grows with the
    number of cells. The CaloChallenge's residual network of three-dimensional convolutions is much larger.
    """
    from caloforge.metrics.classifiers import convolutions, networks

    with networks.seeded(seed):
        grid = common_grid(geometry)
        network = convolutions.ConvolutionalClassifier(rows.features.shape[1], geometry.n_cells, grid)
        scaled = networks.Standardised(network, rows.features, shares=geometry.n_cells)
        return networks.fit(scaled, rows, validation, progress, rate=convolutions.RATE)


ENTRY = Classifier(
    name="convolutional",
    label="convolutional network on cells",
    citation="CaloChallenge 2022, arXiv:2410.21611",
    features=conditioned,
    train=train,
)
