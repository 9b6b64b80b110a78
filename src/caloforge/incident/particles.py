"""Names of incident particles, from the tables of the Particle Data Group (PDG)."""

from typing import SupportsIndex

from particle import InvalidParticle, Particle, ParticleNotFound

from caloforge.arguments import whole_number
from caloforge.errors import InputError

__all__ = ["brought", "parse_particle", "particle_name"]

# What physicists and Geant4 call the particles of test beams and simulations.
_NAMES: dict[str, int] = {
    "e-": 11,
    "electron": 11,
    "e+": -11,
    "positron": -11,
    "mu-": 13,
    "mu+": -13,
    "tau-": 15,
    "tau+": -15,
    "gamma": 22,
    "photon": 22,
    "pi0": 111,
    "pi+": 211,
    "pi-": -211,
    "kaon0L": 130,
    "kaon0S": 310,
    "kaon+": 321,
    "kaon-": -321,
    "proton": 2212,
    "anti_proton": -2212,
    "neutron": 2112,
    "anti_neutron": -2112,
    "lambda": 3122,
    "anti_lambda": -3122,
    "sigma+": 3222,
    "sigma-": 3112,
    "xi0": 3322,
    "xi-": 3312,
    "omega-": 3334,
    "deuteron": 1000010020,
    "triton": 1000010030,
    "He3": 1000020030,
    "alpha": 1000020040,
}

_BINDING = 8.8  # MeV per nucleon, the highest binding energy of a nucleus


def parse_particle(particle: str | SupportsIndex) -> int:
    """Turn a particle's name (``e+``, ``gamma``, ``C12``) or PDG id (``-11``) into its PDG id.

    The names that `particle_name` returns are known, too.

    Raises
    ------
    InputError
        No particle has this name or id.

    Examples
    --------
    >>> parse_particle("gamma"), parse_particle(22), parse_particle("-11")
    (22, 22, -11)
    """
    if not isinstance(particle, str):
        particle = str(whole_number(particle, "The particle's PDG id"))
    return _parse(particle)


def _parse(text: str) -> int:
    if text in _NAMES:
        return _NAMES[text]
    try:
        is_number = text.removeprefix("-").isdecimal()
        found = Particle.from_pdgid(int(text)) if is_number else Particle.from_name(text)
        return int(found.pdgid)
    except (ValueError, InvalidParticle, ParticleNotFound):
        raise InputError(
            f"'{text}' is not a known particle. Give a PDG id, an ion such as C12, or one of: "
            f"{', '.join(_NAMES)}."
        ) from None


def particle_name(pdg: int) -> str:
    """Return the plain name of a particle, which `parse_particle` knows; its PDG id if it has none.

    Examples
    --------
    >>> particle_name(-11), particle_name(1000060120)
    ('e+', 'C12')
    """
    # The first of several names is the one to show: e- and not electron.
    for name, known in _NAMES.items():
        if known == pdg:
            return name
    try:
        return str(Particle.from_pdgid(pdg).name)
    except (InvalidParticle, ParticleNotFound):
        return str(pdg)


def brought(pdg: int) -> float:
    """Return the energy in MeV that a particle can deposit in addition to its kinetic energy.

    It is the rest energy beyond that of the conserved charge and baryon number: nothing for a photon,
    electron or proton, two electron masses for a positron (annihilation), about the mass for a pion. A baryon
    also gains its binding energy in a nucleus.

    Examples
    --------
    >>> brought(11), round(brought(-11), 3), round(brought(211), 1)
    (0.0, 1.022, 140.1)
    """
    one = Particle.from_pdgid(pdg)
    baryons = (1 if pdg > 0 else -1) * int(one.pdgid.A or one.pdgid.is_baryon)
    proton, electron = (float(Particle.from_pdgid(number).mass or 0) for number in (2212, 11))
    charge = round(one.charge or 0)
    # The lightest final state has a proton per baryon, and electrons for the rest of the charge: one that
    # remains if it is negative, and one of the material that annihilates if it is positive.
    rest = float(one.mass or 0) - baryons * proton + (charge - baryons) * electron
    return max(rest + _BINDING * max(baryons, 0), 0.0)
