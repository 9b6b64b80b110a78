"""Pictures of an evaluation: two samples compared by numbers that were computed before.

All functions take the sample first and the reference second; ``names`` and ``lines`` are those of
both samples: in the legend, and below the picture.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from caloforge.geometry import Calorimeter
from caloforge.observables.base import Observable
from caloforge.plots import _style
from caloforge.plots.histograms import Histogram, common_edges, compare, draw_ratio, name_samples
from caloforge.units import GeV

__all__ = [
    "Captions",
    "Floats",
    "Points",
    "Values",
    "against_energy",
    "cell_spectra",
    "conditional_response",
    "correlations",
    "distances",
    "distributions",
    "profiles",
]

Floats = NDArray[np.float64]
Values = Mapping[str, Floats]

_COLUMNS = 4
_NARROWEST = 6.2  # inches that the legend needs
_MOST_ROWS = 40
_MOST_LABELS = 80
_BAND = "#D9D9D9"


@dataclass(frozen=True)
class Captions:
    """Text around a picture of two samples: their names, and lines below."""

    names: tuple[str, str]
    lines: Sequence[str] = ()


@dataclass(frozen=True)
class Points:
    """Values with errors against something, (n,) each; nan where there is none."""

    at: Floats
    value: Floats
    error: Floats


def distributions(
    observables: Sequence[Observable], values: Values, reference: Values, title: str, captions: Captions
) -> Figure:
    """Draw distributions of observables with their ratios, four in a row (as Fig. 12 of the paper).

    ``values`` and ``reference`` hold (N,) and (M,) by the names of the observables.
    """
    columns = min(_COLUMNS, len(observables))
    rows = math.ceil(len(observables) / columns)
    with _style.style():
        figure = _style.new_figure(max(3.1 * columns, _NARROWEST), 2.8 * rows + 0.9)
        figure.set_label(title)
        panels = figure.subfigures(rows, columns, squeeze=False)
        for one, panel in zip(observables, panels.flat, strict=False):
            compare(panel, one, values[one.name], reference[one.name])
        name_samples(figure, *captions.names)
        lines = [*captions.lines, "outermost bins hold what lies beyond; bars and bands: statistical errors"]
        _style.footer(figure, *lines)
        return _style.settle(figure)


def conditional_response(
    responses: Mapping[float, Floats], reference: Mapping[float, Floats], captions: Captions
) -> Figure:
    """Draw the response at several incident energies, each with its ratio (as Fig. 13 of the paper).

    Parameters
    ----------
    responses, reference
        Responses E_tot/E by incident energy in MeV.
    """
    energies = sorted(set(responses) & set(reference))
    columns = min(_COLUMNS, len(energies))
    rows = math.ceil(len(energies) / columns)
    with _style.style():
        figure = _style.new_figure(3.1 * columns + 0.4, 2.9 * rows + 0.9)
        figure.set_label("response at several incident energies")
        panels = figure.subfigures(rows, columns, squeeze=False)
        for energy, panel in zip(energies, panels.flat, strict=False):
            above, below = panel.subplots(2, 1, height_ratios=(3, 1), sharex=True)
            edges = common_edges(responses[energy], reference[energy])
            first, second = (Histogram.of(one[energy], edges) for one in (responses, reference))
            _draw_pair(above, edges, first, second)
            above.set(ylim=(0, 1.15 * max(first.share.max(), second.share.max())), ylabel="fraction / bin")
            above.set_title(f"{energy / GeV:g} GeV")
            draw_ratio(below, edges, first, second)
            below.set_xlabel(r"$E_\mathrm{tot}/E$")
            below.xaxis.set_major_locator(MaxNLocator(4))
        name_samples(figure, *captions.names)
        _style.footer(figure, *captions.lines)
        return _style.settle(figure)


def against_energy(
    response: tuple[Points, Points], resolution: tuple[Points, Points], captions: Captions
) -> Figure:
    """Draw mean response and resolution against incident energy (GeV), with their ratios below."""
    panels = (
        (response, r"mean response $\langle E_\mathrm{tot}/E\rangle$", False),
        (resolution, "resolution (std/mean of the response)", True),
    )
    with _style.style():
        figure = _style.new_figure(9.6, 4.6)
        figure.set_label("mean response and resolution against energy")
        for part, (pair, label, logarithmic) in zip(
            figure.subfigures(1, 2, squeeze=False).flat, panels, strict=True
        ):
            above, below = part.subplots(2, 1, height_ratios=(3, 1), sharex=True)
            _draw_points(above, below, pair, captions.names)
            above.set_ylabel(label)
            if logarithmic and _positive(pair):
                above.set(xscale="log", yscale="log")
            below.set_xlabel("incident energy [GeV]")
        figure.axes[0].legend(fontsize="small")
        _style.footer(figure, *captions.lines)
        return _style.settle(figure)


def profiles(
    longitudinal: tuple[Points, Points], radial: tuple[Points, Points], captions: Captions
) -> Figure:
    """Draw the mean share of the energy by layer, and by distance (mm) from the axis, with ratios below."""
    with _style.style():
        figure = _style.new_figure(9.6, 4.6)
        figure.set_label("longitudinal and radial profiles")
        labels = ("layer", "distance of the cell's centre from the axis [mm]")
        for part, pair, label in zip(
            figure.subfigures(1, 2, squeeze=False).flat, (longitudinal, radial), labels, strict=True
        ):
            above, below = part.subplots(2, 1, height_ratios=(3, 1), sharex=True)
            _draw_points(above, below, pair, captions.names)
            above.set(yscale="log" if _positive(pair) else "linear", ylabel="mean share of the energy")
            below.set_xlabel(label)
        figure.axes[0].xaxis.set_major_locator(MaxNLocator(integer=True))
        figure.axes[0].legend(fontsize="small")
        _style.footer(figure, *captions.lines)
        return _style.settle(figure)


def cell_spectra(
    geometry: Calorimeter,
    edges: Floats,
    counts: tuple[Floats, Floats],
    showers: tuple[int, int],
    captions: Captions,
) -> Figure:
    """Draw the spectrum of the cells' energies, layer by layer.

    Parameters
    ----------
    edges
        (bins + 1,) in MeV, logarithmic.
    counts
        (L, bins) cells of all showers, of either sample.
    showers
        How many showers these are.
    """
    totals = counts[1].sum(axis=1) + counts[0].sum(axis=1)
    layers = _style.leading(totals, at_most=_COLUMNS) if len(totals) > _COLUMNS else range(len(totals))
    seen = np.flatnonzero((counts[0] + counts[1]).sum(axis=0))
    bins = slice(seen[0], seen[-1] + 1) if seen.size else slice(0, 1)
    with _style.style():
        figure = _style.new_figure(3.1 * len(layers) + 0.4, 4.2)
        figure.set_label("spectrum of the cells' energies")
        parts = figure.subfigures(1, len(layers), squeeze=False)
        for layer, part in zip(layers, parts.flat, strict=True):
            above, below = part.subplots(2, 1, height_ratios=(3, 1), sharex=True)
            first, second = (
                Histogram(one[layer, bins] / n, np.sqrt(one[layer, bins]) / n)
                for one, n in zip(counts, showers, strict=True)
            )
            inside = edges[bins.start : bins.stop + 1]
            _draw_pair(above, inside, first, second)
            least, most = 0.5 / max(showers), max(first.share.max(), second.share.max())
            above.set_ylim(least, 2 * max(most, 10 * least))
            above.set(xscale="log", yscale="log", ylabel="cells / shower / bin", title=f"layer {layer}")
            draw_ratio(below, inside, first, second)
            below.set_xlabel("energy of a cell [MeV]")
        name_samples(figure, *captions.names)
        _style.footer(figure, *captions.lines, "errors as if cells were independent")
        return _style.settle(figure)


def correlations(matrices: tuple[Floats, Floats], labels: Sequence[str], captions: Captions) -> Figure:
    """Draw the correlation coefficients (d, d) of observables in both samples, and their difference."""
    difference = matrices[0] - matrices[1]
    size = min(5.2, 2.6 + 0.05 * len(labels))
    with _style.style():
        figure = _style.new_figure(3 * size + 1.5, size + 1.9, layout="compressed")
        figure.set_label("correlations of observables, and their difference")
        panels = figure.subplots(1, 3)
        titles = (*captions.names, "difference")
        for axes, matrix, title in zip(panels, (*matrices, difference), titles, strict=True):
            mesh = axes.imshow(matrix, cmap=_style.RATIO_MAP, vmin=-1, vmax=1, interpolation="none")
            axes.set_title(title, fontsize="medium")
            axes.tick_params(length=0)
            axes.set(xticks=[], yticks=[])
        if len(labels) <= _MOST_LABELS:
            panels[0].set_yticks(range(len(labels)), labels, fontsize=max(3.0, min(8.0, 240 / len(labels))))
        figure.colorbar(mesh, ax=panels.tolist(), label="correlation coefficient", pad=0.01, shrink=0.8)
        _style.footer(figure, *captions.lines)
        return _style.settle(figure)


def distances(
    labels: Sequence[str], values: Points, floors: Points, metric: str, captions: Captions
) -> Figure:
    """Draw one metric of all observables with its floor, the largest on top.

    Parameters
    ----------
    labels
        Of the observables.
    values, floors
        The metric and its floor, (n,) each; `Points.at` is not used.
    metric
        Name of the metric on the axis.
    """
    order = np.argsort(values.value)[-_MOST_ROWS:]
    at = np.arange(len(order))
    with _style.style():
        figure = _style.new_figure(8.2, 1.6 + 0.21 * len(order))
        figure.set_label(f"{metric} of each observable, with its floor")
        axes = figure.subplots()
        for points, colour, marker, name in (
            (floors, _style.GREY, "s", "floor: two samples of the reference"),
            (values, _style.BLUE, "o", captions.names[0]),
        ):
            axes.errorbar(
                points.value[order], at, xerr=points.error[order], fmt=marker, markersize=4, color=colour,
                elinewidth=1.0, label=name,
            )  # fmt: skip
        axes.hlines(at, 0, 1, transform=axes.get_yaxis_transform(), color="#EEEEEE", linewidth=0.8, zorder=0)
        positive = np.concatenate([values.value[order], floors.value[order]])
        if (positive > 0).all():
            axes.set_xscale("log")
        axes.set_yticks(at, [labels[i] for i in order], fontsize=8)
        axes.set(ylim=(-0.7, len(order) - 0.3), xlabel=metric)
        figure.legend(loc="outside upper center", ncols=2, fontsize="small")
        hidden = len(labels) - len(order)
        rest = [f"the {len(order)} largest of {len(labels)}"] if hidden else []
        _style.footer(figure, *captions.lines, *rest)
        return _style.settle(figure)


def _draw_pair(axes: Axes, edges: Floats, first: Histogram, second: Histogram) -> None:
    axes.stairs(second.share, edges, fill=True, color=_BAND)
    axes.stairs(second.share, edges, color=_style.GREY, linewidth=0.8)
    axes.stairs(first.share, edges, color=_style.BLUE, linewidth=1.3)
    middles = (edges[:-1] + edges[1:]) / 2
    axes.errorbar(middles, first.share, first.error, fmt="none", ecolor=_style.BLUE, elinewidth=0.8)
    axes.set_xlim(edges[0], edges[-1])


def _positive(pair: tuple[Points, Points]) -> bool:
    """Whether any point can be on a logarithmic axis."""
    return any(bool((points.value > 0).any()) for points in pair)


def _draw_points(above: Axes, below: Axes, pair: tuple[Points, Points], names: tuple[str, str]) -> None:
    """Draw points of two samples, and the ratio of the first to the second."""
    for points, name, colour, marker in zip(
        pair[::-1], names[::-1], (_style.GREY, _style.BLUE), ("s", "o"), strict=True
    ):
        above.errorbar(
            points.at, points.value, points.error, fmt=f"{marker}-", markersize=4, linewidth=0.8,
            color=colour, label=name,
        )  # fmt: skip
    first, second = pair
    if len(first.at) == len(second.at):
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = first.value / second.value
            error = np.abs(ratio) * np.hypot(first.error / first.value, second.error / second.value)
        below.errorbar(first.at, ratio, error, fmt="o-", markersize=3, linewidth=0.8, color=_style.BLUE)
    below.axhline(1, color=_style.GREY, linewidth=0.8)
    below.set_ylabel("ratio")
    below.yaxis.set_major_locator(MaxNLocator(4))
