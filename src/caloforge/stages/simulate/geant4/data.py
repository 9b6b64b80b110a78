"""Geant4's physics data: finds them, describes what is missing, and downloads it.

geant4-pybind asks on standard input for a download when data are missing. A job must never wait for an
answer, so the data are found here first and handed to the worker process in its environment.
"""

import importlib.util
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from mmap import ACCESS_READ, mmap
from pathlib import Path

from caloforge.errors import MissingExtra, SimulationError
from caloforge.progress import Progress, no_progress

__all__ = [
    "DATA_DIR",
    "SOURCE",
    "VARIABLES",
    "DataSet",
    "cure",
    "download",
    "download_command",
    "find",
    "folder",
    "has_fluorescence",
    "made_for",
    "missing",
    "needed",
    "problem",
    "survey",
    "versions",
]

DATA_DIR = "GEANT4_DATA_DIR"
"""Variable that names the folder in which all data sets lie."""

SOURCE = "https://cern.ch/geant4-data/datasets"
"""Where geant4-pybind's downloader gets the data sets from."""

_DOWNLOADED = ".geant4_pybind"  # the downloader's folder in the user's home

_VERSION = re.compile(r"\d[\d.]*")

# Official environment variable -> name of the data set, whose folder is NAME or NAME and a version.
_SETS = {
    "G4LEDATA": "G4EMLOW",
    "G4ENSDFSTATEDATA": "G4ENSDFSTATE",
    "G4LEVELGAMMADATA": "PhotonEvaporation",
    "G4PARTICLEXSDATA": "G4PARTICLEXS",
    "G4RADIOACTIVEDATA": "RadioactiveDecay",
    "G4NEUTRONHPDATA": "G4NDL",
    "G4INCLDATA": "G4INCL",
    "G4ABLADATA": "G4ABLA",
    "G4SAIDXSDATA": "G4SAIDDATA",
    "G4PIIDATA": "G4PII",
    "G4REALSURFACEDATA": "RealSurface",
    "G4CHANNELINGDATA": "G4CHANNELING",
}
VARIABLES = tuple(_SETS)
"""The official variables, one for each data set."""

# Which physics lists, in words and as a pattern of their names, read which data.
_READERS = (
    ("every physics", r"", ("G4LEDATA", "G4ENSDFSTATEDATA", "G4LEVELGAMMADATA")),
    ("all but em", r"^(?!em$)", ("G4PARTICLEXSDATA",)),
    ("*HP, LBE, Shielding", r"HP$|LBE|Shielding", ("G4RADIOACTIVEDATA", "G4NEUTRONHPDATA")),
    ("*INCLXX*", r"INCLXX", ("G4INCLDATA", "G4ABLADATA")),
)


@dataclass(frozen=True)
class DataSet:
    """One of Geant4's data sets, and whether this computer has it.

    Attributes
    ----------
    variable
        The official variable that names its folder.
    name
        Its name, with which the folder's name begins.
    readers
        The physics lists that read it, in words; empty where no calorimeter needs it.
    path
        The folder; None if unknown.
    claimed
        Whether the variable is set.
    version
        The version that the installed Geant4 was made for; empty if unknown.
    """

    variable: str
    name: str
    readers: str
    path: Path | None
    claimed: bool
    version: str

    @property
    def found(self) -> bool:
        """Whether the folder exists."""
        return self.path is not None and self.path.is_dir()

    @property
    def strange(self) -> bool:
        """Whether the folder's name says that it is of another version."""
        found = self.path.name.removeprefix(self.name) if self.path else ""
        return bool(self.version and _VERSION.fullmatch(found)) and found != self.version


def folder(environment: Mapping[str, str] = os.environ) -> Path:
    """Return the folder in which data sets are looked for.

    It is ``GEANT4_DATA_DIR``, by default the folder of geant4-pybind's downloader.
    """
    return Path(environment.get(DATA_DIR) or Path("~", _DOWNLOADED)).expanduser().resolve()


def survey(environment: Mapping[str, str] = os.environ) -> list[DataSet]:
    """Look for all data sets.

    A variable that is set wins; else a data set is looked for in `folder` under its name and the version that
    the installed Geant4 was made for, then under its name with any version or none.
    """
    base, versions = folder(environment), made_for()
    readers = {variable: words for words, _, variables in _READERS for variable in variables}
    sets = []
    for variable, name in _SETS.items():
        claim = environment.get(variable)
        version = versions.get(name, "")
        path = claim or _fitting(base, name, version)
        where = Path(path).resolve() if path else None
        sets.append(DataSet(variable, name, readers.get(variable, ""), where, bool(claim), version))
    return sets


def needed(physics: str) -> list[str]:
    """Return the variables of the data that a physics list reads."""
    return [name for _, lists, names in _READERS if re.search(lists, physics) for name in names]


def missing(physics: str, environment: Mapping[str, str] = os.environ) -> list[DataSet]:
    """Return the data sets that a physics list reads and that are not there."""
    return [known for known in survey(environment) if known.variable in needed(physics) and not known.found]


