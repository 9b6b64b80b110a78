"""How many cells of a layer are hit."""

from caloforge.observables._thresholds import count
from caloforge.observables.base import Floats, LayerObservable
from caloforge.showers import Showers

__all__ = ["ENTRY", "Sparsity"]


class Sparsity(LayerObservable):
    """Sparsity: the fraction of a layer's cells that hold any energy (its occupancy, from 0 to 1)."""

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
