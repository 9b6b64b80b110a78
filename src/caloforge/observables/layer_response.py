"""Energy in a layer over the incident energy."""

from caloforge.observables._shared import layer_energy
from caloforge.observables.base import CALOCHALLENGE, Floats, LayerObservable, divide
from caloforge.showers import Showers

__all__ = ["ENTRY", "LayerResponse"]


class LayerResponse(LayerObservable):
    r"""Layer response $E_i / E$: the share of the incident kinetic energy that is in a layer.

    Examples
    --------
    >>> import numpy as np
    >>> from caloforge import Incident, Showers
    >>> showers = Showers("calogan", np.ones((1, 504)), Incident(22, 1000.0))  # 1 MeV in each cell
    >>> LayerResponse(layer=1)(showers)
    array([0.144])
    """

    group = "energy"
    unit = ""
    citation = CALOCHALLENGE

    @property
    def name(self) -> str:
        """``layer_response_i``."""
        return f"layer_response_{self.layer}"

    @property
    def symbol(self) -> str:
        """E_i / E."""
        return f"E_{{{self.layer}}}/E"

    @property
    def label(self) -> str:
        """The quantity in words."""
        return f"response of layer {self.layer}"

    def __call__(self, showers: Showers) -> Floats:
        """Return E_i / E, (N,)."""
        return divide(layer_energy(showers, self.layer), showers.energy)


ENTRY = LayerResponse
