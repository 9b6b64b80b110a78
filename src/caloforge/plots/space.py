"""One shower in space: its layers as planes along the particle's direction."""

from typing import Any

import numpy as np
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from mpl_toolkits.mplot3d.art3d import Line3DCollection, Poly3DCollection  # type: ignore[import-untyped]
from numpy.typing import NDArray

from caloforge.plots import _cells, _style
from caloforge.plots._cells import AnyLayer
from caloforge.showers import Showers, checks, labels

__all__ = ["Floats", "shower_3d"]

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
    are coloured areas in true eta and phi, on one logarithmic colour scale in MeV.

    Raises
    ------
    InputError
        There is no shower i.
    """
    shower = checks.check_one(showers, i)
    number = labels.shower_number(shower, i)
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
        _style.title(figure, labels.headline(shower))
        note = "layers at equal distances, not to scale"
        _style.footer(figure, f"{labels.describe(shower, number=number)}  ·  {note}")
        return _style.settle(figure)


def _draw_plane(axes: Any, depth: int, layer: AnyLayer, image: Floats, scale: LogNorm, crowded: bool) -> None:
    """Draw one layer. Deeper ones are behind, so they are drawn first; crowded ones show hit cells only."""
    order = -10 * depth
    whole = [_at(depth, _cells.outline(layer))]
    face, edge = ("none", "#C8C8C8") if crowded else ((1.0, 1.0, 1.0, 0.85), "#666666")
    axes.add_collection3d(
        Poly3DCollection(whole, facecolors=face, edgecolors=edge, linewidths=0.7, zorder=order)
    )
    if not crowded and layer.n_cells <= _MANY:
        borders = [_at(depth, line) for line in _cells.lines(layer)]
        lines = Line3DCollection(borders, colors="#DCDCDC", linewidths=0.3)
        lines.set_zorder(order + 1)
        axes.add_collection3d(lines)
    hit = image > 0
    if not hit.any():
        return
    colours = _style.energy_map()(scale(image[hit]))
    cells = Poly3DCollection(
        _at(depth, _cells.polygons(layer, hit)),
        facecolors=colours,
        edgecolors=colours,
        linewidths=0.1,
        zorder=order + 2,
    )
    cells.set_rasterized(bool(hit.sum() > _MANY))
    axes.add_collection3d(cells)


def _at(depth: float, points: Floats) -> Floats:
    """Return points (..., 2) of a layer, eta and phi, in space: (..., 3) as depth, eta and phi."""
    return np.concatenate([np.full((*points.shape[:-1], 1), depth), points], axis=-1)


def _draw_particle(axes: Any, shower: Showers) -> None:
    """Draw the incident particle as an arrow from its direction to where it meets the first layer."""
    layers = shower.geometry.layers
    size, step = float(np.ptp(_cells.extent(layers[0])[1])), _lead(layers)
    place, slope = shower.incident.position[0].astype(float), _slope(shower, size / step)

    def on_its_way(before: float, up: float = 0.0) -> tuple[float, float, float]:
        eta, phi = place - before * step * slope
        return -before * step, eta, phi + up * size

    colour = _style.ORANGE
    shaft = [[on_its_way(1.0), on_its_way(0.2)]]
    head = [[on_its_way(0.05), on_its_way(0.22, 0.03), on_its_way(0.22, -0.03)]]
    axes.add_collection3d(Line3DCollection(shaft, colors=colour, linewidths=2.2, zorder=10))
    axes.add_collection3d(Poly3DCollection(head, facecolors=colour, edgecolors="none", zorder=10))
    name = labels.particle_text(shower)
    axes.text(*on_its_way(1.07), name, color=colour, fontsize=14, ha="right", va="center", zorder=10)


def _slope(shower: Showers, most: float) -> Floats:
    """Return how far (eta, phi) in mm the particle moves from layer to layer, at most so far."""
    first, along = shower.geometry.layers[0], shower.incident.unit_direction[0]
    slope = along[:2] / max(along[2], 1e-6) * (first.z[1] - first.z[0])
    return np.asarray(slope * min(1.0, most / max(float(np.hypot(*slope)), 1e-12)))


def _lead(layers: tuple[AnyLayer, ...]) -> float:
    """Return the length of the particle's arrow, in distances between layers."""
    return max(0.7, 0.2 * len(layers))


def _name(n: int, layers: tuple[AnyLayer, ...]) -> str:
    """Name a layer, with its place where there is room."""
    low, high = layers[n].z
    return f"layer {n}" + (f"\n{low:g}–{high:g} mm" if len(layers) <= _CROWDED else "")


def _set_view(axes: Any, layers: tuple[AnyLayer, ...]) -> None:
    """Look along the particle's direction, from above and from the side: eta to the right, phi upwards."""
    eta, phi = np.concatenate([_cells.extent(layer) for layer in layers], axis=1)
    # Downwards eta makes the picture right-handed: phi x eta = z, as in the frame of the calorimeter.
    axes.set(
        xlim=(-_lead(layers), len(layers) - 0.9), ylim=(eta.max(), eta.min()), zlim=(phi.min(), phi.max())
    )
    named = range(0, len(layers), -(-len(layers) // _CROWDED))
    axes.set_xticks(named, [_name(n, layers) for n in named])
    for set_ticks, values in ((axes.set_yticks, eta), (axes.set_zticks, phi)):
        ticks = [values.min(), 0.0, values.max()]
        set_ticks(ticks, [f"{tick:.4g}".replace("-", "\N{MINUS SIGN}") for tick in ticks])
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
