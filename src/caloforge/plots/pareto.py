"""Fidelity of generators against their speed."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import cycle
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.text import Annotation
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter
from matplotlib.transforms import Bbox
from numpy.typing import NDArray

from caloforge.plots import _style

__all__ = ["Fidelity", "Floats", "NamedSpeed", "pareto"]

Floats = NDArray[np.float64]

_MARKERS = "oDs^v"
_SIZE = 8.0
_US = 1e3  # microseconds in a millisecond
_BAND = "#E4E4E4"
_AWAY = 9.0
"""Points between a marker and its name."""


@dataclass(frozen=True)
class Fidelity:
    """A metric of n generators that is better when it is lower.

    Attributes
    ----------
    label
        In words.
    value, error
        (n,) nan where a generator has none.
    floor
        (n,) what two samples of the reference give.
    """

    label: str
    value: Floats
    error: Floats
    floor: Floats


@dataclass(frozen=True)
class NamedSpeed:
    """Something that makes showers, and the time (ms) in which it makes one."""

    name: str
    ms: float


def pareto(
    generators: Sequence[NamedSpeed],
    metrics: Sequence[Fidelity],
    simulation: NamedSpeed | None = None,
    *,
    ylabel: str,
    logarithmic: bool = False,
    lines: Sequence[str] = (),
) -> Figure:
    """Draw metrics of generators against the time they take for a shower; the best are at the bottom left.

    Parameters
    ----------
    generators
        n names with times.
    metrics
        Each has a different marker; the points of a generator are joined.
    simulation
        The simulation for comparison: drawn at the floor, with an axis of the generators' gain in speed.
    ylabel
        Label of the axis of the metrics.
    logarithmic
        Whether that axis is logarithmic.
    lines
        Lines below the picture.
    """
    with _style.style():
        figure = _style.new_figure(8.0, 4.7)
        figure.set_label("fidelity against speed")
        axes = figure.subplots()
        line = _draw_floor(axes, metrics)
        points = [_draw(axes, one, n, metrics, colour) for n, (one, colour) in _coloured(generators)]
        names = [(one.name, colour) for _, (one, colour) in _coloured(generators)]
        if simulation is not None:
            floor = float(np.nanmean([np.nanmean(metric.floor) for metric in metrics]))
            axes.plot(_US * simulation.ms, floor, "*", markersize=14, color="black", clip_on=False)
            points.append(np.array([[_US * simulation.ms, floor]]))
            names.append((simulation.name, "black"))
        axes.set(xscale="log", yscale="log" if logarithmic else "linear", ylabel=ylabel)
        axes.set_xlabel("time of a shower [µs]")
        axes.margins(x=0.08, y=0.1)
        _decades(axes)
        if simulation is not None:
            _gain(axes, simulation)
        _style.footer(figure, *lines)
        legend = axes.legend(fontsize="small", loc="best")
        figure = _style.settle(figure)
        _name(axes, names, points, [legend.get_window_extent(), line.get_window_extent()])
        return figure


def _coloured(generators: Sequence[NamedSpeed]) -> Any:
    return enumerate(zip(generators, cycle(_style.COLOURS), strict=False))


def _decades(axes: Any) -> None:
    axes.xaxis.set_major_locator(LogLocator(numticks=20))
    axes.xaxis.set_major_formatter(FuncFormatter(_number))
    axes.xaxis.set_minor_formatter(NullFormatter())


def _number(value: float, _: object) -> str:
    return f"{value:,.0f}" if value >= 1 else f"{value:g}"


def _draw_floor(axes: Axes, metrics: Sequence[Fidelity]) -> Line2D:
    floors = np.concatenate([metric.floor for metric in metrics])
    low, high = float(np.nanmin(floors)), float(np.nanmax(floors))
    axes.axhspan(low, high, color=_BAND, linewidth=0, zorder=0)
    line = axes.axhline(
        (low + high) / 2, color=_style.GREY, linestyle="--", linewidth=0.9, zorder=0,
        label="floor: two samples of the reference",
    )  # fmt: skip
    for marker, metric in zip(_MARKERS, metrics, strict=False):
        axes.plot([], [], marker, color=_style.GREY, markersize=_SIZE - 1, label=metric.label)
    return line


def _draw(axes: Axes, one: NamedSpeed, n: int, metrics: Sequence[Fidelity], colour: str) -> Floats:
    """Draw a generator; return its points (metrics, 2)."""
    values = np.array([metric.value[n] for metric in metrics])
    at = np.full(len(values), _US * one.ms)
    axes.plot(at, values, ":", color=colour, linewidth=1.2)
    for marker, metric, value in zip(_MARKERS, metrics, values, strict=False):
        axes.errorbar(at[0], value, metric.error[n], fmt=marker, color=colour, markersize=_SIZE)
    return np.asarray(np.column_stack([at, values])[np.isfinite(values)])


def _gain(axes: Axes, simulation: NamedSpeed) -> None:
    """Add the axis of how many times faster than the simulation a generator is."""
    above = axes.twiny()
    low, high = axes.get_xlim()
    above.set(xscale="log", xlim=(_US * simulation.ms / low, _US * simulation.ms / high))
    above.set_xlabel(f"times faster than {simulation.name}")
    _decades(above)


def _name(
    axes: Axes, names: Sequence[tuple[str, str]], points: Sequence[Floats], taken: Sequence[Bbox]
) -> None:
    """Write names next to their points, where they do not cover points or each other."""
    half = _SIZE * axes.figure.dpi / 72 / 2
    marks = [box for each in points for box in _boxes(axes, each, half)]
    taken = [*taken, *marks]
    for (name, colour), each in zip(names, points, strict=True):
        for place in _places(each):
            text = _annotate(axes, name, colour, place)
            box = text.get_window_extent()
            inside = axes.bbox.x0 <= box.x0 and box.x1 <= axes.bbox.x1
            inside &= axes.bbox.y0 <= box.y0 and box.y1 <= axes.bbox.y1
            if inside and not any(box.overlaps(other) for other in taken):
                break
            text.remove()
        else:
            box = _annotate(axes, name, colour, _places(each)[0]).get_window_extent()
        taken.append(box)


def _boxes(axes: Axes, points: Floats, half: float) -> list[Bbox]:
    """Return the areas of a generator's markers and of the line that joins them."""
    if not len(points):
        return []
    places = axes.transData.transform(points)
    low, high = places.min(axis=0), places.max(axis=0)
    line = Bbox([[low[0] - 2, low[1]], [high[0] + 2, high[1]]])
    return [line, *(Bbox([place - half, place + half]) for place in places)]


def _places(points: Floats) -> list[tuple[Floats, float, float]]:
    """Return where a name may be, the best first: a point, and the distance from it in points."""
    ordered = points[np.argsort(points[:, 1])][[-1, 0]] if len(points) else np.ones((1, 2))
    offsets = [(x, y) for y in (0.0, 8.0, -8.0, 16.0, -16.0) for x in (_AWAY, -_AWAY)]
    offsets += [(0.0, y) for y in (_AWAY + 3, -_AWAY - 3)]
    return [(point, *offset) for offset in offsets for point in ordered]


def _annotate(axes: Axes, name: str, colour: str, place: tuple[Floats, float, float]) -> Annotation:
    point, x, y = place
    side = {1: "left", -1: "right", 0: "center"}[int(np.sign(x))]
    return axes.annotate(
        name, (float(point[0]), float(point[1])), xytext=(x, y), textcoords="offset points", color=colour,
        fontsize=10, fontweight="bold", va="center", ha=side,
    )  # fmt: skip