def find(physics: str, environment: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Return Geant4's data variables with the folders that they stand for.

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
    absent = missing(physics, environment)
    if absent:
        raise SimulationError(f"{problem(absent, physics, environment)} Run: {cure(absent, physics)}")
    found = {known.variable: str(known.path) for known in survey(environment) if known.found}
    return {DATA_DIR: str(folder(environment)), **found}


def has_fluorescence(variables: Mapping[str, str]) -> bool:
    """Whether the electromagnetic data hold what atomic de-excitation needs."""
    return any(Path(variables["G4LEDATA"]).glob("fluor*"))


def versions(variables: Mapping[str, str]) -> dict[str, str]:
    """Return the folder name of each data set, which carries its version where the official data are used."""
    return {name: Path(path).name for name, path in variables.items() if name != DATA_DIR}


def problem(absent: Sequence[DataSet], physics: str, environment: Mapping[str, str] = os.environ) -> str:
    """Say in a sentence which data are missing for a physics list."""
    wrong = [f"{known.variable} names {known.path}" for known in absent if known.claimed]
    if wrong:
        return f"Geant4 data are missing for {physics}: {', '.join(wrong)}, which is not a folder."
    wanted = ", ".join(f"{known.name} ({known.variable})" for known in absent)
    place = f"{DATA_DIR}, {folder(environment)}"
    return f"Geant4 data are missing for {physics}: {wanted}, looked for in the folder of {place}."


def cure(absent: Sequence[DataSet], physics: str) -> str:
    """Return the command that helps: a download does not help if a variable names the wrong folder."""
    wrong = [known.variable for known in absent if known.claimed]
    return f"unset {' '.join(wrong)}" if wrong else download_command(physics)


def download_command(physics: str) -> str:
    """Return the command that gets what a physics list reads."""
    return f"caloforge doctor --download --physics {physics}"


def download(
    physics: str, environment: Mapping[str, str] = os.environ, progress: Progress = no_progress
) -> list[Path]:
    """Let geant4-pybind's own downloader get what is missing for a physics list.

    Call this only after the user has agreed. A data set appears in `folder` when it is complete, so an
    interrupted download leaves nothing that looks like one.

    Returns
    -------
    list of Path
        The folders of the new data sets.

    Raises
    ------
    MissingExtra
        geant4-pybind is not installed.
    SimulationError
        A variable names a folder that does not exist, or the downloader did not deliver.
    OSError
        The folder can't be written to.
    """
    if importlib.util.find_spec("geant4_pybind") is None:
        raise MissingExtra("geant4", "geant4_pybind")
    absent = missing(physics, environment)
    if any(known.claimed for known in absent):
        raise SimulationError(f"{problem(absent, physics, environment)} Run: {cure(absent, physics)}")
    base = folder(environment)
    base.mkdir(parents=True, exist_ok=True)
    new = []
    progress(0, len(absent))
    for known in absent:
        new.append(_download(known, base, environment))
        progress(len(new), len(absent))
    return new


def _download(wanted: DataSet, base: Path, environment: Mapping[str, str]) -> Path:
    with tempfile.TemporaryDirectory(prefix=".download-", dir=base) as aside:
        error = _run_downloader(wanted, aside, environment)
        arrived = _fitting(Path(aside, _DOWNLOADED), wanted.name, wanted.version)
        if error or arrived is None:
            reason = f" ({error})" if error else ""
            raise SimulationError(
                f"geant4-pybind's downloader did not deliver {wanted.name}{reason}: run it again, or get "
                f"it from {SOURCE} by other means and unpack it in {base}."
            )
        # A rename on the same disk: the data set is there completely or not at all.
        return Path(arrived).rename(base / Path(arrived).name)


def _run_downloader(wanted: DataSet, home: str, environment: Mapping[str, str]) -> str:
    """Import geant4-pybind such that it misses one data set, and agree when it asks; return its complaint."""
    # The downloader skips data sets whose variable is set, and downloads into the home folder, which it also
    # cleans up: hence a temporary home.
    others = {variable: home for variable in VARIABLES if variable != wanted.variable}
    surroundings = {**environment, **others, "HOME": home, "TMPDIR": home}
    for name in (DATA_DIR, "CI", wanted.variable):
        surroundings.pop(name, None)
    done = subprocess.run(
        [sys.executable, "-P", "-c", "import geant4_pybind"],
        input="y\n",
        stdout=sys.__stderr__,  # where it shows its progress
        stderr=subprocess.PIPE,
        env=surroundings,
        text=True,
        check=False,
    )
    errors = re.findall(r"^(?:[\w.]+)?Error: (.+)$", done.stderr, re.MULTILINE)
    reasons = [error for error in errors if error != "initialization failed"]
    return (reasons or errors or [f"exit code {done.returncode}"])[-1] if done.returncode else ""


@cache
def made_for() -> Mapping[str, str]:
    """Return the version of each data set that the installed Geant4 was made for.

    geant4-pybind carries the list for its downloader; empty where it is not installed.
    """
    module = importlib.util.find_spec("geant4_pybind")
    if module is None or module.origin is None:
        return {}
    # Importing it would start Geant4.
    with Path(module.origin).open("rb") as file, mmap(file.fileno(), 0, access=ACCESS_READ) as content:
        entries = re.findall(rb'"name": "(\w+)",\s*"version": "([\d.]+)"', content)
    return {name.decode(): version.decode() for name, version in entries}


def _fitting(base: Path, name: str, version: str) -> str | None:
    """The folder of a data set: the version that is wanted, else the highest."""
    exact = base / (name + version)
    if version and exact.is_dir():
        return str(exact)
    if not base.is_dir():
        return None
    paths = (path for path in base.iterdir() if path.name.startswith(name) and path.is_dir())
    known = [(path.name.removeprefix(name), str(path)) for path in paths]
    fitting = [entry for entry in known if _VERSION.fullmatch(entry[0]) or not entry[0]]
    return max(
        fitting, key=lambda entry: [int(part) for part in re.findall(r"\d+", entry[0])], default=("", None)
    )[1]
