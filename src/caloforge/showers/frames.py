"""Showers as the tables of other libraries: awkward arrays and pandas' data frames."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

from caloforge.errors import InputError, MissingExtra
from caloforge.geometry import Calorimeter
from caloforge.incident.incident import Incident

if TYPE_CHECKING:
    import awkward as ak
    import pandas as pd

__all__ = ["Rows", "to_awkward", "to_pandas"]

Rows = Literal["hits", "showers"]
"""What the rows of a data frame are."""

Arrays = dict[str, npt.NDArray[Any]]


def to_awkward(
    geometry: Calorimeter,
    cells: npt.NDArray[np.float32],
    incident: Incident,
    columns: Mapping[str, npt.NDArray[Any]],
) -> "ak.Array":
    """Return one record per shower; see `Showers.to_awkward`."""
    try:
        import awkward as ak
    except ModuleNotFoundError:
        raise MissingExtra("frames", "awkward") from None
    counts, hits = _hits(geometry, cells)
    fields: dict[str, Any] = {
        "pdg": incident.pdg,
        "energy": incident.energy,
        "direction": ak.zip(dict(zip(("theta", "phi"), incident.direction.T, strict=True))),
        "position": ak.zip(dict(zip(("eta", "phi"), incident.position.T, strict=True))),
        "hits": ak.unflatten(ak.zip(hits), counts),
    }
    if columns:
        fields["columns"] = ak.zip({name: _native(column) for name, column in columns.items()})
    # Without the limit, awkward would pair each hit with the fields of its shower.
    return ak.zip(fields, depth_limit=1)


def to_pandas(
    geometry: Calorimeter,
    cells: npt.NDArray[np.float32],
    incident: Incident,
    columns: Mapping[str, npt.NDArray[Any]],
    rows: Rows = "hits",
) -> "pd.DataFrame":
    """Return one row per hit or one row per shower; see `Showers.to_pandas`."""
    try:
        import pandas as pd
    except ModuleNotFoundError:
        raise MissingExtra("frames", "pandas") from None
    if rows == "showers":
        return pd.DataFrame(_of_showers(incident, columns), index=pd.RangeIndex(len(incident), name="shower"))
    if rows != "hits":
        raise InputError(f"The rows of a data frame are 'hits' or 'showers', not {rows!r}.")
    counts, hits = _hits(geometry, cells)
    starts = np.cumsum(counts) - counts
    shower = np.repeat(np.arange(len(counts)), counts)
    within = np.arange(counts.sum()) - np.repeat(starts, counts)
    return pd.DataFrame(hits, index=pd.MultiIndex.from_arrays([shower, within], names=["shower", "hit"]))


def _hits(geometry: Calorimeter, cells: npt.NDArray[np.float32]) -> tuple[npt.NDArray[np.int64], Arrays]:
    """Return how many cells each shower has hit, (N,), and one row for each hit, shower by shower."""
    # nonzero goes through rows in order, so the hits of a shower are in a row.
    shower, cell = np.nonzero(cells)
    table = {name: values[cell] for name, values in _cell_table(geometry).items()}
    return np.bincount(shower, minlength=len(cells)), {**table, "energy": cells[shower, cell]}


def _cell_table(geometry: Calorimeter) -> Arrays:
    """Return where every cell is: its layer, row and column, and its middle in mm, (n_cells,) each."""
    parts = []
    for number, layer in enumerate(geometry.layers):
        row, column = np.indices(layer.shape)
        eta, phi = layer.centres
        z = np.full(layer.shape, sum(layer.z) / 2)
        parts.append((np.full(layer.shape, number), row, column, eta, phi, z))
    names = ("layer", "row", "column", "eta", "phi", "z")
    joined = (np.concatenate([part.ravel() for part in same]) for same in zip(*parts, strict=True))
    return dict(zip(names, joined, strict=True))


def _of_showers(incident: Incident, columns: Mapping[str, npt.NDArray[Any]]) -> Arrays:
    theta, azimuth = incident.direction.T
    eta, phi = incident.position.T
    table = {
        "pdg": incident.pdg,
        "energy": incident.energy,
        "direction_theta": theta,
        "direction_phi": azimuth,
        "position_eta": eta,
        "position_phi": phi,
    }
    free = {f"column_{name}" if name in table else name: _native(column) for name, column in columns.items()}
    return table | free


def _native(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return numbers in this machine's byte order, which those of files may not have."""
    return values.astype(values.dtype.newbyteorder("="), copy=False)
