"""Energy that the cells hold."""

import numpy as np

from caloforge.observables._shared import layer_energies
from caloforge.observables.base import CALOGAN, Floats, ShowerObservable
from caloforge.showers import Showers

__all__ = ["ENTRY", "TotalEnergy"]


class TotalEnergy(ShowerObservable):
    r"""Deposited energy $E_\mathrm{tot} = \sum_i E_i$.

    Examples
    --------
    >>> import numpy as np
    >>> from caloforge import Incident, Showers
    >>> showers = Showers("calogan", np.ones((1, 504)), Incident(22, 1000.0))  # 1 MeV in each cell
    >>> TotalEnergy()(showers)
    array([504.])
    """

    group = "energy"
    name = "total_energy"
    symbol = r"E_\mathrm{tot}"
    label = "deposited energy"
    unit = "MeV"
    citation = CALOGAN

    def __call__(self, showers: Showers) -> Floats:
        """Return E_tot, (N,) in MeV."""
        return np.asarray(layer_energies(showers).sum(axis=1))


ENTRY = TotalEnergy
