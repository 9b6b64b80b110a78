"""Time a shower takes against its energy."""

from collections.abc import Sequence
from dataclasses import dataclass

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator
from numpy.typing import NDArray

from caloforge.plots import _style

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Times:
    """Times of one way to make showers.

    Attributes
    ----------
    label
        Its name.
    simulated
        Whether it is the simulation, not a model.
    energies
        (k,) incident energies in GeV.
    ms, error
        (k,) time a shower in ms, and its error.
    """

    label: str
    simulated: bool
    energies: Floats
    ms: Floats
    error: Floats


def speed(times: Sequence[Times], lines: Sequence[str] = ()) -> Figure:
    """Draw the time a shower takes against its incident energy, in ms, for the simulation and for models.

    Parameters
    ----------
    times
        What to draw.
    lines
        What to write below.
    """
    models = [one for one in times if not one.simulated]
    colours = iter(mpl.colormaps["viridis"](np.linspace(0.0, 0.85, max(len(models), 1))))
    markers = iter("os^Dv<>Ph*" * len(times))
    with _style.style():
        figure = _style.new_figure(7.4, 4.8)
        figure.set_label("time a shower takes against its energy")
        axes = figure.subplots()
        for one in times:
            axes.errorbar(
                one.energies,
                one.ms,
                one.error,
                color=_style.ORANGE if one.simulated else next(colours),
                linestyle="--" if one.simulated else "-",
                marker=next(markers),
                markersize=4,
                linewidth=1.2,
                label=one.label,
            )
        axes.set(xscale="log", yscale="log", xlabel="incident energy [GeV]", ylabel="time a shower [ms]")
        axes.xaxis.set_major_locator(FixedLocator(sorted({float(e) for one in times for e in one.energies})))
        axes.xaxis.set_minor_locator(NullLocator())
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        figure.legend(loc="outside right upper", fontsize="small")
        _style.footer(figure, *lines)
        return _style.settle(figure)
