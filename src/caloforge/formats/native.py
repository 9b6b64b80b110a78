"""caloforge's own file of showers, which any HDF5 library opens.

Version 2: root attributes ``format``, ``version``, ``geometry`` and ``provenance`` (JSON), ``checksum`` (the
sha256 of these two, one line each; a program that changes one removes it), one dataset each for
``pdg``, ``energy``, ``direction``, ``position`` and ``columns/<name>``, and the cells as sparse rows.
Shower i has the entries ``cells/indptr[i]`` to ``cells/indptr[i + 1]`` of ``cells/index`` (cell numbers) and
``cells/value`` (MeV).

Version 1 has no ``position``: its particles are at the centre of the front face, unless the columns ``eta``
and ``phi`` give other positions.
"""

import json
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from hashlib import sha256
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
from caloforge.formats._opening import (
    DAMAGE,
    Wanted,
    checked_dataset,
    damage_in,
    open_hdf5,
    printable,
    reason,
)
from caloforge.formats._output import HDF5Output
from caloforge.formats._sparse import checked_bounds, checked_energies, checked_index
from caloforge.formats.base import in_batches, recognise
from caloforge.geometry import Calorimeter
from caloforge.incident.incident import FIELDS, Incident
from caloforge.resources import check_memory
from caloforge.showers.checks import check_deposits
from caloforge.showers.showers import (
    Provenance,
    Showers,
    check_same_columns,
    check_same_geometry,
    merged_provenance,
)
from caloforge.uninterrupted import uninterrupted

__all__ = [
    "FORMAT",
    "OLD_POSITION",
    "VERSION",
    "ShowerFile",
    "ShowerWriter",
    "append_numbers",
    "check_dense",
    "checked",
    "checked_numbers",
    "checksum",
    "create_numbers",
    "extend",
    "prepare_columns",
    "read",
    "read_history",
    "to_json",
    "write",
]

FORMAT = "caloforge-showers"
VERSION = 2
_SPARSE_VALUES = 1 << 18  # cells that are made sparse at once, so that they stay in a processor's cache
_CHUNKS = {"cells/index": 1 << 17, "cells/value": 1 << 17}
_CHUNK = 1 << 12
_SHORT = 40  # characters of a wrong value in a message
_BYTES_AN_ENTRY = 32  # of memory, while sparse cells are made dense
_CELLS = {"cells/indptr": Wanted("iu"), "cells/index": Wanted("iu"), "cells/value": Wanted("fiu")}
_NUMBERS = {
    "pdg": Wanted("iu"),
    "energy": Wanted("fiu"),
    "direction": Wanted("fiu", (2,)),
    "position": Wanted("fiu", (2,)),
}
OLD_POSITION = ("columns/eta", "columns/phi")
"""Columns in which files of version 1 may have the position."""


def read(path: str | Path) -> Showers:
    """Read all showers of a file of this layout; `caloforge.read` takes any.

    For a file larger than the memory see `ShowerFile.batches`.

    Raises
    ------
    ShowerFileError
        The file is missing, empty, foreign, truncated or of a newer version.
    """
    with ShowerFile(path) as file:
        return file.read()


