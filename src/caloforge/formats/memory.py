"""Showers in memory as a source, for everything that reads files."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from types import TracebackType

from caloforge.errors import InputError
from caloforge.formats.base import Source, in_batches
from caloforge.formats.open import open_any
from caloforge.showers import Showers

__all__ = ["Given", "HeldShowers", "name_of", "opened"]

Given = str | Path | Showers | Source
"""Showers as callers give them: a file of any layout, showers in memory, or an open file."""


class HeldShowers:
    """Showers in memory, read like a file.

    Examples
    --------
    >>> import numpy as np
    >>> from caloforge import Incident
    >>> source = HeldShowers(Showers("calogan", np.ones((5, 504)), Incident(22, 1e4)))
    >>> [len(batch) for batch in source.batches(2)]
    [2, 2, 1]
    """

    def __init__(self, showers: Showers) -> None:
        self._showers = showers
        self.geometry, self.provenance = showers.geometry, showers.provenance

    def __enter__(self) -> "HeldShowers":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Do nothing: the showers belong to the caller."""

    def __len__(self) -> int:
        return len(self._showers)

    def read(self, start: int = 0, stop: int | None = None) -> Showers:
        """Return showers start to stop, bounded as Python's slices are."""
        return self._showers[start:stop]

    def batches(self, size: int | None = None) -> Iterator[Showers]:
        """Yield all showers in order, ``size`` at a time."""
        return in_batches(self, size)


def opened(given: Given) -> AbstractContextManager[Source]:
    """Open showers to read; a file that the caller has opened stays open at the end.

    Raises
    ------
    InputError
        It is neither a file's name nor showers.
    ShowerFileError
        The file is missing, truncated, or of no known layout.

    Examples
    --------
    >>> import numpy as np
    >>> from caloforge import Incident
    >>> with opened(Showers("calogan", np.ones((5, 504)), Incident(22, 1e4))) as source:
    ...     len(source)
    5
    """
    if isinstance(given, str | Path):
        return open_any(given)
    if isinstance(given, Showers):
        return HeldShowers(given)
    if not hasattr(given, "batches"):
        raise InputError(
            f"Showers are given as the name of a file, as Showers or as an open file, not as "
            f"{type(given).__name__}."
        )
    return nullcontext(given)


def name_of(given: Given, otherwise: str) -> str:
    """Return the name of the file that showers are from, or ``otherwise`` if it is not known.

    Examples
    --------
    >>> name_of("photons.h5", otherwise="showers in memory")
    'photons.h5'
    """
    if isinstance(given, str | Path):
        return str(given)
    said = getattr(given, "provenance", {}).get("file", otherwise)
    return str(getattr(given, "path", said))
