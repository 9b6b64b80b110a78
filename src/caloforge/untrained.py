"""What to say where no model was trained: the nearest one that there is, and the commands that make one."""

import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from particle import Particle

from caloforge.particles import particle_name

Record = Mapping[str, Any]


def refusal(pdg: int, geometry: str, shipped: Mapping[str, Record], preference: Sequence[str]) -> str:
    """Say that no model was trained for a particle in a calorimeter, which is nearest, and how to make one.

    Parameters
    ----------
    pdg
        The particle.
    geometry
        Name of the calorimeter.
    shipped
        The records of all models, by name.
    preference
        Qualities, the one to name before others first.
    """
    name = nearest(pdg, geometry, shipped, preference)
    low, high = shipped[name]["energy_range_GeV"]
    trained = ", ".join(map(particle_name, shipped[name]["pdg"]))
    return (
        f"No shipped model was trained for {particle_name(pdg)} in {geometry}. The nearest is {name}: "
        f"{trained} in {shipped[name]['geometry']['name']}, {low:g} to {high:g} GeV. To make one:\n"
        f"{recipe(shipped[name], pdg, geometry, (low, high))}"
    )


def nearest(pdg: int, geometry: str, shipped: Mapping[str, Record], preference: Sequence[str]) -> str:
    """Return the name of a model of the particle in another calorimeter, else of another one in the same.

    Of several the one whose particle has the nearest mass is taken, and then the quality decides.
    """

    def distance(name: str) -> tuple[bool, bool, float, int]:
        record = shipped[name]
        elsewhere, quality = record["geometry"]["name"] != geometry, record.get("quality")
        of_masses = min(abs(_mass(other) - _mass(pdg)) for other in record["pdg"])
        order = preference.index(quality) if quality in preference else len(preference)
        return pdg not in record["pdg"], elsewhere, of_masses, order

    return min(shipped, key=distance)


def recipe(like: Record, pdg: int, geometry: str, energies: tuple[float, float]) -> str:
    """Return the commands that make a model like one that there is, a line each.

    Parameters
    ----------
    like
        The record of that model.
    pdg
        The particle to learn.
    geometry
        The calorimeter to learn it in.
    energies
        Bounds of the incident energies to learn, in GeV.
    """
    particle, showers = particle_name(pdg), sum(item["showers"] for item in like["data"])
    low, high = (f"{energy:g}" for energy in energies)
    learned = ["--set", f"energy_range=[{float(low)}, {float(high)}]"]
    passes = ["--epochs", str(like["plan"]["epochs"])] if "plan" in like else []
    trained = "mine" if like.get("chosen") == "last" else "mine/best"
    asked = ["--particle", particle, "--energy", f"{low}:{high}"]
    commands = [
        ["simulate", geometry, *asked, "-n", str(showers), "-o", "geant4.h5"],
        ["train", like["model"], "-d", "geant4.h5", "--geometry", geometry, *passes, *learned, "-o", "mine"],
        ["export", trained, "-o", "mine.onnx"],
        ["generate", "--model", "mine.json", *asked, "-o", "showers.h5"],
    ]
    return "\n".join(f"  caloforge {shlex.join(words)}" for words in commands)


def _mass(pdg: int) -> float:
    return float(Particle.from_pdgid(pdg).mass or 0.0)
