"""Files that appear whole under their final name, or not at all."""

import errno
import glob
import hashlib
import os
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from caloforge.errors import InputError

__all__ = ["check_replaced", "check_target", "locked", "sha256", "written_aside"]

_LOOK_EVERY = 0.05  # seconds


@contextmanager
def written_aside(path: str | Path) -> Iterator[Path]:
    """Yield a hidden name in the same folder to write to; the file gets its final name at the end.

    The content is on the disk before the name changes, so a crash at any time leaves the old file or the new
    one, and at worst a hidden ``.NAME.partial-PID`` next to it. An exception removes the partial file. The
    next process that writes the same file removes the partial files of processes that have ended.

    Raises
    ------
    OSError
        The folder does not exist, the name belongs to something that is not a file, or the disk is full. The
        error names the file.

    Examples
    --------
    >>> with written_aside("table.txt") as partial:
    ...     _ = partial.write_text("one line")
    >>> Path("table.txt").read_text()
    'one line'
    """
    final = Path(os.path.realpath(path))  # through symbolic links, which stay links
    check_target(final)
    _remove_leftovers(final)
    partial = final.with_name(f".{final.name}.partial-{os.getpid()}")
    try:
        yield partial
        _sync(partial)
        partial.replace(final)
    except BaseException as error:
        partial.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.errno and not error.filename:  # that of a write has no name
            error.filename = str(path)
        raise
    _sync(final.parent)  # a new name is on the disk only when its folder is


@contextmanager
def locked(path: Path, busy: Exception, patience: float = 0.0) -> Iterator[int]:
    """Hold a lock file so that no other process can; raises ``busy`` if one does already.

    Yields the lock's descriptor. The operating system frees the lock when this process and all that
    inherited the descriptor have ended, for whatever reason. Waits up to ``patience`` seconds for a
    process that is about to end.
    """
    from filelock import lock_descriptor

    # Not a FileLock: its release would also unlock for the processes that inherited the lock.
    with path.open("w") as lock:
        deadline = time.monotonic() + patience
        while not lock_descriptor(lock.fileno(), blocking=False):
            if time.monotonic() >= deadline:
                raise busy
            time.sleep(_LOOK_EVERY)
        yield lock.fileno()


def check_target(final: Path) -> None:
    """Raise `OSError` for a name that can't be written to; long work calls this before it begins."""
    if not final.parent.is_dir():
        raise FileNotFoundError(errno.ENOENT, "There is no such folder to write into", str(final.parent))
    if final.is_dir():
        raise IsADirectoryError(errno.EISDIR, "This is a folder: name a file to write", str(final))
    if final.exists() and not final.is_file():
        raise FileExistsError(errno.EEXIST, "This is not an ordinary file, so it is not replaced", str(final))


def check_replaced(path: Path, overwrite: bool, inputs: Iterable[Path] = ()) -> None:
    """Refuse to replace a file unless ``overwrite`` is set; a file that is read is never replaced.

    Parameters
    ----------
    path
        The file to write.
    overwrite
        Whether an existing file may be replaced.
    inputs
        Files that are read; they need not exist.

    Raises
    ------
    InputError
        The file exists and may not be replaced.
    OSError
        The name can't be written to.
    """
    check_target(Path(os.path.realpath(path)))
    if not path.exists():
        return
    if any(source.exists() and path.samefile(source) for source in inputs):
        raise InputError(f"{path} is what this command reads, so it is not replaced: name another output.")
    if not overwrite:
        raise InputError(f"{path} exists: name another output, or add --overwrite to replace it.")


def _remove_leftovers(final: Path) -> None:
    """Delete partial files of the same name whose processes have ended."""
    for partial in final.parent.glob(f".{glob.escape(final.name)}.partial-*"):
        pid = partial.name.rpartition("-")[2]
        if pid.isdecimal() and not _is_alive(int(pid)):
            partial.unlink(missing_ok=True)


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)  # signal 0 only checks whether the process exists
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:  # another user's
        return True
    return True


def _sync(path: Path) -> None:
    """Wait until a file, or the names in a folder, are on the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def sha256(path: Path) -> str:
    """Return the sha256 of a file as hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
