"""Spread of the deposited energy in depth."""

import numpy as np

from caloforge.observables._shared import layer_energies
from caloforge.observables.base import CALOGAN, Floats, ShowerObservable, spread
from caloforge.showers import Showers

__all__ = ["ENTRY", "DepthWidth"]


class DepthWidth(ShowerObservable):
    r"""Depth width $\sigma_{s_d} = \sqrt{\sum_i i^2 E_i/E_\mathrm{tot} - s_d^2}$.

    Standard deviation of the layer number, weighted with energy; nan for a shower without any energy.

    Examples
    --------
    >>> import numpy as np
    >>> from caloforge import Incident, Showers
    >>> showers = Showers("calogan", np.ones((1, 504)), Incident(22, 1000.0))  # 1 MeV in each cell
    >>> DepthWidth()(showers).round(3)
    array([0.728])
    """

    group = "depth"
    name = "depth_width"
    symbol = r"\sigma_{s_d}"
    label = "shower depth width"
    unit = "layers"
    citation = CALOGAN

    def __call__(self, showers: Showers) -> Floats:
        """Return sigma_sd, (N,) in layer numbers."""
        energies = layer_energies(showers)
        return spread(energies, np.arange(energies.shape[1], dtype=float))


ENTRY = DepthWidth
