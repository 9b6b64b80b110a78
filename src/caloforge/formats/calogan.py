"""The layout of the published CaloGAN data and of the files that its authors' code reads.

HDF5 with ``layer_0`` (N, 3, 96), ``layer_1`` (N, 12, 12), ``layer_2`` (N, 12, 6) in MeV, rows phi and columns
eta; ``energy`` (N, 1) in GeV; ``overflow`` (N, 3) in MeV: what a layer's shower left beside its cells.

Reference: M. Paganini, L. de Oliveira, B. Nachman, Phys. Rev. D 97 (2018) 014021, data set [30].
"""

import json
from collections.abc import Iterable, Iterator
from contextlib import suppress
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt

from caloforge.atomic import HDF5Output
from caloforge.errors import InputError, ShowerFileError
from caloforge.geometry import Calorimeter
from caloforge.particles import parse_particle, particle_name
from caloforge.showers import Showers, in_batches
from caloforge.units import GeV

_CHUNK = 128
_PROVENANCE = "caloforge_provenance"


@cache
def _geometry() -> Calorimeter:
    return Calorimeter.load("calogan")


def _shapes() -> dict[str, tuple[int, ...]]:
    """Shape of one shower's entry in each dataset that a file must have."""
    return {"energy": (1,)} | {f"layer_{i}": shape for i, shape in enumerate(_geometry().shapes)}


class Calogan:
    """Reads and writes the published layout.

    Cells are read as float32. Of a shower's columns only ``overflow_0`` to ``overflow_2`` have a place in the
    layout. The layout does not name the particle: files written here carry it as the attribute ``particle``.
    """

    description = "published CaloGAN showers: layer_0, layer_1, layer_2, energy in GeV, overflow"

    def recognises(self, path: str | Path) -> bool:
        """Whether a file has this layout; False, never an error, for anything else."""
        try:
            with h5py.File(path, "r", locking=False) as file:
                return _fault(file) is None
        except (OSError, RuntimeError):
            return False

    def open(self, path: str | Path, pdg: int | None = None) -> "CaloganFile":
        """Open a file to read; see `CaloganFile`."""
        return CaloganFile(path, pdg)

    def read(self, path: str | Path, pdg: int | None = None) -> Showers:
        """Return all showers of a file; see `CaloganFile`."""
        with self.open(path, pdg) as file:
            return file.read()

    def write(self, showers: Showers | Iterable[Showers], path: str | Path) -> None:
        """Write showers, at once or batch by batch.

        Raises
        ------
        InputError
            The layout has no place for them: another calorimeter, several particles, or not perpendicular.
        """
        batches = [showers] if isinstance(showers, Showers) else showers
        particle: int | None = None
        with HDF5Output(path) as output:
            _create(output.file)
            for batch in batches:
                particle = _checked_particle(batch, particle)
                _append(output.file, batch)
                output.check()
            if particle:
                output.file.attrs["particle"] = particle_name(particle)


class CaloganFile:
    """A file of the published layout, opened to read. Use as a context manager.

    Parameters
    ----------
    path
        The file.
    pdg
        PDG id of the incident particle. Without it the file's attribute ``particle`` is taken, and 0 (not
        known) where there is none.

    Raises
    ------
    ShowerFileError
        The file does not have this layout, is truncated, or a value in it is not possible.
    """

    def __init__(self, path: str | Path, pdg: int | None = None) -> None:
        self.path, self.geometry = Path(path), _geometry()
        self._file = _opened(self.path)
        self.provenance = _provenance(self._file, self.path.name)
        self._pdg = _particle(self._file) if pdg is None else pdg

    def __enter__(self) -> "CaloganFile":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def __len__(self) -> int:
        return len(self._file["energy"])

    def read(self, start: int = 0, stop: int | None = None) -> Showers:
        """Return showers start to stop, bounded as Python's slices are."""
        rows = slice(*slice(start, stop).indices(len(self)))
        try:
            images = [self._file[f"layer_{i}"][rows] for i in range(len(self.geometry.layers))]
            energy = _to_mev(self._file["energy"][rows][:, 0])
            cells = self.geometry.join(images)
            columns = _overflow(self._file, rows)
            return Showers(
                self.geometry, cells, energy, self._pdg, columns=columns, provenance=self.provenance
            )
        except (InputError, OSError) as error:
            raise ShowerFileError(f"{self.path}, showers from {start} on: {error}") from None

    def batches(self, size: int | None = None) -> Iterator[Showers]:
        """Return all showers in their order, size at a time (default: as many as take 64 MiB)."""
        return in_batches(self, size)


