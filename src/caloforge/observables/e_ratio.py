"""How far the hottest cell of a layer stands out."""

import numpy as np

from caloforge.observables.base import CALOGAN, Floats, LayerObservable, divide, flat, layer_image
from caloforge.showers import Showers

__all__ = ["ENTRY", "ERatio"]


class ERatio(LayerObservable):
    r"""Energy ratio $E_{\mathrm{ratio},i} = (I_{(1)} - I_{(2)}) / (I_{(1)} + I_{(2)})$.

    I_(1) and I_(2) are the highest and the second highest deposit in the cells of the layer: 1 if a
    single cell is hit, 0 if two cells share the lead, nan for an empty layer.

    Examples
    --------
    >>> import numpy as np
    >>> from caloforge import Incident, Showers
    >>> cells = np.zeros((1, 504))
    >>> cells[0, [288, 289]] = 30.0, 10.0  # neighbours along eta in layer 1, 40 mm wide
    >>> showers = Showers("calogan", cells, Incident(22, 1000.0))
    >>> ERatio(layer=1)(showers)
    array([0.5])
    >>> ERatio(layer=0)(showers)  # no energy there
    array([nan])
    """

    group = "cells"
    unit = ""
    citation = CALOGAN

    @property
    def name(self) -> str:
        """``e_ratio_i``."""
        return f"e_ratio_{self.layer}"

    @property
    def symbol(self) -> str:
        """E_ratio,i."""
        return rf"E_{{\mathrm{{ratio}},{self.layer}}}"

    @property
    def label(self) -> str:
        """The quantity in words."""
        return f"two hottest cells in layer {self.layer}"

    def __call__(self, showers: Showers) -> Floats:
        """Return E_ratio,i, (N,)."""
        cells = flat(layer_image(showers, self.layer))
        if cells.shape[1] == 1:  # there is no second cell
            cells = np.pad(cells, ((0, 0), (1, 0)))
        # A partition finds the two highest in linear time; to double precision before they are subtracted.
        second, highest = np.partition(cells, -2, axis=1)[:, -2:].T.astype(float)
        return divide(highest - second, highest + second)


ENTRY = ERatio
