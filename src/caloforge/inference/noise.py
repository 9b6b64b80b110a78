"""The random numbers that models turn into showers, which follow from the seed and the shower's number alone.

They come from Philox (Salmon et al., Parallel Random Numbers: As Easy as 1, 2, 3, SC11), a block cipher of a
counter: the seed is its key and the shower's number its counter. So any shower can be made alone, in any
order and together with any others.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["LEVELS", "NOISES", "Noise", "Words", "draw"]

Noise = npt.NDArray[Any]
Words = npt.NDArray[np.uint64]

LEVELS = 128
"""Values of a byte of noise."""

_STREAM = 2  # upper word of Philox's key; energies have 0, directions and positions 1
_WORDS = 4  # of 64 bits, in one step of the counter
_LOW_BITS = np.uint64(0x7F7F7F7F7F7F7F7F)  # of each byte those that make `LEVELS`
_UNIT = np.float32(2.0**-32)
_TURN = np.float32(2 * np.pi * 2.0**-32)


def draw(kind: str, size: int, seed: int, start: int, stop: int, attempt: int = 0) -> Noise:
    """Return the random numbers of showers start to stop of a seed.

    Parameters
    ----------
    kind
        "normal" (float32, standard normal) or "bytes" (uint8, 0 to `LEVELS` - 1, equally likely).
    size
        Random numbers for each shower.
    seed
        From 0 to 2^64 - 1.
    start, stop
        Numbers of the showers; stop is exclusive.
    attempt
        How often these showers were drawn before.

    Returns
    -------
    (stop - start, size)

    Examples
    --------
    >>> draw("bytes", 4, seed=1, start=0, stop=2)
    array([[  9, 107,  83,  53],
           [ 67,  15,  42, 115]], dtype=uint8)
    >>> draw("bytes", 4, seed=1, start=1, stop=2)  # the second shower alone
    array([[ 67,  15,  42, 115]], dtype=uint8)
    """
    in_a_word, make = NOISES[kind]
    # Each shower takes whole steps of the counter, so that it can be found by its number.
    steps = -(-size // (in_a_word * _WORDS))
    counter = np.array([start * steps, 0, attempt, 0], np.uint64)
    stream = np.random.Philox(key=np.array([seed, _STREAM], np.uint64), counter=counter)
    words = stream.random_raw((stop - start) * steps * _WORDS)
    return make(words.reshape(stop - start, steps * _WORDS))[:, :size]


def _normals(words: Words) -> Noise:
    """Make normal numbers from pairs of uniform ones (Box and Muller, Ann. Math. Stat. 29 (1958) 610)."""
    # Little endian everywhere, so that the parts of a word have the same order on any machine.
    whole = words.astype("<u8", copy=False).view(np.uint32)
    first, second = np.split(whole.astype(np.float32), 2, axis=1)
    # The half keeps the logarithm finite.
    radius = np.sqrt(np.float32(-2) * np.log((first + np.float32(0.5)) * _UNIT))
    angle = second * _TURN
    return np.concatenate([radius * np.cos(angle), radius * np.sin(angle)], axis=1)


def _bytes(words: Words) -> Noise:
    # Seven bits: products of 8-bit weights and bytes then can't saturate in 16 bits on any processor.
    words &= _LOW_BITS
    return words.astype("<u8", copy=False).view(np.uint8)


NOISES: dict[str, tuple[int, Callable[[Words], Noise]]] = {"normal": (2, _normals), "bytes": (8, _bytes)}
"""How many numbers a word of 64 bits gives, and how words (N, n) become numbers."""
