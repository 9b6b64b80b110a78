"""All pictures of a sample at once."""

from contextlib import suppress

from matplotlib.figure import Figure

from caloforge.arguments import whole_number
from caloforge.errors import InputError
from caloforge.plots.histograms import shapes
from caloforge.plots.images import average, layers
from caloforge.plots.profile import profile
from caloforge.plots.space import shower_3d
from caloforge.showers import Showers

__all__ = ["plot"]


def plot(showers: Showers, reference: Showers | None = None, *, shower: int = 0) -> dict[str, Figure]:
    """Draw showers: one of them layer by layer and in space, their average, and their profile.

    It stands at the top of the package and isn't a method of `Showers`, so that showers load no matplotlib.

    Parameters
    ----------
    showers
        The showers.
    reference
        Others in the same cells: adds ratios and shower shapes.
    shower
        Number of the one to draw alone.

    Returns
    -------
        Figures by name: ``layers``, ``3d``, ``average``, ``shapes`` (with a reference) and ``profile`` (where
        the calorimeter's material is known and the textbook has a profile of such showers). A notebook shows
        the one that stands last in a cell; ``figure.savefig("average.png")`` writes it.

    Raises
    ------
    InputError
        There are no showers, no shower of this number, or the two samples have different cells.

    Examples
    --------
    >>> from caloforge import generate
    >>> sorted(plot(generate("gamma", energy="10:20", n=20)))
    ['3d', 'average', 'layers', 'profile']
    """
    shower = whole_number(shower, "The number of the shower")
    average_figure = average(showers, reference)  # first, since it refuses what can't be drawn at all
    figures = {"layers": layers(showers, shower), "3d": shower_3d(showers, shower), "average": average_figure}
    if reference is not None:
        figures["shapes"] = shapes(showers, reference)
    with suppress(InputError):
        figures["profile"] = profile(showers, reference)
    return figures
