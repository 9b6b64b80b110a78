"""Refuse samples that can't be shown or compared."""

from caloforge.errors import InputError
from caloforge.showers.showers import Showers


def check_one(showers: Showers, i: int) -> Showers:
    """Return shower i alone.

    Raises
    ------
    InputError
        There is no shower i.
    """
    if not 0 <= i < len(showers):
        last = f"they are numbered 0 to {len(showers) - 1}" if len(showers) else "there are none"
        raise InputError(f"There is no shower {i} among these {len(showers)} showers: {last}.")
    return showers[i : i + 1]


def check_some(showers: Showers) -> None:
    """Refuse a picture of no showers.

    Raises
    ------
    InputError
        There are none.
    """
    if len(showers) == 0:
        raise InputError("There are no showers to draw: give a file with at least one.")


def check_pair(showers: Showers, beside: Showers) -> None:
    """Refuse to compare samples of which one is empty, or whose cells differ.

    Raises
    ------
    InputError
        One has no showers, or the layers or their edges are not the same.
    """
    check_some(showers)
    check_some(beside)
    first, second = showers.geometry, beside.geometry
    if first.layers != second.layers:
        raise InputError(
            f"The showers have different cells ('{first.name}' and '{second.name}'), so they can't be laid "
            "beside each other; bring the finer ones onto the other read-out with: caloforge rebin."
        )
