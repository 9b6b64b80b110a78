"""Hands shards to the workers of a Dask cluster, on this computer or on many.

A task is one shard (`caloforge.stages.simulate.campaign.dask_worker`). Only the process that asked writes
to the folder of shards, so a shard is complete or missing, even if a worker is lost. Dask gives the
shards of a lost worker to others.
"""

import importlib
import importlib.util
import logging
import math
import shlex
import shutil
import time
import uuid
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any

from caloforge.catalog import unknown
from caloforge.errors import CaloforgeError, InputError, MissingExtra, SimulationError
from caloforge.files import written_aside
from caloforge.stages.simulate.campaign.bookkeeping import Ledger
from caloforge.stages.simulate.campaign.job import Folder, Job, Shard
from caloforge.stages.simulate.campaign.pool import Effort

if TYPE_CHECKING:
    from caloforge.stages.simulate.campaign.dask_worker import Made

__all__ = ["check", "simulate"]

_LOCAL = "local"
_TRIES = 3  # times that Dask may give up a shard, each after several lost workers
_AHEAD = 256  # tasks that the scheduler knows of at once
_ANSWER = 30.0  # seconds for a scheduler to answer
_PATIENCE = 120.0  # seconds without a worker, where no queue explains it
_LOOK_EVERY = 5.0  # seconds
_SAID = ("cores", "memory")  # settings that dask-jobqueue needs for a job


def check(cluster: str) -> None:
    """Refuse an impossible cluster.

    Raises
    ------
    InputError
        It is neither the address of a scheduler nor a known name, or its commands are not on this computer.
    MissingExtra
        Dask is not installed.
    """
    _dask("distributed")
    if "://" in cluster:
        _check_address(cluster)
    if "://" in cluster or cluster == _LOCAL:
        return
    batch = _batch_systems()
    if cluster not in batch:
        raise InputError(
            unknown(cluster, [_LOCAL, *batch], "clusters")
            + " The address of a scheduler (tcp://HOST:PORT) is possible too."
        )
    command = shlex.split(batch[cluster].job_cls.submit_command)[0]
    if shutil.which(command) is None:
        raise InputError(
            f"Jobs can't be submitted to {cluster} here, since the command {command} is missing: run this "
            "where you submit jobs."
        )
    unsaid = [key for key in _SAID if _dask("dask.config").get(f"jobqueue.{cluster}.{key}", None) is None]
    if unsaid:
        raise InputError(
            f"Nothing says what {' and '.join(unsaid)} a job of {cluster} has: describe it in "
            f"~/.config/dask/jobqueue.yaml under jobqueue: {cluster}:"
        )


