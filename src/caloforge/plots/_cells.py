"""The outlines of cells in eta and phi, for boxes and for rings cut into sectors."""

import math

import numpy as np
from numpy.typing import NDArray

from caloforge.geometry import Layer, RingLayer

__all__ = ["AnyLayer", "Floats", "chords", "corners", "extent", "lines", "outline", "polygons"]

Floats = NDArray[np.float64]
AnyLayer = Layer | RingLayer

_CHORDS = 96
"""Straight lines at least that a circle is drawn with."""


def chords(layer: AnyLayer) -> int:
    """Return the number of straight lines that the arc of one cell is drawn with: 1 for boxes."""
    return math.ceil(_CHORDS / layer.n_alpha) if isinstance(layer, RingLayer) else 1


def corners(layer: AnyLayer) -> tuple[Floats, Floats]:
    """Return eta and phi (mm) of the corners of a mesh, (rows * chords + 1, columns + 1) each."""
    if isinstance(layer, RingLayer):
        alpha = np.linspace(-np.pi, np.pi, layer.n_alpha * chords(layer) + 1)[:, None]
        return layer.r.edges * np.cos(alpha), layer.r.edges * np.sin(alpha)
    eta, phi = np.meshgrid(layer.eta.edges, layer.phi.edges)
    return eta, phi


def polygons(layer: AnyLayer, chosen: NDArray[np.bool_]) -> Floats:
    """Return the outlines of the chosen cells of an image, (n, points, 2) as eta and phi in mm."""
    eta, phi = corners(layer)
    rows, columns = np.nonzero(chosen)
    steps = np.arange(chords(layer) + 1)
    along = rows[:, None] * chords(layer) + np.concatenate([steps, steps[::-1]])
    across = columns[:, None] + np.repeat([0, 1], len(steps))
    return np.stack([eta[along, across], phi[along, across]], axis=-1)


def outline(layer: AnyLayer) -> Floats:
    """Return the outline of the layer, (points, 2) as eta and phi in mm."""
    if isinstance(layer, RingLayer):
        eta, phi = corners(layer)
        return np.column_stack([eta[:, -1], phi[:, -1]])
    (left, right), (low, high) = layer.eta.edges[[0, -1]], layer.phi.edges[[0, -1]]
    return np.array([(left, low), (right, low), (right, high), (left, high)])


def lines(layer: AnyLayer) -> list[Floats]:
    """Return the borders between cells as lines across the layer, each (points, 2) as eta and phi in mm."""
    eta, phi = corners(layer)
    rows = range(0, len(eta), chords(layer))
    level = [np.column_stack([eta[row], phi[row]]) for row in rows]
    return level + [np.column_stack([eta[:, column], phi[:, column]]) for column in range(eta.shape[1])]


def extent(layer: AnyLayer) -> tuple[tuple[float, float], tuple[float, float]]:
    """Return from where to where the layer reaches in eta and in phi, in mm."""
    (left, low), (right, high) = outline(layer).min(axis=0), outline(layer).max(axis=0)
    return (float(left), float(right)), (float(low), float(high))
