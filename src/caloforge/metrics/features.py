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

    Observables that are the same for all showers of both samples tell nothing and are left out. Where an
    observable is undefined (nan) for some shower, this takes the mean of the reference, and a further
    feature, ``undefined NAME``, says for which showers. Mean and standard deviation are the reference's; only
    where the reference has a single value, they are those of both samples together.

    Parameters
    ----------
    reference, generated
        Values of each observable by its name, (N,) and (M,). Both have the same observables.
    """
    columns = {}
    for name, values in reference.items():
        pair = (np.asarray(values, dtype=float), np.asarray(generated[name], dtype=float))
        columns[name] = _standardised(*pair)
        missing = [np.where(np.isfinite(part), 0.0, 1.0) for part in pair]
        columns[f"undefined {name}"] = _standardised(*missing)
    kept = {name: pair for name, pair in columns.items() if any(part.any() for part in pair)}
    sizes = [len(next(iter(sample.values()), [])) for sample in (reference, generated)]
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
    return len(values) > 0 and bool(values.min() < values.max())
