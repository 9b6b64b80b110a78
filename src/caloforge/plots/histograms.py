"""Distributions: shower shapes of two samples, and responses at several energies."""

import math
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from matplotlib.ticker import MaxNLocator
from numpy.typing import ArrayLike, NDArray

from caloforge.errors import InputError
from caloforge.geometry import Calorimeter
from caloforge.observables.base import Observable
from caloforge.observables.depth_width import DepthWidth
from caloforge.observables.lateral_width import LateralWidth
from caloforge.observables.layer_fraction import LayerFraction
from caloforge.observables.response import Response
from caloforge.observables.shower_depth import ShowerDepth
from caloforge.observables.sparsity import Sparsity
from caloforge.plots import _style
from caloforge.showers import Showers, checks, labels
from caloforge.units import GeV

__all__ = [
    "Floats",
    "Histogram",
    "common_edges",
    "compare",
    "draw_ratio",
    "name_samples",
    "response",
    "shapes",
]

_COLUMNS = 4
_TAIL = 0.005
"""Share of all showers, at either end, that an axis may leave out; the outermost bins count them in."""

_LONG = 30
"""Letters beyond which the name of an observable fills the width of a panel."""

_WINDOW = 0.05
"""Showers within this relative distance of an energy are taken for showers of that energy."""

Floats = NDArray[np.float64]


def shapes(showers: Showers, reference: Showers, observables: Sequence[Observable] | None = None) -> Figure:
    """Draw shower shapes of two samples as histograms with their ratios (Paganini et al. 2018, Fig. 12).

    Histograms are shares of all showers of their sample for which the quantity is defined; the outermost
    bins hold what lies beyond. Error bars and bands are statistical.

    Parameters
    ----------
    showers, reference
        The sample to look at, and the reference below it.
    observables
        What to draw; by default response, shower depth, and layer fractions, widths and sparsities.

    Raises
    ------
    InputError
        A sample is empty, or the two have different cells.
    """
    checks.check_pair(showers, reference)
    chosen = _style.main_layers(reference, at_most=_COLUMNS - 1)
    page = [list(observables)] if observables is not None else _default_page(chosen, reference.geometry)
    lines = [labels.describe(sample) for sample in (showers, reference)]
    lines += labels.choice_text(chosen, reference.geometry) if observables is None else []
    with _style.style():
        wanted, columns = list(chain.from_iterable(page)), min(_COLUMNS, len(page[0]))
        rows = math.ceil(len(wanted) / columns)
        figure = _style.new_figure(3.1 * columns, 2.8 * rows + 0.9)
        figure.set_label("shower shapes")
        panels = figure.subfigures(rows, columns, squeeze=False)
        for observable, panel in zip(wanted, panels.flat, strict=False):
            compare(panel, observable, observable(showers), observable(reference))
        name_samples(figure, *labels.sample_names(showers, reference))
        _style.footer(
            figure, *lines, "outermost bins hold what lies beyond; bars and bands: statistical errors"
        )
        return _style.settle(figure)


