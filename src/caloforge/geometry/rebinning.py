"""Sum the cells of a fine read-out to those of a coarser one, or to those of its core."""

from dataclasses import replace

import numpy as np
import numpy.typing as npt
from scipy.sparse import block_array, csr_array, kron

from caloforge.errors import GeometryError
from caloforge.geometry.axis import Axis, check_subset
from caloforge.geometry.calorimeter import Calorimeter, Floats
from caloforge.geometry.layers import Layer

__all__ = ["crop_cells", "crop_matrix", "rebin_cells", "rebin_matrix", "shared_matrix"]

_REBIN_ROWS = 1024  # showers in double precision at once, which limits the memory


def rebin_matrix(fine: Calorimeter, coarse: Calorimeter) -> csr_array:
    """Return the map of fine cells on the coarse cells that contain them, (n_fine, n_coarse) of 0 and 1.

    Every coarse edge in z, eta and phi must be an edge of the fine grid, so that no cell is ever divided.

    Raises
    ------
    GeometryError
        An edge is not on the fine grid, the outer edges differ, or the two calorimeters are made differently.

    Examples
    --------
    >>> matrix = rebin_matrix(Calorimeter.load("calogan_fine"), Calorimeter.load("calogan"))
    >>> matrix.shape
    (12096, 504)
    """
    _check_same_matter(fine, coarse)
    z_fine = _z_edges(fine)
    check_subset(z_fine, _z_edges(coarse), f"{coarse.name}, z", fine.name)
    columns = []
    for layer in fine.layers:
        # z edges are a subset, so the coarse layer that holds the front of a fine one holds all of it.
        number = int(np.searchsorted(_z_edges(coarse), layer.z[0], side="right")) - 1
        cells = coarse.layers[number].containing(layer, f"{coarse.name}, layer {number}", fine.name)
        columns.append(coarse.offsets[number] + cells.ravel())
    # Each fine cell is in exactly one coarse cell: one entry per row, so the row bounds just count up.
    ones, rows = np.ones(fine.n_cells), np.arange(fine.n_cells + 1)
    return csr_array((ones, np.concatenate(columns), rows), shape=(fine.n_cells, coarse.n_cells))


def crop_matrix(fine: Calorimeter, core: Calorimeter) -> csr_array:
    """Return the map of fine cells on those of a read-out that covers only a part of the front face.

    It is `rebin_matrix` of the fine cells inside of the core's outer edges; rows of all others are empty.

    Returns
    -------
        (n_fine, n_core) of 0 and 1.

    Raises
    ------
    GeometryError
        An edge of the core is not on the fine grid, or the two calorimeters differ in depth or material.

    Examples
    --------
    >>> whole, core = Calorimeter.load("ild_ecal"), Calorimeter.load("ild_ecal_core")
    >>> matrix = crop_matrix(whole, core)
    >>> matrix.shape, int(matrix.sum())
    ((27000, 3000), 3000)
    """
    numbers = np.searchsorted(_z_edges(core), [layer.z[0] for layer in fine.layers], side="right") - 1
    # A layer behind all of the core's is compared with its last one: `rebin_matrix` then refuses the depth.
    others = [core.layers[min(int(number), len(core.layers) - 1)] for number in numbers]
    parts = [layer.inside(other) for layer, other in zip(fine.layers, others, strict=True)]
    cut = replace(fine, layers=tuple(layer for layer, _ in parts))
    inside = [cells.ravel() + first for (_, cells), first in zip(parts, fine.offsets, strict=False)]
    counts = np.zeros(fine.n_cells, np.int64)
    counts[np.concatenate(inside)] = 1
    matrix = rebin_matrix(cut, core)
    bounds = np.concatenate([[0], np.cumsum(counts)])
    return csr_array((matrix.data, matrix.indices, bounds), shape=(fine.n_cells, core.n_cells))


def rebin_cells(cells: Floats, fine: Calorimeter, coarse: Calorimeter) -> npt.NDArray[np.float32]:
    """Sum fine cells (N, n_fine) to coarse cells (N, n_coarse), in double precision with one final rounding.

    Raises
    ------
    GeometryError
        The coarse grid is not a subset of the fine one (see `rebin_matrix`), or the cells are of another one.

    Examples
    --------
    >>> import numpy as np
    >>> fine, coarse = Calorimeter.load("calogan_fine"), Calorimeter.load("calogan")
    >>> cells = np.ones((1, fine.n_cells), np.float32)
    >>> int(rebin_cells(cells, fine, coarse).sum()), fine.n_cells
    (12096, 12096)
    """
    return _summed(cells, fine, rebin_matrix(fine, coarse))


