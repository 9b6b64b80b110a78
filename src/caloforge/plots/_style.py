"""The common style of all pictures."""

import textwrap
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Literal

import matplotlib as mpl
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import Colormap, LogNorm
from matplotlib.figure import Figure
from numpy.typing import NDArray

from caloforge.showers import Showers
from caloforge.units import GeV, keV

__all__ = [
    "COLOURS",
    "DPI",
    "FAINT",
    "NO_DATA",
    "Layout",
    "energy_map",
    "energy_scale",
    "extends_below",
    "footer",
    "leading",
    "main_layers",
    "new_figure",
    "settle",
    "style",
    "title",
]

# Okabe and Ito's palette: told apart with every common kind of colour vision.
BLUE, ORANGE, GREY = "#0072B2", "#D55E00", "#8C8C8C"
COLOURS = (BLUE, ORANGE, "#009E73", "#CC79A7", "#56B4E9", "#B8860B")
ENERGY_MAP, RATIO_MAP = "viridis", "PuOr_r"
NO_DATA = "#C4C4C4"
FAINT = "#555555"

DPI = 150.0

_DECADES = 6
"""Range of the energy colour scale; below it a cell keeps the lowest colour and is not taken for empty."""

_RC: dict[Any, Any] = {
    "font.family": "DejaVu Sans",
    "mathtext.fontset": "dejavusans",
    "text.usetex": False,
    "font.size": 10.0,
    "axes.titlesize": 10.0,
    "axes.labelsize": 10.0,
    "axes.linewidth": 0.7,
    "axes.edgecolor": "#333333",
    "axes.facecolor": "white",
    "axes.grid": False,
    "figure.facecolor": "white",
    "figure.titlesize": 12.0,
    "xtick.direction": "in",
    "ytick.direction": "in",
    "xtick.labelsize": 9.0,
    "xtick.major.pad": 7.0,  # keeps the first label clear of that of the other axis
    "ytick.labelsize": 9.0,
    "legend.frameon": False,
    "legend.fontsize": 10.0,
    "savefig.facecolor": "white",
    "savefig.dpi": DPI,
    "pdf.fonttype": 42,
    "svg.hashsalt": "caloforge",
}
Layout = Literal["constrained", "compressed"] | None
_BETWEEN = "  ·  "  # between the parts of a small line
_LETTERS = 17.0  # of a small line, in an inch
_TITLE_LETTERS = 11.0
_LOCK = threading.RLock()


@contextmanager
def style() -> Iterator[None]:
    """Apply the look of caloforge for the time being; matplotlib's settings are global, hence the lock."""
    with _LOCK, mpl.rc_context(_RC):
        yield


def new_figure(width: float, height: float, layout: Layout = "constrained") -> Figure:
    """Return an empty figure (inches) that is independent of any display and of pyplot."""
    figure = Figure(figsize=(width, height), layout=layout)
    FigureCanvasAgg(figure)
    return figure


def energy_map() -> Colormap:
    """Return the colour map of energies; cells that are masked, because they are empty, stay blank."""
    return mpl.colormaps[ENERGY_MAP].with_extremes(bad=(1.0, 1.0, 1.0, 0.0))


def energy_scale(*energies: NDArray[np.floating]) -> LogNorm:
    """Return one logarithmic colour scale for several images in MeV, up to their hottest cell."""
    positive = np.concatenate([np.ravel(image)[np.ravel(image) > 0] for image in energies])
    if positive.size == 0:
        return LogNorm(1 * keV, 1 * GeV)
    highest = float(positive.max())
    lowest = max(float(positive.min()), highest / 10**_DECADES)
    return LogNorm(min(lowest, highest / 10), highest)


def extends_below(scale: LogNorm, *energies: NDArray[np.floating]) -> str:
    """Return the colour bar's ``extend``: whether any hit cell lies below the scale."""
    below = any(bool(((image > 0) & (image < scale.inverse(0.0))).any()) for image in energies)
    return "min" if below else "neither"


def main_layers(showers: Showers, at_most: int) -> list[int]:
    """Return the numbers of the layers that hold most energy, in order."""
    return leading(showers.layer_energies().mean(axis=0), at_most)


def leading(energies: NDArray[np.floating], at_most: int) -> list[int]:
    """Return the numbers of the layers with most of the energies (L,), in order."""
    return sorted(int(n) for n in np.argsort(-energies, kind="stable")[:at_most])


def title(figure: Figure, text: str) -> None:
    """Write a title, in lines that are not wider than the figure."""
    widest = int(_TITLE_LETTERS * figure.get_figwidth())
    figure.suptitle("\n".join(textwrap.fill(line, widest) for line in text.splitlines()))


def footer(figure: Figure, *lines: str) -> None:
    """Write small lines at the bottom left, broken where they are wider; the layout keeps their room free."""
    widest = int(_LETTERS * figure.get_figwidth())
    broken = (part for line in lines for part in _broken(line.split(_BETWEEN), widest))
    figure.supxlabel("\n".join(broken), x=0.01, ha="left", fontsize=7.5, color=FAINT, linespacing=1.4)


def _broken(parts: Sequence[str], widest: int) -> Iterator[str]:
    """Yield lines of at most so many letters, as long as no part is longer."""
    line = parts[0]
    for part in parts[1:]:
        if len(line) + len(_BETWEEN) + len(part) > widest:
            yield line
            line = part
        else:
            line += _BETWEEN + part
    yield line


def settle(figure: Figure) -> Figure:
    """Apply the layout of a finished figure once, so that nothing moves when it is drawn again."""
    figure.set_dpi(DPI)
    figure.draw_without_rendering()
    figure.set_layout_engine("none")
    return figure
