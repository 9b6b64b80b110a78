"""One shower in space: its layers as planes along the particle's direction."""

from typing import Any

import numpy as np
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from mpl_toolkits.mplot3d.art3d import Line3DCollection, Poly3DCollection  # type: ignore[import-untyped]
from numpy.typing import NDArray

from caloforge.geometry import Layer
from caloforge.plots import _style, words
from caloforge.showers import Showers

Floats = NDArray[np.float64]

_MANY = 3000
"""Rectangles from which on they are an image in a vector file."""

_CROWDED = 6
"""Layers from which on their planes are transparent and not all are named."""

_SQUARE = (-0.02, -0.28, 0.92, 0.92 * 9.0 / 5.2)
"""Axes in space are square; larger than the figure is high, they leave the picture its whole width."""


def shower_3d(showers: Showers, i: int) -> Figure:
    """Draw one shower in space (Paganini et al. 2018, Fig. 2).

    The layers are planes across the particle's direction, at equal distances (not to scale); hit cells
    are coloured rectangles in true eta and phi, on one logarithmic colour scale in MeV.

    Raises
    ------
    InputError
        There is no shower i.
    """
    shower = _style.check_one(showers, i)
    number = words.shower_number(shower, i)
    images = [image[0].astype(float) for image in shower.geometry.split(shower.cells)]
    with _style.style():
        figure = _style.new_figure(9.0, 5.2, layout=None)
        figure.set_label(f"shower {number} in space")
        axes: Any = figure.add_axes(_SQUARE, projection="3d", computed_zorder=False)
        scale = _style.energy_scale(*images)
        for depth, (layer, image) in enumerate(zip(shower.geometry.layers, images, strict=True)):
            _draw_plane(axes, depth, layer, image, scale, crowded=len(images) > _CROWDED)
        _draw_particle(axes, shower)
        _set_view(axes, shower.geometry.layers)
        extend = _style.extends_below(scale, *images)
        figure.colorbar(
            ScalarMappable(scale, _style.energy_map()),
            cax=figure.add_axes((0.895, 0.17, 0.018, 0.66)),
            label="energy per cell [MeV]",
            extend=extend,
        ).outline.set_linewidth(0.5)
        figure.suptitle(words.headline(shower))
        note = "layers at equal distances, not to scale"
        _style.footer(figure, f"{words.describe(shower, number=number)}  ·  {note}")
        return _style.settle(figure)


def _draw_plane(axes: Any, depth: int, layer: Layer, image: Floats, scale: LogNorm, crowded: bool) -> None:
    """Draw one layer. A deeper one lies behind, so it is drawn first; crowded ones show only what is hit."""
    order = -10 * depth
    whole = _rectangles(depth, layer.eta.edges[[0, -1]], layer.phi.edges[[0, -1]], np.ones((1, 1), bool))
    face, edge = ("none", "#C8C8C8") if crowded else ((1.0, 1.0, 1.0, 0.85), "#666666")
    axes.add_collection3d(
        Poly3DCollection(whole, facecolors=face, edgecolors=edge, linewidths=0.7, zorder=order)
    )
    if not crowded and layer.n_cells <= _MANY:
        lines = Line3DCollection(_grid_lines(depth, layer), colors="#DCDCDC", linewidths=0.3)
        lines.set_zorder(order + 1)
        axes.add_collection3d(lines)
    hit = image > 0
    if not hit.any():
        return
    colours = _style.energy_map()(scale(image[hit]))
    cells = Poly3DCollection(
        _rectangles(depth, layer.eta.edges, layer.phi.edges, hit),
        facecolors=colours,
        edgecolors=colours,
        linewidths=0.1,
        zorder=order + 2,
    )
    cells.set_rasterized(bool(hit.sum() > _MANY))
    axes.add_collection3d(cells)


def _rectangles(depth: int, eta: Floats, phi: Floats, hit: NDArray[np.bool_]) -> Floats:
    """Return the corners of the hit cells, (n_hit, 4, 3) as (depth, eta, phi)."""
    rows, columns = np.nonzero(hit)
    corners = np.empty((len(rows), 4, 3))
    corners[..., 0] = depth
    corners[..., 1] = eta[np.stack([columns, columns + 1, columns + 1, columns], axis=1)]
    corners[..., 2] = phi[np.stack([rows, rows, rows + 1, rows + 1], axis=1)]
    return corners


def _grid_lines(depth: int, layer: Layer) -> list[Floats]:
    """Return the outlines of all cells as lines across the plane."""
    eta, phi = layer.eta.edges, layer.phi.edges
    upright = [np.array([(depth, x, phi[0]), (depth, x, phi[-1])]) for x in eta]
    level = [np.array([(depth, eta[0], y), (depth, eta[-1], y)]) for y in phi]
    return upright + level


def _draw_particle(axes: Any, shower: Showers) -> None:
    """Draw the incident particle as an arrow onto the centre of the first layer."""
    size, step = float(np.ptp(shower.geometry.layers[0].phi.edges)), _lead(shower.geometry.layers)
    shaft = [[(-step, 0, 0), (-0.2 * step, 0, 0)]]
    head = [[(-0.05 * step, 0, 0), (-0.22 * step, 0, 0.03 * size), (-0.22 * step, 0, -0.03 * size)]]
    colour = _style.ORANGE
    axes.add_collection3d(Line3DCollection(shaft, colors=colour, linewidths=2.2, zorder=10))
    axes.add_collection3d(Poly3DCollection(head, facecolors=colour, edgecolors="none", zorder=10))
    name = words.particle_text(shower)
    axes.text(-1.07 * step, 0, 0, name, color=colour, fontsize=14, ha="right", va="center", zorder=10)


def _lead(layers: tuple[Layer, ...]) -> float:
    """Return the length of the particle's arrow, in distances between layers."""
    return max(0.7, 0.2 * len(layers))


def _set_view(axes: Any, layers: tuple[Layer, ...]) -> None:
    """Look along the particle's direction, from above and from the side: eta to the right, phi upwards."""
    eta = np.concatenate([layer.eta.edges for layer in layers])
    phi = np.concatenate([layer.phi.edges for layer in layers])
    # Downwards eta makes the picture right-handed: phi x eta = z, as in the frame of the calorimeter.
    axes.set(
        xlim=(-_lead(layers), len(layers) - 0.9), ylim=(eta.max(), eta.min()), zlim=(phi.min(), phi.max())
    )
    named = range(0, len(layers), -(-len(layers) // _CROWDED))
    axes.set_xticks(named, [f"layer {n}\n{layers[n].z[0]:g}–{layers[n].z[1]:g} mm" for n in named])
    axes.set_yticks([eta.min(), 0, eta.max()])
    axes.set_zticks([phi.min(), 0, phi.max()])
    axes.set_ylabel(r"$\eta$ [mm]")
    axes.zaxis.set_rotate_label(False)
    axes.tick_params(axis="z", pad=6)
    axes.set_zlabel(r"$\phi$ [mm]", rotation=90)
    axes.set_proj_type("persp", focal_length=0.8)
    sides = np.array([np.ptp(eta), np.ptp(phi)])
    axes.set_box_aspect((2.1, *sides / sides.max()), zoom=0.78)
    axes.view_init(elev=17, azim=-122)
    axes.grid(False)
    for axis in (axes.xaxis, axes.yaxis, axes.zaxis):
        axis.pane.set_visible(False)
