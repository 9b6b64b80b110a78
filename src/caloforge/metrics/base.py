"""Base of metrics: two samples to a number, with a name, a citation and a minimum number of showers."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from caloforge import catalog

__all__ = ["Floats", "Metric", "every"]

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Metric:
    """Distance of two samples: of one observable, or of many features together.

    Parameters
    ----------
    name
        Plain identifier, as in the name of the file.
    label
        The quantity in words, as in the head of a table.
    citation
        Where the definition comes from.
    least
        Fewest showers per sample for which the number is given.
    measure
        The definition: (n,) and (m,), reference first, -> number; (n, d) and (m, d) where it is joint.
    joint
        Whether it compares many features together. These must be finite and of similar scale
        (`caloforge.metrics.features`), with rows in random order.
    higher
        Whether the higher number is the better one.
    most
        Most showers per sample that it uses; None for all.

    Examples
    --------
    >>> import numpy as np
    >>> shift = Metric("shift", "shift", "none", least=10, measure=lambda a, b: float(b.mean() - a.mean()))
    >>> shift(np.zeros(10), np.ones(10))
    1.0
    """

    name: str
    label: str
    citation: str
    least: int
    measure: Callable[[Floats, Floats], float]
    joint: bool = False
    higher: bool = False
    most: int | None = None

    def __call__(self, reference: Floats, sample: Floats) -> float:
        """Return the number for a reference and a sample.

        Parameters
        ----------
        reference, sample
            (n,) and (m,), or (n, d) and (m, d) if the metric is joint. Values of one observable may be nan
            (the observable is not defined for this shower); that counts as a difference if one sample has
            more of them.
        """
        return self.measure(reference, sample)


def every(joint: bool) -> tuple[Metric, ...]:
    """Return the metrics of the catalogue: the joint ones, or those of one observable.

    Examples
    --------
    >>> "wasserstein" in [metric.name for metric in every(joint=False)]
    True
    """
    entries = (catalog.load("metrics", name) for name in catalog.names("metrics"))
    return tuple(entry for entry in entries if isinstance(entry, Metric) and entry.joint is joint)
