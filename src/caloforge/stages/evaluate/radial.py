"""The energy of showers in rings around the axes of their particles."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from caloforge.geometry import Calorimeter
from caloforge.incident.incident import Incident
from caloforge.showers import Showers

__all__ = ["Floats", "axis_distances", "radial_profile"]

Floats = NDArray[np.float64]

_BLOCK = 256
"""Showers that are processed together."""

_ROUNDING = 1e-6
"""Distances in mm that differ by less count as equal."""


def radial_profile(first: Showers, second: Showers, most: int = 16) -> tuple[Floats, Floats, Floats]:
    """Return the energies of two samples in rings around the line along which each particle came in.

    A cell belongs to the ring in which its centre lies. The rings are those of a particle that enters at the
    centre, perpendicular to the front face: one for each distance that occurs, or of equally many distances.

    Parameters
    ----------
    first, second
        Showers in the same cells.
    most
        Number of rings, at most.

    Returns
    -------
    radii
        (rings,) mean distances in mm of the filled cells from the axis.
    energies
        (N, rings) and (M, rings) in MeV, of either sample.
    """
    edges = _edges(first.geometry, most)
    sums = np.zeros((2, len(edges)))
    energies = [np.concatenate(list(_in_rings(showers, edges, sums))) for showers in (first, second)]
    count, distance = sums
    return np.divide(distance, count, out=edges.copy(), where=count > 0), energies[0], energies[1]


def _in_rings(showers: Showers, edges: Floats, sums: Floats) -> Iterator[Floats]:
    """Yield the energies in the rings, a few showers at a time; add filled cells and their distances up."""
    n = len(edges)
    for start in range(0, max(len(showers), 1), _BLOCK):
        some = slice(start, start + _BLOCK)
        block, incident = showers.cells[some], showers.incident[some]
        rows, cells = np.nonzero(block)
        away = axis_distances(showers.geometry, incident, rows, cells)
        # Distances lie exactly at the edges, so that rounding would decide.
        ring = np.maximum(np.searchsorted(edges, away + _ROUNDING, side="right") - 1, 0)
        sums += np.bincount(ring, minlength=n), np.bincount(ring, away, minlength=n)
        # One number for shower and ring, so that one call adds up all showers.
        energies = np.bincount(rows * n + ring, block[rows, cells], minlength=len(block) * n)
        yield np.asarray(energies.reshape(len(block), n), float)


def axis_distances(
    geometry: Calorimeter, incident: Incident, rows: NDArray[np.intp], cells: NDArray[np.intp]
) -> Floats:
    r"""Return how far the centres of cells are from the axes of particles, in mm.

    With the particle's entry point $p$, its direction $u$ and the cell's centre $c$, all in
    space, the distance is $|(c - p) \times u|$, which is exact for perpendicular particles.

    Parameters
    ----------
    incident
        Of N showers.
    rows, cells
        (n,) numbers of showers, and of a cell of each.
    """
    offset = _centres(geometry)[cells]
    offset[:, :2] -= incident.position[rows]
    return np.asarray(np.linalg.norm(np.cross(offset, incident.unit_direction[rows]), axis=1))


def _centres(geometry: Calorimeter) -> Floats:
    """Return the centres of all cells in eta, phi and z, (n_cells, 3) in mm."""
    layers = [
        np.stack(
            [*(np.ravel(one) for one in layer.centres), np.full(layer.n_cells, sum(layer.z) / 2)], axis=1
        )
        for layer in geometry.layers
    ]
    return np.concatenate(layers)


def _edges(geometry: Calorimeter, most: int) -> Floats:
    """Return where the rings begin, (rings,)."""
    # Rounded to a nanometre: distances that are equal by symmetry differ in their last digits.
    different: Floats = np.unique(np.round(np.hypot(*_centres(geometry)[:, :2].T), 6))
    if len(different) <= most:
        return different
    # Quantiles of the distances that occur, so that each ring contains cells.
    edges: Floats = np.quantile(different, np.linspace(0, 1, most + 1)[:-1])
    return edges
