"""The layout of the package showerdata: showers as clouds of points.

HDF5 with ``showers`` (N,): the points of each shower in one list, each with x, y (mm), number of the layer,
energy (GeV) and, if it was measured, the time; ``energies`` (N, 1) in GeV, ``directions`` (N, 3) unit
vectors, ``pdg``, ``shower_ids`` and ``num_points`` (N,); ``shape``: number of showers, largest number of
points, and numbers per point.

Here x is phi and y is eta. Written points lie at the centres of cells; a cell gets the energy of all points
in it.

Reference: T. Buss, showerdata 0.7, https://github.com/FLC-QU-hep/ShowerData.
"""

import h5py
import numpy as np
import numpy.typing as npt

from caloforge.errors import InputError
from caloforge.formats._hdf5 import HDF5Format, grow, shape_fault, to_gev
from caloforge.formats._sidecar import GROUP, Numbers, Rows
from caloforge.formats.native import extend
from caloforge.geometry import Axis, Calorimeter, Layer, RingLayer
from caloforge.showers import Showers
from caloforge.units import GeV

__all__ = ["ENTRY", "Integers", "ShowerData"]

_NUMBERS = {"energies": (1,), "directions": (3,), "pdg": (), "shower_ids": (), "num_points": ()}
_TYPES = {"energies": np.float32, "directions": np.float32}
_SMALLEST = np.finfo(np.float32).smallest_subnormal
_ULPS = f"{GROUP}/ulps"

Integers = npt.NDArray[np.int64]


class ShowerData(HDF5Format):
    """The layout of showerdata, for any calorimeter.

    In files made elsewhere, the energy of points outside the cells becomes the column ``outside`` (MeV), and
    the shower's number becomes ``shower_id``; times are dropped. In files written here, energies in GeV are
    rounded to float32; the difference for each cell is stored in ``caloforge/ulps``, in units in the last
    place of the point's energy in MeV.
    """

    name = "showerdata"
    description = "point clouds of the package showerdata: x, y, layer and energy of each point"

    def _has_names(self, file: h5py.File) -> bool:
        return all(name in file for name in ("showers", "energies", "directions", "pdg", "shape"))

    def _fault(self, file: h5py.File) -> str | None:
        fault = shape_fault(file, {name: [shape] for name, shape in _NUMBERS.items()})
        if fault is not None:
            return fault
        clouds, shape, count = file["showers"], file["shape"], len(file["energies"])
        kind = h5py.check_vlen_dtype(clouds.dtype) if isinstance(clouds, h5py.Dataset) else None
        if not isinstance(kind, np.dtype) or kind.kind != "f" or clouds.shape != (count,):
            return f"'showers' does not have one list of numbers for each of the {count} showers"
        whole = isinstance(shape, h5py.Dataset) and shape.dtype.kind in "iu"
        if not whole or shape.shape != (3,) or shape[2] not in (4, 5):
            return "'shape' does not end with the 4 or 5 numbers of a point"
        return None

    def _count(self, file: h5py.File) -> int:
        return len(file["energies"])

    def _cells_in(self, file: h5py.File) -> str:
        return "points instead of cells"

    def _known_geometry(self, file: h5py.File) -> None:
        """Return None: points do not tell the cells around them."""

    def _misfit(self, file: h5py.File, geometry: Calorimeter) -> None:
        """Return None: only the points' layers can be wrong, and `load` looks at them."""

    def _load(self, file: h5py.File, rows: slice, geometry: Calorimeter) -> Rows:
        shower, points = _points(file, rows)
        energy = points[:, 3].astype(np.float64) * GeV
        if _ULPS in file:
            energy = _restored(energy, _kept_ulps(file, rows, len(points)))
        cell = _cells_at(geometry, shower, points)
        inside = cell >= 0
        cells = np.zeros((rows.stop - rows.start, geometry.n_cells), np.float32)
        where, sums = _summed(shower[inside] * geometry.n_cells + cell[inside], energy[inside])
        cells.ravel()[where] = sums
        outside = np.bincount(shower[~inside], energy[~inside], len(cells))
        columns = {} if GROUP in file else {"outside": outside, "shower_id": file["shower_ids"][rows]}
        incident = file["energies"][rows, 0].astype(np.float64) * GeV
        return Rows(cells, incident, file["pdg"][rows], _direction(file["directions"][rows]), columns=columns)

    def _create(self, file: h5py.File, first: Showers) -> None:
        _check_centres(first.geometry)
        for name, shape in _NUMBERS.items():
            grow(file, name, shape, _TYPES.get(name, np.int32))
        file.create_dataset("showers", (0,), h5py.vlen_dtype(np.float32), maxshape=(None,), chunks=(64,))
        file["shape"] = np.array([0, 0, 4], np.int64)

    def _append(self, file: h5py.File, showers: Showers) -> None:
        shower, cell = np.nonzero(showers.cells)
        values = showers.cells[shower, cell]
        # A hit cell stays a point with energy, even if its energy in GeV would underflow.
        energy = np.maximum((values.astype(np.float64) / GeV).astype(np.float32), _SMALLEST)
        points = np.column_stack([_centres(showers.geometry)[cell], energy])
        counts = np.bincount(shower, minlength=len(showers))
        _extend_clouds(file["showers"], np.split(points, np.cumsum(counts)[:-1]))
        for name, numbers in _incident(showers, len(file["energies"])).items():
            extend(file[name], numbers)
        extend(file["num_points"], counts)
        file["shape"][:2] = len(file["energies"]), max(file["shape"][1], *counts)
        if _ULPS not in file:
            grow(file, _ULPS, (), np.int16)
        extend(file[_ULPS], _lost_ulps(values, energy.astype(np.float64) * GeV))


