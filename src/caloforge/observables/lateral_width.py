"""Transverse size of the shower in one layer."""

from dataclasses import dataclass
from typing import Literal, Self

import numpy as np

from caloforge.errors import InputError
from caloforge.geometry import Calorimeter
from caloforge.observables.base import CALOGAN, Floats, Observable, layer_image, spread
from caloforge.segmentation import Layer, RingLayer
from caloforge.showers import Showers

_Direction = Literal["eta", "phi"]
_Unit = Literal["cells", "mm"]
_SUM_OVER: dict[_Direction, int] = {"eta": 1, "phi": 2}
_LETTERS = {"eta": "η", "phi": "φ"}
_UNITS: dict[type, _Unit] = {Layer: "cells", RingLayer: "mm"}


@dataclass(frozen=True)
class LateralWidth(Observable):
    r"""Lateral width :math:`\sigma_i = \sqrt{I_i \odot H^2 / E_i - (I_i \odot H / E_i)^2}`.

    H holds the position of each cell along one axis: its number (as in Table IV) or its centre in mm.
    The width is 0 if only one column of cells is hit, and nan for an empty layer. Cells of rings have no
    number along an axis, so their widths are in mm alone.

    Parameters
    ----------
    layer
        Number of the layer, from 0.
    axis
        Direction in which the width is taken.
    unit
        ``cells`` counts in cell numbers (boxes alone), ``mm`` in cell centres.
    """

    layer: int
    axis: _Direction = "eta"
    unit: _Unit = "cells"

    group = "width"
    citation = CALOGAN

    @classmethod
    def every(cls, geometry: Calorimeter) -> tuple[Self, ...]:
        """Return the widths of all layers, along eta and then along phi, in cells or, of rings, in mm."""
        units = [_UNITS[type(layer)] for layer in geometry.layers]
        return tuple(cls(layer, axis, unit) for axis in _SUM_OVER for layer, unit in enumerate(units))

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
        """Return sigma_i, (N,) in cells or mm.

        Raises
        ------
        InputError
            The calorimeter has no such layer, or cells of rings are to be counted.
        """
        image, layer = layer_image(showers, self.layer), showers.geometry.layers[self.layer]
        if isinstance(layer, RingLayer):
            return spread(image.reshape(len(image), -1).astype(float), self._centres(layer))
        return spread(image.sum(axis=_SUM_OVER[self.axis], dtype=float), self._positions(layer))

    def _positions(self, layer: Layer) -> Floats:
        axis = layer.eta if self.axis == "eta" else layer.phi
        return np.arange(axis.n, dtype=float) if self.unit == "cells" else axis.middles

    def _centres(self, layer: RingLayer) -> Floats:
        if self.unit == "cells":
            raise InputError(
                f"Layer {self.layer} consists of rings, whose cells have no number along {self.axis}: "
                'take unit="mm".'
            )
        return dict(zip(_SUM_OVER, layer.centres, strict=True))[self.axis].ravel()


ENTRY = LateralWidth
