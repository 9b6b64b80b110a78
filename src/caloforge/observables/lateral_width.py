"""Transverse size of the shower in one layer."""

from dataclasses import dataclass
from typing import Literal, Self

from caloforge.errors import InputError
from caloforge.geometry import Calorimeter, Layer, RingLayer
from caloforge.observables._shared import Unit, moments
from caloforge.observables.base import CALOGAN, Floats, Observable, check_layer
from caloforge.showers import Showers

__all__ = ["ENTRY", "LateralWidth"]

_Direction = Literal["eta", "phi"]
_LETTERS: dict[_Direction, str] = {"eta": "η", "phi": "φ"}
# Cell numbers are the convention of Table IV, but sectors of rings have none along eta and phi.
_UNITS: dict[type, Unit] = {Layer: "cells", RingLayer: "mm"}


@dataclass(frozen=True)
class LateralWidth(Observable):
    r"""Lateral width $\sigma_i = \sqrt{I_i \odot H^2 / E_i - (I_i \odot H / E_i)^2}$.

    H holds the position of each cell along one axis: its number (as in Table IV) or its centre in mm.
    The width is 0 if only one column of cells is hit, and nan for an empty layer. Cells of rings have no
    number along an axis, so their widths are only in mm; those of whole rings are nan.

    Parameters
    ----------
    layer
        Number of the layer, from 0.
    axis
        Direction in which the width is taken.
    unit
        ``cells`` takes the numbers of cells (boxes only), ``mm`` their centres.

    Examples
    --------
    >>> import numpy as np
    >>> from caloforge import Incident, Showers
    >>> cells = np.zeros((1, 504))
    >>> cells[0, [288, 289]] = 30.0, 10.0  # neighbours along eta in layer 1, 40 mm wide
    >>> showers = Showers("calogan", cells, Incident(22, 1000.0))
    >>> LateralWidth(layer=1, axis="eta")(showers).round(3)
    array([0.433])
    >>> LateralWidth(layer=1, axis="eta", unit="mm")(showers).round(3)
    array([17.321])
    """

    layer: int
    axis: _Direction = "eta"
    unit: Unit = "cells"

    group = "width"
    citation = CALOGAN

    @classmethod
    def every(cls, geometry: Calorimeter) -> tuple[Self, ...]:
        """Return the widths of all layers, first along eta, then along phi; in cells, or in mm for rings."""
        units = [_UNITS[type(layer)] for layer in geometry.layers]
        return tuple(cls(layer, axis, unit) for axis in _LETTERS for layer, unit in enumerate(units))

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
        check_layer(showers.geometry, self.layer)
        if self.unit == "cells" and isinstance(showers.geometry.layers[self.layer], RingLayer):
            raise InputError(
                f"Layer {self.layer} consists of rings, whose cells have no number along {self.axis}: "
                'take unit="mm".'
            )
        return moments(showers, self.layer, self.axis, self.unit).spread.copy()


ENTRY = LateralWidth
