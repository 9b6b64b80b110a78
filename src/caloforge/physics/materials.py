"""Materials as electromagnetic showers see them: radiation length, critical energy, Molière radius."""

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
    """What decides how an electromagnetic shower develops.

    Attributes
    ----------
    radiation_length
        X_0 in mm.
    critical_energy
        E_c of electrons in MeV, where ionisation takes as much in a radiation length as the electron has
        (Rossi's definition).
    """

    radiation_length: float
    critical_energy: float

    @property
    def moliere_radius(self) -> float:
        """R_M = X_0 E_s / E_c in mm (PDG, Eq. 34.37)."""
        return self.radiation_length * SCALE_ENERGY / self.critical_energy

    @property
    def ionisation(self) -> float:
        """Ionisation loss E_c / X_0 in MeV/mm: how Rossi defines E_c."""
        return self.critical_energy / self.radiation_length


def known() -> list[str]:
    """Return the names of all materials whose properties are known."""
    return list(_table())


def load(name: str) -> Material:
    """Return the material of this name in the NIST database, such as ``G4_Pb``.

    Raises
    ------
    InputError
        Its properties are not known.
    """
    if name not in _table():
        raise InputError(unknown(name, known(), "materials whose radiation length is known"))
    entry = _table()[name]
    return Material(_CM * entry["radiation_length"] / entry["density"], entry["critical_energy"])


def mixture(parts: list[tuple[Material, float]]) -> Material:
    """Return what (material, thickness in mm) layers are on the average (PDG, Eqs. 34.27 and 34.38).

    The equations add 1/X_0 and E_c/X_0 by weight; with X_0 in mm the same sums go by thickness.
    """
    thickness = math.fsum(size for _, size in parts)
    lengths = math.fsum(size / material.radiation_length for material, size in parts)
    loss = math.fsum(size * material.ionisation for material, size in parts)
    return Material(thickness / lengths, loss / lengths)


@cache
def _table() -> dict[str, dict[str, float]]:
    return tomllib.loads(files("caloforge").joinpath("physics", "materials.toml").read_text(encoding="utf-8"))
