"""The internal units: MeV, mm and ns; angles in rad. ``energy = 50 * GeV`` is 50,000 MeV."""

from hepunits import GeV, MeV, cm, keV, mm, ns, rad

__all__ = ["GeV", "MeV", "cm", "keV", "mm", "ns", "rad"]
