"""Files that appear whole under their final name, or not at all."""

import errno
import fcntl
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from io import FileIO
from pathlib import Path
from types import TracebackType
from typing import Any

import h5py

_LOOK_EVERY = 0.05  # seconds


@contextmanager
def written_aside(path: str | Path) -> Iterator[Path]:
    """Yield a hidden name beside a file to write to; the file takes its final name at the end.

    The content is on the disk before the name changes, so a crash at any time leaves the old file or the new
    one, and at worst a hidden ``.NAME.partial-PID`` beside it. An exception removes the partial file.

    Raises
    ------
    OSError
        The folder does not exist, the name belongs to something that is no file, or the disk is full. It
        names the file.
    """
    final = Path(os.path.realpath(path))
    check_target(final)
    partial = final.with_name(f".{final.name}.partial-{os.getpid()}")
    try:
        yield partial
        _sync(partial)
        partial.replace(final)
    except BaseException as error:
        partial.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.errno and not error.filename:  # a write knows no names
            error.filename = str(path)
        raise
    _sync(final.parent)


@contextmanager
def locked(path: Path, busy: Exception, patience: float = 0.0) -> Iterator[int]:
    """Keep other processes out of what a lock file stands for; raises ``busy`` where one is in already.

    Yields the lock's descriptor. The operating system frees the lock with the process, however it ends, and
    with the last of those that inherited the descriptor. A process that is just ending is waited for, up to
    ``patience`` seconds.
    """
    with path.open("w") as lock:
        deadline = time.monotonic() + patience
        while not _lock(lock.fileno()):
            if time.monotonic() >= deadline:
                raise busy
            time.sleep(_LOOK_EVERY)
        yield lock.fileno()


def _lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


class HDF5Output:
    """An HDF5 file that is written aside. Use as a context manager.

    Parameters
    ----------
    path
        The final name.
    append
        Begin with a copy of the file that now has this name.
    """

    def __init__(self, path: str | Path, *, append: bool = False) -> None:
        self._path = Path(path)
        self._append = append
        self._aside = written_aside(path)

    def __enter__(self) -> "HDF5Output":
        partial = self._aside.__enter__()
        try:
            if self._append:
                shutil.copyfile(self._path, partial)
            self._raw = _CalmFile(partial, "r+" if self._append else "w+")
            self.file = h5py.File(self._raw, "r+" if self._append else "w")
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

    def _close(self) -> None:
        try:
            self.file.close()
        except (OSError, RuntimeError):
            self.check()
            raise
        finally:
            self._raw.close()


class _CalmFile(FileIO):
    """A file whose writes never fail, but are remembered to have failed.

    HDF5 holds data back until a file is closed, and a write that fails then (a full disk) leaves the library
    in a state that crashes the interpreter later.
    """

    failure: OSError | None = None

    def write(self, data: Any) -> int:
        rest = memoryview(data).cast("B")
        size = len(rest)
        try:
            while rest and self.failure is None:
                rest = rest[super().write(rest) :]
        except OSError as error:
            self.failure = error
        return size

    def truncate(self, size: int | None = None) -> int:
        try:
            return super().truncate(size)
        except OSError as error:
            self.failure = self.failure or error
            return size or 0


def check_target(final: Path) -> None:
    """Refuse a name that can't be written to (`OSError`): long work can ask before it begins."""
    if not final.parent.is_dir():
        raise FileNotFoundError(errno.ENOENT, "There is no such folder to write into", str(final.parent))
    if final.exists() and not final.is_file():
        raise FileExistsError(errno.EEXIST, "This is no ordinary file, so it is not replaced", str(final))


def _sync(path: Path) -> None:
    """Wait until the disk has a file, or the names in a folder."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
