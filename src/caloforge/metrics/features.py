"""From observables to the feature matrices that joint metrics compare."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from caloforge.metrics.base import Floats

__all__ = ["Features", "features"]


@dataclass(frozen=True)
class Features:
    """Feature matrices of two samples, in the same columns.

    Parameters
    ----------
    names
        Of the d features.
    reference, generated
        (N, d) and (M, d), finite; each column of the reference has mean 0 and standard deviation 1.
    """

    names: tuple[str, ...]
    reference: Floats
    generated: Floats


def features(reference: Mapping[str, Floats], generated: Mapping[str, Floats]) -> Features:
    """Return standardised, finite features of two samples.

    Observables with one value for all showers of both samples carry no information and are left out. An
    undefined value (nan) is replaced by the mean of the reference, and an extra feature, ``undefined NAME``,
    marks these showers. Mean and standard deviation are the reference's; only if the reference has a single
    value are they those of both samples together.

    Parameters
    ----------
    reference, generated
        Values of each observable by its name, (N,) and (M,). Both have the same observables.

    Examples
    --------
    >>> import numpy as np
    >>> found = features({"width": np.array([1.0, 3.0, np.nan])}, {"width": np.array([2.0, 4.0])})
    >>> found.names
    ('width', 'undefined width')
    >>> found.generated.round(2)
    array([[ 0.  , -0.71],
           [ 2.  , -0.71]])
    """
    columns = {}
    for name, values in reference.items():
        pair = (np.asarray(values, dtype=float), np.asarray(generated[name], dtype=float))
        columns[name] = _standardised(*pair)
        missing = [np.where(np.isfinite(part), 0.0, 1.0) for part in pair]
        columns[f"undefined {name}"] = _standardised(*missing)
    kept = {name: pair for name, pair in columns.items() if any(part.any() for part in pair)}
    sizes = [len(next(iter(sample.values()), [])) for sample in (reference, generated)]
    # Filled column by column: joining all columns at once would need the memory twice.
    matrices = [np.empty((size, len(kept))) for size in sizes]
    for number, pair in enumerate(kept.values()):
        for matrix, column in zip(matrices, pair, strict=True):
            matrix[:, number] = column
    return Features(tuple(kept), *matrices)


def _standardised(reference: Floats, generated: Floats) -> tuple[Floats, Floats]:
    """Both samples in standard deviations from the mean of the reference; 0 where undefined."""
    known = [values[np.isfinite(values)] for values in (reference, generated)]
    scale = next((values for values in (known[0], np.concatenate(known)) if _varies(values)), None)
    if scale is None:
        return np.zeros(len(reference)), np.zeros(len(generated))
    mean, spread = scale.mean(), scale.std()
    first, second = (
        np.where(np.isfinite(values), (values - mean) / spread, 0.0) for values in (reference, generated)
    )
    return first, second


def _varies(values: Floats) -> bool:
    # Not std() > 0, which rounding of the mean can make true for equal values.
    return len(values) > 0 and bool(values.min() < values.max())
