"""Checks, before a training begins, that memory and disk suffice."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch

from caloforge.errors import InputError
from caloforge.formats.open import open_any
from caloforge.geometry import Calorimeter
from caloforge.resources import check_disk, check_memory

__all__ = ["check", "enough_memory"]

_LOOKED_AT = 64  # showers from which the number of filled cells is estimated
_MOST_VALUES = 1 << 22  # cells of these showers, at most
_BYTES_PER_HIT = 8  # in the scratch file: a number and an energy
_BYTES_PER_SHOWER = 120  # its particle, the bounds of its cells, its place in an epoch
_BATCHES = 4  # that are held at once: as read, mirrored, generated, and on the way
_NO_MEMORY = ("can't allocate memory", "not enough memory", "Storage size calculation overflowed")


def check(paths: Sequence[Path], geometries: Sequence[Calorimeter], batch: int, scratch: Path) -> None:
    """Refuse a training whose showers do not fit.

    Parameters
    ----------
    paths
        Files of showers.
    geometries
        The read-outs to learn.
    batch
        Showers a step.
    scratch
        The folder on whose disk the filled cells are kept while the training runs.

    Raises
    ------
    InputError
        The message says how much the training would take and how much is free.
    """
    cells = max(geometry.n_cells for geometry in geometries)
    showers, hits = 0, 0.0
    for path in paths:
        number, filled = _looked_into(path)
        showers, hits = showers + number, hits + number * min(filled, cells)
    what = f"Training on {showers:,} showers"
    check_disk(scratch, _BYTES_PER_HIT * hits, what)
    dense = 4.0 * _BATCHES * min(batch, showers) * cells
    check_memory(_BYTES_PER_SHOWER * showers + dense, f"{what} of {cells:,} cells in batches of {batch:,}")


def _looked_into(path: Path) -> tuple[int, float]:
    """Return the number of showers in a file, and how many cells are hit in one on average."""
    with open_any(path) as file:
        some = min(len(file), _LOOKED_AT, max(1, _MOST_VALUES // file.geometry.n_cells))
        filled = np.count_nonzero(file.read(0, some).cells) / some if some else 0.0
        return len(file), float(filled)


@contextmanager
def enough_memory() -> Iterator[None]:
    """Turn torch's errors about too little memory into one sentence.

    Raises
    ------
    InputError
        There was not enough memory for a tensor.
    """
    try:
        yield
    except RuntimeError as error:  # including torch.OutOfMemoryError of accelerators
        if not (isinstance(error, torch.OutOfMemoryError) or any(text in str(error) for text in _NO_MEMORY)):
            raise
        raise InputError(
            "The model and its batches do not fit into the memory: choose smaller layers (--set) or a "
            "smaller --batch."
        ) from None
