"""Cells as arrays over radius, angle and depth, as in Geant4's example Par04 and similar files."""

from math import prod

import numpy as np
import numpy.typing as npt

from caloforge.errors import InputError
from caloforge.formats._sidecar import Numbers
from caloforge.geometry import Calorimeter, RingLayer

__all__ = ["Mesh", "from_mesh", "in_words", "mesh_of", "misfit", "to_mesh"]

Mesh = tuple[int, int, int]
"""Number of rings, sectors and layers."""


def mesh_of(geometry: Calorimeter, layout: str) -> Mesh:
    """Return the mesh of a calorimeter.

    Raises
    ------
    InputError
        Its layers are not rings, or not all alike.
    """
    shapes = {layer.shape for layer in geometry.layers}
    if len(shapes) > 1 or not isinstance(geometry.layers[0], RingLayer):
        raise InputError(
            f"The layout '{layout}' holds layers that are cut into the same rings and sectors, and "
            f"{geometry.name} has others."
        )
    n_alpha, n_r = shapes.pop()
    return n_r, n_alpha, len(geometry.layers)


def misfit(mesh: tuple[int, ...], geometry: Calorimeter, layout: str) -> str | None:
    """Return why showers over a mesh can't be of a calorimeter, or None."""
    try:
        wanted = mesh_of(geometry, layout)
    except InputError:
        return "its layers are not cut into the same rings and sectors"
    return (
        None if mesh == wanted else f"the showers have {in_words(mesh)}, the calorimeter {in_words(wanted)}"
    )


def in_words(mesh: tuple[int, ...]) -> str:
    """Return a mesh in words."""
    return f"{mesh[0]} rings x {mesh[1]} sectors x {mesh[2]} layers"


def from_mesh(showers: Numbers) -> Numbers:
    """Turn showers (n, rings, sectors, layers) into cells (n, n_cells)."""
    # In memory a shower is ordered by layer, then sector, then ring: the axes in reverse.
    return showers.transpose(0, 3, 2, 1).reshape(len(showers), prod(showers.shape[1:]))


def to_mesh(cells: npt.NDArray[np.float32], mesh: Mesh) -> npt.NDArray[np.float32]:
    """Turn cells (n, n_cells) into showers (n, rings, sectors, layers): the inverse of `from_mesh`."""
    return cells.reshape(len(cells), *mesh[::-1]).transpose(0, 3, 2, 1)
