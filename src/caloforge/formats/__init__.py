"""Foreign file layouts, both directions. A file is a format: its ``ENTRY`` is a `Format`."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self

from caloforge import catalog
from caloforge.geometry import Calorimeter
from caloforge.showers import ShowerFile, Showers, recognise


class Source(Protocol):
    """An open file of showers, whatever its layout; `caloforge.showers.ShowerFile` is one."""

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
        """Yield all showers in their order, size at a time."""


class Format(Protocol):
    """What every format can do."""

    description: str
    """One line: whose files these are, and what is in them."""

    def recognises(self, path: str | Path) -> bool:
        """Whether a file has this layout; False, never an error, for anything else."""

    def open(self, path: str | Path, pdg: int | None = None, geometry: Calorimeter | None = None) -> Source:
        """Open a file to read.

        ``pdg`` is the incident particle and ``geometry`` the calorimeter where the file does not say them.
        """

    def read(self, path: str | Path, pdg: int | None = None, geometry: Calorimeter | None = None) -> Showers:
        """Return all showers of a file; see `open`."""

    def write(self, showers: Showers | Iterable[Showers], path: str | Path) -> None:
        """Write showers, at once or batch by batch."""


def open_any(path: str | Path, pdg: int | None = None, geometry: Calorimeter | None = None) -> Source:
    """Open a file of showers to read, caloforge's own or of any layout of the catalogue.

    ``pdg`` and ``geometry`` are for foreign files that do not say them.

    Raises
    ------
    ShowerFileError
        The file is missing, truncated, or of no known layout.
    """
    name = recognise(path)
    if name is None:
        return ShowerFile(path)
    source: Source = catalog.load("formats", name).open(path, pdg, geometry)
    return source
