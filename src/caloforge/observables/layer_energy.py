"""Energy in a layer."""

from caloforge.observables._shared import layer_energy
from caloforge.observables.base import CALOGAN, Floats, LayerObservable
from caloforge.showers import Showers

__all__ = ["ENTRY", "LayerEnergy"]


class LayerEnergy(LayerObservable):
    r"""Layer energy $E_i = \sum_\mathrm{cells} I_i$.

    Examples
    --------
    >>> import numpy as np
    >>> from caloforge import Incident, Showers
    >>> showers = Showers("calogan", np.ones((1, 504)), Incident(22, 1000.0))  # 1 MeV in each cell
    >>> LayerEnergy(layer=1)(showers)
    array([144.])
    """

    group = "energy"
    unit = "MeV"
    citation = CALOGAN

    @property
    def name(self) -> str:
        """``layer_energy_i``."""
        return f"layer_energy_{self.layer}"

    @property
    def symbol(self) -> str:
        """E_i."""
        return f"E_{{{self.layer}}}"

    @property
    def label(self) -> str:
        """The quantity in words."""
        return f"energy in layer {self.layer}"

    def __call__(self, showers: Showers) -> Floats:
        """Return E_i, (N,) in MeV."""
        return layer_energy(showers, self.layer)


ENTRY = LayerEnergy
