"""How deep a shower reaches."""

import numpy as np

from caloforge.observables._shared import layer_energies
from caloforge.observables.base import CALOGAN, Floats, ShowerObservable
from caloforge.showers import Showers

__all__ = ["ENTRY", "DeepestLayer"]


class DeepestLayer(ShowerObservable):
    r"""Depth $d = \max\{i : \max(I_i) > 0\}$: the deepest layer that registers energy.

    nan for a shower without any energy.
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
        deepest = hit.shape[1] - 1 - np.argmax(hit[:, ::-1], axis=1)
        return np.where(hit.any(axis=1), deepest, np.nan)


ENTRY = DeepestLayer
