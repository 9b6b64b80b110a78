"""Showers as images: one shower layer by layer, and the average of many."""

import math
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection, QuadMesh
from matplotlib.colors import LogNorm, Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Circle
from matplotlib.ticker import FixedLocator, FuncFormatter, NullFormatter, NullLocator
from numpy.typing import NDArray

from caloforge.geometry import Calorimeter, RingLayer
from caloforge.plots import _cells, _style
from caloforge.plots._cells import AnyLayer
from caloforge.showers import Showers, checks, labels

__all__ = ["Average", "Image", "average", "averages", "layers"]

_FINE = 2000
"""Number of cells from which a mesh is an image in a vector file, without outlines of cells."""

_FINE_PAGE = 20_000
"""Cells of a page that may be drawn as vectors."""

_GRID = "#E2E2E2"
_FEW = 10
"""A cell has statistics for a ratio if at least so many showers of either sample hit it."""

_RATIO_TICKS = ((1.1, 1.25), (1.25, 1.5), (1.4, 2.0), (2.0, 4.0), (3.0, 10.0))
"""Ticks above 1 of the ratio's colour scale; the last one is its end. Ticks below 1 are their inverses."""

_WIDE = 4
"""Layers that fit next to each other on a page."""

_PANEL = 2.35
"""Width of one image in inches."""

_MOST_COLUMNS = 9

Image = NDArray[np.float64]


def layers(showers: Showers, i: int) -> Figure:
    """Draw one shower as one image per layer, in true geometry.

    Eta runs to the right and phi upwards, in mm; one logarithmic colour scale in MeV holds for all
    layers; empty cells are white (Paganini et al. 2018, Fig. 3).

    Raises
    ------
    InputError
        There is no shower i.
    """
    shower = checks.check_one(showers, i)
    number = labels.shower_number(shower, i)
    images = [image[0].astype(float) for image in shower.geometry.split(shower.cells)]
    total = sum(float(image.sum()) for image in images)
    with _style.style():
        figure = _layer_page(shower.geometry.layers, images, "energy per cell [MeV]", titles=2)
        figure.set_label(f"shower {number}, layer by layer")
        for axes, image in zip(figure.axes, images, strict=False):
            axes.title.set_text(f"{axes.get_title()}\n{_share_text(float(image.sum()), total)}")
        _style.title(figure, labels.headline(shower))
        _style.footer(figure, labels.describe(shower, number=number))
        return _style.settle(figure)


def average(showers: Showers, reference: Showers | None = None) -> Figure:
    """Draw the average energy per cell, layer by layer (Paganini et al. 2018, Figs. 6 to 8).

    With a second sample there are three rows: both averages on one colour scale, and their ratio,
    first over second, on a diverging one. Cells that hardly any shower hits, in either sample, are
    grey in the ratio.

    Raises
    ------
    InputError
        A sample is empty, or the two have different cells.
    """
    if reference is not None:
        checks.check_pair(showers, reference)
        lines = [labels.describe(sample) for sample in (showers, reference)]
        names = labels.sample_names(showers, reference)
        return averages(Average.of(showers), Average.of(reference), names, lines)
    checks.check_some(showers)
    with _style.style():
        label = "mean energy per cell [MeV]"
        figure = _layer_page(showers.geometry.layers, Average.of(showers).images, label, titles=1)
        figure.set_label("average shower")
        _style.title(figure, labels.average_headline(showers))
        _style.footer(figure, labels.describe(showers))
        return _style.settle(figure)


@dataclass(frozen=True)
class Average:
    """The average of n showers.

    Attributes
    ----------
    mean
        (n_cells,) energies in MeV.
    hits
        (n_cells,) showers that hit a cell.
    """

    geometry: Calorimeter
    mean: Image
    hits: NDArray[np.integer[Any]]
    n: int

    @classmethod
    def of(cls, showers: Showers) -> "Average":
        """Average showers in memory."""
        cells = showers.cells
        return cls(
            showers.geometry, cells.mean(axis=0, dtype=float), np.count_nonzero(cells, axis=0), len(cells)
        )

    @property
    def images(self) -> list[Image]:
        """Mean energy in MeV of every cell, (n_phi, n_eta) for each layer."""
        return [np.asarray(image, float) for image in self.geometry.split(self.mean)]


