"""The number of simulated showers that a generated sample is worth, and its distance to the truth."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from caloforge.metrics.amplification import AmplificationCurves, EffectiveSize, SampledDistances
from caloforge.plots import _style

__all__ = ["Floats", "amplification", "worth"]

_WIDE = 3
_MOST = 80
_FACTOR = 2.0
"""How far a picture reaches beyond its points."""

Floats = NDArray[np.float64]


def amplification(spaces: Sequence[AmplificationCurves]) -> Figure:
    """Draw the squared distance to the truth against the number of showers (Butter et al., arXiv:2008.06545).

    The distance of independent samples falls as one over their number. That of generated showers stops to
    fall where their number is no longer what limits them: there they are worth as many showers of the
    simulation as have this distance.
    """
    columns = min(len(spaces), _WIDE)
    rows = -(-len(spaces) // columns)
    with _style.style():
        figure = _style.new_figure(max(4.0 * columns, 6.4), 3.6 * rows + 0.9)
        figure.set_label("distance to the truth against the number of showers")
        grid = figure.subplots(rows, columns, squeeze=False)
        for axes, one in zip(grid.flat, spaces, strict=False):
            _draw(axes, one)
        for axes in grid.flat[len(spaces) :]:
            axes.set_axis_off()
        handles, labels = grid.flat[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside upper center", ncols=2, fontsize="small")
        _style.footer(
            figure,
            "distance: mean squared deviation of the shares of showers in the truth's quantiles, without",
            "that of the truth; they are worth the number where the blue line meets the grey one",
            "band: independent samples, one standard deviation; bars: errors of means of several draws",
        )
        return _style.settle(figure)


def _draw(axes: Axes, one: AmplificationCurves) -> None:
    sizes, mean, low, high = one.expected
    bottom = float(mean.min()) / _FACTOR
    axes.fill_between(sizes, np.maximum(low, bottom), high, color="#E2E2E2", linewidth=0)
    axes.plot(sizes, mean, color=_style.GREY, linewidth=1.0, label="independent samples, expected")
    _draw_points(axes, one.simulated, "o", "#333333", "samples of the truth")
    _draw_points(axes, one.generated, "s", _style.BLUE, "generated showers")
    number, distance = one.training
    axes.plot(number, max(distance, bottom), "*", color=_style.ORANGE, markersize=11, label="training sample")
    axes.axvline(number, color=_style.ORANGE, linewidth=0.8, linestyle=":")
    _draw_effective(axes, one, float(sizes[-1]))
    axes.set(
        xscale="log",
        yscale="log",
        xlim=(sizes[0], sizes[-1]),
        ylim=(bottom, None),
        xlabel="showers",
        ylabel="squared distance to the truth",
        title=one.label,
    )


def _draw_points(axes: Axes, points: SampledDistances, marker: str, colour: str, label: str) -> None:
    there = points.distance > 0
    axes.errorbar(
        points.sizes[there],
        points.distance[there],
        np.minimum(points.error[there], 0.9 * points.distance[there]),
        fmt=marker,
        markersize=4,
        color=colour,
        elinewidth=0.8,
        label=label,
    )


def _draw_effective(axes: Axes, one: AmplificationCurves, end: float) -> None:
    """Mark which numbers of showers the generated sample is worth."""
    worth, distance = one.effective, float(one.generated.distance[-1])
    axes.axvspan(
        worth.low, worth.high or end, color=_style.BLUE, alpha=0.15, linewidth=0, label="their worth"
    )
    if worth.value is not None:
        axes.axvline(worth.value, color=_style.BLUE, linewidth=0.8, linestyle="--")
        axes.axhline(distance, color=_style.BLUE, linewidth=0.8, linestyle="--")


def worth(spaces: Sequence[AmplificationCurves]) -> Figure:
    """Draw what a generated sample is worth in each observable, compared with its training showers.

    Of very many observables it shows those in which it is worth least.
    """
    least = np.argsort([one.effective.low for one in spaces], kind="stable")[:_MOST]
    chosen = [spaces[n] for n in sorted(least)]
    with _style.style():
        figure = _style.new_figure(7.4, 0.22 * len(chosen) + 1.7)
        figure.set_label("showers that the generated sample is worth")
        axes = figure.subplots()
        ends = [one.expected[0][[0, -1]] for one in spaces]
        first, last = min(end[0] for end in ends), max(end[1] for end in ends)
        for place, one in enumerate(chosen):
            _draw_worth(axes, place, one.effective, last)
        lowest = min(first, *(one.effective.low for one in spaces))
        number, generated = spaces[0].training[0], spaces[0].generated.sizes[-1]
        axes.axvline(number, color=_style.ORANGE, linewidth=1.2, label=f"training: {number:,} showers")
        axes.axvline(
            generated, color=_style.GREY, linewidth=1.0, linestyle="--", label=f"generated: {generated:,.0f}"
        )
        axes.set_yticks(range(len(chosen)), [one.label for one in chosen], fontsize=7)
        axes.set(
            xscale="log",
            xlim=(lowest / _FACTOR, last),
            ylim=(len(chosen) - 0.5, -0.5),
            xlabel="worth in showers of the simulation",
        )
        figure.legend(loc="outside upper center", ncols=2)
        lines = ["bars: one standard deviation; arrows: the truth is too small for an upper bound"]
        if len(chosen) < len(spaces):
            lines.append(f"the {len(chosen)} of {len(spaces)} in which it is worth least")
        _style.footer(figure, *lines)
        return _style.settle(figure)


def _draw_worth(axes: Axes, place: int, worth: EffectiveSize, end: float) -> None:
    axes.plot([worth.low, worth.high or end], [place, place], color=_style.BLUE, linewidth=1.5)
    if worth.value is not None:
        axes.plot(worth.value, place, "o", color=_style.BLUE, markersize=4)
    if worth.high is None:
        axes.plot(end, place, ">", color=_style.BLUE, markersize=5, clip_on=False)
