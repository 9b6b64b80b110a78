"""Separation power of two distributions of an observable."""

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.floating]


def separation(reference: Floats, sample: Floats, bins: int = 30) -> float:
    r"""Return the separation power :math:`\frac12 \sum_b (p_b - q_b)^2 / (p_b + q_b)`.

    0 for equal distributions, 1 for distributions without overlap. The bins hold equal numbers of the
    reference, so that the result does not depend on the observable's scale; values outside of its range count
    in the first or last bin. Showers for which the observable is not defined (nan) are a bin of their own.

    Parameters
    ----------
    reference, sample
        (N,) and (M,), of one observable.
    bins
        Number of bins.

    References
    ----------
    Diefenbacher et al. (DCTRGAN), arXiv:2009.03796, Eq. 15; CaloChallenge 2022, arXiv:2410.21611.
    """
    known = reference[np.isfinite(reference)]
    edges = np.unique(np.quantile(known, np.linspace(0, 1, bins + 1)[1:-1])) if len(known) else np.zeros(0)
    p, q = (_shares(values, edges) for values in (reference, sample))
    filled = p + q > 0
    return float(0.5 * ((p - q)[filled] ** 2 / (p + q)[filled]).sum())


def _shares(values: Floats, edges: Floats) -> npt.NDArray[np.float64]:
    """Share of the values in each bin; the last is that of undefined values."""
    number = np.where(np.isfinite(values), np.searchsorted(edges, values, side="right"), len(edges) + 1)
    return np.bincount(number, minlength=len(edges) + 2) / max(len(values), 1)


ENTRY = separation
