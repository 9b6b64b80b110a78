"""Base of the foreign layouts in HDF5: files are recognised, checked, read and written in batches."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain
from math import prod
from pathlib import Path
from types import TracebackType
from typing import Any, ClassVar

import h5py
import numpy as np
import numpy.typing as npt

from caloforge import catalog
from caloforge.errors import InputError, ShowerFileError
from caloforge.formats._opening import DAMAGE, damage_in, open_hdf5, printable, reason
from caloforge.formats._output import HDF5Output
from caloforge.formats._sidecar import GROUP, Numbers, Rows, Sidecar, append_to_group, create_group
from caloforge.formats.base import batch_size, in_batches
from caloforge.formats.native import check_dense, checked
from caloforge.geometry import Calorimeter
from caloforge.incident.incident import Incident
from caloforge.incident.particles import parse_particle
from caloforge.showers import Showers
from caloforge.showers.checks import check_deposits
from caloforge.showers.showers import check_same_geometry
from caloforge.units import GeV

__all__ = ["HDF5Format", "HDF5Source", "Shape", "grow", "shape_fault", "to_gev", "to_mev"]

Shape = tuple[int | str, ...]
"""Shape of one shower's entry in a dataset; a word stands for any length."""

_CHUNK_VALUES = 1 << 18  # 1 MiB of float32
_CHUNK = 1 << 12
_BYTES_A_CELL = 12  # of memory: three float32, as read, in the order of cells, and in the result


class HDF5Format(ABC):
    """A layout in HDF5.

    Attributes
    ----------
    name
        As in the catalogue.
    description
        One line: whose files these are, and what is in them.
    """

    name: ClassVar[str]
    description: ClassVar[str]

    @abstractmethod
    def _has_names(self, file: h5py.File) -> bool:
        """Whether the names in a file are those of this layout."""

    @abstractmethod
    def _fault(self, file: h5py.File) -> str | None:
        """Return what keeps a file with the right names from having this layout, or None."""

    @abstractmethod
    def _count(self, file: h5py.File) -> int:
        """Return the number of showers."""

    @abstractmethod
    def _cells_in(self, file: h5py.File) -> str:
        """Return the cells of the showers in words, such as ``368 voxels``."""

    @abstractmethod
    def _known_geometry(self, file: h5py.File) -> str | None:
        """Return the catalogue's name of the calorimeter if the layout determines it, or None."""

    @abstractmethod
    def _misfit(self, file: h5py.File, geometry: Calorimeter) -> str | None:
        """Return why the cells in a file can't be those of a calorimeter, or None."""

    @abstractmethod
    def _load(self, file: h5py.File, rows: slice, geometry: Calorimeter) -> Rows:
        """Read some showers; raises `InputError` if a value is not possible."""

    @abstractmethod
    def _create(self, file: h5py.File, first: Showers) -> None:
        """Create the empty datasets for showers of which these are the first; `_append` writes them.

        Raises
        ------
        InputError
            The layout has no place for showers of this calorimeter.
        """

    @abstractmethod
    def _append(self, file: h5py.File, showers: Showers) -> None:
        """Append showers; raises `InputError` if the layout has no place for them."""

    def recognises(self, path: str | Path) -> bool:
        """Whether a file has this layout; False, never an error, for anything else."""
        try:
            with open_hdf5(Path(path)) as file:
                return self._has_names(file)
        except (ShowerFileError, *DAMAGE):
            return False

    def open(
        self, path: str | Path, pdg: int | None = None, geometry: Calorimeter | None = None
    ) -> "HDF5Source":
        """Open a file to read; see `HDF5Source`."""
        return HDF5Source(self, Path(path), pdg, geometry)

    def read(self, path: str | Path, pdg: int | None = None, geometry: Calorimeter | None = None) -> Showers:
        """Return all showers of a file; see `HDF5Source`."""
        with self.open(path, pdg, geometry) as source:
            return source.read()

    def write(self, showers: Showers | Iterable[Showers], path: str | Path) -> None:
        """Write showers, all at once or in batches; the file gets the provenance of the first batch.

        Raises
        ------
        InputError
            The layout has no place for the showers, they do not fit each other, or there is not one batch.
        OSError
            The disk is full, or the folder can't be written to.
        """
        batches = iter([showers] if isinstance(showers, Showers) else showers)
        with HDF5Output(path) as output:
            first = next(batches, None)
            if first is None:
                raise InputError("There is nothing to write: give a sample, which may have no showers.")
            self._create(output.file, first)
            create_group(output.file, first)
            written = 0
            for batch in _parts(first, batches):
                batch = checked(batch, written)
                append_to_group(output.file, batch)
                self._append(output.file, batch)
                output.check()
                written += len(batch)


