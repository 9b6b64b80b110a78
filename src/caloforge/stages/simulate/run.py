"""Full simulation with Geant4: a calorimeter, a particle, energies -> a file of showers."""

import importlib.util
import itertools
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import SupportsIndex

import numpy as np
import numpy.typing as npt

from caloforge import clusters
from caloforge.arguments import whole_number
from caloforge.errors import InputError, MissingExtra, SimulationError
from caloforge.formats.energies import Energies, as_spectrum
from caloforge.formats.native import ShowerFile, ShowerWriter
from caloforge.geometry import Calorimeter
from caloforge.incident.beam import PERPENDICULAR, Beam, Coordinates, as_direction, as_position
from caloforge.incident.particles import parse_particle
from caloforge.progress import Progress, no_progress
from caloforge.stages.simulate import limits
from caloforge.stages.simulate.campaign import cluster as campaign_cluster
from caloforge.stages.simulate.campaign.bookkeeping import Ledger, always_crashes
from caloforge.stages.simulate.campaign.job import DEFAULT_COMMANDS, Folder, Job, Shard, skipped_in
from caloforge.stages.simulate.campaign.pool import Effort, Pool, geant4
from caloforge.stages.simulate.geant4 import construction, data

__all__ = ["Summary", "simulate"]

_SHARD = 200  # showers at most; about two minutes at 1-100 GeV
_PARTS = 4  # shards for each worker, so that all end at about the same time
_WORTH_A_SHARD = 50  # showers; more and smaller files would not be faster
_STEP = 100  # showers that are joined at once


@dataclass(frozen=True)
class Summary:
    """What a simulation did.

    Attributes
    ----------
    path
        The file of showers.
    showers
        How many it holds.
    simulated
        How many of them are new.
    skipped
        Numbers of the showers that it lacks, because Geant4 crashed three times in each.
    ms_per_GeV
        Processor time for each GeV of incident energy, from `seconds_per_shower`; nan where that has none.
    seconds
        Wall-clock time.
    crashes
        Workers that had to be replaced.
    damaged
        Files in the folder of shards that could not be read: set aside, and their showers made again.
    seconds_per_shower
        Processor time of each new shower in s, in the order of their numbers; nan for the first of each
        worker, which also prepares what all others use.
    """

    path: Path
    showers: int
    simulated: int
    skipped: tuple[int, ...]
    ms_per_GeV: float  # noqa: N815
    seconds: float
    crashes: int
    damaged: tuple[Path, ...]
    seconds_per_shower: npt.NDArray[np.float64]


def simulate(
    geometry: str | Path | Calorimeter,
    particle: str | SupportsIndex,
    energy: Energies,
    n: SupportsIndex,
    out: str | Path,
    *,
    direction: Coordinates = PERPENDICULAR,
    position: Coordinates | None = None,
    physics: str = "FTFP_BERT",
    range_cut: float = 0.7,
    commands: Sequence[str] = DEFAULT_COMMANDS,
    seed: int = 0,
    workers: int = 1,
    cluster: str | None = None,
    progress: Progress = no_progress,
) -> Summary:
    """Simulate n showers into a file; resume an interrupted call, or extend a file that has fewer.

    The showers' columns account for the energy (MeV): ``absorber`` and ``active`` were deposited in either
    material, ``leaked`` left the calorimeter, and ``invisible`` is the rest: binding energies of nuclei and
    neutrinos.

    Finished shards are kept in the folder ``OUT.shards``, from which the file can be rebuilt or extended.
    Where they are gone, the file's own showers are taken instead.

    Parameters
    ----------
    geometry
        The calorimeter: a name of the catalogue, a TOML file or a `Calorimeter`.
    particle
        Name or PDG id of the incident particle, such as ``"e+"`` or -11.
    energy
        Its kinetic energy in MeV: a number, a pair (low, high) for uniform energies between both, or a list
        or an array, taken in turn. Or text in GeV, as on the command line: ``"50"``, ``"1:100"``,
        ``"log:1:100"``, ``"10,50,100"``, or the name of a file of energies or showers.
    n
        Number of showers that the file holds in the end.
    out
        The file.
    direction, position
        Where the particle flies to (theta and phi in rad) and where it meets the front face (eta and phi in
        mm), as in `caloforge.incident.beam.Beam`, each a number or a pair (low, high): by default at a right
        angle in the centre.
    physics
        A reference physics list of Geant4, or ``em`` for electromagnetic physics and decays alone.
    range_cut
        Range in mm below which secondaries are not tracked.
    commands
        Commands of Geant4's user interface that are applied before it builds its physics tables.
    seed
        Below 2^64.
    workers
        Number of processes.
    cluster
        Where they run: None for this computer; ``local``, a batch system that dask-jobqueue knows (``slurm``,
        ``htcondor``, ...) or the address of a scheduler for a Dask cluster. A scheduler that runs already has
        its own workers.
    progress
        Called with the number of showers that are there, n, and how fast it goes.

    Raises
    ------
    InputError
        A value is not possible, there is too little memory or disk, Geant4 does not know a name, or ``out``
        has more showers than asked for.
    ShowerFileError
        ``out`` exists and is not a file of showers.
    GeometryError
        The calorimeter is one that can't be simulated.
    ClusterError
        The cluster does not answer, or it has no workers.
    SimulationError
        Geant4's data are missing, it crashes in every shower or outside showers, or the shards (or the
        showers of a file without shards) are of another job.
    MissingExtra
        geant4-pybind is not installed, or Dask for a cluster.

    Examples
    --------
    >>> simulate("calogan", "e+", "1:2", 2, "positrons.h5", physics="em").showers
    2
    """
    geometry = Calorimeter.of(geometry)
    n, seed = whole_number(n, "The number of showers"), whole_number(seed, "The seed")
    workers = whole_number(workers, "The number of workers")
    spectrum = as_spectrum(energy)
    limits.check(spectrum, n, workers, seed, range_cut, cluster=cluster is not None)
    place = as_position(position) if position is not None else None
    beam = Beam(parse_particle(particle), spectrum, as_direction(direction), place)
    beam.check(geometry)
    construction.check(geometry)
    if cluster is not None:
        clusters.check(cluster)
    if importlib.util.find_spec("geant4_pybind") is None:
        raise MissingExtra("geant4", "geant4_pybind")
    variables = data.find(physics)
    job = Job(
        geometry, beam, physics, seed, range_cut, tuple(commands),
        data.has_fluorescence(variables), data.versions(variables), version("geant4-pybind"),
    )  # fmt: skip
    crew = _Crew(workers, variables, cluster)
    return _run(job, n, Path(out), crew, progress)


