"""How many cells of a shower are hit."""

from dataclasses import dataclass
from typing import Self

import numpy as np

from caloforge.geometry import Calorimeter
from caloforge.observables._thresholds import THRESHOLDS, above_text, count, suffix
from caloforge.observables.base import CALOCHALLENGE, Floats, ShowerObservable
from caloforge.showers import Showers

__all__ = ["ENTRY", "Hits"]


@dataclass(frozen=True)
class Hits(ShowerObservable):
    """Number of hits: the cells with at least as much energy as a threshold of the read-out.

    Parameters
    ----------
    threshold
        In MeV. 0 counts every cell with energy.

    Examples
    --------
    >>> import numpy as np
    >>> from caloforge import Incident, Showers
    >>> cells = np.zeros((1, 504))
    >>> cells[0, [288, 289]] = 30.0, 10.0  # neighbours along eta in layer 1, 40 mm wide
    >>> showers = Showers("calogan", cells, Incident(22, 1000.0))
    >>> Hits()(showers), Hits(threshold=20.0)(showers)
    (array([2.]), array([1.]))
    """

    threshold: float = 0.0

    group = "cells"
    symbol = r"n_\mathrm{hit}"
    unit = "cells"
    citation = CALOCHALLENGE

    @classmethod
    def every(cls, geometry: Calorimeter) -> tuple[Self, ...]:
        """Return the numbers of hits for the thresholds in use."""
        return tuple(cls(threshold) for threshold in THRESHOLDS)

    @property
    def name(self) -> str:
        """``hits``, with its threshold if it has one."""
        return "hits" + suffix(self.threshold)

    @property
    def label(self) -> str:
        """The quantity in words."""
        return "hits" + above_text(self.threshold)

    def __call__(self, showers: Showers) -> Floats:
        """Return the number of hits, (N,)."""
        # Summed over layers, because the counts of layers are kept for `LayerHits`.
        layers = range(len(showers.geometry.layers))
        return np.asarray(sum(count(showers, layer, self.threshold) for layer in layers))


ENTRY = Hits
