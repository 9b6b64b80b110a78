"""Where the energy of a layer lies."""

from caloforge.observables._shared import moments
from caloforge.observables.base import GEOMETRY_AWARE, AxisObservable, Floats
from caloforge.showers import Showers

__all__ = ["ENTRY", "Centre"]

_LETTERS = {"eta": "η", "phi": "φ", "r": "r"}
_SYMBOLS = {"eta": r"\bar\eta", "phi": r"\bar\phi", "r": r"\bar r"}


class Centre(AxisObservable):
    r"""Centre of energy $\bar\eta = \sum_i \eta_i E_i / \sum_i E_i$, likewise in phi and r.

    eta_i is the middle of cell i in mm; r its distance from the axis of the calorimeter. nan for an empty
    layer.

    Examples
    --------
    >>> import numpy as np
    >>> from caloforge import Incident, Showers
    >>> cells = np.zeros((1, 504))
    >>> cells[0, [288, 289]] = 30.0, 10.0  # neighbours along eta in layer 1, 40 mm wide
    >>> showers = Showers("calogan", cells, Incident(22, 1000.0))
    >>> Centre(layer=1, axis="eta")(showers).round(3)
    array([-210.])
    """

    axes = ("eta", "phi", "r")
    group = "centre"
    unit = "mm"
    citation = f"{GEOMETRY_AWARE}, Eq. 1"

    @property
    def name(self) -> str:
        """``centre_i_axis``."""
        return f"centre_{self.layer}_{self.axis}"

    @property
    def symbol(self) -> str:
        """The letter with a bar, and the layer."""
        return f"{_SYMBOLS[self.axis]}_{{{self.layer}}}"

    @property
    def label(self) -> str:
        """The quantity in words."""
        return f"centre in {_LETTERS[self.axis]}, layer {self.layer}"

    def __call__(self, showers: Showers) -> Floats:
        """Return the centre, (N,) in mm."""
        return moments(showers, self.layer, self.axis).mean.copy()


ENTRY = Centre
