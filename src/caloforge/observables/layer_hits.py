"""How many cells of a layer are hit."""

from dataclasses import dataclass
from typing import Self

from caloforge.geometry import Calorimeter
from caloforge.observables._thresholds import THRESHOLDS, above_text, count, suffix
from caloforge.observables.base import CALOCHALLENGE, Floats, LayerObservable
from caloforge.showers import Showers

__all__ = ["ENTRY", "LayerHits"]


@dataclass(frozen=True)
class LayerHits(LayerObservable):
    """Number of hits in a layer: its cells with at least as much energy as a threshold.

    Parameters
    ----------
    layer
        Number of the layer, from 0.
    threshold
        In MeV. 0 counts every cell with energy.

    Examples
    --------
    >>> import numpy as np
    >>> from caloforge import Incident, Showers
    >>> cells = np.zeros((1, 504))
    >>> cells[0, [288, 289]] = 30.0, 10.0  # neighbours along eta in layer 1, 40 mm wide
    >>> showers = Showers("calogan", cells, Incident(22, 1000.0))
    >>> LayerHits(layer=1)(showers), LayerHits(layer=0)(showers)
    (array([2.]), array([0.]))
    """

    threshold: float = 0.0

    group = "cells"
    unit = "cells"
    citation = CALOCHALLENGE

    @classmethod
    def every(cls, geometry: Calorimeter) -> tuple[Self, ...]:
        """Return the numbers of hits of all layers, for one threshold after the other."""
        layers = range(len(geometry.layers))
        return tuple(cls(layer, threshold) for threshold in THRESHOLDS for layer in layers)

    @property
    def name(self) -> str:
        """``layer_hits_i``, with its threshold if it has one."""
        return f"layer_hits_{self.layer}{suffix(self.threshold)}"

    @property
    def symbol(self) -> str:
        """n_hit,i."""
        return rf"n_{{\mathrm{{hit}},{self.layer}}}"

    @property
    def label(self) -> str:
        """The quantity in words."""
        return f"hits{above_text(self.threshold)} in layer {self.layer}"

    def __call__(self, showers: Showers) -> Floats:
        """Return the number of hits in the layer, (N,)."""
        return count(showers, self.layer, self.threshold).copy()


ENTRY = LayerHits
