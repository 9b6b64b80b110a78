"""Pictures of showers: the only place that knows matplotlib.

Every function takes showers and returns a `matplotlib.figure.Figure` that nothing else holds on to, so
that pictures can be made without a display and from several threads. `save` writes figures to a file.

>>> from caloforge import plots, read
>>> plots.save([plots.layers(read("showers.h5"), 0)], Path("shower.png"))
"""

from matplotlib.figure import Figure

from caloforge.plots._style import check_pair
from caloforge.plots.files import FORMATS, check_format, png, save, svg
from caloforge.plots.histograms import response, shapes
from caloforge.plots.images import average, layers
from caloforge.plots.profile import profile
from caloforge.plots.space import shower_3d

__all__ = [
    "FORMATS",
    "Figure",
    "average",
    "check_format",
    "check_pair",
    "layers",
    "png",
    "profile",
    "response",
    "save",
    "shapes",
    "shower_3d",
    "svg",
]
