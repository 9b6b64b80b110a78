"""Distribution of the energy over radii and over cells."""

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
"""Edges of the bins of a cell spectrum in MeV: ten per decade, from 0.1 keV to 100 GeV."""
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

    Examples
    --------
    >>> import numpy as np
    >>> from caloforge import Incident, Showers
    >>> showers = Showers("calogan", np.ones((1, 504)), Incident(22, 1000.0))  # 1 MeV in each cell
    >>> radii, energy = energy_within(showers.geometry, showers.cells[0])
    >>> len(radii), float(energy[-1])
    (131, 504.0)
    >>> radii[:3].round(2), energy[:3]
    (array([ 2.5,  7.5, 12.5]), array([2., 4., 6.]))
    """
    radii, members = _cylinders(geometry)
    rows = cells.reshape(int(np.prod(cells.shape[:-1])), geometry.n_cells)
    # scipy returns the product in Fortran order, but the sums run along rows.
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
        Ascending, in MeV. Cells beyond the outer edges are counted in the first and the last bin.

    Returns
    -------
        (L, bins): the counts of each layer, which sum to its hits in all showers.

    Examples
    --------
    >>> import numpy as np
    >>> from caloforge import Incident, Showers
    >>> cells = np.zeros((1, 504))
    >>> cells[0, [288, 289]] = 30.0, 10.0  # neighbours along eta in layer 1, 40 mm wide
    >>> showers = Showers("calogan", cells, Incident(22, 1000.0))
    >>> cell_spectrum(showers, edges=np.array([0.1, 20.0, 100.0]))
    array([[0, 0],
           [1, 1],
           [0, 0]])
    """
    # Without the outer edges, cells beyond them fall into the outer bins. In single precision like the cells,
    # because searchsorted would otherwise copy all cells to double precision first.
    inner = edges[1:-1].astype(np.float32)
    counts = []
    for layer in range(len(showers.geometry.layers)):
        cells = flat(layer_image(showers, layer))
        number = np.searchsorted(inner, cells[cells > 0], side="right")
        counts.append(np.bincount(number, minlength=len(edges) - 1))
    return np.stack(counts).astype(np.int64)