def _check_address(address: str) -> None:
    try:
        _dask("distributed.comm").resolve_address(address)
    except ValueError as error:
        raise InputError(
            f"{address} is not the address of a Dask scheduler ({error}): give one such as tcp://HOST:PORT."
        ) from None
    except OSError:  # an unknown host, which the connection reports
        pass


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
    SimulationError
        The scheduler does not answer, it has no workers, Geant4's data are missing on one, or Geant4 crashed.
    OSError
        A disk is full, here or where a worker runs.
    """
    if not shards:
        return Effort()
    with _connected(cluster, workers) as site:
        campaign = _Campaign(site, job, folder, shards, ledger)
        try:
            campaign.run()
        finally:
            campaign.close()
    return campaign.effort


@dataclass
class _Site:
    """A connection to a scheduler.

    Attributes
    ----------
    client
        The connection.
    refill
        Asks a batch system for the jobs that are missing; None where there is no queue to wait in.
    """

    client: Any
    refill: Callable[[], None] | None = None


class _Campaign:
    """The shards of one call, on their way to the workers and back."""

    def __init__(
        self, site: _Site, job: Job, folder: Folder, shards: Sequence[Shard], ledger: Ledger
    ) -> None:
        self.effort = Effort()
        self._site, self._client, self._folder, self._ledger = site, site.client, folder, ledger
        self._job = job
        self._topic = f"caloforge-{uuid.uuid4().hex}"
        self._waiting = deque(shards)
        self._running: dict[Any, Shard] = {}
        self._given_up: Counter[Shard] = Counter()
        self._events: SimpleQueue[Any] = SimpleQueue()
        self._seen = self._looked = time.monotonic()

    def run(self) -> None:
        """Work until all shards are in the folder."""
        self._client.subscribe_topic(self._topic, lambda event: self._events.put(event[1]))
        for _ in range(min(_AHEAD, len(self._waiting))):
            self._submit()
        while self._running:
            with suppress(Empty):
                self._take(self._events.get(timeout=_LOOK_EVERY))
            if time.monotonic() - self._looked > _LOOK_EVERY:
                self._look()

    def close(self) -> None:
        """Stop all tasks, even on workers that would continue without this process."""
        from caloforge.stages.simulate.campaign import dask_worker

        if self._running and self._client.status == "running":
            with suppress(Exception):  # the first error is more important
                self._client.cancel(list(self._running))
                self._client.run(dask_worker.stop, self._topic, wait=False)

    def _submit(self) -> None:
        from caloforge.stages.simulate.campaign import dask_worker

        shard = self._waiting.popleft()
        key = f"{self._topic}-{shard.start}-{uuid.uuid4().hex}"
        job = self._job.part(shard).to_dict()  # not every shard's energies: there may be millions
        future = self._client.submit(dask_worker.make, job, tuple(shard), self._topic, key=key, pure=False)
        self._running[future] = shard
        future.add_done_callback(self._events.put)

    def _take(self, event: Any) -> None:
        if isinstance(event, Sequence):
            for number in event:
                self._ledger.made(number, math.nan)
            return
        shard = self._running.pop(event)
        made = self._result(event, shard)
        if made is None:
            self._waiting.appendleft(shard)
        else:
            self._keep(made)
        event.release()
        if self._waiting:
            self._submit()

    def _result(self, future: Any, shard: Shard) -> "Made | None":
        """Return what a task made; None if it has to be made again."""
        dask = _dask("distributed")
        try:
            made: Made = future.result(timeout=_ANSWER)
        except (dask.KilledWorker, TimeoutError):  # of the latter, the worker was lost after it had finished
            self._given_up[shard] += 1
            if self._given_up[shard] < _TRIES:
                return None
            raise SimulationError(
                f"Showers {shard.start} to {shard.stop - 1} are not made, because every worker that had them "
                "was lost. Finished shards are kept: rerun the command to resume."
            ) from None
        except dask.CancelledError:
            raise SimulationError(_LOST) from None
        except (CaloforgeError, OSError):
            raise
        except Exception as error:
            raise SimulationError(
                f"A Dask worker can't simulate ({type(error).__name__}: {error}): it needs the same "
                "caloforge, geant4-pybind and Dask as are here."
            ) from error
        return made

    def _keep(self, made: "Made") -> None:
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
        for part, content in made.files.items():
            with written_aside(self._folder.file(part)) as partial:
                partial.write_bytes(content)
        self.effort.seconds += made.effort.seconds
        self.effort.crashes += made.effort.crashes

    def _look(self) -> None:
        """Check that there are workers."""
        self._looked = now = time.monotonic()
        alive = self._client.status == "running" and self._client.nthreads()
        if self._site.refill:
            self._refill(self._site.refill, bool(alive))
        if alive:
            self._seen = now
        elif self._site.refill:
            self._ledger.waits("waiting for the batch system to start workers")
        elif now - self._seen > _PATIENCE:
            raise SimulationError(
                f"The Dask scheduler has had no workers for {now - self._seen:.0f} s: start some, then "
                "rerun the command to resume."
            )

    def _refill(self, refill: Callable[[], None], alive: bool) -> None:
        try:
            refill()
        except InputError:
            if not alive:  # else the present workers continue, and the queue may take jobs later
                raise


_LOST = (
    "The connection to the Dask scheduler was lost. Finished shards are kept: rerun the command to resume."
)


def _connected(cluster: str, workers: int) -> AbstractContextManager[_Site]:
    if "://" in cluster:
        return _scheduler(cluster)
    return _this_computer(workers) if cluster == _LOCAL else _batch(cluster, workers)


@contextmanager
def _scheduler(address: str) -> Iterator[_Site]:
    """Connect to a running scheduler."""
    kind = _dask("distributed").Client
    client = kind.__new__(kind)  # in hand before it connects, to end it if it can't
    try:
        client.__init__(address, timeout=_ANSWER, set_as_default=False)
    except Exception as error:  # of many kinds, from a host that is unknown to TLS without certificates
        client.status = "closed"  # else its destructor waits for the scheduler's answer
        raise SimulationError(
            f"No Dask scheduler answers at {address} ({error}): start one with 'dask scheduler', or correct "
            "the address."
        ) from None
    with client:
        yield _Site(client)


@contextmanager
def _this_computer(workers: int) -> Iterator[_Site]:
    dask = _dask("distributed")
    with (
        dask.LocalCluster(
            n_workers=workers,
            threads_per_worker=1,
            memory_limit=0,  # none for the Dask worker: Geant4 runs in a separate process
            dashboard_address="localhost:0",
            silence_logs=logging.CRITICAL,
            preload="caloforge.stages.simulate.campaign.dask_worker",
        ) as cluster,
        dask.Client(cluster, set_as_default=False) as client,
    ):
        yield _Site(client)


@contextmanager
def _batch(name: str, workers: int) -> Iterator[_Site]:
    """Submit jobs that are Dask workers; how many cores and what queue is in the user's jobqueue.yaml."""
    dask = _dask("distributed")
    settings = _dask("dask.config").get(f"jobqueue.{name}.scheduler-options", None) or {}
    try:
        # Any free port for the dashboard, as several campaigns may start on one computer.
        cluster = _batch_systems()[name](scheduler_options={"dashboard_address": ":0", **settings})
    except ValueError as error:
        raise InputError(
            f"The settings of {name} in ~/.config/dask/jobqueue.yaml are not possible: {error}"
        ) from None
    with cluster, dask.Client(cluster, set_as_default=False) as client:

        def refill() -> None:
            try:
                cluster.sync(_submit, cluster, workers, callback_timeout=_ANSWER)
            except (OSError, RuntimeError, ValueError) as error:
                said = [line for line in str(error).splitlines() if line.strip()]
                complaint = said[-1] if said else "its command does not end"
                raise InputError(f"{name} does not take jobs: {complaint}") from None

        refill()
        yield _Site(client, refill)


