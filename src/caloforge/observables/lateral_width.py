"""Transverse size of the shower in one layer."""

from dataclasses import dataclass
from typing import Literal, Self

import numpy as np

from caloforge.geometry import Calorimeter
from caloforge.observables.base import CALOGAN, Floats, Observable, layer_image, spread
from caloforge.showers import Showers

_SUM_OVER = {"eta": 1, "phi": 2}
_LETTERS = {"eta": "η", "phi": "φ"}


@dataclass(frozen=True)
class LateralWidth(Observable):
    r"""Lateral width :math:`\sigma_i = \sqrt{I_i \odot H^2 / E_i - (I_i \odot H / E_i)^2}`.

    H holds the position of each cell along one axis: its number (as in Table IV) or its centre in mm.
    The width is 0 if only one column of cells is hit, and nan for an empty layer.

    Parameters
    ----------
    layer
        Number of the layer, from 0.
    axis
        Direction in which the width is taken.
    unit
        ``cells`` counts in cell numbers, ``mm`` in cell centres.
    """

    layer: int
    axis: Literal["eta", "phi"] = "eta"
    unit: Literal["cells", "mm"] = "cells"

    citation = CALOGAN

    @classmethod
    def every(cls, geometry: Calorimeter) -> tuple[Self, ...]:
        """Return the widths of all layers, along eta and then along phi, in cells."""
        layers = range(len(geometry.layers))
        return tuple(cls(layer, "eta") for layer in layers) + tuple(cls(layer, "phi") for layer in layers)

    @property
    def name(self) -> str:
        """``lateral_width_i_axis``, with ``_mm`` where it is in mm."""
        return f"lateral_width_{self.layer}_{self.axis}" + ("_mm" if self.unit == "mm" else "")

    @property
    def symbol(self) -> str:
        """sigma_i with the axis."""
        return rf"\sigma_{{{self.layer},\{self.axis}}}"

    @property
    def label(self) -> str:
        """The quantity in words."""
        return f"width in {_LETTERS[self.axis]}, layer {self.layer}"

    def __call__(self, showers: Showers) -> Floats:
        """Return sigma_i, (N,) in cells or mm."""
        profile = layer_image(showers, self.layer).sum(axis=_SUM_OVER[self.axis], dtype=float)
        return spread(profile, self._positions(showers.geometry))

    def _positions(self, geometry: Calorimeter) -> Floats:
        layer = geometry.layers[self.layer]
        edges = layer.eta.edges if self.axis == "eta" else layer.phi.edges
        if self.unit == "cells":
            return np.arange(len(edges) - 1, dtype=float)
        return (edges[:-1] + edges[1:]) / 2


ENTRY = LateralWidth
