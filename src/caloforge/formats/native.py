"""caloforge's own file of showers, which any HDF5 library opens.

Version 2: root attributes ``format``, ``version``, ``geometry`` and ``provenance`` (JSON), one dataset each
for ``pdg``, ``energy``, ``direction``, ``position`` and ``columns/<name>``, and the cells as sparse rows.
Shower i has the entries ``cells/indptr[i]`` to ``cells/indptr[i + 1]`` of ``cells/index`` (cell numbers) and
``cells/value`` (MeV).

Version 1 has no ``position``: its particles are read as coming to the centre of the front face, unless they
were simulated at other places, which it keeps in the columns ``eta`` and ``phi``.
"""

import json
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_array

from caloforge import catalog
from caloforge.errors import InputError, ShowerFileError
from caloforge.formats._chunks import Growing
from caloforge.formats._output import HDF5Output
from caloforge.formats.base import in_batches, recognise
from caloforge.geometry import Calorimeter
from caloforge.incident.incident import FIELDS, Incident
from caloforge.showers.showers import (
    Provenance,
    Showers,
    check_same_columns,
    check_same_geometry,
    merged_provenance,
)

FORMAT = "caloforge-showers"
VERSION = 2
_SIGNATURE = b"\x89HDF\r\n\x1a\n"
_SPARSE_VALUES = 1 << 18  # cells that are made sparse at once, so that they stay in a processor's cache
_CHUNKS = {"cells/index": 1 << 17, "cells/value": 1 << 17}
_CHUNK = 1 << 12
OLD_POSITION = ("columns/eta", "columns/phi")
"""Where version 1 has the position, if it has one."""


def read(path: str | Path) -> Showers:
    """Read all showers of a file. For a file larger than the memory see `ShowerFile.batches`.

    Raises
    ------
    ShowerFileError
        The file is missing, empty, foreign, truncated or of a newer version.
    """
    with ShowerFile(path) as file:
        return file.read()


def write(showers: Showers, path: str | Path) -> None:
    """Write a file of showers; an older file of this name is replaced at the end.

    Raises
    ------
    OSError
        The disk is full, or the folder can't be written to.

    Examples
    --------
    >>> from caloforge import generate
    >>> write(generate("gamma", energy="1:100", n=20), "showers.h5")
    >>> read("showers.h5")
    <20 showers in calogan>
    """
    with ShowerWriter(path, showers.geometry, showers.provenance) as writer:
        writer.write(showers)


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

    def incident(self, start: int = 0, stop: int | None = None) -> Incident:
        """Return the particles of showers start to stop, without reading their cells."""
        start, stop = self._bounds(start, stop)
        values = {name: self._slice(name, start, stop) for name in FIELDS if name in self._datasets}
        if self._eta_and_phi:
            values["position"] = np.stack([self._slice(name, start, stop) for name in OLD_POSITION], axis=1)
        try:
            return Incident(**values)
        except InputError as error:
            raise self._impossible(error, start, stop) from None

    def sparse(self, start: int = 0, stop: int | None = None) -> csr_array:
        """Return the cells of showers start to stop (MeV) as sparse rows, (stop - start, n_cells)."""
        start, stop = self._bounds(start, stop)
        bounds, index, value = self._entries(start, stop)
        return csr_array(
            (value, index.astype(np.int32), bounds - bounds[0]), (stop - start, self.geometry.n_cells)
        )

    @property
    def column_names(self) -> list[str]:
        """Names of the further numbers that each shower has."""
        names = {name for name in self._datasets if name.startswith("columns/")}
        others = names - set(OLD_POSITION) if self._eta_and_phi else names
        return sorted(name.partition("/")[2] for name in others)

    def read(self, start: int = 0, stop: int | None = None) -> Showers:
        """Return showers start to stop, bounded as Python's slices are."""
        start, stop = self._bounds(start, stop)
        columns = {name: self._slice(f"columns/{name}", start, stop) for name in self.column_names}
        cells, incident = self._dense(start, stop), self.incident(start, stop)
        try:
            return Showers(self.geometry, cells, incident, columns, self.provenance)
        except InputError as error:
            raise self._impossible(error, start, stop) from None

    def batches(self, size: int | None = None) -> Iterator[Showers]:
        """Return all showers in their order, size at a time (default: as many as take 64 MiB)."""
        return in_batches(self, size)

    def _slice(self, name: str, start: int, stop: int) -> npt.NDArray[Any]:
        try:
            return np.asarray(self._datasets[name][start:stop])
        except (OSError, RuntimeError) as error:
            raise ShowerFileError(f"{self.path} is damaged: '{name}' can't be read ({error}).") from None

    @property
    def _eta_and_phi(self) -> bool:
        """Whether the position is where version 1 has it."""
        return "position" not in self._datasets and self._datasets.keys() >= set(OLD_POSITION)

    def _bounds(self, start: int, stop: int | None) -> tuple[int, int]:
        start, stop, _ = slice(start, stop).indices(len(self))
        return start, max(start, stop)

    def _impossible(self, error: InputError, start: int, stop: int) -> ShowerFileError:
        return ShowerFileError(f"{self.path}, showers {start} to {stop}: {error}")

    def _dense(self, start: int, stop: int) -> npt.NDArray[np.float32]:
        bounds, index, value = self._entries(start, stop)
        cells = np.zeros((stop - start, self.geometry.n_cells), np.float32)
        cells[np.repeat(np.arange(stop - start), np.diff(bounds)), index] = value
        return cells

    def _entries(
        self, start: int, stop: int
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[Any], npt.NDArray[Any]]:
        """Return the bounds of some showers in the sparse cells, the numbers of these and their energies."""
        bounds = self._slice("cells/indptr", start, stop + 1).astype(np.int64)
        if bounds[0] < 0 or bounds[-1] > len(self._datasets["cells/index"]) or (np.diff(bounds) < 0).any():
            raise ShowerFileError(f"{self.path} is damaged: the bounds in 'cells/indptr' do not ascend.")
        index = self._slice("cells/index", bounds[0], bounds[-1])
        if len(index) and index.max() >= self.geometry.n_cells:
            raise ShowerFileError(
                f"{self.path} is damaged: it names cell {index.max()}, but {self.geometry.name} has "
                f"{self.geometry.n_cells} cells."
            )
        return bounds, index, self._slice("cells/value", bounds[0], bounds[-1])


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
        self._provenance = to_json(merged_provenance(history))

    def __enter__(self) -> "ShowerWriter":
        self._output = HDF5Output(self._path, append=self._append)
        self._file = self._output.__enter__().file
        if not self._append:
            _create_layout(self._file, self._geometry)
        elif self._file.attrs["version"] == 1:
            _add_position(self._file)
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


