"""Refuse samples that can't be shown or compared."""

import numpy as np
import numpy.typing as npt
from particle import InvalidParticle, ParticleNotFound

from caloforge.errors import InputError
from caloforge.incident.incident import Incident
from caloforge.incident.particles import brought
from caloforge.showers.showers import Showers

__all__ = ["check_deposits", "check_one", "check_pair", "check_some"]

_AT_MOST = 1000.0
"""Largest visible energy over that of the particle: far above fission and any scale factor of cells."""
_UNKNOWN = 1e3  # MeV of rest energy that is allowed for unknown particles


def check_deposits(total: npt.NDArray[np.float64], incident: Incident, before: int = 0) -> None:
    """Refuse showers with 1,000 times the energy that the incident particle can leave.

    Parameters
    ----------
    total
        (n,) energies of all cells in MeV.
    incident
        The n particles.
    before
        Number of the first shower, for the message.

    Raises
    ------
    InputError
        The message names the first such shower. Wrong units are the usual reason.
    """
    limit = _AT_MOST * incident.energy
    # Rest energies matter only close to the limit, so particles are looked up only for these showers.
    suspects = np.flatnonzero(total > limit)
    for pdg in np.unique(incident.pdg[suspects]):
        limit[incident.pdg == pdg] += _AT_MOST * _brought(int(pdg))
    wrong = np.flatnonzero(total > limit)
    if len(wrong):
        first = wrong[0]
        raise InputError(
            f"Shower {before + first} has {total[first]:.6g} MeV in its cells, more than {_AT_MOST:g} times "
            f"the {incident.energy[first]:.6g} MeV of its particle; are all energies in MeV?"
        )


def _brought(pdg: int) -> float:
    try:
        return brought(pdg)
    except (InvalidParticle, ParticleNotFound):
        return _UNKNOWN


def check_one(showers: Showers, i: int) -> Showers:
    """Return shower i alone.

    Raises
    ------
    InputError
        There is no shower i.

    Examples
    --------
    >>> showers = Showers("calogan", np.ones((2, 504)), Incident(22, 1e4))
    >>> check_one(showers, 1)
    <1 showers in calogan>
    """
    if not 0 <= i < len(showers):
        last = f"they are numbered 0 to {len(showers) - 1}" if len(showers) else "there are none"
        raise InputError(f"There is no shower {i} among these {len(showers)} showers: {last}.")
    return showers[i : i + 1]


def check_some(showers: Showers) -> None:
    """Refuse to draw an empty sample.

    Raises
    ------
    InputError
        There are none.
    """
    if len(showers) == 0:
        raise InputError("The file has no showers to draw: give one with at least one shower.")


def check_pair(showers: Showers, reference: Showers) -> None:
    """Refuse to compare samples if one is empty or their cells differ.

    Raises
    ------
    InputError
        One has no showers, or the layers or their edges are not the same.
    """
    check_some(showers)
    check_some(reference)
    first, second = showers.geometry, reference.geometry
    if first.layers != second.layers:
        raise InputError(
            f"The showers have different cells ('{first.name}' and '{second.name}'), so they can't be "
            "compared; bring the finer ones onto the other read-out with: caloforge rebin."
        )