def _fault(file: h5py.File) -> str | None:
    """Return what keeps a file from having this layout, or None."""
    shapes = _shapes()
    if "overflow" in file:
        shapes["overflow"] = (len(_geometry().layers),)
    for name, shape in shapes.items():
        found = file.get(name)
        if not isinstance(found, h5py.Dataset) or found.dtype.kind not in "fiu":
            return f"it has no dataset '{name}' of numbers"
        if found.shape is None or found.shape != (*found.shape[:1], *shape):
            return f"'{name}' has shape {found.shape} instead of (N, {', '.join(map(str, shape))})"
        if len(found) != len(file["energy"]):
            return f"'{name}' has {len(found)} showers, but 'energy' has {len(file['energy'])}"
    return None


def _opened(path: Path) -> h5py.File:
    if not path.exists():
        raise ShowerFileError(f"{path} does not exist.")
    try:
        file = h5py.File(path, "r", locking=False)
    except OSError:
        raise ShowerFileError(f"{path} is not an HDF5 file, or a truncated one.") from None
    fault = _fault(file)
    if fault is not None:
        file.close()
        raise ShowerFileError(f"{path} does not have the layout 'calogan': {fault}.")
    return file


def _overflow(file: h5py.File, rows: slice) -> dict[str, npt.NDArray[Any]]:
    values = file["overflow"][rows] if "overflow" in file else np.zeros((0, 0), np.float32)
    return {f"overflow_{i}": values[:, i] for i in range(values.shape[1])}


def _to_mev(energy: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """GeV to MeV; undoes `_to_gev` exactly where the number of MeV was a float32, as caloforge's are."""
    mev = energy.astype(np.float64) * GeV
    single = mev.astype(np.float32).astype(np.float64)
    return np.where(np.abs(mev - single) <= 4 * np.spacing(mev), single, mev)


def _to_gev(energy: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    return energy / GeV


def _particle(file: h5py.File) -> int:
    try:
        return parse_particle(str(file.attrs.get("particle")))
    except InputError:
        return 0


def _provenance(file: h5py.File, name: str) -> dict[str, Any]:
    """Return the provenance that was written here, or else what a foreign file says about itself."""
    with suppress(KeyError, TypeError, ValueError):
        return dict(json.loads(file.attrs[_PROVENANCE]))
    said = {key: str(value) for key, value in file.attrs.items()}
    return {"converted_from": name, "format": "calogan"} | ({"attributes": said} if said else {})


def _checked_particle(showers: Showers, before: int | None) -> int | None:
    """Return the one particle of all showers so far."""
    if showers.geometry != _geometry():
        raise InputError(
            f"The layout 'calogan' holds showers of calogan, not of {showers.geometry.name}; "
            "rebin them first: caloforge rebin FILE calogan."
        )
    found = set(showers.pdg.tolist()) | ({before} if before is not None else set())
    if len(found) > 1:
        names = ", ".join(sorted(particle_name(pdg) for pdg in found))
        raise InputError(f"The layout 'calogan' holds one particle a file, but here are {names}.")
    if showers.direction.any():
        raise InputError(
            "The layout 'calogan' holds perpendicular particles only, but here is an inclined one."
        )
    return found.pop() if found else None


def _create(file: h5py.File) -> None:
    shapes = _shapes() | {"overflow": (len(_geometry().layers),)}
    for name, shape in shapes.items():
        dtype = np.float64 if name == "energy" else np.float32
        layout = {"chunks": (_CHUNK, *shape), "maxshape": (None, *shape)}
        file.create_dataset(
            name, (0, *shape), dtype, **layout, compression="gzip", compression_opts=1, shuffle=True
        )


def _append(file: h5py.File, showers: Showers) -> None:
    if _PROVENANCE not in file.attrs:
        file.attrs[_PROVENANCE] = json.dumps(showers.provenance)
    fields = {f"layer_{i}": image for i, image in enumerate(showers.geometry.split(showers.cells))}
    fields["energy"] = _to_gev(showers.energy)[:, None]
    missing = np.zeros(len(showers), np.float32)
    overflow = [showers.columns.get(f"overflow_{i}", missing) for i in range(len(showers.geometry.layers))]
    fields["overflow"] = np.stack(overflow, axis=1)
    for name, values in fields.items():
        length = len(file[name])
        file[name].resize(length + len(values), axis=0)
        file[name][length:] = values


ENTRY = Calogan()
