"""Extra group in a foreign file for what its layout has no place for.

A file written here has a group ``caloforge`` next to the datasets of its layout: ``geometry`` and
``provenance`` (JSON) with their ``checksum``, the incident particle as caloforge's own file has it, and
``columns/<name>``, so that showers are restored bit for bit. Groups without ``position`` are older; they are
read like files of version 1 (`caloforge.formats.native`). Other programs ignore the group. If the layout has
the same number, that of the group is used only while the two agree up to rounding: in a file that another
program changed, the layout's own numbers count.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import h5py
import numpy as np
import numpy.typing as npt

from caloforge.errors import ShowerFileError
from caloforge.formats.native import (
    OLD_POSITION,
    VERSION,
    append_numbers,
    checked_numbers,
    checksum,
    create_numbers,
    prepare_columns,
    read_history,
    to_json,
)
from caloforge.incident.incident import unit_vectors
from caloforge.showers import Showers

__all__ = ["GROUP", "Numbers", "Rows", "Sidecar", "append_to_group", "create_group"]

GROUP = "caloforge"

Numbers = npt.NDArray[Any]

_ROUNDING = 1e-6  # relative; float32 has 6e-8, a direction made of three of them somewhat more
_TINY = np.finfo(np.float32).tiny  # below it float32 loses digits


class Rows(NamedTuple):
    """Some showers as a layout stores them; None for what it does not contain.

    Attributes
    ----------
    cells
        (n, n_cells) in MeV.
    energy
        (n,) in MeV.
    pdg, direction, position
        As `Incident` has them.
    columns
        As `Showers` has them.
    """

    cells: Numbers
    energy: Numbers
    pdg: Numbers | None = None
    direction: Numbers | None = None
    position: Numbers | None = None
    columns: Mapping[str, Numbers] | None = None


def create_group(file: h5py.File, first: Showers) -> None:
    """Create the group, for showers of which these are the first; raises `InputError` if they do not fit."""
    group = file.create_group(GROUP)
    group.attrs["version"] = VERSION
    geometry, provenance = json.dumps(first.geometry.to_dict()), to_json(first.provenance)
    group["geometry"], group["provenance"] = geometry, provenance
    group.attrs["checksum"] = checksum(geometry, provenance)
    create_numbers(group)
    prepare_columns(group, 0, first)


def append_to_group(file: h5py.File, showers: Showers) -> None:
    """Append showers; raises `InputError` if their columns differ from those of the first."""
    prepare_columns(file[GROUP], len(file[GROUP]["energy"]), showers)
    append_numbers(file[GROUP], showers)


class Sidecar:
    """The group of a file that was written here.

    Raises
    ------
    ShowerFileError
        The group can't be read, or does not belong to the showers that the file has.
    """

    def __init__(self, file: h5py.File, path: Path, count: int) -> None:
        group = file[GROUP]
        if not isinstance(group, h5py.Group):
            raise ShowerFileError(f"{path} is damaged: its '{GROUP}' is not a group.")
        self._group = group
        self.geometry, self.provenance = read_history(
            self._text("geometry"), self._text("provenance"), group.attrs.get("checksum"), path
        )
        old = "position" not in group and "version" not in group.attrs
        self._eta_and_phi = old and all(name in group for name in OLD_POSITION)
        numbers = checked_numbers(group, path, without=("position",) if old else ())
        others = [len(found) for found in numbers.values() if len(found) != count]
        if others:
            raise ShowerFileError(
                f"{path} has {count} showers, but its group '{GROUP}' describes {others[0]}: another program "
                "changed it. Delete the group to read the file without it."
            )
        columns = [name for name in numbers if not (self._eta_and_phi and name in OLD_POSITION)]
        self._columns = [name.partition("/")[2] for name in columns if name.startswith("columns/")]

    def refined(self, found: Rows, rows: slice) -> Rows:
        """Return showers with what the layout rounded or left out."""
        own = found.columns or {}
        return Rows(
            found.cells,
            _agreed(self._group["energy"][rows], found.energy),
            _agreed(self._group["pdg"][rows], found.pdg),
            _agreed_direction(self._group["direction"][rows], found.direction),
            self._position(found, rows),
            {name: _agreed(self._group["columns"][name][rows], own.get(name)) for name in self._columns},
        )

    def _position(self, found: Rows, rows: slice) -> Numbers | None:
        if "position" in self._group:
            return np.asarray(self._group["position"][rows])
        if self._eta_and_phi:
            return np.stack([self._group[name][rows] for name in OLD_POSITION], axis=1)
        return found.position

    def _text(self, name: str) -> str | None:
        found = self._group.get(name)
        one_text = (
            isinstance(found, h5py.Dataset) and found.shape == () and h5py.check_string_dtype(found.dtype)
        )
        return str(found.asstr()[()]) if one_text else None


def _agreed(kept: Numbers, own: Numbers | None) -> Numbers:
    if own is None:
        return kept
    same = np.isclose(kept, own, rtol=_ROUNDING, atol=_TINY, equal_nan=True)
    return kept if same.all() else np.where(same, kept, own)


def _agreed_direction(kept: Numbers, own: Numbers | None) -> Numbers:
    if own is None:
        return kept
    # Compared as vectors: at theta = 0 any phi is the same direction, and phi may differ by a full turn.
    same = np.abs(unit_vectors(kept) - unit_vectors(own)).max(axis=1) < _ROUNDING
    return np.where(same[:, None], kept, own)
