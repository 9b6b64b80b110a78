"""Mean depth of the deposited energy."""

import numpy as np

from caloforge.observables._shared import layer_energies
from caloforge.observables.base import CALOGAN, Floats, ShowerObservable, divide
from caloforge.showers import Showers

__all__ = ["ENTRY", "ShowerDepth"]


class ShowerDepth(ShowerObservable):
    r"""Shower depth $s_d = \sum_i i E_i / E_\mathrm{tot}$; nan for a shower without any energy.

    Examples
    --------
    >>> import numpy as np
    >>> from caloforge import Incident, Showers
    >>> showers = Showers("calogan", np.ones((1, 504)), Incident(22, 1000.0))  # 1 MeV in each cell
    >>> ShowerDepth()(showers).round(3)
    array([0.571])
    """

    group = "depth"
    name = "shower_depth"
    symbol = "s_d"
    label = "shower depth"
    unit = "layers"
    citation = CALOGAN

    def __call__(self, showers: Showers) -> Floats:
        """Return s_d, (N,) in layer numbers."""
        energies = layer_energies(showers)
        return divide(energies @ np.arange(energies.shape[1], dtype=float), energies.sum(axis=1))


ENTRY = ShowerDepth