class HDF5Source:
    """A file of a foreign layout, opened to read. Use as a context manager.

    Parameters
    ----------
    layout
        How the file is laid out.
    path
        The file.
    pdg
        PDG id of the incident particle, if the file does not give it; 0 (unknown) by default.
    geometry
        The calorimeter, if the file does not give it.

    Raises
    ------
    ShowerFileError
        The file does not have this layout, is truncated, or a value in it is not possible.
    InputError
        The calorimeter is unknown, or the cells of the file do not match the one given.
    """

    def __init__(self, layout: HDF5Format, path: Path, pdg: int | None, geometry: Calorimeter | None) -> None:
        self.path, self._layout = path, layout
        self._file = open_hdf5(path)
        try:
            with damage_in(path, "its description of itself"):
                self._count = self._checked_count()
                self._sidecar = Sidecar(self._file, path, self._count) if GROUP in self._file else None
                self._pdg = _particle(self._file) or pdg or 0
                self.provenance = self._sidecar.provenance if self._sidecar else self._said()
            self.geometry = self._sidecar.geometry if self._sidecar else self._found_geometry(geometry)
            misfit = layout._misfit(self._file, self.geometry)
            if misfit is not None:
                # The geometry in a file must fit, or the file is damaged; another one is the choice of the
                # caller.
                kind = ShowerFileError if self._sidecar else InputError
                raise kind(f"{path} is not of the calorimeter {self.geometry.name}: {misfit}.")
        except BaseException:  # no with statement has begun that would close the file
            self._file.close()
            raise

    def __enter__(self) -> "HDF5Source":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def __len__(self) -> int:
        return self._count

    def read(self, start: int = 0, stop: int | None = None) -> Showers:
        """Return showers start to stop, bounded as Python's slices are.

        Raises
        ------
        ShowerFileError
            The file is damaged, a value in it is not possible, or the showers do not fit into the memory.
        """
        start, stop, _ = slice(start, stop).indices(len(self))
        rows = slice(start, max(start, stop))
        n = rows.stop - start
        check_dense(self.path, n, self.geometry, _BYTES_A_CELL * n * self.geometry.n_cells)
        try:
            return self._loaded(rows)
        except InputError as error:
            raise ShowerFileError(f"{self.path}, showers from {start} on: {error}") from None
        except DAMAGE as error:
            raise ShowerFileError(
                f"{self.path} is damaged: showers from {start} on can't be read ({reason(error)})."
            ) from None

    def _loaded(self, rows: slice) -> Showers:
        with np.errstate(over="ignore", invalid="ignore"):  # infinities and nan are refused below
            found = self._layout._load(self._file, rows, self.geometry)
            found = self._sidecar.refined(found, rows) if self._sidecar else found
        # 0 stands for an unknown particle, which the file as a whole or the caller may know.
        pdg = self._pdg if found.pdg is None else np.where(found.pdg == 0, self._pdg, found.pdg)
        direction = (0.0, 0.0) if found.direction is None else found.direction
        position = (0.0, 0.0) if found.position is None else found.position
        incident = Incident(pdg, found.energy, direction, position)
        showers = Showers(self.geometry, found.cells, incident, found.columns, self.provenance)
        check_deposits(showers.cells.sum(axis=1, dtype=np.float64), incident)
        return showers

    def batches(self, size: int | None = None) -> Iterator[Showers]:
        """Yield all showers in order, ``size`` at a time (default: as many as take 64 MiB)."""
        return in_batches(self, size)

    def _checked_count(self) -> int:
        named = self._layout._has_names(self._file)
        fault = self._layout._fault(self._file) if named else f"it has {_contents(self._file)}"
        if fault is not None:
            raise ShowerFileError(f"{self.path} does not have the layout '{self._layout.name}': {fault}.")
        return self._layout._count(self._file)

    def _found_geometry(self, given: Calorimeter | None) -> Calorimeter:
        known = self._layout._known_geometry(self._file)
        if given is not None or known is not None:
            return given or Calorimeter.load(str(known))
        fitting = self._fitting()
        hint = f" Of the catalogue's, {', '.join(fitting)} would fit." if fitting else ""
        raise InputError(
            f"{self.path} has {self._layout._cells_in(self._file)} and does not say of which calorimeter. "
            f"Name it: caloforge convert {self.path} OUT --geometry GEOMETRY, which is a name of the "
            f"catalogue, a TOML file or a binning file of the CaloChallenge (.xml).{hint}"
        )

    def _fitting(self) -> list[str]:
        """Return the geometries of the catalogue that have the cells in the file; none if all of them do."""
        known = {name: Calorimeter.load(name) for name in catalog.names("geometries")}
        fitting = [name for name, each in known.items() if self._layout._misfit(self._file, each) is None]
        return fitting if len(fitting) < len(known) else []

    def _said(self) -> dict[str, Any]:
        """Return the provenance of a file that was made elsewhere: its name, format and attributes."""
        said = {printable(key): printable(str(value)) for key, value in self._file.attrs.items()}
        origin = {"converted_from": self.path.name, "format": self._layout.name}
        return origin | ({"attributes": said} if said else {})


