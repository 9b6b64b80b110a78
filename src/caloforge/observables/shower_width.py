"""Transverse size of the shower in one layer, corrected for the number of hits."""

import numpy as np

from caloforge.observables._shared import moments
from caloforge.observables._thresholds import count
from caloforge.observables.base import GEOMETRY_AWARE, AxisObservable, Floats, divide
from caloforge.showers import Showers

__all__ = ["ENTRY", "ShowerWidth"]

_LETTERS = {"eta": "η", "phi": "φ"}


class ShowerWidth(AxisObservable):
    r"""Shower width $\sigma_\eta = \sqrt{\sum_i E_i (\eta_i - \bar\eta)^2 / (\frac{M-1}{M} E)}$.

    E is the energy of the layer, M the number of its cells with energy, eta_i the middle of a cell in mm;
    likewise in phi. nan where fewer than two cells are hit. The lateral width times sqrt(M / (M - 1)).

    Examples
    --------
    >>> import numpy as np
    >>> from caloforge import Incident, Showers
    >>> cells = np.zeros((1, 504))
    >>> cells[0, [288, 289]] = 30.0, 10.0  # neighbours along eta in layer 1, 40 mm wide
    >>> showers = Showers("calogan", cells, Incident(22, 1000.0))
    >>> ShowerWidth(layer=1, axis="eta")(showers).round(3)
    array([24.495])
    """

    group = "width"
    unit = "mm"
    citation = f"{GEOMETRY_AWARE}, Eq. 2"

    @property
    def name(self) -> str:
        """``shower_width_i_axis``."""
        return f"shower_width_{self.layer}_{self.axis}"

    @property
    def symbol(self) -> str:
        """Sigma with the axis and the layer."""
        return rf"\sigma_{{\{self.axis},{self.layer}}}"

    @property
    def label(self) -> str:
        """The quantity in words."""
        return f"shower width in {_LETTERS[self.axis]}, layer {self.layer}"

    def __call__(self, showers: Showers) -> Floats:
        """Return sigma, (N,) in mm."""
        # M / (M - 1) with M = 1 divides by 0: divide gives nan, as the docstring says.
        hits = count(showers, self.layer, 0.0)
        return moments(showers, self.layer, self.axis).spread * np.sqrt(divide(hits, hits - 1))


ENTRY = ShowerWidth
