"""How large a calorimeter may be, checked by arithmetic before anything is written out.

A description of a hundred bytes can ask for a billion cells; the limits lie above the largest calorimeters
that are built.
"""

from collections.abc import Mapping, Sequence
from typing import Any

__all__ = ["LONGEST", "MOST_BINS", "MOST_CELLS", "MOST_LAYERS", "MOST_SLABS", "check_layers", "check_size"]

MOST_CELLS = 10**8
"""Of all layers: a shower of so many cells takes 400 MB."""
MOST_BINS = 10**5
"""Along one direction of a layer."""
MOST_LAYERS = 10**4
MOST_SLABS = 10**4
"""With all repeats written out."""
LONGEST = 1e7
"""Largest coordinate in mm: 10 km."""

_SHOWN = 10**300  # what a float can hold


def check_size(what: str, found: int, most: int) -> None:
    """Refuse a number that is too large, by a `ValueError` that says both."""
    if found > most:
        raise ValueError(f"{what}: {_short(found)}, but at most {_short(most)} are possible.")


def check_layers(layers: Sequence[object]) -> None:
    """Refuse layers, as they are described, that stand for too many layers or cells.

    Raises
    ------
    ValueError
        The message says how many. Layers that are described wrongly count as one cell: what is wrong with
        them is said where they are read.
    """
    repeats = [_natural(_of(layer, "repeat")) for layer in layers]
    check_size("layers, with repeat written out", sum(repeats), MOST_LAYERS)
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
    return value if type(value) is int and value > 0 else 1


def _short(number: int) -> str:
    return f"{number:,}" if number < 10**15 else f"{float(min(number, _SHOWN)):.2g}"
