"""How energy is distributed over radii, and over cells."""

from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from caloforge.geometry import Calorimeter
from caloforge.observables._shared import coordinates, grouped
from caloforge.observables.base import Floats, flat, layer_image
from caloforge.showers import Showers

__all__ = ["SPECTRUM_EDGES", "cell_spectrum", "energy_within"]

SPECTRUM_EDGES = np.logspace(-4, 5, 91)
"""Edges of the bins of a cell spectrum in MeV: ten a decade, from 0.1 keV to 100 GeV."""
SPECTRUM_EDGES.flags.writeable = False


def energy_within(geometry: Calorimeter, cells: NDArray[np.floating]) -> tuple[Floats, Floats]:
    """Return the radial profile as the energy within growing distances from the axis.

    Parameters
    ----------
    cells
        (..., n_cells) in MeV, of showers or of their mean.

    Returns
    -------
        Distances from the axis at which cells have their centres, (n,) in mm, ascending; and the energy up to
        and including each, (..., n) in MeV.
    """
    radii, members = _cylinders(geometry)
    rows = cells.reshape(int(np.prod(cells.shape[:-1])), geometry.n_cells)
    within = np.cumsum(np.ascontiguousarray(rows @ members), axis=1)
    return radii, within.reshape(*cells.shape[:-1], len(radii))


@cache
def _cylinders(geometry: Calorimeter) -> tuple[Floats, csr_array]:
    radii, members = grouped(np.concatenate([coordinates(layer, "r") for layer in geometry.layers]))
    return radii, members


def cell_spectrum(showers: Showers, edges: Floats = SPECTRUM_EDGES) -> NDArray[np.int64]:
    """Count the cells with energy by their energy.

    Parameters
    ----------
    edges
        Ascending, in MeV. Cells beyond them count in the first and the last bin.

    Returns
    -------
        (L, bins): the counts of each layer, which sum to its hits in all showers.
    """
    inner = edges[1:-1].astype(np.float32)
    counts = []
    for layer in range(len(showers.geometry.layers)):
        cells = flat(layer_image(showers, layer))
        number = np.searchsorted(inner, cells[cells > 0], side="right")
        counts.append(np.bincount(number, minlength=len(edges) - 1))
    return np.stack(counts).astype(np.int64)
