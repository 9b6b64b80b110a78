"""Showers and their nearest neighbours: their images, and the distances between them."""

from collections.abc import Mapping, Sequence

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from caloforge.metrics.nearest_neighbours import Neighbours
from caloforge.plots import _cells, _style
from caloforge.plots._cells import AnyLayer
from caloforge.showers import Showers, checks, labels

__all__ = ["Floats", "Rows", "distances", "neighbours"]

_MOST_LAYERS = 3
_BINS = 40
_BULK = 0.99
"""Part of the showers that is in a histogram; its last bin holds those beyond."""

Floats = NDArray[np.float64]
Rows = NDArray[np.intp]


def neighbours(reference: Showers, generated: Showers, found: Sequence[Neighbours]) -> Figure:
    """Draw showers above their nearest neighbours, layer by layer (Paganini et al. 2018, Figs. 9 to 11).

    Of calorimeters with many layers it shows those that hold most energy. One colour scale holds for a layer.

    Parameters
    ----------
    reference, generated
        The samples.
    found
        Neighbours in each layer.

    Raises
    ------
    InputError
        A sample is empty, or the two have different cells.
    """
    checks.check_pair(reference, generated)
    chosen = _style.main_layers(reference, at_most=_MOST_LAYERS)
    shown = [one for one in found if one.layer in chosen]
    columns = max(len(one.reference) for one in shown)
    with _style.style():
        figure = _style.new_figure(1.75 * columns + 1.3, 4.3 * len(shown) + 0.8)
        figure.set_label("showers and their nearest neighbours, layer by layer")
        panels = figure.subfigures(len(shown), 1, squeeze=False)[:, 0]
        names = labels.sample_names(reference, generated)
        for one, panel in zip(shown, panels, strict=True):
            _draw_layer(panel, one, (reference, generated), names)
        _style.footer(
            figure,
            *(labels.describe(sample) for sample in (reference, generated)),
            "below an image: its distance to the one above (in brackets: that of the nearest other shower of "
            "the reference, among as many)",
            *labels.choice_text(chosen, reference.geometry),
        )
        return _style.settle(figure)


def _draw_layer(
    panel: mpl.figure.SubFigure,
    found: Neighbours,
    samples: tuple[Showers, Showers],
    names: tuple[str, str],
) -> None:
    layer = samples[0].geometry.layers[found.layer]
    rows = (found.reference, found.generated)
    images = [_images(sample, found.layer, row) for sample, row in zip(samples, rows, strict=True)]
    scale = _style.energy_scale(*images)
    grid = panel.subplots(2, len(found.reference), squeeze=False)
    for row, pictures, name in zip(grid, images, names, strict=True):
        for axes, picture in zip(row, pictures, strict=True):
            mesh = _draw(axes, layer, picture, scale)
        row[0].set_ylabel(name, fontsize="small")
    for axes, shower in zip(grid[0], found.reference, strict=True):
        axes.set_title(labels.energy_text(float(samples[0].energy[shower])), fontsize="small", pad=3)
    for axes, distance, own in zip(grid[1], found.distance, found.own, strict=True):
        axes.set_xlabel(_apart(distance, own), fontsize="x-small")
    low, high = layer.z
    panel.suptitle(f"layer {found.layer}  ({low:g}–{high:g} mm)", fontsize="medium")
    bar = panel.colorbar(mesh, ax=grid.ravel().tolist(), label="energy per cell [MeV]", pad=0.01)
    bar.outline.set_linewidth(0.5)


def _apart(distance: float, own: float) -> str:
    reference = f" ({labels.energy_text(own)})" if np.isfinite(own) else ""
    return labels.energy_text(distance) + reference


def _images(sample: Showers, layer: int, rows: Rows) -> NDArray[np.float32]:
    return sample.geometry.split(sample.cells[rows])[layer]


def _draw(
    axes: mpl.axes.Axes, layer: AnyLayer, image: NDArray[np.float32], scale: mpl.colors.LogNorm
) -> mpl.collections.QuadMesh:
    """Draw one image between its true edges, without numbers."""
    energies = np.ma.masked_less_equal(np.repeat(image, _cells.chords(layer), axis=0), 0)
    mesh = axes.pcolormesh(
        *_cells.corners(layer), energies, norm=scale, cmap=_style.energy_map(), rasterized=True
    )
    axes.set(aspect="equal", xticks=(), yticks=())
    return mesh


def distances(to_nearest: Mapping[str, Floats]) -> Figure:
    """Draw how far showers are from their nearest neighbours.

    Parameters
    ----------
    to_nearest
        Distances (Hellinger's, 0 to sqrt 2) by what is compared, such as ``generated to training``.
    """
    most = max((float(np.quantile(values, _BULK)) for values in to_nearest.values()), default=0.0)
    edges = np.linspace(0, most or 1.0, _BINS + 1)
    colours = (_style.BLUE, _style.GREY, _style.ORANGE)
    with _style.style():
        figure = _style.new_figure(6.2, 4.0)
        figure.set_label("distances to the nearest neighbour")
        axes = figure.subplots()
        for (name, values), colour in zip(to_nearest.items(), colours, strict=False):
            share = np.histogram(np.minimum(values, edges[-1]), edges)[0] / len(values)
            axes.stairs(
                share, edges, color=colour, linewidth=1.5, label=f"{name}: median {np.median(values):.3g}"
            )
        axes.set(
            xlabel="distance of the shares of energy in the cells, but for flips",
            ylabel="fraction of showers / bin",
            xlim=(edges[0], edges[-1]),
            ylim=(0, None),
        )
        if to_nearest:
            axes.legend()
        _style.footer(
            figure, "0: a copy, but for flips and a factor in energy; the last bin holds what lies beyond"
        )
        return _style.settle(figure)
