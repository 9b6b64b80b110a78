"""Protocols of formats and of open files of showers."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self

from caloforge import catalog
from caloforge.errors import InputError
from caloforge.geometry import Calorimeter
from caloforge.showers import Showers

__all__ = ["Format", "Source", "batch_size", "in_batches", "recognise"]


class Source(Protocol):
    """An open file of showers, whatever its layout; `caloforge.formats.native.ShowerFile` is one."""

    geometry: Calorimeter
    provenance: dict[str, Any]

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def __len__(self) -> int: ...

    def read(self, start: int = 0, stop: int | None = None) -> Showers:
        """Return showers start to stop, bounded as Python's slices are."""

    def batches(self, size: int | None = None) -> Iterator[Showers]:
        """Yield all showers in order, ``size`` at a time."""


class Format(Protocol):
    """What every format can do."""

    description: str
    """One line: whose files these are, and what is in them."""

    def recognises(self, path: str | Path) -> bool:
        """Whether a file has this layout; False, never an error, for anything else."""

    def open(self, path: str | Path, pdg: int | None = None, geometry: Calorimeter | None = None) -> Source:
        """Open a file to read.

        ``pdg`` is the incident particle and ``geometry`` the calorimeter, if the file does not give them.
        """

    def read(self, path: str | Path, pdg: int | None = None, geometry: Calorimeter | None = None) -> Showers:
        """Return all showers of a file; see `open`."""

    def write(self, showers: Showers | Iterable[Showers], path: str | Path) -> None:
        """Write showers, all at once or in batches."""


_BATCH_VALUES = 1 << 24  # cells that are held densely at once unless the caller says otherwise: 64 MiB


def in_batches(source: "Source", size: int | None = None) -> Iterator[Showers]:
    """Yield all showers of a source in order, ``size`` at a time (default: as many as take 64 MiB).

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
    """Return how many showers of this calorimeter take about 64 MiB.

    Examples
    --------
    >>> batch_size(Calorimeter.load("calogan"))
    33288
    """
    return max(1, _BATCH_VALUES // geometry.n_cells)


def recognise(path: str | Path) -> str | None:
    """Return the catalogue's name of the foreign format that a file has, or None."""
    return next((n for n in catalog.names("formats") if catalog.load("formats", n).recognises(path)), None)
