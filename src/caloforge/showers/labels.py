"""Texts for plots and pages: numbers with units, and where showers come from."""

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from particle import InvalidParticle, Particle, ParticleNotFound

from caloforge.geometry import Calorimeter
from caloforge.incident.text import direction_text, position_text
from caloforge.showers.showers import Showers
from caloforge.units import GeV, MeV, keV

__all__ = [
    "average_headline",
    "choice_text",
    "describe",
    "energies_text",
    "energy_text",
    "headline",
    "incident_text",
    "particle_text",
    "sample_names",
    "short_names",
    "shower_number",
    "source_text",
    "with_error",
]


def with_error(value: float, error: float) -> str:
    """Write a value with its error, both to the second digit of the error.

    Examples
    --------
    >>> with_error(0.12345, 0.0123)
    '0.123 ± 0.012'
    """
    if not (math.isfinite(error) and error > 0):
        return f"{value:.4g}"
    # The place of the second digit of the error.
    digits = max(0, 1 - math.floor(math.log10(error)))
    return f"{value:.{digits}f} ± {error:.{digits}f}".replace("-", "\N{MINUS SIGN}")


def short_names(names: Sequence[str]) -> list[str]:
    """Return names in words, without their last part if all have the same one, such as the particle.

    Examples
    --------
    >>> short_names(["fast_eplus", "precise_eplus"])
    ['fast', 'precise']
    """
    ends = {name.rpartition("_")[2] for name in names}
    end = f"_{ends.pop()}" if len(ends) == 1 < len(names) else ""
    return [name.removesuffix(end).replace("_", " ") for name in names]


def choice_text(chosen: Sequence[int], geometry: Calorimeter) -> list[str]:
    """Return a line that says which layers a page shows, unless it shows all."""
    count = len(geometry.layers)
    return [] if len(chosen) == count else [f"the {len(chosen)} of {count} layers with most energy"]


def energy_text(energy: float) -> str:
    """Write an energy in MeV with a unit that suits it.

    Examples
    --------
    >>> energy_text(50_000.0), energy_text(0.5)
    ('50 GeV', '500 keV')
    """
    size, unit = next(
        ((size, unit) for size, unit in ((GeV, "GeV"), (MeV, "MeV")) if abs(energy) >= size), (keV, "keV")
    )
    return f"{energy / size:.3g} {unit}"


def particle_text(showers: Showers) -> str:
    """Write the incident particles in TeX."""
    return ", ".join(_symbol(int(pdg)) for pdg in np.unique(showers.pdg)) or "no particle"


def energies_text(showers: Showers) -> str:
    """Write the incident energies: one, a few, or their range."""
    values = np.unique(showers.energy) / GeV
    if values.size == 0:
        return "no energy"
    if values.size <= 5:
        return ", ".join(f"{value:.3g}" for value in values) + " GeV"
    return f"{values[0]:.3g}–{values[-1]:.3g} GeV"


def source_text(showers: Showers) -> str:
    """Write what made the showers, as their provenance says: a model, or a simulator and its physics."""
    history = showers.provenance
    names = [_maker({**part, **part.get("attributes", {})}) for part in history.get("parts", [history])]
    return ", ".join(dict.fromkeys(names))


def _maker(part: Mapping[str, Any]) -> str:
    if "model" in part:
        return str(part["model"])
    # Foreign files may add to the name of the simulator that of its interface, in brackets.
    simulator = _geant4(part["geant4"]) if "geant4" in part else str(part.get("simulator", ""))
    said = [simulator.partition(" (")[0], str(part.get("physics", part.get("physics_list", "")))]
    return " ".join(word for word in said if word) or "unknown source"


def _geant4(version: str) -> str:
    """Write Geant4's version (``geant4-11-04-patch-01``) as usual: Geant4 11.4.1."""
    numbers = [str(int(number)) for number in re.findall(r"\d+", version.lower().removeprefix("geant4"))]
    return f"Geant4 {'.'.join(numbers)}"


def sample_names(showers: Showers, reference: Showers) -> tuple[str, str]:
    """Name two samples for a legend: by their source, or by their file if the source is the same."""
    first, second = source_text(showers), source_text(reference)
    if first != second:
        return first, second
    files = [str(sample.provenance.get("file", "")) for sample in (showers, reference)]
    if files[0] != files[1]:
        return f"{first} ({files[0]})", f"{second} ({files[1]})"
    return f"{first} (first)", f"{second} (second)"


def incident_text(showers: Showers) -> str:
    """Return where particles come from and what they hit; empty if all enter perpendicularly at the centre.

    Examples
    --------
    >>> from caloforge.geometry import Calorimeter
    >>> from caloforge.incident.incident import Incident
    >>> calogan = Calorimeter.load("calogan")
    >>> shower = Showers(calogan, np.zeros((1, calogan.n_cells)), Incident(22, 1e4, position=(5.0, 0.0)))
    >>> incident_text(shower)
    'at eta 5 mm and phi 0 mm'
    """
    if not len(showers):
        return ""
    theta, phi = showers.incident.bounds("direction", degrees=True)
    eta, across = showers.incident.bounds("position")
    tilted, moved = any(theta), any((*eta, *across))
    parts = [direction_text(theta, phi)] * tilted + [f"at {position_text(eta, across)}"] * moved
    return ", ".join(parts)


def headline(shower: Showers) -> str:
    """Write what one shower is: its particle, incident and deposited energy, and a line with its direction.

    There is no second line for a particle that enters perpendicularly at the centre.
    """
    deposited = float(shower.cells.sum(dtype=float))
    what = f"{energy_text(deposited)} deposited" if deposited > 0 else "nothing deposited"
    first = f"{particle_text(shower)}, {energy_text(float(shower.energy[0]))}: {what}"
    return "\n".join(line for line in (first, incident_text(shower)) if line)


def average_headline(showers: Showers) -> str:
    """Write what an average is of: how many showers of which particles and energies."""
    count = f"{len(showers):,} shower" + ("s" if len(showers) != 1 else "")
    return f"Average of {count}: {particle_text(showers)}, {energies_text(showers)}"


def shower_number(shower: Showers, i: int) -> int:
    """Return the number of a shower in its file from the column ``number``, or the given one without it."""
    return int(shower.columns["number"][0]) if "number" in shower.columns else i


def describe(showers: Showers, number: int | None = None) -> str:
    """Write one line about showers, or about shower ``number``.

    Particle and energy; direction and position, unless particles enter perpendicularly at the centre; number,
    geometry, source and file.
    """
    count = f"{len(showers):,} shower" + ("s" if len(showers) != 1 else "")
    parts = [
        f"{particle_text(showers)}, {energies_text(showers)}",
        incident_text(showers),
        count if number is None else f"shower {number}",
        f"geometry {showers.geometry.name}",
        source_text(showers),
        str(showers.provenance.get("file", "")),
    ]
    return "  ·  ".join(part for part in parts if part)


def _symbol(pdg: int) -> str:
    if pdg == 0:
        return "unknown particle"
    try:
        return f"${Particle.from_pdgid(pdg).latex_name}$"
    except (InvalidParticle, ParticleNotFound):
        return f"PDG {pdg}"
