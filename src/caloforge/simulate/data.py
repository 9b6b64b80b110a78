"""Geant4's physics data: where they are, and what to say when they are not there.

geant4-pybind asks on standard input for a download when it misses data. A job must never wait for an
answer, so the data are found here first and handed to the worker process in its environment.
"""

import os
import re
from collections.abc import Mapping
from pathlib import Path

from caloforge.errors import SimulationError

DATA_DIR = "GEANT4_DATA_DIR"
"""Variable that names the folder in which all data sets lie."""

_DOWNLOADED = Path("~/.geant4_pybind")  # where geant4-pybind's own downloader puts them
_HOW = f"env -u {DATA_DIR} python -c 'import geant4_pybind'"

# Official environment variable -> name of the data set, whose folder is NAME or NAME and a version.
_SETS = {
    "G4LEDATA": "G4EMLOW",
    "G4ENSDFSTATEDATA": "G4ENSDFSTATE",
    "G4LEVELGAMMADATA": "PhotonEvaporation",
    "G4PARTICLEXSDATA": "G4PARTICLEXS",
    "G4RADIOACTIVEDATA": "RadioactiveDecay",
    "G4SAIDXSDATA": "G4SAIDDATA",
    "G4NEUTRONHPDATA": "G4NDL",
    "G4INCLDATA": "G4INCL",
    "G4ABLADATA": "G4ABLA",
    "G4PIIDATA": "G4PII",
    "G4REALSURFACEDATA": "RealSurface",
    "G4CHANNELINGDATA": "G4CHANNELING",
}
VARIABLES = tuple(_SETS)
"""The official variables, one for each data set."""

_ALWAYS = ("G4LEDATA", "G4ENSDFSTATEDATA")
_HADRONIC = ("G4LEVELGAMMADATA", "G4PARTICLEXSDATA")
# Part of a physics list's name -> what it reads besides.
_FURTHER = {
    "_HP": ("G4NEUTRONHPDATA",),
    "LBE": ("G4NEUTRONHPDATA",),
    "Shielding": ("G4NEUTRONHPDATA", "G4RADIOACTIVEDATA"),
    "INCLXX": ("G4INCLDATA", "G4ABLADATA"),
}


def find(physics: str, environment: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Return Geant4's data variables with the folders that they stand for.

    A variable that is set wins; else the data set is looked for in ``GEANT4_DATA_DIR`` (by default in the
    folder of geant4-pybind's downloader) under its name, with or without a version.

    Parameters
    ----------
    physics
        Name of the physics list, which decides what is needed.
    environment
        Variables to look at.

    Raises
    ------
    SimulationError
        A folder is missing that this physics needs; the message says how to get it.
    """
    base = Path(environment.get(DATA_DIR, str(_DOWNLOADED))).expanduser()
    looked_up = {name: environment.get(name) or _newest(base, folder) for name, folder in _SETS.items()}
    paths = {name: Path(path).resolve() for name, path in looked_up.items() if path}
    found = {name: str(path) for name, path in paths.items() if path.is_dir()}
    missing = [name for name in _needed(physics) if name not in found]
    if missing:
        raise SimulationError(_explain(missing, physics, base))
    return {DATA_DIR: str(base.resolve()), **found}


def has_fluorescence(variables: Mapping[str, str]) -> bool:
    """Whether the electromagnetic data hold what atomic de-excitation needs."""
    return any(Path(variables["G4LEDATA"]).glob("fluor*"))


def versions(variables: Mapping[str, str]) -> dict[str, str]:
    """Return the folder name of each data set, which carries its version where the official data are used."""
    return {name: Path(path).name for name, path in variables.items() if name != DATA_DIR}


def _needed(physics: str) -> list[str]:
    if physics == "em":
        return list(_ALWAYS)
    further = (names for part, names in _FURTHER.items() if part in physics)
    return list(dict.fromkeys([*_ALWAYS, *_HADRONIC, *(name for names in further for name in names)]))


def _newest(base: Path, name: str) -> str | None:
    """The folder of a data set with the highest version in its name."""
    if not base.is_dir():
        return None
    versioned = re.compile(re.escape(name) + r"([\d.]*)")
    matches = [(path, versioned.fullmatch(path.name)) for path in base.iterdir() if path.is_dir()]
    known = [(re.findall(r"\d+", match[1]), str(path)) for path, match in matches if match]
    return max(known, key=lambda entry: [int(part) for part in entry[0]])[1] if known else None


def _explain(missing: list[str], physics: str, base: Path) -> str:
    wanted = ", ".join(f"{_SETS[name]} ({name})" for name in missing)
    return (
        f"Geant4 data are missing for {physics}: {wanted}, looked for in {base}. Set {DATA_DIR} to the "
        f"folder that holds them, or get them with: {_HOW} (it asks, then downloads to {_DOWNLOADED})."
    )
