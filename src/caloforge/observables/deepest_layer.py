"""How deep a shower reaches."""

import numpy as np

from caloforge.observables._shared import layer_energies
from caloforge.observables.base import CALOGAN, Floats, ShowerObservable
from caloforge.showers import Showers

__all__ = ["ENTRY", "DeepestLayer"]


class DeepestLayer(ShowerObservable):
    r"""Depth $d = \max\{i : \max(I_i) > 0\}$: the deepest layer that registers energy.

    nan for a shower without any energy.

    Examples
    --------
    >>> import numpy as np
    >>> from caloforge import Incident, Showers
    >>> cells = np.zeros((1, 504))
    >>> cells[0, :300] = 1.0  # the 288 cells of layer 0, and 12 of layer 1
    >>> showers = Showers("calogan", cells, Incident(22, 1000.0))
    >>> DeepestLayer()(showers)
    array([1.])
    """

    group = "depth"
    name = "deepest_layer"
    symbol = "d"
    label = "deepest layer with energy"
    unit = "layers"
    citation = CALOGAN

    def __call__(self, showers: Showers) -> Floats:
        """Return d, (N,) in layer numbers."""
        hit = layer_energies(showers) > 0
        # argmax returns the first of equal values, so the layers are reversed to find the last hit.
        deepest = hit.shape[1] - 1 - np.argmax(hit[:, ::-1], axis=1)
        return np.where(hit.any(axis=1), deepest, np.nan)


ENTRY = DeepestLayer