def averages(showers: Average, reference: Average, names: tuple[str, str], lines: Sequence[str]) -> Figure:
    """Draw two average showers and their ratio below each other (Paganini et al. 2018, Figs. 6 to 8).

    Parameters
    ----------
    showers, reference
        The sample and the reference.
    names
        Of both.
    lines
        What to write below.
    """
    geometry = showers.geometry
    chosen = _style.leading(geometry.layer_energies(showers.mean), at_most=_WIDE)
    parts = [geometry.layers[n] for n in chosen]
    images = [sample.images[n] for sample in (showers, reference) for n in chosen]
    with _style.style():
        figure, grid = _image_grid(3, len(parts), parts, titles=1, least=_PANEL)
        figure.set_label("average showers and their ratio")
        scale = _style.energy_scale(*images)
        for axes, layer, image in zip(grid[:2].flat, parts * 2, images, strict=True):
            mesh = _draw_energies(axes, layer, image, scale, _FINE)
        _energy_bar(figure, mesh, grid[:2], "mean energy per cell [MeV]", images)
        _ratio_row(figure, grid[2], chosen, showers, reference)
        _row_names(grid, names)
        for n, axes in zip(chosen, grid[0], strict=True):
            axes.set_title(_layer_title(n, geometry.layers[n]))
        _outer_labels(grid)
        _style.title(figure, "Average showers and their ratio")
        _style.footer(figure, *lines, *labels.choice_text(chosen, geometry))
        return _style.settle(figure)


def _layer_page(parts: Sequence[AnyLayer], images: Sequence[Image], label: str, titles: int) -> Figure:
    """Draw one image per layer, side by side or, if they are many, in rows."""
    columns = _columns(len(parts))
    crowded = columns > _WIDE
    figure, grid = _image_grid(math.ceil(len(parts) / columns), columns, parts, titles)
    scale, fine = _style.energy_scale(*images), min(_FINE, _FINE_PAGE // len(parts))
    for n, (axes, layer, image) in enumerate(zip(grid.flat, parts, images, strict=False)):
        mesh = _draw_energies(axes, layer, image, scale, fine)
        axes.set_title(_layer_title(n, layer, crowded), fontsize=_title_size(columns), pad=3)
    for axes in grid.flat[len(parts) :]:
        axes.set_axis_off()
    _energy_bar(figure, mesh, grid, label, images)
    _outer_labels(grid, crowded)
    return figure


def _title_size(columns: int) -> str:
    return "medium" if columns <= _WIDE else "x-small" if columns < _MOST_COLUMNS - 1 else "xx-small"


def _columns(n: int) -> int:
    """Return into how many columns n images go: a page that is full and about as wide as a sheet of paper."""
    if n <= _WIDE:
        return n

    def cost(columns: int) -> float:
        return -n % columns / n + 0.1 * abs(columns - math.sqrt(1.6 * n))

    return min(range(_WIDE, _MOST_COLUMNS + 1), key=cost)


def _image_grid(
    rows: int, columns: int, parts: Sequence[AnyLayer], titles: int, least: float = 0.6
) -> tuple[Figure, Any]:
    """Return a figure and its (rows, columns) array of axes, with room for title lines and a least height."""
    sides = [np.ptp(_cells.extent(layer), axis=1) for layer in parts]
    tall = max(float(phi / eta) for eta, phi in sides)
    gap = 0.55 if columns <= _WIDE else 0.15
    panel = _PANEL if columns <= _WIDE else 10.5 / columns - gap
    height = max(panel * min(tall, 3.0), least) + 0.4 * gap / 0.55 + 0.17 * titles - 0.17
    figure = _style.new_figure((panel + gap) * columns + 1.4, height * rows + 0.8, layout="compressed")
    return figure, figure.subplots(rows, columns, squeeze=False)


def _draw_energies(axes: Axes, layer: AnyLayer, image: Image, scale: LogNorm, fine: int) -> QuadMesh:
    return _draw(axes, layer, np.ma.masked_less_equal(image, 0), scale, _style.energy_map(), fine)


def _draw(
    axes: Axes, layer: AnyLayer, image: NDArray[Any], scale: Normalize, colours: Any, fine: int
) -> QuadMesh:
    """Draw one layer's image between its true edges in mm; ``fine`` cells and more as pixels."""
    pixels = layer.n_cells * _cells.chords(layer) > fine
    # An outline in the colour of the cell closes the seams that viewers of vector files show.
    mesh = axes.pcolormesh(
        *_cells.corners(layer),
        np.ma.repeat(image, _cells.chords(layer), axis=0),
        norm=scale,
        cmap=colours,
        rasterized=pixels,
        edgecolors="none" if pixels else "face",
        linewidth=0.0 if pixels else 0.1,
    )
    if layer.n_cells <= fine:
        grid = LineCollection(_cells.lines(layer), colors=_GRID, linewidths=0.4, zorder=0)
        axes.add_collection(grid, autolim=False)
    axes.set_aspect("equal")
    _set_ticks(axes, layer)
    return mesh


def _set_ticks(axes: Axes, layer: AnyLayer) -> None:
    """Mark the edges of a layer and its middle; the frame around rings is their circle."""
    limits = _cells.extent(layer)
    if isinstance(layer, RingLayer):
        axes.spines[:].set_visible(False)
        axes.add_patch(
            Circle((0, 0), layer.reach, fill=False, edgecolor="#333333", linewidth=0.7, clip_on=False)
        )
    for axis, (low, high) in zip((axes.xaxis, axes.yaxis), limits, strict=True):
        axis.set_major_locator(FixedLocator([low, (low + high) / 2, high]))
        axis.set_major_formatter(
            FuncFormatter(lambda value, _: f"{value:.0f}".replace("-", "\N{MINUS SIGN}"))
        )
    axes.set(xlim=limits[0], ylim=limits[1])
    axes.tick_params(direction="out", length=3)
    # labels at the ends stay within the image, so that those of neighbours do not meet
    below, above = axes.yaxis.get_ticklabels()[::2]
    below.set_verticalalignment("bottom")
    above.set_verticalalignment("top")
    left, right = axes.xaxis.get_ticklabels()[::2]
    left.set_horizontalalignment("left")
    right.set_horizontalalignment("right")


def _energy_bar(figure: Figure, mesh: QuadMesh, grid: Any, label: str, images: Sequence[Image]) -> None:
    scale = mesh.norm
    assert isinstance(scale, LogNorm)
    extend = _style.extends_below(scale, *images)
    slender = 20 * max(1.0, grid.shape[0] / 2)
    bar = figure.colorbar(
        mesh, ax=grid.ravel().tolist(), label=label, extend=extend, pad=0.02, aspect=slender
    )
    bar.outline.set_linewidth(0.5)


def _ratio_row(figure: Figure, row: Any, chosen: Sequence[int], first: Average, second: Average) -> None:
    """Draw the ratio of the average energies of two samples, cell by cell."""
    images = first.geometry.split(_ratio(first, second).filled(np.nan))
    ratios = [np.ma.masked_invalid(images[n]) for n in chosen]
    seen = np.concatenate([np.abs(np.log(ratio.compressed())) for ratio in ratios])
    bulk = float(np.exp(np.quantile(seen, 0.95))) if seen.size else 1.0
    upper = next((ticks for ticks in _RATIO_TICKS if bulk <= ticks[-1]), _RATIO_TICKS[-1])
    colours = mpl.colormaps[_style.RATIO_MAP].with_extremes(bad=_style.NO_DATA)
    scale = LogNorm(1 / upper[-1], upper[-1])
    for n, axes, ratio in zip(chosen, row, ratios, strict=True):
        mesh = _draw(axes, first.geometry.layers[n], ratio, scale, colours, _FINE)
    bar = figure.colorbar(mesh, ax=row.tolist(), label="ratio (grey: no statistics)", extend="both", pad=0.02)
    ticks = sorted([1.0, *upper, *(1 / tick for tick in upper)])
    bar.ax.yaxis.set_major_locator(FixedLocator(ticks))
    bar.ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.2g}"))
    bar.ax.yaxis.set_minor_locator(NullLocator())
    bar.ax.yaxis.set_minor_formatter(NullFormatter())
    bar.outline.set_linewidth(0.5)


