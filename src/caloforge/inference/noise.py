"""The random numbers that models turn into showers."""

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

Noise = npt.NDArray[Any]
LEVELS = 128
"""Values of a byte of noise."""
_LOW_BITS = np.uint64(0x7F7F7F7F7F7F7F7F)  # of each byte those that make `LEVELS`


def _normals(stream: np.random.Generator, n: int, size: int) -> Noise:
    return stream.standard_normal((n, size), dtype=np.float32)


def _bytes(stream: np.random.Generator, n: int, size: int) -> Noise:
    # The words of the bit generator as they are: several times as fast as Generator.bytes.
    words = stream.bit_generator.random_raw(-(-n * size // 8)) & _LOW_BITS
    return words.astype("<u8", copy=False).view(np.uint8)[: n * size].reshape(n, size)


NOISES: dict[str, Callable[[np.random.Generator, int, int], Noise]] = {"normal": _normals, "bytes": _bytes}
