"""A check of the texts in an HDF5 file before HDF5 reads them: if they are damaged, it may never return.

Texts of variable length are in collections: a header, then objects with a header and a value each. Object 0
is the free space. HDF5 goes from one object to the next by their sizes, and may loop forever if a size is
damaged.

Reference: HDF5 File Format Specification, version 3, III.E (Global Heap).
"""

import os
import re
from pathlib import Path
from typing import BinaryIO

__all__ = ["has_broken_texts"]

_SIGNATURE = b"GCOL\x01\x00\x00\x00"
_HEADER = 16
_LOOKED_AT = 1 << 20  # bytes at each end of a file, where caloforge's own texts are


def has_broken_texts(path: Path) -> bool:
    """Whether a collection of texts near the beginning or the end of a file is damaged."""
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        starts = {0, max(0, size - _LOOKED_AT)}
        return any(_is_broken(_part(file, start)) for start in starts)


def _part(file: BinaryIO, start: int) -> bytes:
    file.seek(start)
    return file.read(_LOOKED_AT)


def _is_broken(content: bytes) -> bool:
    return any(not _is_whole(content, found.start()) for found in re.finditer(_SIGNATURE, content))


def _is_whole(content: bytes, start: int) -> bool:
    """Whether the sizes of objects lead to the end of a collection, or of the part of it that was read."""
    end = start + _number(content, start + 8)
    place = start + _HEADER
    while place + _HEADER <= min(end, len(content)):
        size = _number(content, place + 8)
        if int.from_bytes(content[place : place + 2], "little"):
            # The size of the free space includes its header; other sizes do not, and are padded to 8 bytes.
            size = _HEADER + -(-size // 8) * 8
        if size < _HEADER or place + size > end:
            return False
        place += size
    return True


def _number(content: bytes, place: int) -> int:
    return int.from_bytes(content[place : place + 8], "little")