def _ratio(first: Average, second: Average) -> np.ma.MaskedArray[Any, Any]:
    """Return the ratio of two means, (n_cells,), masked without statistics.

    A cell that only one of the samples reaches is not a lack of statistics but a difference: it gets
    a value beyond any range, so that the colour scale's ends show it.
    """
    enough = np.maximum(first.hits, second.hits) >= min(_FEW, first.n, second.n)
    nothing, far = 1e-30, 1e3
    ratio = np.clip(np.maximum(first.mean, nothing) / np.maximum(second.mean, nothing), 1 / far, far)
    return np.ma.masked_array(ratio, mask=~enough)


def _row_names(grid: Any, names: tuple[str, str]) -> None:
    first, second = names
    for row, name in zip(grid, (first, second, "ratio, top / middle"), strict=True):
        row[0].annotate(
            textwrap.fill(name, 24),
            (0, 0.5),
            xycoords="axes fraction",
            xytext=(-54, 0),
            textcoords="offset points",
            rotation=90,
            ha="right",
            va="center",
            weight="bold",
        )


def _outer_labels(grid: Any, crowded: bool = False) -> None:
    """Name the axes once: phi at the left, eta at the bottom of each column; number only these if crowded."""
    for row in grid:
        row[0].set_ylabel(r"$\phi$ [mm]")
        for axes in row[1:] if crowded else ():
            axes.tick_params(labelleft=False, left=False)
    for column in grid.T:
        below = [axes for axes in column if axes.axison]
        below[-1].set_xlabel(r"$\eta$ [mm]")
        for axes in below[:-1] if crowded else ():
            axes.tick_params(labelbottom=False, bottom=False)


def _layer_title(n: int, layer: AnyLayer, crowded: bool = False) -> str:
    low, high = (f"{z:.0f}" if crowded else f"{z:g}" for z in layer.z)
    return f"layer {n}  ({low}–{high} mm)"


def _share_text(energy: float, total: float) -> str:
    share = f" ({100 * energy / total:.3g} %)" if total > 0 else ""
    return f"{labels.energy_text(energy)}{share}" if energy > 0 else "no energy"
