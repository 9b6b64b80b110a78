"""Precision, recall, density and coverage: are the showers of one sample among those of the other?"""

from functools import lru_cache
from typing import NamedTuple

import numpy as np

from caloforge.metrics.base import Floats

__all__ = ["CITATION", "LEAST", "MOST", "NEIGHBOURS", "Overlap", "overlap"]

NEIGHBOURS = 5
LEAST = 500
MOST = 2000
CITATION = "Naeem et al., ICML 2020, arXiv:2002.09797"

# Squared distances of equal rows are not exactly 0; features have a spread of 1.
_ROUNDING = 1e-9


class Overlap(NamedTuple):
    """The four numbers of two samples."""

    precision: float
    recall: float
    density: float
    coverage: float


def overlap(reference: Floats, sample: Floats) -> Overlap:
    """Return how far a sample (M, d) and the reference (N, d) overlap.

    The ball around a shower is closed and reaches to the fifth nearest neighbour in its own sample. All four
    numbers are counted in the same balls, so the latest results are kept for the metrics that follow.

    References
    ----------
    Naeem et al., arXiv:2002.09797 (density, coverage, with k = 5); Kynkäänniemi et al., arXiv:1904.06991
    (precision, recall).
    """
    features = reference.shape[1]
    return _overlap(_packed(reference), _packed(sample), features)


# lru_cache needs arguments that can be hashed and are compared by value: bytes, but not arrays.
def _packed(rows: Floats) -> bytes:
    return np.ascontiguousarray(rows, dtype=float).tobytes()


def _unpacked(rows: bytes, features: int) -> Floats:
    return np.frombuffer(rows).reshape(-1, features)


# Ten repeats, each with a sample and a floor.
@lru_cache(maxsize=20)
def _overlap(reference: bytes, sample: bytes, features: int) -> Overlap:
    distance = _squared_distances(_unpacked(reference, features), _unpacked(sample, features))
    in_reference = distance <= _reach(reference, features)[:, np.newaxis]
    in_sample = distance <= _reach(sample, features)
    return Overlap(
        precision=float(np.mean(in_reference.any(axis=0))),
        recall=float(np.mean(in_sample.any(axis=1))),
        density=float(in_reference.sum() / (NEIGHBOURS * distance.shape[1])),
        coverage=float(np.mean(in_reference.any(axis=1))),
    )


@lru_cache(maxsize=3)
def _reach(packed: bytes, features: int) -> Floats:
    """Squared distance of each shower's fifth neighbour, (n,)."""
    rows = _unpacked(packed, features)
    distance = _squared_distances(rows, rows)
    np.fill_diagonal(distance, np.inf)  # a shower is not its own neighbour
    return np.partition(distance, NEIGHBOURS - 1, axis=1)[:, NEIGHBOURS - 1] + _ROUNDING


def _squared_distances(first: Floats, second: Floats) -> Floats:
    """Of all pairs, (n, m)."""
    # |x - y|^2 = |x|^2 + |y|^2 - 2 x y needs one matrix product instead of an array (n, m, d) of differences.
    distance = first @ (-2 * second.T)
    distance += (first**2).sum(axis=1)[:, np.newaxis]
    distance += (second**2).sum(axis=1)
    return distance