def shape_fault(file: h5py.File, shapes: Mapping[str, Sequence[Shape]]) -> str | None:
    """Return why datasets are not numbers, have none of their allowed shapes or differ in length; or None."""
    first = next(iter(shapes))
    for name, allowed in shapes.items():
        found = file.get(name)
        if not isinstance(found, h5py.Dataset) or found.dtype.kind not in "fiu":
            return f"it has no dataset '{name}' of numbers"
        if not any(_matches(found.shape, shape) for shape in allowed):
            wanted = " or ".join(f"({', '.join(['N', *map(str, shape)])})" for shape in allowed)
            return f"'{name}' has shape {found.shape} instead of {wanted}"
        if len(found) != len(file[first]):
            return f"'{name}' has {len(found)} showers, but '{first}' has {len(file[first])}"
    return None


def grow(file: h5py.Group, name: str, shape: tuple[int, ...], dtype: npt.DTypeLike) -> None:
    """Create an empty dataset to which entries of a shape can be appended."""
    # About 1 MiB per chunk: small ones cost a look-up each, and any entry needs its whole chunk.
    rows = min(_CHUNK, max(1, _CHUNK_VALUES // prod(shape)))
    layout = {"chunks": (rows, *shape), "maxshape": (None, *shape)}
    file.create_dataset(
        name, (0, *shape), dtype, **layout, compression="gzip", compression_opts=1, shuffle=True
    )


def to_mev(energy: Numbers) -> npt.NDArray[np.float64]:
    """GeV to MeV; undoes `to_gev` exactly if the number of MeV was a float32."""
    mev = energy.astype(np.float64) * GeV
    # Division and multiplication by 1000 leave errors of a few units in the last place. Other numbers are
    # hardly ever so close to a float32, as the spacing of these is 2^29 times as wide.
    with np.errstate(over="ignore"):
        single = mev.astype(np.float32).astype(np.float64)
    return np.where(np.abs(mev - single) <= 4 * np.spacing(mev), single, mev)


def to_gev(energy: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """MeV to GeV."""
    return energy / GeV


def _matches(found: tuple[int, ...] | None, shape: Shape) -> bool:
    """Whether a dataset's shape is (N, *shape)."""
    if found is None or len(found) != len(shape) + 1:
        return False
    return all(isinstance(want, str) or have == want for have, want in zip(found[1:], shape, strict=True))


def _parts(first: Showers, rest: Iterator[Showers]) -> Iterator[Showers]:
    """Yield all batches, cut to what fits into memory; refuse those of another calorimeter."""
    step = batch_size(first.geometry)
    for batch in chain([first], rest):
        check_same_geometry(first.geometry, batch.geometry, "The samples", InputError)
        for start in range(0, len(batch), step):
            yield batch[start : start + step]


def _particle(file: h5py.File) -> int | None:
    """Return the particle in the attribute ``particle``, which CaloGAN's files may have; or None."""
    said = file.attrs.get("particle")
    try:
        return None if said is None else parse_particle(str(said))
    except InputError:
        return None


def _contents(file: h5py.File) -> str:
    names = [f"'{printable(name)}'" for name in file if name != GROUP]
    return ", ".join(names[:5]) + (", ..." if len(names) > 5 else "") if names else "nothing in it"
