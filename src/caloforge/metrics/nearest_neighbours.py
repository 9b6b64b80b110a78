"""Showers of the reference and the generated showers most similar to them, layer by layer."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from caloforge.observables.base import flat, layer_image
from caloforge.showers import Showers
from caloforge.showers.checks import check_pair

__all__ = ["Floats", "Neighbours", "Rows", "neighbours"]

Floats = NDArray[np.float64]
Rows = NDArray[np.intp]


@dataclass(frozen=True)
class Neighbours:
    """Some showers of a reference and their nearest neighbours in one layer.

    Attributes
    ----------
    layer
        Number of the layer.
    reference, generated
        (n,) numbers of the showers and of their nearest neighbours.
    distance
        (n,) Euclidean distance of their images in MeV.
    own
        (n,) distance to the nearest of as many other showers of the reference, in MeV; nan if there are none.
    """

    layer: int
    reference: Rows
    generated: Rows
    distance: Floats
    own: Floats


def neighbours(reference: Showers, generated: Showers, n: int = 5, seed: int = 1) -> tuple[Neighbours, ...]:
    """Find the nearest generated neighbours of random showers (Paganini et al. 2018, Figs. 9 to 11).

    Distances are Euclidean between the images of a layer in MeV. For comparison, the distance to the nearest
    other shower of the reference is given too. Both are searched among the same number of candidates.

    Parameters
    ----------
    reference, generated
        The samples.
    n
        Showers for each layer, drawn among those that have energy there. A layer without any is left out.
    seed
        Decides which ones.

    Raises
    ------
    InputError
        A sample is empty, or the two have different cells.

    Examples
    --------
    >>> from caloforge import generate
    >>> reference, generated = (generate("gamma", energy="1:100", n=100, seed=seed) for seed in (1, 2))
    >>> [(found.layer, found.distance.shape) for found in neighbours(reference, generated, n=5)]
    [(0, (5,)), (1, (5,)), (2, (5,))]
    """
    check_pair(reference, generated)
    found = []
    for layer in range(len(reference.geometry.layers)):
        random = np.random.default_rng([seed, layer])
        images = flat(layer_image(reference, layer))
        filled = np.flatnonzero(images.any(axis=1))
        if len(filled):
            rows = np.sort(random.choice(filled, min(n, len(filled)), replace=False))
            found.append(_in_layer(layer, images, rows, flat(layer_image(generated, layer)), random))
    return tuple(found)


def _in_layer(
    layer: int,
    reference: NDArray[np.float32],
    rows: Rows,
    generated: NDArray[np.float32],
    random: np.random.Generator,
) -> Neighbours:
    others = np.setdiff1d(np.arange(len(reference)), rows)
    # As many candidates on both sides: among more candidates, the nearest one is nearer.
    size = min(len(others), len(generated)) or len(generated)
    candidates = random.permutation(len(generated))[:size]
    nearest, distance = _nearest(reference[rows], generated[candidates])
    _, own = _nearest(reference[rows], reference[random.permutation(others)[:size]])
    return Neighbours(layer, rows, candidates[nearest], distance, own)


def _nearest(
    images: NDArray[np.float32], candidates: NDArray[np.float32]
) -> tuple[Rows, NDArray[np.float64]]:
    """Return the numbers of the nearest candidates and their distances, (n,) each; nan without candidates."""
    if not len(candidates):
        return np.zeros(len(images), np.intp), np.full(len(images), np.nan)
    squares = np.array([_squares(candidates - image) for image in images])
    return squares.argmin(axis=1), np.sqrt(squares.min(axis=1))


def _squares(rows: NDArray[np.float32]) -> NDArray[np.float64]:
    # Squares of single-precision energies are added in double precision, without a copy in it.
    squares: NDArray[np.float64] = np.einsum("ij,ij->i", rows, rows, dtype=float)
    return squares