def crop_cells(cells: Floats, fine: Calorimeter, core: Calorimeter) -> npt.NDArray[np.float32]:
    """Sum the fine cells (N, n_fine) inside of a core to its cells (N, n_core); see `crop_matrix`.

    Examples
    --------
    >>> whole, core = Calorimeter.load("ild_ecal"), Calorimeter.load("ild_ecal_core")
    >>> crop_cells(np.ones((1, whole.n_cells), np.float32), whole, core).sum()
    np.float32(3000.0)
    """
    return _summed(cells, fine, crop_matrix(fine, core))


def _summed(cells: Floats, fine: Calorimeter, matrix: csr_array) -> npt.NDArray[np.float32]:
    fine._check_width(cells)
    summed = np.empty((len(cells), matrix.shape[1]), np.float32)
    for start in range(0, len(cells), _REBIN_ROWS):
        rows = slice(start, start + _REBIN_ROWS)
        summed[rows] = cells[rows].astype(np.float64) @ matrix
    return summed


def shared_matrix(fine: Calorimeter, coarse: Calorimeter) -> csr_array:
    """Return the map of fine cells on coarse ones where edges of these may lie inside of fine cells.

    A fine cell that an edge divides is shared by area: its energy is taken to be spread evenly over it. Where
    all edges are on the fine grid this is `rebin_matrix`.

    Returns
    -------
        (n_fine, n_coarse), from 0 to 1; every row adds up to 1.

    Raises
    ------
    GeometryError
        A coarse cell is smaller than a fine one it divides, the outer edges or the layers differ, the two
        calorimeters are made differently, or rings would have to be divided.

    Examples
    --------
    >>> fine, coarse = Calorimeter.load("calogan_fine"), Calorimeter.load("calogan")
    >>> bool(abs(shared_matrix(fine, coarse) - rebin_matrix(fine, coarse)).max() == 0)
    True
    """
    if not all(isinstance(layer, Layer) for one in (fine, coarse) for layer in one.layers):
        return rebin_matrix(fine, coarse)
    _check_same_matter(fine, coarse)
    check_subset(_z_edges(fine), _z_edges(coarse), f"{coarse.name}, z", fine.name)
    blocks: list[list[csr_array | None]] = [[None] * len(coarse.layers) for _ in fine.layers]
    for row, layer in zip(blocks, fine.layers, strict=True):
        number = int(np.searchsorted(_z_edges(coarse), layer.z[0], side="right")) - 1
        other = coarse.layers[number]
        assert isinstance(layer, Layer)
        assert isinstance(other, Layer)
        where = f"{coarse.name}, layer {number}"
        phi = _overlap(layer.phi, other.phi, f"{where}, phi", fine.name)
        eta = _overlap(layer.eta, other.eta, f"{where}, eta", fine.name)
        row[number] = csr_array(kron(phi, eta))  # rows of an image are phi, columns eta
    return csr_array(block_array(blocks))


def _overlap(fine: Axis, coarse: Axis, where: str, grid: str) -> csr_array:
    """Return which share of each fine bin lies in each coarse one, (n_fine, n_coarse)."""
    check_subset(fine.edges, coarse.edges[[0, -1]], where, grid)
    low, high = (np.maximum.outer, np.minimum.outer)
    common = high(fine.edges[1:], coarse.edges[1:]) - low(fine.edges[:-1], coarse.edges[:-1])
    share = np.maximum(common, 0) / np.diff(fine.edges)[:, None]
    divided = (share > 0) & (share < 1) & (np.diff(coarse.edges) < np.diff(fine.edges)[:, None])
    if divided.any():
        at = int(np.argmax(divided.any(axis=0)))
        raise GeometryError(
            f"{where}: the cell from {coarse.edges[at]:g} to {coarse.edges[at + 1]:g} mm is smaller than "
            f"those of {grid} there, which can't be divided: choose larger cells."
        )
    return csr_array(share)


def _z_edges(calorimeter: Calorimeter) -> npt.NDArray[np.float64]:
    return np.array([0.0] + [layer.z[1] for layer in calorimeter.layers])


def _check_same_matter(fine: Calorimeter, coarse: Calorimeter) -> None:
    if fine.slabs != coarse.slabs:
        raise GeometryError(
            f"{fine.name} and {coarse.name} are not made of the same slabs; "
            "rebinning changes the read-out and not the calorimeter."
        )
    if set(fine.visible) != set(coarse.visible):
        raise GeometryError(
            f"The cells of {fine.name} hold the deposits in {' + '.join(fine.visible)}, those of "
            f"{coarse.name} in {' + '.join(coarse.visible)}; rebinning can't turn one into the other."
        )