def response(showers: Showers, energies: ArrayLike) -> Figure:
    """Draw the deposited energy at several incident energies (Paganini et al. 2018, Fig. 13).

    Showers within 5 % of an energy are taken, their deposited energies scaled to it: at the left in GeV,
    at the right over the incident energy. Dashed lines mark the incident energies.

    Parameters
    ----------
    showers
        Showers of several energies.
    energies
        Incident energies in MeV.

    Raises
    ------
    InputError
        An energy is not above 0, or no shower is near it.
    """
    ordered = np.unique(np.asarray(energies, dtype=float))
    responses = [_responses_at(showers, energy) for energy in ordered]
    edges = common_edges(*responses)
    with _style.style():
        figure = _style.new_figure(10.0, 4.8)
        figure.set_label("deposited energy at several incident energies")
        left, right = figure.subplots(1, 2)
        colours = mpl.colormaps["viridis"](np.linspace(0.0, 0.85, len(ordered)))
        for energy, values, colour in zip(ordered, responses, colours, strict=True):
            share = Histogram.of(values, edges).share
            for axes, scale in ((left, energy / GeV), (right, 1.0)):
                axes.stairs(share, edges * scale, color=colour, linewidth=1.6)
                axes.axvline(
                    scale, color=colour if axes is left else _style.GREY, linestyle="--", linewidth=0.8
                )
            right.plot([], [], color=colour, linewidth=1.5, label=_response_text(energy, values))
        width = f"{100 * (edges[1] - edges[0]):.2g} % of E"
        for axes, label in ((left, r"$E_\mathrm{tot}$ [GeV]"), (right, r"response $E_\mathrm{tot}/E$")):
            axes.xaxis.set_major_locator(MaxNLocator(6))
            axes.set(xlabel=label, ylabel=f"fraction of showers / {width}", ylim=(0, None))
        left.set_xlim(0, 1.08 * max(edges[-1], 1) * ordered[-1] / GeV)
        figure.legend(loc="outside upper center", ncols=2, handlelength=1.5)
        _style.footer(figure, f"{labels.describe(showers)}  ·  dashed: incident energies")
        return _style.settle(figure)


@dataclass(frozen=True)
class Histogram:
    """Shares of showers per bin, with their statistical errors."""

    share: Floats
    error: Floats

    @classmethod
    def of(cls, values: Floats, edges: Floats) -> "Histogram":
        """Count values; what lies beyond the edges counts in the outermost bins."""
        counts = np.histogram(np.clip(values, edges[0], edges[-1]), edges)[0]
        total = max(int(counts.sum()), 1)
        return cls(counts / total, np.sqrt(counts) / total)


def _default_page(chosen: Sequence[int], geometry: Calorimeter) -> list[list[Observable]]:
    """Return the shapes of a small page in rows, for some layers."""
    widths = LateralWidth.every(geometry)  # first those along eta
    return [
        [Response(), *(LayerFraction(layer) for layer in chosen)],
        [ShowerDepth(), *(widths[layer] for layer in chosen)],
        [DepthWidth(), *(Sparsity(layer) for layer in chosen)],
    ]


def compare(panel: SubFigure, observable: Observable, values: Floats, reference: Floats) -> None:
    """Draw one observable of two samples, and the ratio of the first to the second below."""
    above, below = panel.subplots(2, 1, height_ratios=(3, 1), sharex=True)
    values, reference = values[np.isfinite(values)], reference[np.isfinite(reference)]
    edges = common_edges(values, reference)
    first, second = Histogram.of(values, edges), Histogram.of(reference, edges)
    middles = (edges[:-1] + edges[1:]) / 2
    above.stairs(second.share, edges, fill=True, color="#D9D9D9")
    above.stairs(second.share, edges, color=_style.GREY, linewidth=0.8)
    above.stairs(first.share, edges, color=_style.BLUE, linewidth=1.3)
    above.errorbar(middles, first.share, first.error, fmt="none", ecolor=_style.BLUE, elinewidth=0.8)
    above.set_xlim(edges[0], edges[-1])
    above.set_ylim(0, 1.15 * max(float(first.share.max()), float(second.share.max()), 1e-3))
    above.set_ylabel("fraction / bin")
    above.yaxis.set_major_locator(MaxNLocator(4))
    draw_ratio(below, edges, first, second)
    below.set_xlabel(_axis_label(observable))
    below.xaxis.set_major_locator(MaxNLocator(4))


def _axis_label(observable: Observable) -> str:
    """Name an observable, a long name on separate lines, since it would run into the next panel."""
    unit = f" [{observable.unit}]" if observable.unit else ""
    gap = "\n" if len(observable.label + unit) > _LONG else " "
    return f"{textwrap.fill(observable.label + ',', _LONG + 5)}{gap}${observable.symbol}${unit}"


