"""Deposited over incident energy."""

from caloforge.observables._shared import layer_energies
from caloforge.observables.base import CALOGAN, Floats, ShowerObservable, divide
from caloforge.showers import Showers

__all__ = ["ENTRY", "Response"]


class Response(ShowerObservable):
    r"""Response $E_\mathrm{tot} / E$: the share of the incident energy that the cells hold.

    $E_\mathrm{tot} = \sum_i E_i$ (Table IV), E the kinetic energy of the incident particle.
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
