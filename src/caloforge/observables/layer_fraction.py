"""Share of a layer in the deposited energy."""

from caloforge.observables._shared import layer_energies, layer_energy
from caloforge.observables.base import CALOGAN, Floats, LayerObservable, divide
from caloforge.showers import Showers

__all__ = ["ENTRY", "LayerFraction"]


class LayerFraction(LayerObservable):
    r"""Layer fraction $f_i = E_i / E_\mathrm{tot}$; nan for a shower without any energy.

    Examples
    --------
    >>> import numpy as np
    >>> from caloforge import Incident, Showers
    >>> showers = Showers("calogan", np.ones((1, 504)), Incident(22, 1000.0))  # 1 MeV in each cell
    >>> LayerFraction(layer=1)(showers).round(3)
    array([0.286])
    """

    group = "depth"
    unit = ""
    citation = CALOGAN

    @property
    def name(self) -> str:
        """``layer_fraction_i``."""
        return f"layer_fraction_{self.layer}"

    @property
    def symbol(self) -> str:
        """f_i."""
        return f"f_{{{self.layer}}}"

    @property
    def label(self) -> str:
        """The quantity in words."""
        return f"energy fraction in layer {self.layer}"

    def __call__(self, showers: Showers) -> Floats:
        """Return E_i / E_tot, (N,)."""
        return divide(layer_energy(showers, self.layer), layer_energies(showers).sum(axis=1))


ENTRY = LayerFraction