async def _submit(cluster: Any, workers: int) -> None:
    """Submit the jobs that are missing; raises what the batch system's command says."""
    # What the cluster's own method `scale` does, but that logs an error instead of raising it.
    while sum(len(spec.get("group", "1")) for spec in cluster.worker_spec.values()) < workers:
        cluster.worker_spec.update(cluster.new_worker_spec())
    status = _dask("distributed").Status
    try:
        await cluster
    finally:
        for name, job in list(cluster.workers.items()):
            if job.status != status.running:  # never submitted: nothing to wait for, nothing to remove
                job.status = status.failed
                del cluster.workers[name]


def _batch_systems() -> dict[str, Any]:
    """Return dask-jobqueue's classes by the names of the batch systems."""
    jobqueue = _dask("dask_jobqueue")
    classes = (entry for entry in vars(jobqueue).values() if isinstance(entry, type))
    base = jobqueue.JobQueueCluster
    return {
        entry.__name__.removesuffix("Cluster").lower(): entry
        for entry in classes
        if issubclass(entry, base) and entry is not base
    }


def _dask(module: str) -> Any:
    """Import a part of Dask, which has no types; raises `MissingExtra` where it is not installed."""
    if importlib.util.find_spec(module) is None:
        raise MissingExtra("cluster", module)
    return importlib.import_module(module)
