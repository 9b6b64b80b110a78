"""Time a shower takes against its energy."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import cycle
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator
from numpy.typing import NDArray

from caloforge.plots import _style

__all__ = ["Floats", "Times", "speed"]

Floats = NDArray[np.float64]

_LINES = ("-", ":", "-.", (0, (1, 1)))
"""Of models, by batch size: the largest first."""
_MARKERS = "sD^v<>Ph*"


@dataclass(frozen=True)
class Times:
    """Times of one way to make showers.

    Attributes
    ----------
    name
        Of the simulation, or of the model.
    particle
        Whose showers they are.
    batch
        Showers that are made at once; None for the simulation.
    energies
        (k,) incident energies in GeV.
    ms, error
        (k,) time a shower in ms, and its error.
    """

    name: str
    particle: str
    batch: int | None
    energies: Floats
    ms: Floats
    error: Floats


def speed(times: Sequence[Times], lines: Sequence[str] = ()) -> Figure:
    """Draw the time a shower takes against its incident energy, in ms, with a panel for each particle.

    A model has the same colour in all panels, and a line for each batch size.

    Parameters
    ----------
    times
        What to draw.
    lines
        What to write below.
    """
    particles = list(dict.fromkeys(one.particle for one in times))
    looks = _looks(times)
    with _style.style():
        figure = _style.new_figure(2.6 + 2.5 * max(len(particles), 1.6), 4.6)
        figure.set_label("time a shower takes against its energy")
        panels = figure.subplots(1, len(particles), sharey=True, squeeze=False)[0]
        for axes, particle in zip(panels, particles, strict=True):
            shown = [one for one in times if one.particle == particle]
            for one in shown:
                axes.errorbar(one.energies, one.ms, one.error, markersize=4, linewidth=1.3, **looks(one))
            _axes(axes, particle, shown)
        panels[0].set_ylabel("time of a shower [ms]")
        figure.legend(handles=_legend(times, looks), loc="outside right upper", fontsize="small")
        _style.footer(figure, *lines)
        return _style.settle(figure)


def _axes(axes: Axes, particle: str, times: Sequence[Times]) -> None:
    axes.set(xscale="log", yscale="log", xlabel="incident energy [GeV]", title=particle)
    axes.xaxis.set_major_locator(FixedLocator(sorted({float(e) for one in times for e in one.energies})))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,g}"))


def _looks(times: Sequence[Times]) -> Any:
    """Return what gives a line's look: colour and marker by the name, its style by the batch size."""
    names = dict.fromkeys(one.name for one in times if one.batch is not None)
    colours = dict(zip(names, cycle(_style.COLOURS), strict=False))
    markers = dict(zip(names, cycle(_MARKERS), strict=False))
    batches = sorted({one.batch for one in times if one.batch is not None}, reverse=True)
    styles = dict(zip(batches, cycle(_LINES), strict=False))

    def look(one: Times) -> dict[str, Any]:
        if one.batch is None:
            return {"color": "black", "marker": "o", "linestyle": "--"}
        return {"color": colours[one.name], "marker": markers[one.name], "linestyle": styles[one.batch]}

    return look


def _legend(times: Sequence[Times], looks: Any) -> list[Line2D]:
    """Return an entry for each name, then one for each batch size."""
    first = {one.name: one for one in reversed(times)}
    names = [
        Line2D([], [], label=name, **{**looks(first[name]), "linestyle": "-" if first[name].batch else "--"})
        for name in dict.fromkeys(one.name for one in times)
    ]
    sizes = {one.batch: one for one in times if one.batch is not None}
    return [
        *names,
        *(
            Line2D(
                [], [], color=_style.GREY, linestyle=looks(sizes[size])["linestyle"], label=f"batch {size}"
            )
            for size in sorted(sizes)
        ),
    ]
