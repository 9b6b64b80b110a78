"""Keeps account of the new showers of a simulation: those made, their times, and those given up."""

import math
import time
from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np
import numpy.typing as npt

from caloforge import catalog
from caloforge.errors import SimulationError
from caloforge.progress import Progress
from caloforge.stages.simulate.campaign.job import Job, Shard
from caloforge.units import GeV

__all__ = ["GIVE_UP_AFTER", "Float64s", "Ledger", "Listener", "always_crashes"]

Float64s = npt.NDArray[np.float64]

GIVE_UP_AFTER = 3
"""Showers given up before the first one is made, after which the physics is assumed to be at fault."""

_SETTLE = 0.5  # seconds before a rate is shown


class Listener(Protocol):
    """Listener for the progress of the showers."""

    def made(self, number: int, seconds: float) -> None:
        """Take in that a shower is made, and its processor time in s; nan where it is not typical."""

    def lost(self, shard: Shard) -> None:
        """Take in that what was made of a shard has to be made again."""

    def skipped(self, number: int, reason: str) -> None:
        """Take in that a shower is given up."""


class Ledger:
    """The outcome of each new shower. A `Listener`.

    Parameters
    ----------
    energies
        (n,) incident energies of showers 0 to n - 1, in MeV.
    shards
        Which of them are new.
    give_up
        Called with the number of a shower that is given up and the reason.
    progress
        Called after each shower with the number of settled ones, n, and the rate.
    job
        The job that makes them.
    """

    def __init__(
        self,
        energies: Float64s,
        shards: Sequence[Shard],
        give_up: Callable[[int, str], None],
        progress: Progress,
        job: Job,
    ) -> None:
        self._energies, self._give_up, self._progress, self._job = energies, give_up, progress, job
        self._made: dict[int, float] = {}
        self._given_up = 0
        self._before = len(energies) - sum(shard.stop - shard.start for shard in shards)
        self._done = 0.0  # MeV
        self._begin: tuple[float, float] | None = None  # when the first shower was made, and its energy
        self._tell("")

    @property
    def energy(self) -> float:
        """Incident energy of the new showers in MeV."""
        return self._done

    @property
    def seconds(self) -> Float64s:
        """Processor time of each new shower in s, in the order of their numbers."""
        return np.array([self._made[number] for number in sorted(self._made)], np.float64)

    def made(self, number: int, seconds: float) -> None:
        """Take in that a shower is made, and its processor time in s; nan where it is not typical."""
        if number not in self._made:
            self._done += float(self._energies[number])
        self._made[number] = seconds
        self._begin = self._begin or (time.monotonic(), self._done)
        self._tell(self._rate())

    def lost(self, shard: Shard) -> None:
        """Take in that what was made of a shard has to be made again."""
        for number in range(*shard):
            self._forget(number)
        self._tell(self._rate())

    def skipped(self, number: int, reason: str) -> None:
        """Take in that a shower is given up.

        Raises
        ------
        SimulationError
            Geant4 has not made any shower, but given up several.
        """
        self._give_up(number, reason)
        self._forget(number)  # a worker that was lost may have made it
        self._given_up += 1
        if self._given_up >= GIVE_UP_AFTER and not self._made:
            raise always_crashes(self._job, reason)
        self._tell(self._rate())

    def waits(self, why: str) -> None:
        """Take in that the simulation is waiting."""
        self._tell(why)

    def _forget(self, number: int) -> None:
        if number in self._made:
            del self._made[number]
            self._done -= float(self._energies[number])

    def _tell(self, note: str) -> None:
        settled = self._before + len(self._made) + self._given_up
        self._progress(settled, len(self._energies), note)

    def _rate(self) -> str:
        """Return the rate in GeV/s: showers differ in energy, to which their time is proportional."""
        begin, first = self._begin or (math.inf, 0.0)
        elapsed, done = time.monotonic() - begin, self._done - first
        if elapsed < _SETTLE or done <= 0:
            return ""
        return f"{done / elapsed / GeV:.3g} GeV/s"


def always_crashes(job: Job, reason: str) -> SimulationError:
    """Return the error that says that Geant4 crashes in every shower."""
    name = job.geometry.name
    known = name if name in catalog.names("geometries") else "GEOMETRY"  # the job does not know its file
    return SimulationError(
        f"Geant4 crashes in every shower in {name} with {job.physics} ({reason}). Find out what it misses "
        f"with: caloforge doctor {known} --physics {job.physics}"
    )