def draw_ratio(axes: Axes, edges: Floats, first: Histogram, second: Histogram) -> None:
    """Draw the ratio with the errors of the first sample, on a band with those of the second."""
    low, high = 0.4, 1.6
    there = second.share > 0
    scale = np.where(there, second.share, 1.0)
    ratio, error = first.share / scale, first.error / scale
    band = np.where(there, second.error / scale, 0.0)
    axes.stairs(
        np.minimum(1 + band, high), edges, baseline=np.maximum(1 - band, low), fill=True, color="#D9D9D9"
    )
    axes.axhline(1, color=_style.GREY, linewidth=0.8)
    middles = (edges[:-1] + edges[1:]) / 2
    shown = there & (ratio >= low) & (ratio <= high)
    axes.errorbar(
        middles[shown], ratio[shown], error[shown], fmt=".", markersize=3, color=_style.BLUE, elinewidth=0.8
    )
    above, below = (first.share > 0) & (~there | (ratio > high)), there & (ratio < low)
    for beyond, height, marker in ((above, high - 0.06, "^"), (below, low + 0.06, "v")):
        axes.plot(middles[beyond], np.full(beyond.sum(), height), marker, markersize=3, color=_style.BLUE)
    axes.set(xlim=(edges[0], edges[-1]), ylim=(low, high), yticks=(0.6, 1.0, 1.4), ylabel="ratio")


def common_edges(*samples: Floats) -> Floats:
    """Return common bins for samples; discrete values fall on the middles of bins and never between two."""
    values = np.concatenate(samples)
    if values.size == 0:
        return np.linspace(0.0, 1.0, 11)
    low, high = np.quantile(values, (_TAIL, 1 - _TAIL), method="nearest")
    wanted = int(np.clip(2 * min(len(sample) for sample in samples) ** (1 / 3), 8, 40))
    step = _quantum(values)
    if step is not None:
        together = max(1, math.ceil((high - low) / step / wanted))
        bins = max(1, math.ceil((high - low) / step / together + 1e-6))
        return np.asarray(low - step / 2 + step * together * np.arange(bins + 1))
    if high - low <= 1e-9 * max(abs(high), 1.0):
        low, high = low - 0.5, high + 0.5
    return np.linspace(low, high, wanted + 1)


def _quantum(values: Floats) -> float | None:
    """Return the step of which all distances between the values are multiples, if they are few; else None."""
    different = np.unique(np.round(values, 9))
    if not 2 <= different.size <= min(400, values.size / 2):
        return None
    step = float(np.diff(different).min())
    multiples = (different - different[0]) / step
    return step if np.allclose(multiples, np.round(multiples), atol=1e-3) else None


def name_samples(figure: Figure, first: str, second: str) -> None:
    """Name the samples once, above all panels."""
    lines = (
        mpl.lines.Line2D([], [], color=_style.BLUE, linewidth=1.5),
        mpl.patches.Patch(facecolor="#D9D9D9", edgecolor=_style.GREY),
    )
    figure.legend(lines, (first, second), loc="outside upper center", ncols=2)


def _responses_at(showers: Showers, energy: float) -> Floats:
    """Return the responses of the showers near an energy."""
    if not energy > 0:
        raise InputError(
            f"An incident energy of {energy / GeV:g} GeV is not possible: give energies above 0."
        )
    near = np.abs(showers.energy / energy - 1) <= _WINDOW
    if not near.any():
        raise InputError(
            f"No shower has an incident energy within 5 % of {energy / GeV:g} GeV: "
            f"the showers have {labels.energies_text(showers)}."
        )
    return Response()(showers[near])


def _response_text(energy: float, responses: Floats) -> str:
    mean, spread = float(responses.mean()), float(responses.std())
    width = f", resolution {100 * spread / mean:.3g} %" if mean > 0 else ""
    return (
        f"{energy / GeV:g} GeV: response {labels.with_error(mean, spread / math.sqrt(len(responses)))}{width}"
    )
