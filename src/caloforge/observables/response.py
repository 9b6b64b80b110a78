"""Deposited over incident energy."""

from caloforge.observables._shared import layer_energies
from caloforge.observables.base import CALOGAN, Floats, ShowerObservable, divide
from caloforge.showers import Showers

__all__ = ["ENTRY", "Response"]


class Response(ShowerObservable):
    r"""Response $E_\mathrm{tot} / E$: the share of the incident energy that the cells hold.

    $E_\mathrm{tot} = \sum_i E_i$ (Table IV), E the kinetic energy of the incident particle.

    Examples
    --------
    >>> import numpy as np
    >>> from caloforge import Incident, Showers
    >>> showers = Showers("calogan", np.ones((1, 504)), Incident(22, 1000.0))  # 1 MeV in each cell
    >>> Response()(showers)
    array([0.504])
    """

    group = "energy"
    name = "response"
    symbol = r"E_\mathrm{tot}/E"
    label = "response"
    unit = ""
    citation = CALOGAN

    def __call__(self, showers: Showers) -> Floats:
        """Return E_tot / E, (N,)."""
        return divide(layer_energies(showers).sum(axis=1), showers.energy)


ENTRY = Response