def _run(job: Job, n: int, out: Path, crew: "_Crew", progress: Progress) -> Summary:
    begin = time.monotonic()
    folder = Folder(out.with_name(out.name + ".shards"))
    _check_output(out, n)
    limits.check_room(job.geometry, job.beam.spectrum, n, job.seed, out, folder.path)
    with folder.claimed(job) as lock:
        damaged = folder.set_damaged_aside()
        if out.exists() and not folder.finished():
            folder.take(out)
        shards = folder.missing(n, _shard_size(n, crew.workers))
        energies = job.beam.spectrum.sample(job.seed, 0, n)
        ledger = Ledger(energies, shards, folder.skip, progress, job)
        effort = crew.simulate(job, folder, shards, ledger, lock)
        skipped = _join(folder, out, n, job)
    new = ledger.seconds
    lacking = set(skipped)
    made = [number for shard in shards for number in range(*shard) if number not in lacking]
    cost, seconds = _ms_per_gev(new, energies[made]), time.monotonic() - begin
    return Summary(out, n - len(skipped), len(new), skipped, cost, seconds, effort.crashes, damaged, new)


def _ms_per_gev(seconds: npt.NDArray[np.float64], energies: npt.NDArray[np.float64]) -> float:
    """The cost of showers of these energies in MeV, without those that also prepare what others use."""
    typical = np.isfinite(seconds)
    return float(1e6 * seconds[typical].sum() / energies[typical].sum()) if typical.any() else math.nan


@dataclass(frozen=True)
class _Crew:
    """Who makes the shards."""

    workers: int
    variables: dict[str, str]
    cluster: str | None

    def simulate(
        self, job: Job, folder: Folder, shards: Sequence[Shard], ledger: Ledger, lock: int
    ) -> Effort:
        if self.cluster is not None:
            return campaign_cluster.simulate(self.cluster, job, folder, shards, self.workers, ledger)
        pool = Pool(geant4(folder.path), self.variables, folder.path, shards, ledger, held=(lock,))
        pool.run(self.workers)
        return pool.effort


def _shard_size(n: int, workers: int) -> int:
    """Return how many showers a shard has: something for everybody to do, up to the end."""
    return min(_SHARD, math.ceil(n / workers), max(_WORTH_A_SHARD, math.ceil(n / (_PARTS * workers))))


def _join(folder: Folder, out: Path, n: int, job: Job) -> tuple[int, ...]:
    """Write showers 0 to n into one file; return the numbers of those that were given up."""
    reasons = folder.skipped()
    skipped = tuple(number for number in reasons if number < n)
    if len(skipped) == n:
        raise always_crashes(job, reasons[skipped[-1]])
    # Always in the same steps, so that the same showers are the same file byte for byte.
    parts = folder.batches(n, _STEP)
    first, written = next(parts), 0
    lacking = {"skipped": list(skipped)} if skipped else {}
    with ShowerWriter(out, first.geometry, {**first.provenance, **lacking}) as writer:
        for part in itertools.chain([first], parts):
            writer.write(part)
            written += len(part)
        if written != n - len(skipped):
            raise SimulationError(
                f"The shards in {folder.path} have {written} showers instead of {n - len(skipped)}, so no "
                "file is written: the same command makes those that are missing."
            )
    return skipped


def _check_output(out: Path, n: int) -> None:
    if out.is_dir():
        raise InputError(f"{out} is a folder: give the name of a file.")
    if not out.exists():
        return
    with ShowerFile(out) as file:
        asked_for = len(file) + len(skipped_in(file))
        if asked_for > n:
            raise InputError(
                f"{out} already has {asked_for} showers, more than the {n} asked for: "
                "ask for more to extend it, or choose another output."
            )
