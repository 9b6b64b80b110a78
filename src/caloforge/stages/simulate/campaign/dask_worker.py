"""Runs on a worker of a Dask cluster: makes one shard in a separate Geant4 process.

It finds Geant4's data where it runs and returns the finished files, so it needs no disk in common with the
process that asked.
"""

import socket
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from distributed import get_worker

from caloforge.clusters import stopped
from caloforge.errors import SimulationError
from caloforge.stages.simulate.campaign.bookkeeping import GIVE_UP_AFTER, always_crashes
from caloforge.stages.simulate.campaign.job import Folder, Job, Shard
from caloforge.stages.simulate.campaign.pool import Effort, Pool, geant4
from caloforge.stages.simulate.geant4 import data

__all__ = ["LOG", "Made", "Stopped", "find_data", "make"]

_TELL_EVERY = 1.0  # seconds between reports of what is made


class Stopped(Exception):
    """The shard is not needed any more."""


@dataclass
class Made:
    """The outcome of a shard.

    Attributes
    ----------
    files
        Contents of the finished shards' files; several where a shower was set apart.
    times
        Processor time in s of each shower that was made, by number; nan where it is not typical.
    reasons
        Why showers were given up, by number.
    effort
        Processor time and crashes.
    failure
        The sentence that ended it; empty when all went well. `LOG` in it stands for the log's name.
    log
        The log of Geant4, if it crashed.
    host
        The computer's name.
    """

    files: dict[Shard, bytes]
    times: dict[int, float]
    reasons: dict[int, str]
    effort: Effort
    failure: str
    log: bytes
    host: str


LOG = "{log}"


def make(description: Mapping[str, Any], shard: tuple[int, int], campaign: str) -> Made:
    """Make a shard, and tell the topic of this campaign which showers are made.

    Raises
    ------
    InputError
        Geant4 does not know something that the job names.
    SimulationError
        Geant4's data are missing here, or other than where the job was described.
    OSError
        The scratch disk is full.
    """
    job = Job.from_dict(dict(description))
    variables = find_data(job)
    notes = _Notes(job, campaign)
    with tempfile.TemporaryDirectory(prefix="caloforge-", dir=get_worker().local_directory) as scratch:
        folder = Folder(Path(scratch))
        with folder.claimed(job):
            pool = Pool(geant4(folder.path), variables, folder.path, [Shard(*shard)], notes)
            failure = _run(pool)
        files = {made: folder.file(made).read_bytes() for made in folder.finished()}
        logs = [path.read_bytes() for path in folder.path.glob("*.log")] if pool.effort.crashes else []
        failure = failure.replace(str(folder.path / "worker-0.log"), LOG)
        return Made(
            files, notes.times, notes.reasons, pool.effort, failure, b"".join(logs), socket.gethostname()
        )


def _run(pool: Pool) -> str:
    try:
        pool.run(1)
    except SimulationError as error:
        return str(error)
    except OSError as error:
        raise OSError(error.errno, error.strerror, f"{socket.gethostname()}:{error.filename}") from None
    return ""


def find_data(job: Job) -> dict[str, str]:
    """Find Geant4's data here; refuse others than the job's, which would make other showers."""
    variables = data.find(job.physics)
    here = (data.versions(variables), data.has_fluorescence(variables), version("geant4-pybind"))
    if here != (job.data, job.fluorescence, job.geant4_pybind):
        raise SimulationError(
            f"{socket.gethostname()} has another Geant4 or other data than the computer that gave the job "
            f"({here[0]}, geant4-pybind {here[2]}; wanted {job.data}, geant4-pybind {job.geant4_pybind}): "
            "install the same on all."
        )
    return variables


class _Notes:
    """Listens to the pool, and reports from time to time."""

    def __init__(self, job: Job, campaign: str) -> None:
        self.times: dict[int, float] = {}
        self.reasons: dict[int, str] = {}
        self._job, self._campaign, self._worker = job, campaign, get_worker()
        self._news: list[int] = []
        self._told = time.monotonic()

    def made(self, number: int, seconds: float) -> None:
        if stopped(self._campaign):
            raise Stopped
        self.times[number] = seconds
        self._news.append(number)
        if time.monotonic() - self._told > _TELL_EVERY:
            self._worker.log_event(self._campaign, self._news)
            self._news, self._told = [], time.monotonic()

    def lost(self, shard: Shard) -> None:
        for number in range(*shard):
            self.times.pop(number, None)

    def skipped(self, number: int, reason: str) -> None:
        self.reasons[number] = reason
        if len(self.reasons) >= GIVE_UP_AFTER and not self.times:
            raise always_crashes(self._job, reason)
