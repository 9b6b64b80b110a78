"""Low-level features of showers: the cells of each layer as shares of its energy, and that energy."""

import numpy as np

from caloforge.metrics.classifiers.base import Floats
from caloforge.showers import Showers

__all__ = ["conditioned", "visible"]

_LEAST = 1e-6  # smallest share of energy, which stands for none, as 0 has no logarithm
_LEAST_ENERGY = 1e-3  # MeV


def visible(showers: Showers) -> Floats:
    """Return what a calorimeter sees, (N, 1 + L + n_cells) float32.

    log10 of the energy in all cells, log10 of the share of each layer in it, and the share of each cell in
    its layer.

    Examples
    --------
    >>> from caloforge import generate
    >>> showers = generate("gamma", energy="1:100", n=10, seed=1)
    >>> visible(showers).shape
    (10, 508)
    """
    layers = showers.layer_energies()
    total = layers.sum(axis=1, keepdims=True)
    sizes = np.diff(showers.geometry.offsets)
    shares = showers.cells / np.repeat(np.where(layers > 0, layers, 1), sizes, axis=1).astype(np.float32)
    heads = np.log10(np.maximum(total, _LEAST_ENERGY)), _log_share(layers, total)
    return np.concatenate([*heads, shares], axis=1, dtype=np.float32)


def conditioned(showers: Showers) -> Floats:
    """Return the features of `visible` with the incident energy, (N, 2 + L + n_cells) float32.

    log10 of the incident energy and log10 of the share of it in all cells replace the first feature, so that
    a response with a small spread is resolved.

    Examples
    --------
    >>> from caloforge import generate
    >>> showers = generate("gamma", energy="1:100", n=10, seed=1)
    >>> conditioned(showers).shape
    (10, 509)
    """
    energy = showers.energy[:, np.newaxis]
    total = showers.layer_energies().sum(axis=1, keepdims=True)
    heads = np.log10(energy), _log_share(total, energy)
    return np.concatenate([*heads, visible(showers)[:, 1:]], axis=1, dtype=np.float32)


def _log_share(part: Floats, whole: Floats) -> Floats:
    share = part / np.where(whole > 0, whole, 1)
    return np.asarray(np.log10(np.maximum(share, _LEAST)), np.float64)
