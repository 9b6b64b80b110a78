"""Open HDF5 files of unknown origin safely: all values must be in the file, and not more than fit into it.

HDF5 lets a dataset take its values from any other file, and lets names point elsewhere. A file of showers
needs neither, and following them could reveal files that the author of the link can name but not read.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from math import prod
from pathlib import Path
from typing import NamedTuple

import h5py

from caloforge.errors import ShowerFileError
from caloforge.formats._heap import has_broken_texts
from caloforge.resources import check_memory

__all__ = ["DAMAGE", "Wanted", "checked_dataset", "damage_in", "open_hdf5", "printable", "reason"]

DAMAGE = (
    *(ArithmeticError, AttributeError, LookupError, MemoryError, OSError, RecursionError),
    *(RuntimeError, TypeError, ValueError),
)
"""What h5py, numpy and json raise for damaged values and structures."""

_TRUNCATED = "{} is a truncated or damaged HDF5 file; copy it again or make it anew."
_SIGNATURE = b"\x89HDF\r\n\x1a\n"
_SHRINKS = 1032  # highest compression of DEFLATE: one bit stands for at most 129 bytes
_BOUNDED = {h5py.h5z.FILTER_SHUFFLE, h5py.h5z.FILTER_DEFLATE, h5py.h5z.FILTER_FLETCHER32}
_LONGEST = 200  # characters of a library's message


def open_hdf5(path: Path) -> h5py.File:
    """Open an HDF5 file to read.

    Raises
    ------
    ShowerFileError
        The file is missing, empty, not HDF5 or truncated, has values in other files, or declares more than it
        can hold.
    """
    _check_file(path)
    if has_broken_texts(path):
        raise ShowerFileError(_TRUNCATED.format(path))
    try:
        # Files are only ever replaced whole, so no lock is needed, and some network disks have none.
        file = h5py.File(path, "r", locking=False)
    except DAMAGE:
        raise ShowerFileError(_TRUNCATED.format(path)) from None
    try:
        with damage_in(path, "its structure"):
            _check_content(file, path)
    except BaseException:
        file.close()
        raise
    return file


@contextmanager
def damage_in(path: Path, what: str) -> Iterator[None]:
    """Turn any error while a part of a file is read into a `ShowerFileError`."""
    try:
        yield
    except DAMAGE as error:
        raise ShowerFileError(f"{path} is damaged: {what} can't be read ({reason(error)}).") from None


def reason(error: BaseException) -> str:
    """Return the first sentence of an exception's message."""
    said = " ".join(str(error).split()).partition(". ")[0].rstrip(".")
    return printable(said[:_LONGEST]) or type(error).__name__


def printable(name: str) -> str:
    """Return a name that any terminal can show."""
    return name.encode("utf-8", "backslashreplace").decode()


class Wanted(NamedTuple):
    """What a dataset of n entries must contain.

    Attributes
    ----------
    kinds
        Kinds of numbers, as numpy's letters.
    tail
        Shape of one entry.
    """

    kinds: str
    tail: tuple[int, ...] = ()


_KINDS = {"b": "truth values", "i": "whole numbers", "u": "whole numbers", "f": "numbers"}


def checked_dataset(group: h5py.Group, name: str, wanted: Wanted, path: Path) -> h5py.Dataset:
    """Return a dataset; raises `ShowerFileError` if it is missing or has other numbers."""
    found = _found(group, name)
    if not isinstance(found, h5py.Dataset):
        raise ShowerFileError(f"{path} is damaged: it has no dataset '{printable(name)}'.")
    if found.shape is None or found.shape[1:] != wanted.tail or not found.shape:
        shape = f"({', '.join(['N', *map(str, wanted.tail)])})"
        raise ShowerFileError(
            f"{path} is damaged: '{printable(name)}' has shape {found.shape} instead of {shape}."
        )
    if found.dtype.kind not in wanted.kinds:
        raise ShowerFileError(
            f"{path} is damaged: '{printable(name)}' holds {found.dtype} instead of "
            f"{_KINDS[wanted.kinds[0]]}."
        )
    return found


