"""A convolutional network over the layers of a calorimeter; needs torch."""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from caloforge.metrics.classifiers.grid import CommonGrid
from caloforge.metrics.classifiers.networks import perceptron

__all__ = ["CHANNELS", "RATE", "WIDTH", "ConvolutionalClassifier", "HalvingConvolution"]

RATE = 1e-3
CHANNELS = (16, 32, 32)
WIDTH = 128

_SMALL = 8  # a longer axis is halved by a convolution


class HalvingConvolution(nn.Module):
    """3 x 3 convolution with a leaky ReLU. Halves long axes; rows are periodic if those of the grid are."""

    def __init__(self, inputs: int, outputs: int, shape: tuple[int, int], closed: bool) -> None:
        super().__init__()
        self.closed = closed
        down, across = (2 if n > _SMALL else 1 for n in shape)
        self.shape = (math.ceil(shape[0] / down), math.ceil(shape[1] / across))
        self.taps = nn.Conv2d(inputs, outputs, 3, (down, across))

    def forward(self, maps: Tensor) -> Tensor:
        """(B, inputs, rows, columns) -> (B, outputs, fewer rows, fewer columns)."""
        around = functional.pad(maps, (1, 1, 0, 0))
        padded = functional.pad(around, (0, 0, 1, 1), mode="circular" if self.closed else "constant")
        result: Tensor = functional.leaky_relu(self.taps(padded))
        return result


class ConvolutionalClassifier(nn.Module):
    """Layers as channels of one picture on a common grid, convolutions, then a fully connected layer.

    Parameters
    ----------
    inputs
        Number of features; those of the cells are the last.
    cells
        Number of cells.
    grid
        Where they lie.
    """

    cell: Tensor
    share: Tensor

    def __init__(self, inputs: int, cells: int, grid: CommonGrid) -> None:
        super().__init__()
        self.heads = inputs - cells
        self.register_buffer("cell", torch.from_numpy(grid.cell.ravel()))
        self.register_buffer("share", torch.from_numpy(grid.share))
        before, shape = len(grid.cell), grid.cell.shape[1:]
        blocks = []
        for channels in CHANNELS:
            blocks.append(HalvingConvolution(before, channels, shape, grid.round))
            before, shape = channels, blocks[-1].shape
        self.convolutions = nn.Sequential(*blocks, nn.Flatten())
        self.decision = perceptron(self.heads + before * math.prod(shape), WIDTH, hidden=1)

    def forward(self, features: Tensor) -> Tensor:
        """(B, inputs) -> (B, 1)."""
        heads, cells = features[:, : self.heads], features[:, self.heads :]
        picture = cells[:, self.cell].unflatten(1, self.share.shape) * self.share
        logits: Tensor = self.decision(torch.cat([heads, self.convolutions(picture)], dim=1))
        return logits
