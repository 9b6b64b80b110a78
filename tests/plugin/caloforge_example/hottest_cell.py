"""The energy of the hottest cell."""

import numpy as np

from caloforge.observables.base import Floats, ShowerObservable
from caloforge.showers import Showers


class HottestCell(ShowerObservable):
    group = "cells"
    name = "hottest_cell"
    symbol = r"E_\mathrm{max}"
    label = "energy of the hottest cell"
    unit = "MeV"
    citation = "none"

    def __call__(self, showers: Showers) -> Floats:
        return showers.cells.max(axis=1).astype(np.float64)


ENTRY = HottestCell