def _found(group: h5py.Group, name: str) -> object:
    """Return what has a name such as ``cells/index``; None if part of the name is missing or not a group."""
    found: object = group
    for part in name.split("/"):
        found = found.get(part) if isinstance(found, h5py.Group) else None
    return found


def _check_file(path: Path) -> None:
    if path.is_dir():
        raise ShowerFileError(f"{path} is a folder; give a file of showers.")
    if not path.exists():
        raise ShowerFileError(f"{path} does not exist.")
    if not path.is_file():  # a pipe or a device, which may never end
        raise ShowerFileError(f"{path} is not an ordinary file; give a file of showers.")
    try:
        with path.open("rb") as raw:
            head = raw.read(len(_SIGNATURE))
    except OSError as error:
        raise ShowerFileError(f"{path} can't be read: {error.strerror}.") from None
    if not head:
        raise ShowerFileError(f"{path} is empty (0 bytes).")
    if not _SIGNATURE.startswith(head) and not h5py.is_hdf5(path):
        raise ShowerFileError(f"{path} is not an HDF5 file, whatever its name says; give a file of showers.")


def _check_content(file: h5py.File, path: Path) -> None:
    """Check each name in a file once, without opening anything that is stored elsewhere."""
    waiting, groups = [file["/"]], {_address(file["/"])}
    while waiting:
        group = waiting.pop()
        for name in group:
            place = printable(f"{group.name.rstrip('/')}/{name}".lstrip("/"))
            # The link is checked before it is followed, which would open the other file.
            _check_link(group.get(name, getlink=True), path, place)
            found = group[name]
            if isinstance(found, h5py.Dataset):
                _check_storage(found, path, place)
            elif isinstance(found, h5py.Group):
                if _address(found) in groups:
                    raise ShowerFileError(
                        f"{path} is not a file of showers: its group '{place}' is in a loop of names."
                    )
                groups.add(_address(found))
                waiting.append(found)


def _address(group: h5py.Group) -> int:
    return int(h5py.h5o.get_info(group.id).addr)


def _check_link(link: object, path: Path, place: str) -> None:
    if isinstance(link, h5py.HardLink):
        return
    if isinstance(link, h5py.ExternalLink):
        raise _elsewhere(path, f"'{place}' is a link into another file ({printable(link.filename)})")
    raise _elsewhere(
        path, f"'{place}' is a soft link ({printable(getattr(link, 'path', 'of unknown kind'))})"
    )


def _elsewhere(path: Path, what: str) -> ShowerFileError:
    return ShowerFileError(f"{path} is refused: {what}. Write the file again with all its numbers in it.")


def _check_storage(dataset: h5py.Dataset, path: Path, place: str) -> None:
    if dataset.is_virtual:
        raise _elsewhere(path, f"'{place}' is a virtual dataset, whose values lie in other files")
    if dataset.external:
        name = printable(str(dataset.external[0][0]))
        raise _elsewhere(path, f"'{place}' has its values in another file ({name})")
    size = dataset.id.get_type().get_size()
    declared = 0 if dataset.shape is None else prod(dataset.shape) * size
    held = _room(dataset, size)
    if declared > max(held, size):  # a single value may be a zero that was never written
        raise ShowerFileError(
            f"{path} is damaged: '{place}' declares {declared // size} entries, but what is stored of it has "
            f"room for at most {held // size}."
        )
    if dataset.chunks is not None:
        check_memory(
            prod(dataset.chunks) * size,
            f"The compressed pieces of '{place}' in {path}",
            "have the file written again in smaller ones",
            ShowerFileError,
        )


def _room(dataset: h5py.Dataset, size: int) -> int:
    """Return the most bytes that the stored part of a dataset can expand to."""
    stored = int(dataset.id.get_storage_size())
    if dataset.chunks is None:
        return stored
    plan = dataset.id.get_create_plist()
    filters = [plan.get_filter(number)[0] for number in range(plan.get_nfilters())]
    chunks = dataset.id.get_num_chunks() * prod(dataset.chunks) * size
    # Of other filters nothing is known; then only the chunks that exist are a limit.
    if set(filters) <= _BOUNDED:
        return int(min(chunks, stored * _SHRINKS ** filters.count(h5py.h5z.FILTER_DEFLATE)))
    return int(chunks)
