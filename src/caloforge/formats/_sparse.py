"""Checks of the sparse cells in files. Errors give the number of the shower in the file."""

from typing import Any

import numpy as np
import numpy.typing as npt

from caloforge.errors import InputError

__all__ = ["Integers", "checked_bounds", "checked_energies", "checked_index"]

Integers = npt.NDArray[np.int64]

_LARGEST = np.finfo(np.float32).max


def checked_bounds(bounds: npt.NDArray[Any], n_cells: int, start: int) -> Integers:
    """Return where the entries of each shower begin, from shower ``start`` on, and where the last one ends.

    Raises
    ------
    InputError
        They do not ascend, or a shower has more entries than there are cells.
    """
    places = bounds.astype(np.int64)
    counts = np.diff(places)
    if places[0] < 0 or (counts < 0).any():
        raise InputError("The bounds in 'cells/indptr' do not ascend.")
    if (counts > n_cells).any():
        first = int(np.argmax(counts > n_cells))
        raise InputError(
            f"Shower {start + first} has {counts[first]} entries, more than there are cells ({n_cells})."
        )
    return places


def checked_index(index: npt.NDArray[Any], shower: Integers, n_cells: int, start: int) -> Integers:
    """Return the cell numbers of entries; ``shower`` has the shower of each entry.

    Raises
    ------
    InputError
        There is no such cell, or a shower has one twice.
    """
    wrong = (index < 0) | (index >= n_cells)
    if wrong.any():
        at = int(np.argmax(wrong))
        raise InputError(
            f"Shower {start + shower[at]} names cell {index[at]}; cells are numbered 0 to {n_cells - 1}."
        )
    cells = index.astype(np.int64)
    # In 64 bits: the number of a cell among all showers exceeds 32 bits.
    places = shower * n_cells + cells
    if not (np.diff(places) > 0).all():  # they do as caloforge writes them, which saves the sort
        places.sort()
        twice = np.flatnonzero(np.diff(places) == 0)
        if len(twice):
            number, cell = divmod(int(places[twice[0]]), n_cells)
            raise InputError(f"Shower {start + number} has cell {cell} twice.")
    return cells


def checked_energies(energies: npt.NDArray[Any], shower: Integers, start: int) -> npt.NDArray[np.float32]:
    """Return the energies of entries in MeV; raises `InputError` if one is not possible."""
    wrong = ~((energies >= 0) & (energies <= _LARGEST))
    if wrong.any():
        at = int(np.argmax(wrong))
        raise InputError(
            f"A cell of shower {start + shower[at]} is {energies[at]:g} MeV; cells are finite and not "
            "negative."
        )
    return energies.astype(np.float32)
