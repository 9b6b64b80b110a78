"""Showers in memory, and the file that holds them.

The file is HDF5, version 1: root attributes ``format``, ``version``, ``geometry`` and ``provenance`` (JSON),
one dataset each for ``pdg``, ``energy``, ``direction`` and ``columns/<name>``, and the cells as sparse rows.
Shower i has the entries ``cells/indptr[i]`` to ``cells/indptr[i + 1]`` of ``cells/index`` (cell numbers) and
``cells/value`` (MeV).
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np
import numpy.typing as npt

from caloforge import catalog
from caloforge.atomic import HDF5Output
from caloforge.chunks import Growing
from caloforge.errors import InputError, ShowerFileError
from caloforge.geometry import Calorimeter, rebin_cells

if TYPE_CHECKING:
    from caloforge.formats import Source

FORMAT = "caloforge-showers"
VERSION = 1

_BATCH_VALUES = 1 << 24  # cells that are held densely at once unless the caller says otherwise: 64 MiB
_SIGNATURE = b"\x89HDF\r\n\x1a\n"
_SPARSE_VALUES = 1 << 18  # cells that are made sparse at once, so that they stay in a processor's cache
_CHUNKS = {"cells/index": 1 << 17, "cells/value": 1 << 17}
_CHUNK = 1 << 12

Provenance = Mapping[str, Any]


@dataclass(frozen=True, init=False, eq=False, repr=False)
class Showers:
    """N showers in one calorimeter.

    Attributes
    ----------
    geometry
        The calorimeter.
    cells
        (N, n_cells) float32: deposited energy in MeV, finite and not negative.
    energy
        (N,) float64: incident kinetic energy in MeV, finite and above 0.
    pdg
        (N,) int32: PDG id of the incident particle; 0 where a foreign file did not say it.
    direction
        (N, 2) float32: theta and phi of the incident particle in rad; (0, 0) is perpendicular.
    columns
        Further numbers of each shower, (N,) each.
    provenance
        Where the showers come from, in JSON's types.

    Raises
    ------
    InputError
        Lengths differ, or a value is not possible; the message names the first.
    """

    geometry: Calorimeter
    cells: npt.NDArray[np.float32]
    energy: npt.NDArray[np.float64]
    pdg: npt.NDArray[np.int32]
    direction: npt.NDArray[np.float32]
    columns: dict[str, npt.NDArray[Any]]
    provenance: dict[str, Any]

    def __init__(
        self,
        geometry: Calorimeter,
        cells: npt.ArrayLike,
        energy: npt.ArrayLike,
        pdg: npt.ArrayLike,
        direction: npt.ArrayLike = (0.0, 0.0),
        columns: Mapping[str, npt.ArrayLike] | None = None,
        provenance: Provenance | None = None,
    ) -> None:
        rows = _checked_cells(cells, geometry)
        n = len(rows)
        fields: dict[str, Any] = {
            "geometry": geometry,
            "cells": rows,
            "energy": _checked_energy(energy, n),
            "pdg": _checked_pdg(pdg, n),
            "direction": _checked_direction(direction, n),
            "columns": {name: _checked_column(name, column, n) for name, column in (columns or {}).items()},
            "provenance": dict(provenance or {}),
        }
        for name, value in fields.items():
            object.__setattr__(self, name, value)

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
            self.energy[index],
            self.pdg[index],
            self.direction[index],
            {name: column[index] for name, column in self.columns.items()},
            self.provenance,
        )

    @staticmethod
    def concatenate(parts: Sequence["Showers"]) -> "Showers":
        """Join samples of one calorimeter in their order; raises `InputError` where they do not fit."""
        if not parts:
            raise InputError("There is nothing to join: give at least one sample.")
        first = parts[0]
        for other in parts:
            check_same_geometry(first.geometry, other.geometry, "The samples", InputError)
            _check_same_columns(set(first.columns), set(other.columns))
        return Showers(
            first.geometry,
            np.concatenate([part.cells for part in parts]),
            np.concatenate([part.energy for part in parts]),
            np.concatenate([part.pdg for part in parts]),
            np.concatenate([part.direction for part in parts]),
            {name: np.concatenate([part.columns[name] for part in parts]) for name in first.columns},
            _merged([part.provenance for part in parts]),
        )

    def rebin(self, geometry: Calorimeter) -> "Showers":
        """Return the same showers on a coarser read-out; raises `GeometryError` unless edges are a subset."""
        return Showers(
            geometry,
            rebin_cells(self.cells, self.geometry, geometry),
            self.energy,
            self.pdg,
            self.direction,
            self.columns,
            {**self.provenance, "rebinned_from": self.geometry.name},
        )

    def layer_energies(self) -> npt.NDArray[np.float64]:
        """Return the energy in each layer, (N, L) in MeV."""
        return self.geometry.layer_energies(self.cells)

    def save(self, path: str | Path) -> None:
        """Write a file of showers; an older file of this name is replaced at the end."""
        with ShowerWriter(path, self.geometry, self.provenance) as writer:
            writer.write(self)


def read(path: str | Path) -> Showers:
    """Read all showers of a file. For a file larger than the memory see `ShowerFile.batches`.

    Raises
    ------
    ShowerFileError
        The file is missing, empty, foreign, truncated or of a newer version.
    """
    with ShowerFile(path) as file:
        return file.read()


class ShowerFile:
    """A file of showers, opened to read. Use as a context manager.

    Attributes
    ----------
    path, geometry, provenance
        As in the file.

    Raises
    ------
    ShowerFileError
        The file is missing, empty, foreign, truncated or of a newer version.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self._file = open_hdf5(self.path)
        try:
            self.geometry, self.provenance = _read_header(self._file, self.path)
            self._datasets = _read_layout(self._file, self.path)
        except BaseException:
            self._file.close()
            raise

    def __enter__(self) -> "ShowerFile":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def __len__(self) -> int:
        return len(self._datasets["energy"])

    @property
    def energy(self) -> npt.NDArray[np.float64]:
        """Incident kinetic energies of all showers, (N,) in MeV."""
        return self._slice("energy", 0, len(self)).astype(np.float64)

    @property
    def pdg(self) -> npt.NDArray[np.int32]:
        """PDG ids of all incident particles, (N,)."""
        return self._slice("pdg", 0, len(self)).astype(np.int32)

    @property
    def column_names(self) -> list[str]:
        """Names of the further numbers that each shower has."""
        return sorted(name.partition("/")[2] for name in self._datasets if name.startswith("columns/"))

    def read(self, start: int = 0, stop: int | None = None) -> Showers:
        """Return showers start to stop, bounded as Python's slices are."""
        start, stop, _ = slice(start, stop).indices(len(self))
        stop = max(start, stop)
        try:
            return Showers(
                self.geometry,
                self._dense(start, stop),
                self._slice("energy", start, stop),
                self._slice("pdg", start, stop),
                self._slice("direction", start, stop),
                {name: self._slice(f"columns/{name}", start, stop) for name in self.column_names},
                self.provenance,
            )
        except InputError as error:
            raise ShowerFileError(f"{self.path}, showers {start} to {stop}: {error}") from None

    def batches(self, size: int | None = None) -> Iterator[Showers]:
        """Return all showers in their order, size at a time (default: as many as take 64 MiB)."""
        return in_batches(self, size)

    def _slice(self, name: str, start: int, stop: int) -> npt.NDArray[Any]:
        try:
            return np.asarray(self._datasets[name][start:stop])
        except (OSError, RuntimeError) as error:
            raise ShowerFileError(f"{self.path} is damaged: '{name}' can't be read ({error}).") from None

    def _dense(self, start: int, stop: int) -> npt.NDArray[np.float32]:
        cells = np.zeros((stop - start, self.geometry.n_cells), np.float32)
        bounds = self._slice("cells/indptr", start, stop + 1).astype(np.int64)
        counts = np.diff(bounds)
        if bounds[0] < 0 or bounds[-1] > len(self._datasets["cells/index"]) or (counts < 0).any():
            raise ShowerFileError(f"{self.path} is damaged: the bounds in 'cells/indptr' do not ascend.")
        index = self._slice("cells/index", bounds[0], bounds[-1])
        if len(index) and index.max() >= self.geometry.n_cells:
            raise ShowerFileError(
                f"{self.path} is damaged: it names cell {index.max()}, but {self.geometry.name} has "
                f"{self.geometry.n_cells} cells."
            )
        cells[np.repeat(np.arange(stop - start), counts), index] = self._slice(
            "cells/value", bounds[0], bounds[-1]
        )
        return cells


