"""Full simulation with Geant4: a calorimeter, a particle, energies -> a file of showers.

Shower number i depends on the job and on i alone. So any number of processes, stopped and started again at
any time, make the same showers bit for bit, and a sample that grows keeps what it had.
"""

import importlib.util
import math
import sys
import time
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from caloforge.errors import InputError, MissingExtra
from caloforge.geometry import Calorimeter
from caloforge.progress import Progress, no_progress
from caloforge.showers import ShowerFile, ShowerWriter
from caloforge.simulate import data, slabs
from caloforge.simulate.job import Folder, Job
from caloforge.simulate.pool import Pool
from caloforge.spectrum import Spectrum

__all__ = ["Summary", "run"]

_SHARD = 100  # showers at most; about a minute at 1-100 GeV
_SEEDS = 1 << 64


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
    ms_per_GeV
        Processor time for each GeV of incident energy; nan when none are new.
    seconds
        Wall-clock time.
    crashes
        Workers that had to be replaced.
    """

    path: Path
    showers: int
    simulated: int
    ms_per_GeV: float  # noqa: N815
    seconds: float
    crashes: int


def run(
    geometry: Calorimeter,
    pdg: int,
    spectrum: Spectrum,
    n: int,
    out: str | Path,
    *,
    physics: str = "FTFP_BERT",
    seed: int = 0,
    workers: int = 1,
    range_cut: float = 0.7,
    progress: Progress = no_progress,
) -> Summary:
    """Simulate n showers into a file; go on where an earlier call stopped, extend a file that has fewer.

    The showers' columns ``absorber`` and ``active`` are the energies deposited in either material (MeV) and
    ``leaked`` is the incident kinetic energy less both: what left the calorimeter, was spent on binding
    energies or went to neutrinos. A positron's annihilation adds up to 1.022 MeV that its kinetic energy does
    not have, so for positrons it can be slightly negative.

    Finished shards are kept in the folder ``OUT.shards``, from which the file can be rebuilt or extended.

    Parameters
    ----------
    geometry
        The calorimeter; the particle hits the centre of its front face at a right angle.
    pdg
        PDG id of the incident particle.
    spectrum
        Its kinetic energies.
    n
        Number of showers that the file holds in the end.
    out
        The file.
    physics
        A reference physics list of Geant4, or ``em`` for electromagnetic physics and decays alone.
    seed
        Below 2^64.
    workers
        Number of processes.
    range_cut
        Range in mm below which secondaries are not tracked.
    progress
        Called with the number of showers that are there and n.

    Raises
    ------
    InputError
        A value is not possible, Geant4 does not know a name, or ``out`` has more showers than asked for or no
        shards.
    GeometryError
        The cells of a layer are not all of one size.
    SimulationError
        Geant4's data are missing, it crashed three times in the same shard, or the shards are of another job.
    MissingExtra
        geant4-pybind is not installed.
    """
    _check(n, workers, seed, range_cut)
    slabs.check(geometry)
    if importlib.util.find_spec("geant4_pybind") is None:
        raise MissingExtra("geant4", "geant4_pybind")
    variables = data.find(physics)
    job = Job(
        geometry, pdg, spectrum, physics, seed, range_cut,
        data.has_fluorescence(variables), data.versions(variables), version("geant4-pybind"),
    )  # fmt: skip
    return _run(job, n, Path(out), workers, variables, progress)


def _run(job: Job, n: int, out: Path, workers: int, variables: dict[str, str], progress: Progress) -> Summary:
    begin = time.monotonic()
    folder = Folder(out.with_name(out.name + ".shards"))
    _check_output(out, folder, n)
    with folder.claimed(job):
        shards = folder.missing(n, min(_SHARD, math.ceil(n / workers)))
        new = sum(shard.stop - shard.start for shard in shards)
        command = [sys.executable, "-P", "-m", "caloforge.simulate.worker", str(folder.path)]
        pool = Pool(command, variables, folder.path, shards, lambda made: progress(n - new + made, n))
        progress(n - new, n)
        try:
            pool.run(workers)
        except InputError:
            folder.clear()
            raise
        _join(folder, out, n)
    energy = sum(float(job.spectrum.sample(job.seed, *shard).sum()) for shard in shards)
    cost = 1e6 * pool.effort.seconds / energy if energy else math.nan
    return Summary(out, n, new, cost, time.monotonic() - begin, pool.effort.crashes)


def _join(folder: Folder, out: Path, n: int) -> None:
    """Write showers 0 to n into one file."""
    # Always in the same steps, so that the same showers are the same file byte for byte.
    first = folder.read(0, 1)
    with ShowerWriter(out, first.geometry, first.provenance) as writer:
        for start in range(0, n, _SHARD):
            writer.write(folder.read(start, min(start + _SHARD, n)))


def _check(n: int, workers: int, seed: int, range_cut: float) -> None:
    if n < 1:
        raise InputError(f"{n} showers can't be simulated: ask for at least 1.")
    if workers < 1:
        raise InputError(f"{workers} workers can't simulate: give at least 1.")
    if not 0 <= seed < _SEEDS:
        raise InputError(f"The seed {seed} is not possible: give a whole number from 0 to 2^64 - 1.")
    if not (math.isfinite(range_cut) and range_cut > 0):
        raise InputError(f"A range cut of {range_cut:g} mm is not possible: give a finite number above 0.")


def _check_output(out: Path, folder: Folder, n: int) -> None:
    if not out.exists():
        return
    if not folder.path.exists():
        raise InputError(
            f"{out} exists, but its shards ({folder.path}) do not, so it can't be extended: "
            "choose another output or move that file away."
        )
    with ShowerFile(out) as file:
        if len(file) > n:
            raise InputError(
                f"{out} already has {len(file)} showers, more than the {n} asked for: "
                "ask for more to extend it, or choose another output."
            )
