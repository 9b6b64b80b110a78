"""Hands shards to the workers of a Dask cluster.

A task is one shard (`caloforge.stages.simulate.campaign.dask_worker`). Only the process that asked writes
to the folder of shards, so a shard is complete or missing, even if a worker is lost.
"""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from caloforge.clusters import Site, Tasks, connected
from caloforge.errors import SimulationError
from caloforge.files import written_aside
from caloforge.stages.simulate.campaign.bookkeeping import Ledger
from caloforge.stages.simulate.campaign.job import Folder, Job, Shard
from caloforge.stages.simulate.campaign.pool import Effort

if TYPE_CHECKING:
    from caloforge.stages.simulate.campaign.dask_worker import Made

__all__ = ["simulate"]


def simulate(
    cluster: str, job: Job, folder: Folder, shards: Sequence[Shard], workers: int, ledger: Ledger
) -> Effort:
    """Make shards on a cluster and put them into the folder.

    Parameters
    ----------
    cluster
        ``local``, a batch system that dask-jobqueue knows (``slurm``, ``htcondor``, ...), or the address of a
        scheduler.
    job
        The showers to simulate.
    folder
        Where the shards go; only this process writes it.
    shards
        The shards to make.
    workers
        Number of Dask workers to start; a scheduler that runs already has its own.
    ledger
        Gets the outcome of each shower.

    Raises
    ------
    InputError
        Geant4 does not know something that the job names, or the batch system takes no jobs.
    ClusterError
        The scheduler does not answer, or it has no workers.
    SimulationError
        Geant4's data are missing on a worker, or Geant4 crashed.
    OSError
        A disk is full, here or where a worker runs.
    """
    if not shards:
        return Effort()
    with connected(cluster, workers) as site:
        campaign = _Campaign(site, job, folder, shards, ledger)
        campaign.run()
    return campaign.effort


class _Campaign(Tasks[Shard, "Made"]):
    """The shards of one call."""

    kept = "Finished shards are kept: rerun the command to resume."

    def __init__(self, site: Site, job: Job, folder: Folder, shards: Sequence[Shard], ledger: Ledger) -> None:
        super().__init__(site, shards)
        self.effort = Effort()
        self._job, self._folder, self._ledger = job, folder, ledger

    def call(self, part: Shard) -> tuple[Any, ...]:
        """Return what makes a shard."""
        from caloforge.stages.simulate.campaign import dask_worker

        job = self._job.part(part).to_dict()  # not every shard's energies: there may be millions
        return dask_worker.make, job, tuple(part), self.topic

    def tell(self, news: Sequence[Any]) -> None:
        """Count showers that are made."""
        for number in news:
            self._ledger.made(number, math.nan)

    def keep(self, part: Shard, made: "Made") -> None:
        """Put a shard into the folder."""
        from caloforge.stages.simulate.campaign import dask_worker

        log = self._folder.path / f"worker-{made.host}.log"
        if made.log:
            with log.open("ab") as file:
                file.write(made.log)
        if made.failure:
            raise SimulationError(f"On {made.host}: {made.failure.replace(dask_worker.LOG, str(log))}")
        for number, seconds in made.times.items():
            self._ledger.made(number, seconds)
        for number, reason in made.reasons.items():
            self._ledger.skipped(number, reason)
        for shard, content in made.files.items():
            with written_aside(self._folder.file(shard)) as partial:
                partial.write_bytes(content)
        self.effort.seconds += made.effort.seconds
        self.effort.crashes += made.effort.crashes

    def waits(self, note: str) -> None:
        """Show what is waited for."""
        self._ledger.waits(note)

    def lost(self, part: Shard) -> SimulationError:
        """Name the showers that are not made."""
        return SimulationError(
            f"Showers {part.start} to {part.stop - 1} are not made, because every worker that had them "
            f"was lost. {self.kept}"
        )

    def failed(self, error: Exception) -> SimulationError:
        """Say what a worker needs."""
        return SimulationError(
            f"A Dask worker can't simulate ({type(error).__name__}: {error}): it needs the same "
            "caloforge, geant4-pybind and Dask as are here."
        )
