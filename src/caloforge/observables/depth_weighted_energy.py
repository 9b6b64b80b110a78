"""Energy weighted with depth."""

import numpy as np

from caloforge.observables._shared import layer_energies
from caloforge.observables.base import CALOGAN, Floats, ShowerObservable
from caloforge.showers import Showers

__all__ = ["ENTRY", "DepthWeightedEnergy"]


class DepthWeightedEnergy(ShowerObservable):
    r"""Depth-weighted total energy $l_d = \sum_i i E_i$.

    Examples
    --------
    >>> import numpy as np
    >>> from caloforge import Incident, Showers
    >>> showers = Showers("calogan", np.ones((1, 504)), Incident(22, 1000.0))  # 1 MeV in each cell
    >>> DepthWeightedEnergy()(showers)
    array([288.])
    """

    group = "depth"
    name = "depth_weighted_energy"
    symbol = "l_d"
    label = "depth-weighted energy"
    unit = "MeV"
    citation = CALOGAN

    def __call__(self, showers: Showers) -> Floats:
        """Return l_d, (N,) in MeV."""
        energies = layer_energies(showers)
        return np.asarray(energies @ np.arange(energies.shape[1], dtype=float))


ENTRY = DepthWeightedEnergy