def _check_same_kind(name: str, kept: np.dtype[Any], new: np.dtype[Any]) -> None:
    if np.result_type(kept, new) != kept:
        raise InputError(
            f"The column '{name}' is kept as {kept}, which has no place for numbers of type {new}."
        )


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


def _add_position(file: h5py.File) -> None:
    """Bring a file of version 1 to version 2, before showers are appended."""
    _create(file, "position", (2,), np.float32, unit="mm")
    values = np.zeros((len(file["energy"]), 2), np.float32)
    if all(name in file for name in OLD_POSITION):
        values = np.stack([file[name][:] for name in OLD_POSITION], axis=1)
        for name in OLD_POSITION:
            del file[name]
    extend(file["position"], values)
    file.attrs["version"] = VERSION


def create_numbers(group: h5py.Group) -> None:
    """Make the empty datasets of what showers have beside cells: the incident particle and columns."""
    group.create_group("columns")
    _create(group, "energy", (), np.float64, unit="MeV")
    _create(group, "pdg", (), np.int32)
    _create(group, "direction", (2,), np.float32, unit="rad")
    _create(group, "position", (2,), np.float32, unit="mm")


def prepare_columns(group: h5py.Group, n: int, showers: Showers) -> None:
    """Make the columns that the first showers have; refuse others behind n showers (`InputError`)."""
    columns = group["columns"]
    if not n:
        for name in list(columns):  # those of an empty sample that was written before
            del columns[name]
    if n and len(showers):
        check_same_columns(set(columns), set(showers.columns))
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
    for name in FIELDS:
        yield name, getattr(showers.incident, name)
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


def _read_layout(file: h5py.File, path: Path) -> dict[str, h5py.Dataset]:
    """Return the datasets by name, after a look whether their lengths fit together."""
    datasets: dict[str, h5py.Dataset] = {}
    names = [*FIELDS, "cells/indptr", "cells/index", "cells/value"]
    if file.attrs["version"] == 1:
        names.remove("position")
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
