"""The profiles of electromagnetic showers, along and across, compared with the textbook's formulas."""

import math

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from caloforge.physics import shower_profile as physics
from caloforge.plots import _style
from caloforge.showers import Showers, checks, labels

__all__ = ["Floats", "profile"]

Floats = NDArray[np.float64]

_POINTS = 200
_CURVES = 2000
"""Showers at most whose textbook profiles are averaged; evenly chosen among all."""

_FEW = 10
"""Layers up to which the textbook is drawn as the mean of each layer too."""

_WIDEST = 4.0  # Molière radii


def profile(showers: Showers, reference: Showers | None = None) -> Figure:
    """Draw the mean longitudinal profile and the lateral containment of e-, e+ and gamma showers.

    At the left the share of the energy per radiation length, with the textbook's gamma distribution and the
    depth of its maximum; at the right the share of the energy within a radius, in Molière radii, with the
    textbook's three values (see `caloforge.physics.shower_profile`). Showers of other particles are left out;
    the textbook speaks of the first sample.

    Raises
    ------
    InputError
        There are no showers of e-, e+ or gamma, the two samples have different cells, or the properties of
        the calorimeter's material are not known.
    """
    if reference is not None:
        checks.check_pair(showers, reference)
        reference = physics.electromagnetic(reference)
    checks.check_some(showers)
    showers = physics.electromagnetic(showers)
    material = physics.matter(showers.geometry)
    samples = [showers] if reference is None else [showers, reference]
    names = (
        [labels.source_text(showers)] if reference is None else list(labels.sample_names(showers, reference))
    )
    with _style.style():
        figure = _style.new_figure(10.0, 4.4)
        figure.set_label("longitudinal profile and lateral containment")
        left, right = figure.subplots(1, 2)
        _draw_textbook(left, showers)
        for axes, draw in ((left, _draw_longitudinal), (right, _draw_containment)):
            for sample, name, colour in zip(samples, names, (_style.BLUE, _style.ORANGE), strict=False):
                draw(axes, sample, name, colour)
        _draw_textbook_containment(right)
        size = f"$X_0$ = {material.radiation_length:.3g} mm"
        left.set(
            xlabel=f"depth $t$ along $z$  [{size}]", ylabel=r"$(1/E)\;\mathrm{d}E/\mathrm{d}t$  [per $X_0$]"
        )
        right.set_xlabel(f"radius  [$R_M$ = {material.moliere_radius:.3g} mm]")
        right.set(ylabel="share of the energy within", xlim=(0, _WIDEST), ylim=(0, 1.02))
        left.set_ylim(0, 1.3 * left.dataLim.y1)
        left.legend(fontsize="small", loc="upper right")
        right.legend(fontsize="small", loc="lower right")
        _style.footer(figure, *(labels.describe(sample) for sample in samples), *_notes(showers))
        return _style.settle(figure)


def _draw_longitudinal(axes: Axes, showers: Showers, name: str, colour: str) -> None:
    found = physics.longitudinal(showers)
    depth, error = physics.found_maximum(showers)
    says = f": maximum at {labels.with_error(depth, error)} $X_0$" if math.isfinite(depth) else ""
    axes.stairs(found.share, found.edges, color=colour, linewidth=1.5, label=f"{name}{says}", baseline=None)
    middles = (found.edges[:-1] + found.edges[1:]) / 2
    axes.errorbar(middles, found.share, found.error, fmt="none", ecolor=colour, elinewidth=0.8)
    axes.update_datalim([(0.0, np.nanmax(found.share))])


def _draw_textbook(axes: Axes, showers: Showers) -> None:
    """Draw the textbook's curve, where its maximum is, and how exact that is."""
    some = showers[:: -(-len(showers) // _CURVES)]
    edges = physics.depths(showers.geometry)
    fine = np.linspace(0.0, edges[-1], _POINTS + 1)
    curve, middles = physics.textbook(some, fine), (fine[:-1] + fine[1:]) / 2
    t_max = float(middles[np.argmax(curve)])
    slope = float(physics.slopes(some).mean())
    error = slope * float(physics.uncertainty(t_max / slope))
    axes.axvspan(t_max - error, t_max + error, color="#E4E4E4", linewidth=0, zorder=0)
    label = f"PDG: maximum at {t_max:.1f} ± {error:.1f} $X_0$"
    axes.plot(middles, curve, color="black", linewidth=1.1, label=label)
    if len(edges) <= _FEW + 1:
        means = physics.textbook(some, edges)
        axes.stairs(
            means, edges, color="black", linewidth=0.9, linestyle=":", label="PDG, mean of each layer"
        )
    axes.set_xlim(0, edges[-1])


def _draw_containment(axes: Axes, showers: Showers, name: str, colour: str) -> None:
    radii = np.linspace(0.0, _WIDEST, 4 * 25 + 1)
    held = physics.containment(showers, radii)
    label = f"{name}: cells partly / wholly within"
    axes.fill_between(
        radii, held.least, held.most, color=colour, alpha=0.3, linewidth=0, label=label, step="post"
    )
    for edge in (held.least, held.most):
        axes.step(radii, edge, color=colour, linewidth=1.0, where="post")


def _draw_textbook_containment(axes: Axes) -> None:
    radii, shares = zip(*physics.CONTAINMENT, strict=True)
    axes.plot(radii, shares, "D", color="black", markersize=4.5, label="textbook: 90, 95 and 99 %")


def _notes(showers: Showers) -> list[str]:
    """Say what the picture does not."""
    parts = ["shares of the energy in the calorimeter"]
    if np.ptp(physics.visible_share(showers.geometry)) > 0 or set(showers.geometry.visible) == {"active"}:
        parts.append("layers weighted with the visible share of the ionisation loss")
    return ["; ".join([*parts, "grey: what the formula's rounding leaves open"])]
