"""Cells as a sequence: on a spiral from the centre outwards, as autoregressive models take them."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from caloforge.errors import GeometryError
from caloforge.geometry.axis import Axis, Integers
from caloforge.geometry.calorimeter import AnyLayer, Calorimeter
from caloforge.geometry.layers import Layer

__all__ = ["check_segmentation", "spiral", "spiral_inputs"]


def spiral(layer: Layer) -> Integers:
    """Return the cells of a layer on a counter-clockwise spiral, each once.

    The spiral starts at the cell that contains the axis of the calorimeter (the one behind it, where the axis
    is an edge), steps towards larger eta first, and turns through sides of 1, 1, 2, 2, 3, 3, ... cells. It is
    a spiral in numbers of cells, whatever their sizes are; what lies outside of the layer is skipped. The
    paper shows such a path (arXiv:2212.08233, Fig. 2b) without saying where it starts in an even grid.

    Parameters
    ----------
    layer
        A layer of boxes.

    Returns
    -------
        (n_cells,) numbers within the layer, row-major [phi, eta].

    Examples
    --------
    >>> grid = Axis([-3.0, -1.0, 1.0, 3.0])
    >>> spiral(Layer((0.0, 1.0), grid, grid)).tolist()
    [4, 5, 8, 7, 6, 3, 0, 1, 2]
    """
    phi, eta = np.indices(layer.shape).reshape(2, -1)
    return np.argsort(_turned(eta - _central(layer.eta), phi - _central(layer.phi)))


def spiral_inputs(calorimeter: Calorimeter) -> dict[str, npt.NDArray[Any]]:
    """Return a read-out as autoregressive models take it.

    Returns
    -------
        ``cells_0``, ``cells_1``, ...: the cells of each layer in the order of its `spiral`, (D, 4) float32:
        eta and phi of the centre, and the extent in eta and phi, in mm; ``order``: the place of every cell in
        the sequence of all layers, (n_cells,) int64.

    Raises
    ------
    GeometryError
        A layer has rings.

    Examples
    --------
    >>> inputs = spiral_inputs(Calorimeter.load("calogan"))
    >>> list(inputs), inputs["cells_0"][0].tolist()
    (['cells_0', 'cells_1', 'cells_2', 'order'], [2.5, 0.0, 5.0, 160.0])
    """
    layers = [_boxes(layer, calorimeter.name) for layer in calorimeter.layers]
    spirals = [spiral(layer) for layer in layers]
    sequence = np.concatenate(
        [first + each for first, each in zip(calorimeter.offsets, spirals, strict=False)]
    )
    cells = {f"cells_{i}": _cells(layer)[spirals[i]] for i, layer in enumerate(layers)}
    return {**cells, "order": np.argsort(sequence)}


def check_segmentation(asked: Calorimeter, known: Calorimeter, most: Sequence[float] = ()) -> None:
    """Refuse a read-out that is more than another segmentation of a known one.

    Parameters
    ----------
    asked
        The read-out.
    known
        One that a model was trained on.
    most
        The most cells that it can draw in each layer (default: any number).

    Raises
    ------
    GeometryError
        Materials, depths, extent or the kind of cells differ, or there are too many cells.
    """
    trained = f"the model was trained for the layers of {known.name} cut into other cells"
    if not all(isinstance(layer, Layer) for layer in asked.layers):
        raise GeometryError(f"{asked.name} has rings instead of boxes of eta and phi: {trained}.")
    if asked.slabs != known.slabs or set(asked.visible) != set(known.visible):
        raise GeometryError(f"{asked.name} is made of other materials than {known.name}: {trained}.")
    z, z_known = ([layer.z for layer in one.layers] for one in (asked, known))
    if z != z_known:
        raise GeometryError(
            f"The layers of {asked.name} are {_depths(z)}, not {_depths(z_known)}: {trained}."
        )
    limits = most or [math.inf] * len(known.layers)
    for number, (layer, other, limit) in enumerate(zip(asked.layers, known.layers, limits, strict=True)):
        if _extent(layer) != _extent(other):
            raise GeometryError(
                f"Layer {number} of {asked.name} spans another area than that of {known.name}: {trained}."
            )
        if layer.n_cells > limit:
            raise GeometryError(
                f"Layer {number} of {asked.name} has {layer.n_cells:,} cells, but the model was trained for "
                f"at most {limit:,}: choose larger cells."
            )


def _turned(x: Integers, y: Integers) -> Integers:
    """Return the place of the points (x, y) on the spiral through all points of the plane.

    The square of the points at most r away ends at (r, -r), after (2 r + 1)^2 points; from there the four
    sides of the square are counted backwards, each from its last corner.
    """
    r = np.maximum(np.abs(x), np.abs(y))
    sides = [y == -r, x == -r, y == r]
    back = [r - x, 3 * r + y, 5 * r + x]
    return (2 * r + 1) ** 2 - 1 - np.select(sides, back, 7 * r - y)


def _central(axis: Axis) -> int:
    """Return the number of the cell that contains 0, or of the one nearest to it."""
    return int(np.clip(np.searchsorted(axis.edges, 0.0, side="right") - 1, 0, axis.n - 1))


def _cells(layer: Layer) -> npt.NDArray[np.float32]:
    """Return eta and phi of the centre of each cell and its extent in both, (n_cells, 4) in mm."""
    phi, eta = np.meshgrid(np.diff(layer.phi.edges), np.diff(layer.eta.edges), indexing="ij")
    return np.stack([*layer.centres, eta, phi], axis=-1).reshape(-1, 4).astype(np.float32)


def _boxes(layer: AnyLayer, name: str) -> Layer:
    if not isinstance(layer, Layer):
        raise GeometryError(f"{name} has rings; a spiral leads through boxes of eta and phi only.")
    return layer


def _depths(z: list[tuple[float, float]]) -> str:
    return ", ".join(f"{low:g} to {high:g} mm" for low, high in z)


def _extent(layer: AnyLayer) -> tuple[float, ...]:
    assert isinstance(layer, Layer)
    return tuple(float(edge) for axis in (layer.eta, layer.phi) for edge in axis.edges[[0, -1]])
