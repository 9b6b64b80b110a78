"""Samples of one observable in ascending order, and their counts in bins."""

import numpy as np
from numpy.typing import NDArray

__all__ = ["BINS", "Counts", "Values", "ascending", "counts"]

BINS = 30

Values = NDArray[np.floating]
Counts = NDArray[np.int64]


def ascending(values: Values) -> Values:
    """Return the defined values in ascending order: (n,) without nan and infinities.

    Samples that are already in order (nan last) cost only one pass.
    """
    # A stable sort of floats is Timsort, linear for ordered samples. It puts nan behind the infinities.
    ordered = np.sort(values, kind="stable")
    return ordered[np.searchsorted(ordered, -np.inf, "right") : np.searchsorted(ordered, np.inf, "left")]


def counts(reference: Values, sample: Values, bins: int = BINS) -> tuple[Counts, Counts]:
    """Count both samples in bins that hold equal numbers of the reference.

    Values outside the reference's range count in the first or last of these bins, undefined ones in an extra
    bin at the end. An observable with few different values has fewer bins.

    Returns
    -------
        Two arrays (b,), b at most `bins` + 1.
    """
    known = ascending(reference)
    # Equal quantiles, which are common for counts of cells, would enclose bins without width.
    edges = np.unique(np.quantile(known, np.linspace(0, 1, bins + 1)[1:-1])) if len(known) else np.zeros(0)
    return _counts(known, len(reference), edges), _counts(ascending(sample), len(sample), edges)


def _counts(known: Values, n: int, edges: Values) -> Counts:
    """Showers in each bin, of which the known values are in ascending order; the last are undefined."""
    below = np.searchsorted(known, edges, side="left")
    return np.diff(np.concatenate([[0], below, [len(known), n]]))
