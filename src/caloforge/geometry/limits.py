"""Limits on the size of a calorimeter, checked on its description before any array is made.

A description of a hundred bytes can ask for a billion cells. The limits are above the largest calorimeters
that have been built.
"""

from collections.abc import Mapping, Sequence
from typing import Any

__all__ = ["LONGEST", "MOST_BINS", "MOST_CELLS", "MOST_LAYERS", "MOST_SLABS", "check_layers", "check_size"]

MOST_CELLS = 10**8
"""In all layers: a shower of this many cells takes 400 MB."""
MOST_BINS = 10**5
"""Along one direction of a layer."""
MOST_LAYERS = 10**4
MOST_SLABS = 10**4
"""With all repeats written out."""
LONGEST = 1e7
"""Largest coordinate in mm: 10 km."""

_SHOWN = 10**300  # converting a larger integer to a float would overflow


def check_size(what: str, found: int, most: int) -> None:
    """Raise `ValueError` if a number is too large; the message gives both."""
    if found > most:
        raise ValueError(f"{what}: {_short(found)}, but at most {_short(most)} are possible.")


def check_layers(layers: Sequence[object]) -> None:
    """Refuse descriptions of layers that stand for too many layers or cells.

    Raises
    ------
    ValueError
        The message gives the number. Layers with an error in their description count as one cell; the error
        is reported when they are read.
    """
    repeats = [_natural(_of(layer, "repeat")) for layer in layers]
    check_size("layers, with repeat written out", sum(repeats), MOST_LAYERS)
    # Python's integers do not overflow, however large the numbers in a description are.
    cells = sum(repeat * _cells(layer) for repeat, layer in zip(repeats, layers, strict=True))
    check_size("cells of all layers", cells, MOST_CELLS)


def _cells(layer: object) -> int:
    if not isinstance(layer, Mapping):
        return int(getattr(layer, "n_cells", 1))
    across = [_bins(layer.get(axis)) for axis in ("eta", "phi", "r")]
    return across[0] * across[1] * across[2] * _natural(layer.get("alpha"))


def _bins(axis: object) -> int:
    if not isinstance(axis, Mapping):
        return int(getattr(axis, "n", 1))
    edges = axis.get("edges")
    return len(edges) - 1 if isinstance(edges, Sequence) and len(edges) > 1 else _natural(axis.get("bins"))


def _of(layer: object, key: str) -> Any:
    return layer.get(key) if isinstance(layer, Mapping) else None


def _natural(value: object) -> int:
    # Not isinstance: True and False are integers, too.
    return value if type(value) is int and value > 0 else 1


def _short(number: int) -> str:
    return f"{number:,}" if number < 10**15 else f"{float(min(number, _SHOWN)):.2g}"
