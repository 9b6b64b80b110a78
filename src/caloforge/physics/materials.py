"""Properties of materials for electromagnetic showers: radiation length, critical energy, Molière radius."""

import math
import tomllib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from caloforge.catalog import unknown
from caloforge.errors import InputError

__all__ = ["SCALE_ENERGY", "Material", "known", "load", "mixture"]

SCALE_ENERGY = 21.2052
"""E_s = sqrt(4 pi / alpha) m_e c^2 in MeV (PDG, Review of Particle Physics 2024, Table 34.1)."""

_CM = 10.0  # mm


@dataclass(frozen=True)
class Material:
    """The two quantities that determine how an electromagnetic shower develops.

    Attributes
    ----------
    radiation_length
        X_0 in mm.
    critical_energy
        E_c in MeV: the energy of an electron that equals its ionisation loss in one radiation length (Rossi's
        definition).

    Examples
    --------
    >>> lead = load("G4_Pb")
    >>> round(lead.radiation_length, 2), round(lead.moliere_radius, 1)
    (5.61, 16.0)
    """

    radiation_length: float
    critical_energy: float

    @property
    def moliere_radius(self) -> float:
        """R_M = X_0 E_s / E_c in mm (PDG, Eq. 34.37)."""
        return self.radiation_length * SCALE_ENERGY / self.critical_energy

    @property
    def ionisation(self) -> float:
        """Ionisation loss in MeV/mm: E_c / X_0 by Rossi's definition of E_c."""
        return self.critical_energy / self.radiation_length


def known() -> list[str]:
    """Return the names of all materials whose properties are known.

    Examples
    --------
    >>> known()[:3]
    ['G4_Al', 'G4_Ti', 'G4_Fe']
    """
    return list(_table())


def load(name: str) -> Material:
    """Return the material of this name in the NIST database, such as ``G4_Pb``.

    Raises
    ------
    InputError
        Its properties are not known.

    Examples
    --------
    >>> load("G4_W").critical_energy
    7.97
    """
    if name not in _table():
        raise InputError(unknown(name, known(), "materials whose radiation length is known"))
    entry = _table()[name]
    # The table has X_0 in g/cm^2, as the PDG does.
    return Material(_CM * entry["radiation_length"] / entry["density"], entry["critical_energy"])


def mixture(parts: list[tuple[Material, float]]) -> Material:
    """Return the mean material of layers, each (material, thickness in mm) (PDG, Eqs. 34.27 and 34.38).

    The equations weight 1/X_0 and E_c/X_0 by mass. With X_0 in mm the weights are thicknesses.

    Examples
    --------
    >>> mean = mixture([(load("G4_Pb"), 2.0), (load("G4_lAr"), 4.0)])  # a sampling calorimeter
    >>> round(mean.radiation_length, 1), round(mean.critical_energy, 1)
    (15.6, 9.3)
    """
    # Exactly rounded sums: the result does not depend on the order of the layers.
    thickness = math.fsum(size for _, size in parts)
    lengths = math.fsum(size / material.radiation_length for material, size in parts)
    loss = math.fsum(size * material.ionisation for material, size in parts)
    return Material(thickness / lengths, loss / lengths)


@cache
def _table() -> dict[str, dict[str, float]]:
    return tomllib.loads(files("caloforge").joinpath("physics", "materials.toml").read_text(encoding="utf-8"))
