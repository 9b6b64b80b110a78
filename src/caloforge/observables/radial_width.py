"""Spread of a layer's energy in the distance from the axis."""

from caloforge.observables._shared import moments
from caloforge.observables.base import CALOCHALLENGE, Floats, LayerObservable
from caloforge.showers import Showers

__all__ = ["ENTRY", "RadialWidth"]


class RadialWidth(LayerObservable):
    r"""Radial width $\sqrt{\sum_i r_i^2 E_i / E - \bar r^2}$, r_i the distance of cell i from the axis.

    nan for an empty layer.

    Examples
    --------
    >>> import numpy as np
    >>> from caloforge import Incident, Showers
    >>> cells = np.zeros((1, 504))
    >>> cells[0, [288, 289]] = 30.0, 10.0  # neighbours along eta in layer 1, 40 mm wide
    >>> showers = Showers("calogan", cells, Incident(22, 1000.0))
    >>> RadialWidth(layer=1)(showers).round(3)
    array([11.637])
    """

    group = "width"
    unit = "mm"
    citation = CALOCHALLENGE

    @property
    def name(self) -> str:
        """``radial_width_i``."""
        return f"radial_width_{self.layer}"

    @property
    def symbol(self) -> str:
        """Sigma_r with the layer."""
        return rf"\sigma_{{r,{self.layer}}}"

    @property
    def label(self) -> str:
        """The quantity in words."""
        return f"width in r, layer {self.layer}"

    def __call__(self, showers: Showers) -> Floats:
        """Return the width, (N,) in mm."""
        return moments(showers, self.layer, "r").spread.copy()


ENTRY = RadialWidth
