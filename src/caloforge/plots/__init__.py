"""Pictures of showers: the only place that knows matplotlib.

Every function takes showers and returns a `matplotlib.figure.Figure` that nothing else holds on to, so
that pictures can be made without a display and from several threads. `save` writes figures to a file.

>>> from pathlib import Path
>>> from caloforge import generate, plots
>>> plots.save([plots.layers(generate("gamma", energy="50"), 0)], Path("shower.png"))
"""

from matplotlib.figure import Figure

from caloforge.plots.evaluation import (
    against_energy,
    cell_spectra,
    conditional_response,
    correlations,
    distances,
    distributions,
    profiles,
)
from caloforge.plots.files import FORMATS, check_format, png, save, svg
from caloforge.plots.histograms import response, shapes
from caloforge.plots.images import Average, average, averages, layers
from caloforge.plots.overview import plot
from caloforge.plots.pareto import Fidelity, NamedSpeed, pareto
from caloforge.plots.profile import profile
from caloforge.plots.space import shower_3d
from caloforge.showers.checks import check_pair

__all__ = [
    "FORMATS",
    "Average",
    "Fidelity",
    "Figure",
    "NamedSpeed",
    "against_energy",
    "average",
    "averages",
    "cell_spectra",
    "check_format",
    "check_pair",
    "conditional_response",
    "correlations",
    "distances",
    "distributions",
    "layers",
    "pareto",
    "plot",
    "png",
    "profile",
    "profiles",
    "response",
    "save",
    "shapes",
    "shower_3d",
    "svg",
]