class ShowerWriter:
    """Writes a file of showers aside and gives it its name when all went well. Use as a context manager.

    Parameters
    ----------
    path
        The final name. At any time it is either the file as it was or the new one, whole.
    geometry
        The calorimeter of all showers.
    provenance
        Where the showers come from, in JSON's types.
    append
        Keep the showers of the file that has this name, if there is one.

    Raises
    ------
    ShowerFileError
        The file to append to can't be read or is of another calorimeter.
    InputError
        Showers do not fit those before them, or the provenance is not JSON.
    OSError
        The disk is full, or the folder can't be written to.
    """

    def __init__(
        self,
        path: str | Path,
        geometry: Calorimeter,
        provenance: Provenance | None = None,
        append: bool = False,
    ) -> None:
        self._path, self._geometry = Path(path), geometry
        self._append = append and self._path.exists()
        history = [dict(provenance or {})]
        if self._append:
            with ShowerFile(self._path) as file:
                check_same_geometry(file.geometry, geometry, f"{path} and the new showers", ShowerFileError)
                history.insert(0, file.provenance)
        self._provenance = to_json(_merged(history))

    def __enter__(self) -> "ShowerWriter":
        self._output = HDF5Output(self._path, append=self._append)
        self._file = self._output.__enter__().file
        if not self._append:
            _create_layout(self._file, self._geometry)
        self._file.attrs["provenance"] = self._provenance
        self._growing: dict[str, Growing] = {}
        rows = max(1, _SPARSE_VALUES // self._geometry.n_cells)
        numbers = np.arange(self._geometry.n_cells, dtype=self._file["cells/index"].dtype)
        self._numbers = np.tile(numbers, rows)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if error is None:
                for growing in self._growing.values():
                    growing.finish()
        except BaseException as late:
            self._output.__exit__(type(late), late, late.__traceback__)
            raise
        self._output.__exit__(kind, error, trace)

    def __len__(self) -> int:
        return len(self._end("energy"))

    def write(self, showers: Showers) -> None:
        """Append showers to the file."""
        what = f"{self._path} and the new showers"
        check_same_geometry(self._geometry, showers.geometry, what, ShowerFileError)
        prepare_columns(self._file, len(self), showers)
        if not len(showers):
            return
        step = len(self._numbers) // self._geometry.n_cells
        for start in range(0, len(showers), step):
            self._write_cells(showers.cells[start : start + step])
            self._output.check()
        for name, values in _numbers(showers):
            self._end(name).extend(values)
        self._output.check()

    def _write_cells(self, cells: npt.NDArray[np.float32]) -> None:
        every = cells.reshape(-1)
        hit = np.flatnonzero(every != 0)  # several times as fast on truth values as on numbers
        ends = np.arange(1, len(cells) + 1) * self._geometry.n_cells
        bounds = len(self._end("cells/index")) + np.searchsorted(hit, ends)
        self._end("cells/indptr").extend(bounds)
        self._end("cells/index").extend(self._numbers.take(hit))
        self._end("cells/value").extend(every.take(hit))

    def _end(self, name: str) -> Growing:
        if name not in self._growing:
            self._growing[name] = Growing(self._file[name])
        return self._growing[name]


def in_batches(source: "Source", size: int | None = None) -> Iterator[Showers]:
    """Yield all showers of a source in their order, size at a time (default: as many as take 64 MiB).

    Raises
    ------
    InputError
        The size is below 1.
    """
    step = batch_size(source.geometry) if size is None else size
    if step < 1:
        raise InputError(f"A batch of {step} showers is not possible: give at least 1.")
    for start in range(0, len(source), step):
        yield source.read(start, start + step)


def batch_size(geometry: Calorimeter) -> int:
    """Return how many showers of this calorimeter take about 64 MiB."""
    return max(1, _BATCH_VALUES // geometry.n_cells)


def _checked_cells(cells: npt.ArrayLike, geometry: Calorimeter) -> npt.NDArray[np.float32]:
    with np.errstate(over="ignore"):
        rows = np.asarray(cells, np.float32)
    if rows.ndim != 2 or rows.shape[1] != geometry.n_cells:
        raise InputError(
            f"The cells have shape {rows.shape}; {geometry.name} needs (showers, {geometry.n_cells})."
        )
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


def _checked_energy(energy: npt.ArrayLike, n: int) -> npt.NDArray[np.float64]:
    values = _filled("energy", np.asarray(energy, np.float64), (n,))
    wrong = ~(np.isfinite(values) & (values > 0))
    if wrong.any():
        shower = int(np.argmax(wrong))
        raise InputError(
            f"The energy of shower {shower} is {values[shower]:g} MeV; energies are finite and above 0."
        )
    return values


def _checked_pdg(pdg: npt.ArrayLike, n: int) -> npt.NDArray[np.int32]:
    given = _filled("pdg", np.asarray(pdg), (n,))
    if n and given.dtype.kind not in "iu":
        raise InputError(f"PDG ids are whole numbers, not {given.dtype}.")
    return given.astype(np.int32, copy=False)


def _checked_direction(direction: npt.ArrayLike, n: int) -> npt.NDArray[np.float32]:
    values = _filled("direction", np.asarray(direction, np.float32), (n, 2))
    if not np.isfinite(values).all():
        raise InputError("A direction is not finite; give theta and phi in rad.")
    return values


def _checked_column(name: str, column: npt.ArrayLike, n: int) -> npt.NDArray[Any]:
    if not name or name.startswith(".") or "/" in name:
        raise InputError(
            f"'{name}' can't name a column: it must not be empty, begin with '.' or contain '/'."
        )
    values = _filled(f"column '{name}'", np.asarray(column), (n,))
    if values.dtype.kind not in "biuf":
        raise InputError(f"The column '{name}' holds {values.dtype}; columns hold numbers.")
    return values


def _filled(name: str, values: npt.NDArray[Any], shape: tuple[int, ...]) -> npt.NDArray[Any]:
    """Repeat one value for all showers; refuse everything else that is not one value a shower."""
    if values.ndim == len(shape) - 1 and values.shape == shape[1:]:
        return np.broadcast_to(values, shape).copy()
    if values.shape != shape:
        raise InputError(f"The {name} has shape {values.shape}, but {shape[0]} showers need {shape}.")
    return values


def check_same_geometry(
    first: Calorimeter, second: Calorimeter, what: str, kind: type[InputError] | type[ShowerFileError]
) -> None:
    """Refuse showers of two calorimeters with an error of a kind; ``what`` begins its sentence."""
    if first == second:
        return
    ours, theirs = first.to_dict(), second.to_dict()
    differing = ", ".join(key for key in ours if ours[key] != theirs[key])
    raise kind(
        f"{what} are of two calorimeters, {first.name} and {second.name}, that differ in: {differing}. "
        "Rebin one of them or keep them apart."
    )


def _check_same_columns(first: set[str], second: set[str]) -> None:
    if first != second:
        lists = [", ".join(sorted(names)) or "none" for names in (first, second)]
        raise InputError(f"Showers with the columns {lists[0]} can't be joined with columns {lists[1]}.")


def _check_same_kind(name: str, kept: np.dtype[Any], new: np.dtype[Any]) -> None:
    if np.result_type(kept, new) != kept:
        raise InputError(
            f"The column '{name}' is kept as {kept}, which has no place for numbers of type {new}."
        )


def _merged(history: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return one provenance for showers of several: the same one, or a list of the different ones."""
    parts: list[Any] = []
    for provenance in history:
        several = provenance["parts"] if set(provenance) == {"parts"} else [dict(provenance)]
        parts += [part for part in several if part and part not in parts]
    return dict(parts[0]) if len(parts) == 1 else {"parts": parts} if parts else {}


def to_json(provenance: Provenance) -> str:
    """Return a provenance as JSON; raises `InputError` where it can't be written so."""
    try:
        return json.dumps(provenance, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise InputError(f"The provenance can't be written as JSON: {error}.") from None


def _create_layout(file: h5py.File, geometry: Calorimeter) -> None:
    file.attrs["format"], file.attrs["version"] = FORMAT, VERSION
    file.attrs["geometry"] = json.dumps(geometry.to_dict())
    create_numbers(file)
    _create(file, "cells/indptr", (), np.int64)
    _create(file, "cells/index", (), np.min_scalar_type(geometry.n_cells - 1))
    _create(file, "cells/value", (), np.float32, unit="MeV")
    file["cells/indptr"].resize(1, axis=0)


def create_numbers(group: h5py.Group) -> None:
    """Make the empty datasets of what showers have beside cells: energy, pdg, direction and columns."""
    group.create_group("columns")
    _create(group, "energy", (), np.float64, unit="MeV")
    _create(group, "pdg", (), np.int32)
    _create(group, "direction", (2,), np.float32, unit="rad")


def prepare_columns(group: h5py.Group, n: int, showers: Showers) -> None:
    """Make the columns that the first showers have; refuse others behind n showers (`InputError`)."""
    columns = group["columns"]
    if not n:
        for name in list(columns):  # those of an empty sample that was written before
            del columns[name]
    if n and len(showers):
        _check_same_columns(set(columns), set(showers.columns))
    for name, column in showers.columns.items():
        if name in columns:
            _check_same_kind(name, columns[name].dtype, column.dtype)
        elif not n:
            _create(columns, name, (), column.dtype)


def append_numbers(group: h5py.Group, showers: Showers) -> None:
    """Write what showers have beside cells behind what is there; their columns must be prepared."""
    for name, values in _numbers(showers):
        extend(group[name], values)


def _numbers(showers: Showers) -> Iterator[tuple[str, npt.NDArray[Any]]]:
    """Yield what showers have beside cells, by the names of the datasets."""
    for name in ("energy", "pdg", "direction"):
        yield name, getattr(showers, name)
    for name, column in showers.columns.items():
        yield f"columns/{name}", column


def extend(dataset: h5py.Dataset, values: npt.NDArray[Any]) -> None:
    """Write values behind those that a dataset has."""
    length = len(dataset)
    dataset.resize(length + len(values), axis=0)
    dataset[length:] = values


def _create(
    file: h5py.Group, name: str, tail: tuple[int, ...], dtype: npt.DTypeLike, unit: str | None = None
) -> None:
    dataset = file.create_dataset(
        name,
        (0, *tail),
        dtype,
        maxshape=(None, *tail),
        chunks=(_CHUNKS.get(name, _CHUNK), *tail),
        compression="gzip",
        compression_opts=1,
        shuffle=True,
    )
    if unit:
        dataset.attrs["unit"] = unit


def open_hdf5(path: Path) -> h5py.File:
    """Open an HDF5 file to read.

    Raises
    ------
    ShowerFileError
        The file is missing, empty, no HDF5 or truncated.
    """
    if not path.exists():
        raise ShowerFileError(f"{path} does not exist.")
    if path.is_dir():
        raise ShowerFileError(f"{path} is a folder; give a file of showers.")
    with path.open("rb") as raw:
        head = raw.read(len(_SIGNATURE))
    if not head:
        raise ShowerFileError(f"{path} is empty (0 bytes).")
    if not _SIGNATURE.startswith(head) and not h5py.is_hdf5(path):
        raise ShowerFileError(f"{path} is not an HDF5 file, whatever its name says; give a file of showers.")
    try:
        # Files are only ever replaced whole, so no lock is needed, and some network disks have none.
        return h5py.File(path, "r", locking=False)
    except OSError:
        raise ShowerFileError(
            f"{path} is a truncated or damaged HDF5 file; copy it again or make it anew."
        ) from None


def _read_header(file: h5py.File, path: Path) -> tuple[Calorimeter, dict[str, Any]]:
    if file.attrs.get("format") != FORMAT:
        raise ShowerFileError(_foreign(path))
    version = file.attrs.get("version")
    if not isinstance(version, np.integer) or version < 1:
        raise ShowerFileError(f"{path} is damaged: its version is {version!r}.")
    if version > VERSION:
        raise ShowerFileError(
            f"{path} has version {version} of the file format, but this caloforge reads only up to version "
            f"{VERSION}; install a newer caloforge."
        )
    try:
        geometry = Calorimeter.from_dict(json.loads(file.attrs["geometry"]))
        provenance: dict[str, Any] = json.loads(file.attrs["provenance"])
    except (KeyError, TypeError, ValueError, OSError) as error:
        raise ShowerFileError(
            f"{path} is damaged: its geometry or provenance can't be read ({error})."
        ) from None
    return geometry, provenance


def _foreign(path: Path) -> str:
    """One sentence for an HDF5 file that is not caloforge's."""
    layout = recognise(path)
    if layout is None:
        known = ", ".join(catalog.names("formats"))
        return f"{path} is an HDF5 file, but neither caloforge's nor of a known layout ({known})."
    return f"{path} has the layout '{layout}'; convert it first: caloforge convert {path} showers.h5"


def recognise(path: str | Path) -> str | None:
    """Return the catalogue's name of the foreign format that a file has, or None."""
    return next((n for n in catalog.names("formats") if catalog.load("formats", n).recognises(path)), None)


def _read_layout(file: h5py.File, path: Path) -> dict[str, h5py.Dataset]:
    """Return the datasets by name, after a look whether their lengths fit together."""
    datasets: dict[str, h5py.Dataset] = {}
    names = ["energy", "pdg", "direction", "cells/indptr", "cells/index", "cells/value"]
    with suppress(KeyError):
        names += [f"columns/{name}" for name in file["columns"]]
    for name in names:
        datasets[name] = file.get(name)
        if not isinstance(datasets[name], h5py.Dataset):
            raise ShowerFileError(f"{path} is damaged: it has no dataset '{name}'.")
    n, entries = len(datasets["energy"]), len(datasets["cells/index"])
    lengths = dict.fromkeys(names, n) | {
        "cells/indptr": n + 1,
        "cells/index": entries,
        "cells/value": entries,
    }
    for name, length in lengths.items():
        if len(datasets[name]) != length:
            raise ShowerFileError(
                f"{path} is damaged: '{name}' has {len(datasets[name])} entries instead of {length}."
            )
    return datasets
