"""Training of the classifiers that are neural networks: the only file here that needs torch."""

import copy
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from caloforge.metrics.classifiers.base import Floats, LabelledRows, Trained, auc
from caloforge.progress import Progress

__all__ = [
    "BATCH",
    "EPOCHS",
    "HIDDEN",
    "PATIENCE",
    "RATE",
    "WIDTH",
    "Standardised",
    "fit",
    "perceptron",
    "scores",
    "seeded",
]

RATE = 1e-4
BATCH = 256
EPOCHS = 50
PATIENCE = 10
"""Epochs without a better validation after which training ends."""

WIDTH = 512
HIDDEN = 3

_FAR = 10.0  # standard deviations at which features are clipped
_AT_ONCE = 4096  # showers that are scored at once


def perceptron(inputs: int, width: int = WIDTH, hidden: int = HIDDEN, dropout: float = 0.0) -> nn.Sequential:
    """Return a fully connected network with leaky ReLUs, (B, inputs) -> (B, 1).

    Examples
    --------
    >>> import torch
    >>> perceptron(3, width=8)(torch.zeros(5, 3)).shape
    torch.Size([5, 1])
    """
    sizes = [inputs] + [width] * hidden
    blocks = [
        nn.Sequential(nn.Linear(before, after), nn.LeakyReLU(), nn.Dropout(dropout))
        for before, after in pairwise(sizes)
    ]
    return nn.Sequential(*blocks, nn.Linear(width, 1))


class Standardised(nn.Module):
    """Standardises features by the mean and standard deviation of training showers, before a network.

    Among the ``shares``, no scale is below the mean of their scales: a cell that is rarely hit would
    otherwise outweigh all others. Undefined values (nan) become 0, the mean.

    Parameters
    ----------
    network
        (B, d) -> (B, 1).
    features
        (n, d) of the training showers.
    shares
        Number of features, the last ones, whose scale has a common lower limit.
    """

    mean: Tensor
    scale: Tensor

    def __init__(self, network: nn.Module, features: Floats, shares: int = 0) -> None:
        super().__init__()
        self.network = network
        known = np.isfinite(features)
        count = np.maximum(known.sum(axis=0), 1)
        mean = np.where(known, features, 0).sum(axis=0, dtype=np.float64) / count
        # Two passes: <x^2> - <x>^2 would lose its digits for features far from 0.
        squares = np.where(known, features - mean.astype(np.float32), 0) ** 2
        scale = np.sqrt(squares.sum(axis=0, dtype=np.float64) / count)
        last = scale[len(scale) - shares :]
        np.maximum(last, last.mean() if shares else 0, out=last)
        scale[scale == 0] = 1
        self.register_buffer("mean", torch.from_numpy(mean.astype(np.float32)))
        self.register_buffer("scale", torch.from_numpy(scale.astype(np.float32)))

    def forward(self, features: Tensor) -> Tensor:
        """(B, d) -> (B, 1)."""
        scaled = ((features - self.mean) / self.scale).clamp(-_FAR, _FAR)
        logits: Tensor = self.network(torch.nan_to_num(scaled))  # 0 is the mean after scaling
        return logits


def fit(
    network: nn.Module,
    rows: LabelledRows,
    validation: LabelledRows,
    progress: Progress,
    *,
    rate: float = RATE,
    quality: Callable[[Floats, NDArray[np.int64]], float] = auc,
) -> Trained:
    """Train with Adam on the cross-entropy, and keep the epoch that does best on the validation showers.

    Random numbers are torch's (see `seeded`).

    Parameters
    ----------
    network
        (B, d) -> (B, 1).
    rows, validation
        What it learns from, and what the epoch is chosen by.
    progress
        Called with (epochs done, most epochs).
    rate
        Learning rate.
    quality
        Scores (n,) and labels (n,) -> a number of at most 1 that is highest for the best epoch.
    """
    features = torch.from_numpy(np.asarray(rows.features, np.float32))
    labels = torch.from_numpy(rows.labels.astype(np.float32))
    optimizer = torch.optim.Adam(network.parameters(), lr=rate)
    best, chosen, kept = -1.0, 0, network.state_dict()
    for epoch in range(1, EPOCHS + 1):
        _pass(network, optimizer, features, labels)
        value = quality(scores(network, validation.features), validation.labels)
        progress(epoch, EPOCHS)
        # A deep copy, because the tensors of a state are those that training changes.
        if value > best:
            best, chosen, kept = value, epoch, copy.deepcopy(network.state_dict())
        if value == 1 or epoch - chosen >= PATIENCE:
            break
    network.load_state_dict(kept)
    return Trained(lambda others: scores(network, others), chosen)


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Seed torch's random numbers, and restore the state of the caller's afterwards.

    Examples
    --------
    >>> import torch
    >>> with seeded(1):
    ...     first = torch.rand(3)
    >>> with seeded(1):
    ...     second = torch.rand(3)
    >>> bool((first == second).all())
    True
    """
    # Only the CPU draws random numbers here; saving the states of GPUs would take time.
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield


def scores(network: nn.Module, features: Floats) -> NDArray[np.float64]:
    """Return the scores of features (n, d) by a network: (n,) between 0 and 1.

    Examples
    --------
    >>> scores(perceptron(3), np.zeros((5, 3))).shape
    (5,)
    """
    network.eval()
    with torch.inference_mode():
        parts = torch.from_numpy(np.asarray(features, np.float32)).split(_AT_ONCE)
        logits = torch.cat([network(part)[:, 0] for part in parts])
    # In double precision: in single precision all large logits would have the score 1, and tie.
    return np.asarray(torch.sigmoid(logits.double()).numpy())


def _pass(network: nn.Module, optimizer: torch.optim.Optimizer, features: Tensor, labels: Tensor) -> None:
    """One epoch."""
    network.train()
    for rows in torch.randperm(len(labels)).split(BATCH):
        loss = functional.binary_cross_entropy_with_logits(network(features[rows])[:, 0], labels[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
