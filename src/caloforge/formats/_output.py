"""HDF5 files that appear whole under their final name, or not at all."""

import shutil
from io import FileIO
from pathlib import Path
from types import TracebackType
from typing import Any

import h5py

from caloforge.files import written_aside
from caloforge.uninterrupted import uninterrupted

__all__ = ["HDF5Output"]

_VERSIONS = ("v110", "v110")
"""Of HDF5 (2016): since then all metadata of a file have checksums, so that damage there is noticed."""


class HDF5Output:
    """An HDF5 file that is written aside. Use as a context manager.

    Parameters
    ----------
    path
        The final name.
    append
        Start with a copy of the file that has this name now.
    """

    def __init__(self, path: str | Path, *, append: bool = False) -> None:
        self._path = Path(path)
        self._append = append
        self._aside = written_aside(path)

    def __enter__(self) -> "HDF5Output":
        partial = self._aside.__enter__()
        try:
            if self._append:
                # A copy of the whole file, so that a crash while appending leaves the old one intact.
                shutil.copyfile(self._path, partial)
            self._open(partial)
        except BaseException as error:
            self._aside.__exit__(type(error), error, error.__traceback__)
            raise
        return self

    def check(self) -> None:
        """Raise the `OSError` of the first write that failed, if one did."""
        if self._raw.failure is not None:
            raise OSError(self._raw.failure.errno, self._raw.failure.strerror, str(self._path))

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self._close()
            if error is None or isinstance(error, OSError | RuntimeError):
                self.check()  # a full disk is also why HDF5 could not read back what it wrote
        except BaseException as late:
            self._aside.__exit__(type(late), late, late.__traceback__)
            raise
        self._aside.__exit__(kind, error, trace)

    @uninterrupted
    def _open(self, path: Path) -> None:
        self._raw = _CalmFile(path, "r+" if self._append else "w+")
        self.file = h5py.File(self._raw, "r+" if self._append else "w", libver=_VERSIONS)

    # A file that is still open when the interpreter ends crashes it.
    @uninterrupted
    def _close(self) -> None:
        try:
            self.file.close()
        except (OSError, RuntimeError):
            self.check()
            raise
        finally:
            if not self.file:  # HDF5 crashes if it finds the file closed below it
                self._raw.close()


class _CalmFile(FileIO):
    """A file whose writes never raise; the first failure is kept in ``failure``.

    HDF5 holds data back until a file is closed. If a write fails then (a full disk), the library is left in a
    state that crashes the interpreter later.
    """

    failure: OSError | None = None

    @uninterrupted
    def write(self, data: Any) -> int:
        rest = memoryview(data).cast("B")
        size = len(rest)
        try:
            while rest and self.failure is None:
                rest = rest[super().write(rest) :]
        except OSError as error:
            self.failure = error
        return size

    @uninterrupted
    def truncate(self, size: int | None = None) -> int:
        try:
            return super().truncate(size)
        except OSError as error:
            self.failure = self.failure or error
            return size or 0