def _extend_clouds(dataset: h5py.Dataset, clouds: list[Numbers]) -> None:
    start = len(dataset)
    dataset.resize(start + len(clouds), axis=0)
    for place, cloud in enumerate(clouds, start):  # h5py takes lists of equal length for a matrix
        dataset[place] = cloud.ravel()


def _points(file: h5py.File, rows: slice) -> tuple[Integers, Numbers]:
    """Return the points (P, 4 or 5) of some showers, and of which of them each one is (P,)."""
    clouds, width = file["showers"][rows], int(file["shape"][2])
    sizes = np.array([len(cloud) for cloud in clouds], np.int64)
    if (sizes % width).any():
        odd = int(np.argmax(sizes % width > 0))
        raise InputError(
            f"Shower {odd} has {sizes[odd]} numbers, which are not points of {width} numbers each."
        )
    flat = np.concatenate([*clouds, np.zeros(0, np.float32)])
    shower = np.repeat(np.arange(len(clouds)), sizes // width)
    points = flat.reshape(-1, width)
    wrong = ~(np.isfinite(points[:, :4]).all(axis=1) & (points[:, 3] >= 0))
    if wrong.any():
        first = int(np.argmax(wrong))
        raise InputError(
            f"Shower {shower[first]} has a point (x, y, layer, energy) = {points[first, :4].tolist()}; "
            "points are finite and their energies not negative."
        )
    return shower, points


def _cells_at(geometry: Calorimeter, shower: Integers, points: Numbers) -> Integers:
    """Return the number of the cell around each point; -1 if its layer has none there."""
    number = np.floor(points[:, 2] + 0.1)  # showerdata rounds layers in this way
    wrong = (number < 0) | (number >= len(geometry.layers))
    if wrong.any():
        first = int(np.argmax(wrong))
        raise InputError(
            f"Shower {shower[first]} has a point in layer {number[first]:g}, but {geometry.name} has the "
            f"layers 0 to {len(geometry.layers) - 1}."
        )
    cells = np.full(len(points), -1)
    for i, (layer, offset) in enumerate(zip(geometry.layers, geometry.offsets, strict=False)):
        here = np.flatnonzero(number == i)
        cell = _number_at(layer, *points[here, 1::-1].astype(np.float64).T)  # y is eta, x is phi
        cells[here] = np.where(cell < 0, -1, cell + offset)
    return cells


def _number_at(layer: Layer | RingLayer, eta: Numbers, phi: Numbers) -> Integers:
    """Return the number of the layer's cell around each point; negative where there is none."""
    if isinstance(layer, Layer):
        row, column = _bins(layer.phi, phi), _bins(layer.eta, eta)
    else:
        turn = (np.arctan2(phi, eta) + np.pi) / (2 * np.pi)  # from 0 to 1, both included
        row = np.minimum((turn * layer.n_alpha).astype(np.int64), layer.n_alpha - 1)
        column = _bins(layer.r, np.hypot(eta, phi))
    return np.where((row < 0) | (column < 0), -1, row * layer.shape[1] + column)


def _bins(axis: Axis, values: Numbers) -> Integers:
    found = np.searchsorted(axis.edges, values, side="right") - 1
    return np.where(found < axis.n, found, -1)


def _summed(keys: Integers, values: Numbers) -> tuple[Integers, npt.NDArray[np.float64]]:
    """Sum values of the same key; return each key once and its sum."""
    # Stable, so that the energies of a cell are added in the order of the file.
    order = np.argsort(keys, kind="stable")
    unique, first = np.unique(keys[order], return_index=True)
    return unique, np.add.reduceat(values[order], first) if len(unique) else np.zeros(0)


def _centres(geometry: Calorimeter) -> npt.NDArray[np.float32]:
    """Return x, y and the number of the layer of every cell's centre, (n_cells, 3)."""
    layers = []
    for number, layer in enumerate(geometry.layers):
        eta, phi = (coordinate.ravel() for coordinate in layer.centres)
        layers.append(np.column_stack([phi, eta, np.full(layer.n_cells, number)]))
    return np.concatenate(layers).astype(np.float32)


def _check_centres(geometry: Calorimeter) -> None:
    centres = np.column_stack([_centres(geometry), np.ones(geometry.n_cells, np.float32)])
    if not np.array_equal(
        _cells_at(geometry, np.arange(geometry.n_cells), centres), np.arange(geometry.n_cells)
    ):
        raise InputError(
            f"The layout 'showerdata' has too few digits for the narrow cells of {geometry.name}."
        )


def _incident(showers: Showers, start: int) -> dict[str, Numbers]:
    """Return the incident particles' numbers as the layout has them."""
    with np.errstate(over="ignore"):
        energy = to_gev(showers.energy).astype(np.float32)
    wrong = ~((energy > 0) & (energy < np.inf))
    if wrong.any():
        raise InputError(
            f"The layout 'showerdata' has no place for {showers.energy[wrong][0]:g} MeV (float32)."
        )
    ids = np.arange(start, start + len(showers))
    own = showers.columns.get("shower_id", ids)
    return {
        "energies": energy[:, None],
        "directions": showers.incident.unit_direction[:, [1, 0, 2]],  # x is phi, y is eta
        "pdg": showers.pdg,
        "shower_ids": own if np.can_cast(own.dtype, np.int32) else ids,
    }


def _direction(vectors: Numbers) -> npt.NDArray[np.float64]:
    """Return unit vectors (n, 3) as theta and phi in rad, (n, 2)."""
    x, y, z = vectors.astype(np.float64).T
    wrong = ~(np.isfinite(x + y + z) & ((x != 0) | (y != 0) | (z != 0)))
    if wrong.any():
        first = int(np.argmax(wrong))
        raise InputError(f"Shower {first} has the direction {vectors[first].tolist()}, which points nowhere.")
    theta = np.arctan2(np.hypot(x, y), z)
    return np.column_stack([theta, np.where(theta > 0, np.arctan2(x, y), 0.0)])


def _lost_ulps(cells: npt.NDArray[np.float32], mev: Numbers) -> Integers:
    """Return the rounding errors of cells, in units in the last place."""
    # As integers, the bits of positive floats count up through neighbouring floats.
    rounded = mev.astype(np.float32)
    return cells.view(np.int32).astype(np.int64) - rounded.view(np.int32)


def _restored(mev: Numbers, ulps: Integers) -> npt.NDArray[np.float64]:
    rounded = mev.astype(np.float32)
    return (rounded.view(np.int32) + ulps.astype(np.int32)).view(np.float32).astype(np.float64)


def _kept_ulps(file: h5py.File, rows: slice, count: int) -> Integers:
    start = int(file["num_points"][: rows.start].sum(dtype=np.int64))
    ulps: Integers = file[_ULPS][start : start + count]
    if len(ulps) != count:
        raise InputError(f"The points are not those that its group '{GROUP}' describes.")
    return ulps


ENTRY = ShowerData()
