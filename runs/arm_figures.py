"""Draws Figures 3 to 5 of arXiv:2212.08233 from held-out and generated showers in the same read-outs.

python runs/arm_figures.py FOLDER OUTPUT, where FOLDER holds geant4_READ-OUT.h5 and MODEL_READ-OUT.h5.
"""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure

from caloforge.formats.open import read
from caloforge.observables.base import Observable
from caloforge.observables.centre import Centre
from caloforge.observables.centre_distance import CentreDistance
from caloforge.showers import Showers

SOURCES = {"geant4": "Geant4", "arm_gamma": "arm_gamma", "arm_published": "published"}
COLOURS = dict(zip(SOURCES, ("black", "#D55E00", "#0072B2"), strict=True))


class Panel(NamedTuple):
    """A layer of a read-out, and its name in the paper."""

    read_out: str
    layer: int
    title: str


IMAGES = (
    Panel("arm_192x12_36x48", 0, "inner layer of (192, 12)"),
    Panel("arm_192x12_36x48", 1, "middle layer of (36, 48)"),
    Panel("arm_between_96x24_24x24", 0, "inner layer of (96, 24), unseen"),
    Panel("arm_between_96x24_24x24", 1, "middle layer of (24, 24), unseen"),
)
MEANS = (
    Panel("arm_48x4_36x48", 1, "middle layer of (36, 48)"),
    Panel("arm_48x48_48x48", 1, "middle layer of (48, 48)"),
)
DISTANCES = (
    Panel("arm_48x12_12x12", 0, "(48, 12) inner, (12, 12) middle"),
    Panel("arm_48x4_36x48", 0, "(48, 4) inner, (36, 48) middle"),
)


class Samples:
    """The showers of a folder, read when they are asked for."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._known: dict[tuple[str, str], Showers] = {}

    def __call__(self, source: str, read_out: str) -> Showers | None:
        """Return the showers of a source in a read-out; None where there are none."""
        path = self._folder / f"{source}_{read_out}.h5"
        if (source, read_out) not in self._known and path.is_file():
            self._known[source, read_out] = read(path)
        return self._known.get((source, read_out))


def images(samples: Samples) -> Figure:
    """Draw average images, a row for each layer (Fig. 3)."""
    sources = [one for one in SOURCES if one != "arm_published"]
    figure = Figure((4.2 * len(sources), 2.7 * len(IMAGES)), layout="constrained")
    grid = figure.subplots(len(IMAGES), len(sources), squeeze=False)
    for row, panel in zip(grid, IMAGES, strict=True):
        averages = [_average(samples(source, panel.read_out), panel.layer) for source in sources]
        # One scale for both, over the four decades that hold nearly all energy.
        top = max(float(each.max()) for each in averages if each is not None)
        for axes, source, average in zip(row, sources, averages, strict=True):
            axes.set_title(f"{SOURCES[source]}: {panel.title}", fontsize=8)
            if average is not None:
                mesh = _draw(axes, samples(source, panel.read_out), panel.layer, average, top)
        figure.colorbar(mesh, ax=row.tolist(), label="MeV / mm²")
    return figure


def _average(showers: Showers | None, layer: int) -> np.ndarray | None:
    """Return the mean energy for each mm², (phi, eta): cells of other sizes would look brighter or darker."""
    if showers is None:
        return None
    cut = showers.geometry.layers[layer]
    area = np.outer(np.diff(cut.phi.edges), np.diff(cut.eta.edges))
    return showers.layer(layer).mean(axis=0, dtype=float) / area


def _draw(axes: Axes, showers: Showers, layer: int, average: np.ndarray, top: float) -> object:
    cut = showers.geometry.layers[layer]
    axes.set(xlabel="η / mm", ylabel="φ / mm")
    return axes.pcolormesh(
        cut.eta.edges,
        cut.phi.edges,
        np.maximum(average, top * 1e-5),
        norm=LogNorm(top * 1e-4, top),
        rasterized=True,
    )


def means(samples: Samples) -> Figure:
    """Draw distributions of the energy-weighted means in eta and phi (Fig. 4)."""
    figure = Figure((8, 5.5), layout="constrained")
    for row, panel in zip(figure.subplots(2, 2), MEANS, strict=True):
        for axes, axis in zip(row, ("eta", "phi"), strict=True):
            _histograms(axes, samples, panel, Centre(panel.layer, axis))
    return figure


def distances(samples: Samples) -> Figure:
    """Draw distributions of the distance of the means of the inner and the middle layer (Fig. 5)."""
    figure = Figure((8, 3), layout="constrained")
    for axes, panel in zip(figure.subplots(1, 2), DISTANCES, strict=True):
        _histograms(axes, samples, panel, CentreDistance(0, 1))
    return figure


def _histograms(axes: Axes, samples: Samples, panel: Panel, observable: Observable) -> None:
    values = {one: observable(found) for one in SOURCES if (found := samples(one, panel.read_out))}
    bins = _bins(values["geant4"])
    for source, each in values.items():
        # What lies outside is counted in the outermost bins.
        shown = np.clip(each[np.isfinite(each)], bins[0], bins[-1])
        filled = {"histtype": "stepfilled", "alpha": 0.25} if source == "geant4" else {"histtype": "step"}
        axes.hist(shown, bins, density=True, color=COLOURS[source], label=SOURCES[source], **filled)
    axes.set(title=panel.title, xlabel=f"${observable.symbol}$ / {observable.unit}", ylabel="density")
    axes.legend(fontsize=7)


def _bins(values: Sequence[float]) -> np.ndarray:
    """Return bins about the middle 98 % of the simulated showers, half their width more on either side."""
    low, high = np.nanquantile(values, [0.01, 0.99])
    least = -np.inf if np.nanmin(values) < 0 else 0.0
    return np.linspace(max(low - (high - low) / 2, least), high + (high - low) / 2, 41)


def main(folder: str, output: str) -> None:
    """Write the figures as PNG files."""
    samples = Samples(Path(folder))
    drawn = {"arm_images": images, "arm_means": means, "arm_distances": distances}
    with mpl.rc_context({"font.size": 8}):
        for name, draw in drawn.items():
            draw(samples).savefig(Path(output) / f"{name}.png", dpi=90)


if __name__ == "__main__":
    main(*sys.argv[1:])
