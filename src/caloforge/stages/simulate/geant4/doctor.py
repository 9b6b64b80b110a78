"""Checks whether a simulation works here: what is installed, which data Geant4 finds, and a short trial."""

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from caloforge.geometry import Calorimeter
from caloforge.incident.beam import Beam
from caloforge.incident.spectrum import Spectrum
from caloforge.stages.simulate.campaign.job import DEFAULT_COMMANDS, Folder, Job
from caloforge.stages.simulate.campaign.pool import last_words
from caloforge.stages.simulate.geant4 import construction, data
from caloforge.stages.simulate.geant4.data import DataSet

__all__ = ["Diagnosis", "Package", "Verdict", "diagnose", "packages"]

_GEANT4 = "geant4-pybind"
_CALORIMETER = "calogan"
_OF_SHAPES = re.compile(r"G4(Box|Tubs|CSGSolid|VSolid|PV\w+|LogicalVolume|GeometryManager|Navigator)\b")
_NOT_FOR_USERS = {"test", "dev"}
_SHOWERS = 5
_ENERGY = 20  # GeV
_PATIENCE = 300.0  # seconds; lists with high-precision neutrons read data for a minute before they begin


@dataclass(frozen=True)
class Package:
    """A package that caloforge can use.

    Attributes
    ----------
    name
        Its name on PyPI.
    extra
        The extra of caloforge that brings it.
    version
        The installed version; None where it is not installed.
    """

    name: str
    extra: str
    version: str | None


@dataclass(frozen=True)
class Verdict:
    """Whether a simulation would work here.

    Attributes
    ----------
    works
        True where the trial gave showers.
    sentence
        What was found.
    command
        The command that gets what is missing; empty where there is none.
    """

    works: bool
    sentence: str
    command: str = ""


@dataclass(frozen=True)
class Diagnosis:
    """Result of all checks.

    Attributes
    ----------
    packages
        What the extras of caloforge bring.
    folder
        Where Geant4's data sets are looked for.
    data
        All of Geant4's data sets.
    needed
        Variables of those that the physics list reads.
    verdict
        The conclusion.
    """

    packages: list[Package]
    folder: Path
    data: list[DataSet]
    needed: list[str]
    verdict: Verdict


def diagnose(
    physics: str = "FTFP_BERT",
    geometry: Calorimeter | None = None,
    environment: Mapping[str, str] = os.environ,
    patience: float = _PATIENCE,
) -> Diagnosis:
    """Look at everything that a simulation needs, and simulate a few showers in another process.

    Parameters
    ----------
    physics
        Name of the physics list that is wanted.
    geometry
        The calorimeter of the trial, by default one of lead and liquid argon; what data a physics list reads
        depends on the materials too.
    environment
        Variables to look at.
    patience
        Seconds after which the trial is given up.

    Raises
    ------
    GeometryError
        The calorimeter is one that can't be simulated.
    """
    calorimeter = geometry or Calorimeter.load(_CALORIMETER)
    construction.check(calorimeter)
    return Diagnosis(
        packages(),
        data.folder(environment),
        data.survey(environment),
        data.needed(physics),
        _judge(physics, calorimeter, environment, patience),
    )


def packages() -> list[Package]:
    """Return what the extras of caloforge bring, installed or not."""
    wanted = (
        re.match(r"""([\w.-]+).*extra == ['"](\w+)['"]""", line)
        for line in metadata.requires("caloforge") or []
    )
    names = [(match[1], match[2]) for match in wanted if match and match[2] not in _NOT_FOR_USERS]
    return [Package(name, extra, _version(name)) for name, extra in names]


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _judge(physics: str, geometry: Calorimeter, environment: Mapping[str, str], patience: float) -> Verdict:
    if _version(_GEANT4) is None:
        return Verdict(
            False, f"{_GEANT4}, which carries Geant4, is not installed.", "pip install 'caloforge[geant4]'"
        )
    absent = data.missing(physics, environment)
    if absent:
        return Verdict(False, data.problem(absent, physics, environment), data.cure(absent, physics))
    return _trial(physics, geometry, {**environment, **data.find(physics, environment)}, patience)


def _trial(physics: str, geometry: Calorimeter, environment: Mapping[str, str], patience: float) -> Verdict:
    """Simulate a few showers in another process, as a simulation does: Geant4 may crash or hang."""
    # The shower of a pion has hadrons, nuclei, photons and electrons, so it needs all data.
    pdg, name = (-11, "e+") if physics == "em" else (211, "pi+")
    begin = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="caloforge-doctor-") as path:
        job = Job(
            geometry, Beam(pdg, Spectrum.parse(str(_ENERGY))), physics, 1, 0.7,
            DEFAULT_COMMANDS, data.has_fluorescence(environment), {}, _version(_GEANT4) or "",
        )  # fmt: skip
        with Folder(Path(path)).claimed(job):
            log = Path(path, "trial.log")
            try:
                code, reports = _work(path, log, environment, patience)
            except subprocess.TimeoutExpired:
                return Verdict(False, f"{physics} made no shower in {patience:g} s: {_said(log)}")
            words = _said(log)
    if "refused" in reports:
        return Verdict(False, str(reports["refused"]))
    if "finished" not in reports:
        return _crashed(physics, geometry, code, words)
    fluorescence = "" if job.fluorescence else " These data have no fluorescence, which is left out."
    return Verdict(
        True,
        f"Simulation works: {_SHOWERS} showers of {name} at {_ENERGY} GeV in {geometry.name} with {physics} "
        f"took {time.monotonic() - begin:.1f} s.{fluorescence}",
    )


def _work(
    path: str, log: Path, environment: Mapping[str, str], patience: float
) -> tuple[int, dict[str, object]]:
    """Run a worker for a few showers; return its exit code and everything it reported."""
    with log.open("wb") as output:
        done = subprocess.run(
            [sys.executable, "-P", "-u", "-m", "caloforge.stages.simulate.geant4.worker", path],
            input=f"0 {_SHOWERS}\n".encode(),
            stdout=subprocess.PIPE,
            stderr=output,
            env=dict(environment),
            timeout=patience,
            check=False,
        )
    reports: dict[str, object] = {}
    for line in done.stdout.splitlines():
        reports |= json.loads(line)
    return done.returncode, reports


def _said(log: Path) -> str:
    """What Geant4 said last, with the full stop that its own words may lack."""
    return last_words(log).rstrip(". ") + "."


def _crashed(physics: str, geometry: Calorimeter, code: int, words: str) -> Verdict:
    end = signal.Signals(-code).name if code < 0 else f"exit code {code}"
    told = f"Geant4 crashes with {physics} in {geometry.name} ({end}): {words}"
    if _OF_SHAPES.match(words):
        return Verdict(False, f"{told} That is about the shape of the calorimeter: change its sizes.")
    likely = "Its data sets are there, so they are probably incomplete for this physics or these materials."
    return Verdict(False, f"{told} {likely}", _fresh_data(physics))


def _fresh_data(physics: str) -> str:
    return f"env {data.DATA_DIR}=A_NEW_FOLDER {data.download_command(physics)}"
