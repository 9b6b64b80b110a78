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
    one, and at worst a hidden ``.NAME.partial-PID`` beside it. An exception removes the partial file, and
    the next to write the same file removes those of processes that have ended.

    Raises
    ------
    OSError
        The folder does not exist, the name belongs to something that is no file, or the disk is full. It
        names the file.
    """
    final = Path(os.path.realpath(path))
    check_target(final)
    _remove_leftovers(final)
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
    from filelock import lock_descriptor

    # Not a FileLock: it unlocks when it is released, also for those that inherited the lock.
    with path.open("w") as lock:
        deadline = time.monotonic() + patience
        while not lock_descriptor(lock.fileno(), blocking=False):
            if time.monotonic() >= deadline:
                raise busy
            time.sleep(_LOOK_EVERY)
        yield lock.fileno()


def check_target(final: Path) -> None:
    """Refuse a name that can't be written to (`OSError`): long work can ask before it begins."""
    if not final.parent.is_dir():
        raise FileNotFoundError(errno.ENOENT, "There is no such folder to write into", str(final.parent))
    if final.is_dir():
        raise IsADirectoryError(errno.EISDIR, "This is a folder: name a file to write", str(final))
    if final.exists() and not final.is_file():
        raise FileExistsError(errno.EEXIST, "This is not an ordinary file, so it is not replaced", str(final))


def check_replaced(path: Path, overwrite: bool, inputs: Iterable[Path] = ()) -> None:
    """Refuse to replace a file, unless that is wanted; one that is read is never replaced.

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
    """Delete what processes that have ended left of the same file, however they ended."""
    for partial in final.parent.glob(f".{glob.escape(final.name)}.partial-*"):
        pid = partial.name.rpartition("-")[2]
        if pid.isdecimal() and not _is_alive(int(pid)):
            partial.unlink(missing_ok=True)


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:  # another user's
        return True
    return True


def _sync(path: Path) -> None:
    """Wait until the disk has a file, or the names in a folder."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def sha256(path: Path) -> str:
    """Return the sha256 of a file as hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
