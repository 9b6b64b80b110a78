"""Growing HDF5 datasets that are compressed as fast as showers are generated.

HDF5 compresses with plain zlib, which takes several times as long as the fastest generator. Here ISA-L makes
bytes that any HDF5 library reads (shuffled, then deflated), a whole chunk at a time, and they are written to
the file as they are.
"""

from collections.abc import Iterator
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt
from isal import isal_zlib

__all__ = ["Growing"]

_LEVEL = 1
_HEADER = b"\x78\x01"  # of zlib: deflate with a window of 32 KiB, fastest level
_LONGEST = 65_535  # bytes of a stored block, whose length has 16 bits
_SAMPLE = 4096
_WORTHWHILE = 0.97  # of its length: a sample that shrinks less is stored uncompressed
_SHUFFLED_AND_DEFLATED = [h5py.h5z.FILTER_SHUFFLE, h5py.h5z.FILTER_DEFLATE]


class Growing:
    """A dataset whose end is held back until a chunk is full, so that each chunk is written only once.

    Parameters
    ----------
    dataset
        Chunked and extensible along its first axis; what it holds is kept. With filters other than shuffling
        and deflation, the HDF5 library compresses.
    """

    def __init__(self, dataset: h5py.Dataset) -> None:
        self._dataset = dataset
        self._length = len(dataset)
        self._chunk = np.zeros(dataset.chunks, dataset.dtype)
        self._filled = self._length % len(self._chunk)
        self._chunk[: self._filled] = dataset[self._length - self._filled :]
        self._direct = _filters(dataset) == _SHUFFLED_AND_DEFLATED

    def __len__(self) -> int:
        return self._length

    def extend(self, values: npt.NDArray[Any]) -> None:
        """Append values; `finish` must follow the last ones."""
        while len(values):
            part = values[: len(self._chunk) - self._filled]
            self._chunk[self._filled : self._filled + len(part)] = part
            self._filled += len(part)
            self._length += len(part)
            values = values[len(part) :]
            if self._filled == len(self._chunk):
                self._write()
                self._filled = 0

    def finish(self) -> None:
        """Write the last, incomplete chunk."""
        if self._filled:
            self._chunk[self._filled :] = 0  # a part of a chunk is stored as a whole one
            self._write()

    def _write(self) -> None:
        self._dataset.resize(self._length, axis=0)
        start = self._length - self._filled
        if self._direct:
            origin = (start, *[0] * (self._chunk.ndim - 1))
            # Past the filters of HDF5, which would compress the bytes a second time.
            self._dataset.id.write_direct_chunk(origin, _compressed(self._chunk))
        else:
            self._dataset[start:] = self._chunk[: self._filled]


def _filters(dataset: h5py.Dataset) -> list[int]:
    plan = dataset.id.get_create_plist()
    return [plan.get_filter(number)[0] for number in range(plan.get_nfilters())]


def _compressed(chunk: npt.NDArray[Any]) -> bytes:
    """Return all first bytes of the values, all second ones and so on (HDF5's shuffling), as a zlib stream.

    The lower bytes of measured numbers are noise and are stored uncompressed: the attempt to compress them
    would take longer than everything else.
    """
    single = chunk.view(np.uint8).reshape(-1, chunk.dtype.itemsize)
    shuffled = np.ascontiguousarray(single.T)
    noisy = len(shuffled) - 1 if chunk.dtype.kind == "f" and not _shrinks(shuffled[-2]) else 0
    # Raw deflate (negative window), so that stored blocks can be put in front of it within one zlib stream.
    # The checksum at the end covers the uncompressed bytes of both.
    deflate = isal_zlib.compressobj(_LEVEL, isal_zlib.DEFLATED, -isal_zlib.MAX_WBITS)
    deflated = deflate.compress(shuffled[noisy:]) + deflate.flush()
    check = isal_zlib.adler32(shuffled).to_bytes(4, "big")
    return b"".join([_HEADER, *_stored(shuffled[:noisy].reshape(-1)), deflated, check])


def _shrinks(row: npt.NDArray[np.uint8]) -> bool:
    """Whether the end of a row gets smaller; in a chunk that is not full, the end is empty and does."""
    return len(isal_zlib.compress(row[-_SAMPLE:], _LEVEL)) < _WORTHWHILE * min(_SAMPLE, len(row))


def _stored(values: npt.NDArray[np.uint8]) -> Iterator[bytes]:
    """Yield stored blocks of values (RFC 1951, Sec. 3.2.4), none of which is marked as the last."""
    for start in range(0, len(values), _LONGEST):
        part = values[start : start + _LONGEST].tobytes()
        yield b"\x00" + len(part).to_bytes(2, "little") + (len(part) ^ _LONGEST).to_bytes(2, "little")
        yield part