def write(showers: Showers, path: str | Path) -> None:
    """Write a file of showers; an existing file of this name is replaced at the end.

    Raises
    ------
    InputError
        `read` would refuse the file: a value is not possible, or the provenance is not JSON.
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

    Examples
    --------
    >>> from caloforge import catalog
    >>> path = catalog.load("samples", "calogan_gamma")
    >>> with ShowerFile(path) as file:
    ...     len(file) > 0, file.geometry.name, file.read(0, 2), file.incident(0, 2)
    (True, 'calogan', <2 showers in calogan>, <2 incident particles>)
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self._file = open_hdf5(self.path)
        try:
            self.geometry, self.provenance = _read_header(self._file, self.path)
            self._datasets = _read_layout(self._file, self.path)
        except BaseException:  # no with statement has begun that would close the file
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
        """Return showers start to stop, bounded as Python's slices are.

        Raises
        ------
        ShowerFileError
            The file is damaged, a value in it is not possible, or the showers do not fit into the memory.
        """
        start, stop = self._bounds(start, stop)
        self._check_memory(start, stop)  # before anything large is made
        columns = {name: self._slice(f"columns/{name}", start, stop) for name in self.column_names}
        cells, incident = self._dense(start, stop), self.incident(start, stop)
        try:
            return Showers(self.geometry, cells, incident, columns, self.provenance)
        except InputError as error:
            raise self._impossible(error, start, stop) from None

    def batches(self, size: int | None = None) -> Iterator[Showers]:
        """Yield all showers in order, ``size`` at a time (default: as many as take 64 MiB)."""
        return in_batches(self, size)

    def _slice(self, name: str, start: int, stop: int) -> npt.NDArray[Any]:
        try:
            return np.asarray(self._datasets[name][start:stop])
        except DAMAGE as error:
            raise ShowerFileError(
                f"{self.path} is damaged: '{printable(name)}' can't be read ({reason(error)})."
            ) from None

    def _check_memory(self, start: int, stop: int) -> None:
        """Refuse more than fits into the memory; the bounds in the file tell it before cells are read."""
        first, last = (int(self._slice("cells/indptr", at, at + 1)[0]) for at in (start, stop))
        cells = 4 * (stop - start) * self.geometry.n_cells
        check_dense(self.path, stop - start, self.geometry, cells + _BYTES_AN_ENTRY * max(0, last - first))

    @property
    def _eta_and_phi(self) -> bool:
        """Whether the position is in the columns of version 1."""
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
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.float32]]:
        """Return the bounds of some showers in the sparse cells, the numbers of these and their energies."""
        n_cells = self.geometry.n_cells
        try:
            bounds = checked_bounds(self._slice("cells/indptr", start, stop + 1), n_cells, start)
            shower = np.repeat(np.arange(stop - start), np.diff(bounds))
            index = checked_index(self._slice("cells/index", *bounds[[0, -1]]), shower, n_cells, start)
            value = checked_energies(self._slice("cells/value", *bounds[[0, -1]]), shower, start)
            total = np.bincount(shower, value, stop - start).astype(np.float64)
            check_deposits(total, self.incident(start, stop), start)
        except InputError as error:
            raise ShowerFileError(f"{self.path} is damaged: {error}") from None
        return bounds, index, value


def check_dense(path: Path, n: int, geometry: Calorimeter, needed: int) -> None:
    """Refuse to read n showers at once that do not fit into the memory (`ShowerFileError`)."""
    check_memory(
        needed,
        f"The {n} showers of {geometry.n_cells} cells in {path}",
        "read them in batches, as caloforge.formats.open.open_any(path).batches() yields them",
        ShowerFileError,
    )


class ShowerWriter:
    """Writes a file of showers under a temporary name, and renames it on success. Use as a context manager.

    Parameters
    ----------
    path
        The final name. At any time it has either the old file or the complete new one.
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

    @uninterrupted  # until the with statement has begun that closes the file
    def __enter__(self) -> "ShowerWriter":
        with ExitStack() as stack:
            self._output = stack.enter_context(HDF5Output(self._path, append=self._append))
            self._begin(self._output.file)
            stack.pop_all()
        return self

    def _begin(self, file: h5py.File) -> None:
        self._file = file
        if not self._append:
            _create_layout(file, self._geometry)
        elif file.attrs["version"] == 1:  # a file has one version, so its older showers are converted
            _add_position(file)
        file.attrs["provenance"] = self._provenance
        file.attrs["checksum"] = checksum(file.attrs["geometry"], self._provenance)
        # By name, made at the first write: only then are the columns known.
        self._growing: dict[str, Growing] = {}
        # Cell numbers of as many showers as are made sparse at once: picking from them is faster than a
        # modulo.
        rows = max(1, _SPARSE_VALUES // self._geometry.n_cells)
        numbers = np.arange(self._geometry.n_cells, dtype=file["cells/index"].dtype)
        self._numbers = np.tile(numbers, rows)

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
        showers = checked(showers, len(self))
        prepare_columns(self._file, len(self), showers)
        if not len(showers):  # an empty sample still sets the columns, above
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
        hit = np.flatnonzero(every != 0)  # several times as fast on booleans as on floats
        # Where each shower ends among the hits: they are in ascending order, so a binary search finds it.
        ends = np.arange(1, len(cells) + 1) * self._geometry.n_cells
        bounds = len(self._end("cells/index")) + np.searchsorted(hit, ends)
        self._end("cells/indptr").extend(bounds)
        self._end("cells/index").extend(self._numbers.take(hit))
        self._end("cells/value").extend(every.take(hit))

    def _end(self, name: str) -> Growing:
        if name not in self._growing:
            self._growing[name] = Growing(self._file[name])
        return self._growing[name]


def checked(showers: Showers, before: int) -> Showers:
    """Return showers if `read` would accept them; the first has the number ``before``.

    Raises
    ------
    InputError
        A value is not possible (arrays can be changed after construction), or a shower has more energy than
        its particle can leave.
    """
    found = showers.checked()
    check_deposits(found.cells.sum(axis=1, dtype=np.float64), found.incident, before)
    return found


def _check_same_kind(name: str, kept: np.dtype[Any], new: np.dtype[Any]) -> None:
    if np.result_type(kept, new) != kept:  # HDF5 would convert silently, and lose digits
        raise InputError(
            f"The column '{name}' is kept as {kept}, which has no place for numbers of type {new}."
        )


def to_json(provenance: Provenance) -> str:
    """Return a provenance as JSON; raises `InputError` if that is not possible.

    Examples
    --------
    >>> to_json({"seed": 1})
    '{"seed": 1}'
    """
    try:
        return json.dumps(provenance, allow_nan=False)  # NaN is not JSON, and other readers refuse it
    except (RecursionError, TypeError, ValueError) as error:
        raise InputError(f"The provenance can't be written as JSON: {error}.") from None


def _create_layout(file: h5py.File, geometry: Calorimeter) -> None:
    file.attrs["format"], file.attrs["version"] = FORMAT, VERSION
    file.attrs["geometry"] = json.dumps(geometry.to_dict())
    create_numbers(file)
    _create(file, "cells/indptr", (), np.int64)
    # The smallest unsigned type that holds the cell numbers: 2 bytes instead of 8 in most calorimeters.
    _create(file, "cells/index", (), np.min_scalar_type(geometry.n_cells - 1))
    _create(file, "cells/value", (), np.float32, unit="MeV")
    file["cells/indptr"].resize(1, axis=0)  # n showers have n + 1 bounds, and the first is 0


def _add_position(file: h5py.File) -> None:
    """Convert a file of version 1 to version 2, before showers are appended."""
    _create(file, "position", (2,), np.float32, unit="mm")
    values = np.zeros((len(file["energy"]), 2), np.float32)
    if all(name in file for name in OLD_POSITION):
        values = np.stack([file[name][:] for name in OLD_POSITION], axis=1)
        for name in OLD_POSITION:
            del file[name]
    extend(file["position"], values)
    file.attrs["version"] = VERSION


def create_numbers(group: h5py.Group) -> None:
    """Create the empty datasets for everything except cells: the incident particle and columns."""
    group.create_group("columns")
    _create(group, "energy", (), np.float64, unit="MeV")
    _create(group, "pdg", (), np.int32)
    _create(group, "direction", (2,), np.float32, unit="rad")
    _create(group, "position", (2,), np.float32, unit="mm")


def prepare_columns(group: h5py.Group, n: int, showers: Showers) -> None:
    """Create the columns of the first showers; refuse different ones after n showers (`InputError`)."""
    columns = group["columns"]
    if not n:
        for name in list(columns):  # from an empty sample that was written before
            del columns[name]
    if n and len(showers):
        check_same_columns(set(columns), set(showers.columns))
    for name, column in showers.columns.items():
        if name in columns:
            _check_same_kind(name, columns[name].dtype, column.dtype)
        elif not n:
            _create(columns, name, (), column.dtype)


def append_numbers(group: h5py.Group, showers: Showers) -> None:
    """Append everything except the cells of showers; their columns must be prepared."""
    for name, values in _numbers(showers):
        extend(group[name], values)


def _numbers(showers: Showers) -> Iterator[tuple[str, npt.NDArray[Any]]]:
    """Yield everything except the cells of showers, by the names of the datasets."""
    for name in FIELDS:
        yield name, getattr(showers.incident, name)
    for name, column in showers.columns.items():
        yield f"columns/{name}", column


def extend(dataset: h5py.Dataset, values: npt.NDArray[Any]) -> None:
    """Append values to a dataset."""
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


def _read_header(file: h5py.File, path: Path) -> tuple[Calorimeter, dict[str, Any]]:
    with damage_in(path, "its attributes"):
        said = dict(file.attrs)
    if not (isinstance(said.get("format"), str) and said["format"] == FORMAT):
        raise ShowerFileError(_foreign(path))
    version = said.get("version")
    if not isinstance(version, np.integer) or version < 1:
        raise ShowerFileError(f"{path} is damaged: its version is {repr(version)[:_SHORT]}.")
    if version > VERSION:
        raise ShowerFileError(
            f"{path} has version {version} of the file format, but this caloforge reads only up to version "
            f"{VERSION}; install a newer caloforge."
        )
    return read_history(said.get("geometry"), said.get("provenance"), said.get("checksum"), path)


def checksum(geometry: object, provenance: object) -> str:
    """Return the sha256 of two texts, which HDF5 itself stores without a checksum."""
    # Bytes that are not UTF-8 come from h5py as surrogates, and a damaged text must not end in an error here.
    return sha256(f"{geometry}\n{provenance}".encode("utf-8", "surrogateescape")).hexdigest()


def read_history(
    geometry: object, provenance: object, kept: object, path: Path
) -> tuple[Calorimeter, dict[str, Any]]:
    """Return the calorimeter and the provenance from two texts in JSON; raises `ShowerFileError`.

    Files of older versions have no checksum; it is then None.
    """
    if kept is not None and not (isinstance(kept, str) and kept == checksum(geometry, provenance)):
        raise ShowerFileError(
            f"{path} is damaged: its geometry or provenance is not what was written, as its checksum says."
        )
    with damage_in(path, "its geometry or provenance"):
        if not (isinstance(geometry, str) and isinstance(provenance, str)):
            raise TypeError("one is missing, or is not a text")
        history = json.loads(provenance, parse_constant=_no_number)
        if not isinstance(history, dict):
            raise TypeError("the provenance is not a table of names")
        return Calorimeter.from_dict(json.loads(geometry, parse_constant=_no_number)), history


# Python reads NaN and Infinity in JSON, which are not part of it.
def _no_number(name: str) -> None:
    raise ValueError(f"{name} is not a number of JSON")


def _foreign(path: Path) -> str:
    """One sentence for an HDF5 file that is not caloforge's."""
    layout = recognise(path)
    if layout is None:
        known = ", ".join(catalog.names("formats"))
        return f"{path} is an HDF5 file, but neither caloforge's nor of a known layout ({known})."
    return f"{path} has the layout '{layout}'; convert it first: caloforge convert {path} showers.h5"


def _read_layout(file: h5py.File, path: Path) -> dict[str, h5py.Dataset]:
    """Return the datasets by name; each is checked to have the right kind and length."""
    with damage_in(path, "its structure"):
        old = file.attrs["version"] == 1
        if old and "position" in file:
            raise ShowerFileError(f"{path} is damaged: it is of version 1, which has no 'position'.")
        datasets = checked_numbers(file, path, without=("position",) if old else ())
        datasets |= {name: checked_dataset(file, name, wanted, path) for name, wanted in _CELLS.items()}
        n, entries = len(datasets["energy"]), len(datasets["cells/index"])
        lengths = dict.fromkeys(datasets, n) | {
            "cells/indptr": n + 1,
            "cells/index": entries,
            "cells/value": entries,
        }
        for name, length in lengths.items():
            if len(datasets[name]) != length:
                raise ShowerFileError(
                    f"{path} is damaged: '{printable(name)}' has {len(datasets[name])} entries instead of "
                    f"{length}."
                )
        # Only the ends: all bounds are checked in the batches that are read, and may be many.
        bounds = datasets["cells/indptr"]
        if bounds[0] != 0 or bounds[n] != entries:
            raise ShowerFileError(
                f"{path} is damaged: the bounds in 'cells/indptr' do not ascend from 0 to {entries}, "
                "which is the length of 'cells/index'."
            )
    return datasets


def checked_numbers(group: h5py.Group, path: Path, without: Sequence[str] = ()) -> dict[str, h5py.Dataset]:
    """Return the datasets of everything except cells, by name; raises `ShowerFileError`.

    The numbers of the incident particle, except those in ``without``, and the columns as ``columns/<name>``.
    """
    found = {
        name: checked_dataset(group, name, wanted, path)
        for name, wanted in _NUMBERS.items()
        if name not in without
    }
    columns = group.get("columns", {})
    if not isinstance(columns, h5py.Group | dict):
        raise ShowerFileError(f"{path} is damaged: 'columns' is not a group of datasets.")
    for name in columns:
        found[f"columns/{name}"] = checked_dataset(group, f"columns/{name}", Wanted("biuf"), path)
    return found
