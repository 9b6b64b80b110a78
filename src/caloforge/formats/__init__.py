"""Foreign file layouts, both directions. A file is a format: its ``ENTRY`` is an object of `Format`."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Protocol

from caloforge.showers import Showers


class Format(Protocol):
    """What every format can do."""

    description: str
    """One line: whose files these are."""

    def recognises(self, path: str | Path) -> bool:
        """Whether a file has this layout; False, never an error, for anything else."""

    def count(self, path: str | Path) -> int:
        """Return the number of showers in a file."""

    def batches(self, path: str | Path, pdg: int | None = None, size: int | None = None) -> Iterator[Showers]:
        """Yield the showers of a file in their order, size at a time."""

    def read(self, path: str | Path, pdg: int | None = None) -> Showers:
        """Return all showers of a file."""

    def write(self, showers: Showers | Iterable[Showers], path: str | Path) -> None:
        """Write showers, at once or batch by batch."""
