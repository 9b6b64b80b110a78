"""Showers in memory: what is in the cells, and the particle that made it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, SupportsIndex

import numpy as np
import numpy.typing as npt

from caloforge.arguments import whole_number
from caloforge.errors import InputError, ShowerFileError
from caloforge.geometry import Calorimeter
from caloforge.geometry.rebinning import crop_cells, rebin_cells
from caloforge.incident.incident import FIELDS, Incident, filled, numbers
from caloforge.showers import frames

if TYPE_CHECKING:
    import awkward as ak
    import pandas as pd

__all__ = ["Provenance", "Showers", "check_same_columns", "check_same_geometry", "merged_provenance"]

Provenance = Mapping[str, Any]


@dataclass(frozen=True, init=False, eq=False, repr=False)
class Showers:
    """N showers in one calorimeter.

    Pictures of them are made by `caloforge.plot`, files by `caloforge.write`.

    Attributes
    ----------
    geometry
        The calorimeter; a name or a TOML file is loaded.
    cells
        (N, n_cells) float32: deposited energy in MeV, finite and not negative.
    incident
        The N particles that made them; a single one stands for all.
    columns
        Further numbers of each shower, (N,) each.
    provenance
        Where the showers come from, in JSON's types.

    Raises
    ------
    InputError
        Lengths differ, or a value is not possible; the message names the first.

    Examples
    --------
    >>> import numpy as np
    >>> from caloforge.units import GeV
    >>> showers = Showers("calogan", np.ones((2, 504)), Incident(22, [10 * GeV, 20 * GeV]))
    >>> showers
    <2 showers in calogan>
    >>> showers.layer(1).shape
    (2, 12, 12)
    >>> showers[showers.energy > 15 * GeV].layer_energies()
    array([[288., 144.,  72.]])
    """

    geometry: Calorimeter
    cells: npt.NDArray[np.float32]
    incident: Incident
    columns: dict[str, npt.NDArray[Any]]
    provenance: dict[str, Any]

    def __init__(
        self,
        geometry: str | Path | Calorimeter,
        cells: npt.ArrayLike,
        incident: Incident,
        columns: Mapping[str, npt.ArrayLike] | None = None,
        provenance: Provenance | None = None,
    ) -> None:
        geometry = Calorimeter.of(geometry)
        rows = _checked_cells(cells, geometry)
        n = len(rows)
        fields: dict[str, Any] = {
            "geometry": geometry,
            "cells": rows,
            "incident": incident.repeated(n),
            "columns": {name: _checked_column(name, column, n) for name, column in (columns or {}).items()},
            "provenance": dict(provenance or {}),
        }
        for name, value in fields.items():
            object.__setattr__(self, name, value)

    @property
    def energy(self) -> npt.NDArray[np.float64]:
        """Incident kinetic energies, (N,) in MeV."""
        return self.incident.energy

    @property
    def pdg(self) -> npt.NDArray[np.int32]:
        """PDG ids of the incident particles, (N,)."""
        return self.incident.pdg

    def __len__(self) -> int:
        return len(self.cells)

    def __repr__(self) -> str:
        return f"<{len(self)} showers in {self.geometry.name}>"

    def __getitem__(self, which: slice | int | npt.NDArray[Any] | Sequence[int]) -> "Showers":
        """Return the showers that a slice, a mask, a number or numbers select."""
        index = which if isinstance(which, slice) else np.atleast_1d(np.arange(len(self))[which])
        return Showers(
            self.geometry,
            self.cells[index],
            self.incident[index],
            {name: column[index] for name, column in self.columns.items()},
            self.provenance,
        )

    @staticmethod
    def concatenate(parts: Sequence["Showers"]) -> "Showers":
        """Join samples of one calorimeter in their order; raises `InputError` if they do not fit."""
        if not parts:
            raise InputError("There is nothing to join: give at least one sample.")
        first = parts[0]
        for other in parts:
            check_same_geometry(first.geometry, other.geometry, "The samples", InputError)
            check_same_columns(set(first.columns), set(other.columns))
        return Showers(
            first.geometry,
            np.concatenate([part.cells for part in parts]),
            Incident.concatenate([part.incident for part in parts]),
            {name: np.concatenate([part.columns[name] for part in parts]) for name in first.columns},
            merged_provenance([part.provenance for part in parts]),
        )

    def checked(self) -> "Showers":
        """Return the same showers, checked again: arrays can be changed after construction.

        Raises
        ------
        InputError
            A value or a length is no longer possible; the message names the first.
        """
        incident = Incident(*(getattr(self.incident, name) for name in FIELDS))
        return Showers(self.geometry, self.cells, incident, self.columns, self.provenance)

    def rebin(self, geometry: Calorimeter) -> "Showers":
        """Return the same showers on a coarser read-out; raises `GeometryError` if it does not fit."""
        return Showers(
            geometry,
            rebin_cells(self.cells, self.geometry, geometry),
            self.incident,
            self.columns,
            {**self.provenance, "rebinned_from": self.geometry.name},
        )

    def crop(self, geometry: Calorimeter) -> "Showers":
        """Return the same showers on a read-out of a part of the front face, such as the core.

        What the cells outside hold is counted in the column ``outside``, (N,) in MeV. Raises `GeometryError`
        if an edge of the read-out is not one of these showers'.

        Examples
        --------
        >>> import numpy as np
        >>> showers = Showers("ild_ecal", np.ones((1, 27_000)), Incident(22, [1e4]))
        >>> core = showers.crop(Calorimeter.load("ild_ecal_core"))
        >>> core.cells.sum(), core.columns["outside"]
        (np.float32(3000.0), array([24000.]))
        """
        cells = crop_cells(self.cells, self.geometry, geometry)
        whole, inside = (part.sum(axis=1, dtype=np.float64) for part in (self.cells, cells))
        # Cells are rounded to single precision, so the difference may be a rounding below 0.
        outside = np.maximum(whole - inside, 0) + self.columns.get("outside", 0)
        return Showers(
            geometry,
            cells,
            self.incident,
            {**self.columns, "outside": outside},
            {**self.provenance, "cropped_from": self.geometry.name},
        )

    def cut(self, threshold: float) -> "Showers":
        """Return the same showers without the energy of cells that hold less than a threshold, in MeV.

        Raises
        ------
        InputError
            The threshold is not a number above 0.

        Examples
        --------
        >>> import numpy as np
        >>> Showers("calogan", np.full((1, 504), 0.5), Incident(22, [1e4])).cut(0.6).cells.sum()
        np.float32(0.0)
        """
        if not 0 < threshold < np.inf:
            raise InputError(f"The threshold is {threshold:g} MeV: give a number above 0.")
        return Showers(
            self.geometry,
            np.where(self.cells < threshold, np.float32(0), self.cells),
            self.incident,
            self.columns,
            {**self.provenance, "threshold_MeV": threshold},
        )

    def layer_energies(self) -> npt.NDArray[np.float64]:
        """Return the energy in each layer, (N, L) in MeV."""
        return self.geometry.layer_energies(self.cells)

    def layer(self, number: SupportsIndex) -> npt.NDArray[np.float32]:
        """Return the images of one layer, (N, n_phi, n_eta) or, of rings, (N, n_alpha, n_r), in MeV.

        Parameters
        ----------
        number
            From 0 in the direction of the particle.

        Returns
        -------
            A view of the cells: writing to it changes the showers.

        Raises
        ------
        InputError
            The calorimeter has no such layer.
        """
        layers, offsets = self.geometry.layers, self.geometry.offsets
        index = whole_number(number, "The number of the layer")
        if not 0 <= index < len(layers):
            raise InputError(
                f"There is no layer {index} in the calorimeter '{self.geometry.name}': "
                f"its layers are 0 to {len(layers) - 1}."
            )
        rows = self.cells[:, offsets[index] : offsets[index + 1]]
        return rows.reshape(len(self), *layers[index].shape)

    def to_awkward(self) -> "ak.Array":
        """Return an awkward array with one record per shower.

        Its fields are ``pdg``; ``energy``, the incident kinetic energy in MeV; ``direction`` with ``theta``
        and ``phi`` in rad; ``position`` with ``eta`` and ``phi`` in mm; ``columns``, if there are any; and
        ``hits``, a list of all cells with energy: ``layer``, ``row`` and ``column`` in its image, ``eta``,
        ``phi`` and ``z`` of its middle in mm, ``energy`` in MeV.

        Raises
        ------
        MissingExtra
            awkward is not installed (``pip install 'caloforge[frames]'``).

        Examples
        --------
        >>> import numpy as np
        >>> cells = np.zeros((2, 504))
        >>> cells[0, :3] = 5.0
        >>> showers = Showers("calogan", cells, Incident(22, [1e4, 2e4])).to_awkward()
        >>> showers.hits.energy.tolist()
        [[5.0, 5.0, 5.0], []]
        """
        return frames.to_awkward(self.geometry, self.cells, self.incident, self.columns)

    def to_pandas(self, rows: frames.Rows = "hits") -> "pd.DataFrame":
        """Return a data frame with one row per hit, or with one row per shower.

        Parameters
        ----------
        rows
            "hits": the index is (shower, hit), both from 0; the columns are ``layer``, ``row`` and ``column``
            in its image, ``eta``, ``phi`` and ``z`` of the cell's middle in mm, and ``energy`` in MeV.
            "showers": the index is the shower; the columns are ``pdg``, ``energy`` (incident, in MeV),
            ``direction_theta`` and ``direction_phi`` in rad, ``position_eta`` and ``position_phi`` in mm, and
            the further `columns`; any of these that has one of the names above gets ``column_`` in front.

        Raises
        ------
        InputError
            The rows are neither of these.
        MissingExtra
            pandas is not installed (``pip install 'caloforge[frames]'``).

        Examples
        --------
        >>> import numpy as np
        >>> showers = Showers("calogan", np.ones((2, 504)), Incident(22, [1e4, 2e4]))
        >>> showers.to_pandas().groupby("shower").energy.sum().tolist()
        [504.0, 504.0]
        >>> showers.to_pandas("showers").energy.tolist()
        [10000.0, 20000.0]
        """
        return frames.to_pandas(self.geometry, self.cells, self.incident, self.columns, rows)


def _checked_cells(cells: npt.ArrayLike, geometry: Calorimeter) -> npt.NDArray[np.float32]:
    rows = numbers("cells", cells, np.float32)
    if rows.ndim != 2 or rows.shape[1] != geometry.n_cells:
        raise InputError(
            f"The cells have shape {rows.shape}; {geometry.name} needs (showers, {geometry.n_cells})."
        )
    # Two reductions are fast and, unlike a mask, need no memory; nan fails both comparisons.
    if rows.size and not (rows.min() >= 0 and rows.max() < np.inf):
        shower, cell = np.argwhere(~((rows >= 0) & (rows < np.inf)))[0]
        raise InputError(
            f"Cell {cell} ({_cell_name(geometry, int(cell))}) of shower {shower} is "
            f"{rows[shower, cell]:g} MeV; cells are finite and not negative."
        )
    return rows


def _cell_name(geometry: Calorimeter, cell: int) -> str:
    layer = int(np.searchsorted(geometry.offsets, cell, side="right")) - 1
    return f"layer {layer}, {geometry.layers[layer].cell_name(cell - geometry.offsets[layer])}"


def _checked_column(name: str, column: npt.ArrayLike, n: int) -> npt.NDArray[Any]:
    if not isinstance(name, str) or not name or name.startswith(".") or set(name) & {"/", "\0"}:
        raise InputError(
            f"{name!r} can't name a column: give a text that is not empty, does not begin with '.' and has "
            "no '/' in it."
        )
    return filled(f"column '{name}'", numbers(f"column '{name}'", column), (n,))


def check_same_geometry(
    first: Calorimeter, second: Calorimeter, what: str, kind: type[InputError] | type[ShowerFileError]
) -> None:
    """Raise an error of the given kind for showers of two calorimeters; ``what`` begins its message."""
    if first == second:
        return
    ours, theirs = first.to_dict(), second.to_dict()
    differing = ", ".join(key for key in ours if ours[key] != theirs[key])
    raise kind(
        f"{what} are of two calorimeters, {first.name} and {second.name}, that differ in: {differing}. "
        "Rebin one of them or keep them apart."
    )


def check_same_columns(first: set[str], second: set[str]) -> None:
    """Refuse to join showers with different columns (`InputError`)."""
    if first != second:
        lists = [", ".join(sorted(names)) or "none" for names in (first, second)]
        raise InputError(f"Showers with the columns {lists[0]} can't be joined with columns {lists[1]}.")


def merged_provenance(history: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Merge the provenances of joined showers: the only one, or a list of the different ones.

    Examples
    --------
    >>> merged_provenance([{"seed": 1}, {"seed": 1}])
    {'seed': 1}
    >>> merged_provenance([{"seed": 1}, {"seed": 2}])
    {'parts': [{'seed': 1}, {'seed': 2}]}
    """
    parts: list[Any] = []
    for provenance in history:
        several = provenance["parts"] if set(provenance) == {"parts"} else [dict(provenance)]
        parts += [part for part in several if part and part not in parts]
    return dict(parts[0]) if len(parts) == 1 else {"parts": parts} if parts else {}
