"""Share of the cells of a layer that are hit."""

from caloforge.observables._thresholds import count
from caloforge.observables.base import Floats, LayerObservable
from caloforge.showers import Showers

__all__ = ["ENTRY", "Sparsity"]


class Sparsity(LayerObservable):
    """Sparsity: the fraction of a layer's cells that hold any energy (its occupancy, from 0 to 1).

    Examples
    --------
    >>> import numpy as np
    >>> from caloforge import Incident, Showers
    >>> cells = np.zeros((1, 504))
    >>> cells[0, [288, 289]] = 30.0, 10.0  # neighbours along eta in layer 1, 40 mm wide
    >>> showers = Showers("calogan", cells, Incident(22, 1000.0))
    >>> Sparsity(layer=1)(showers).round(4)  # 2 of 144 cells
    array([0.0139])
    """

    group = "cells"
    unit = ""
    citation = "Paganini, de Oliveira, Nachman, Phys. Rev. D 97 (2018) 014021, Fig. 12 and note [59]"

    @property
    def name(self) -> str:
        """``sparsity_i``."""
        return f"sparsity_{self.layer}"

    @property
    def symbol(self) -> str:
        """n_hit over n_cells."""
        return r"n_\mathrm{hit}/n_\mathrm{cells}"

    @property
    def label(self) -> str:
        """The quantity in words."""
        return f"sparsity of layer {self.layer}"

    def __call__(self, showers: Showers) -> Floats:
        """Return the fraction of hit cells, (N,)."""
        hits = count(showers, self.layer, 0.0)
        return hits / showers.geometry.layers[self.layer].n_cells


ENTRY = Sparsity
