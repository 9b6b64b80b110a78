"""Connects to Dask clusters, on this computer or on many, and hands them tasks.

A cluster is ``local``, a batch system that dask-jobqueue knows (``slurm``, ``htcondor``, ...), or the address
of a scheduler. Dask gives the tasks of a lost worker to others.
"""

import importlib
import importlib.util
import logging
import shlex
import shutil
import signal
import time
import uuid
from abc import ABC, abstractmethod
from collections import Counter, deque
from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import Any, Generic, TypeVar

from caloforge.catalog import unknown
from caloforge.errors import CaloforgeError, ClusterError, InputError, MissingExtra

__all__ = ["Site", "Tasks", "check", "connected", "dask_setup", "stop", "stopped"]

_LOCAL = "local"
_TRIES = 3  # times that Dask may give up a task, each after several lost workers
_AHEAD = 256  # tasks that the scheduler knows of at once
_ANSWER = 30.0  # seconds for a scheduler to answer
_PATIENCE = 120.0  # seconds without a worker, where no queue explains it
_LOOK_EVERY = 5.0  # seconds
_SAID = ("cores", "memory")  # settings that dask-jobqueue needs for a job

Part = TypeVar("Part", bound=Hashable)
Made = TypeVar("Made")

_stopped: set[str] = set()


def dask_setup(worker: object) -> None:
    """Leave Ctrl-C to the process that asked; Dask calls this where it loads the module before its work."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def stop(topic: str) -> None:
    """End this process's tasks of a topic."""
    _stopped.add(topic)


def stopped(topic: str) -> bool:
    """Return whether the tasks of a topic are not needed any more."""
    return topic in _stopped


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


@dataclass
class Site:
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


class Tasks(ABC, Generic[Part, Made]):
    """The parts of a job on their way to the workers of a cluster and back.

    Parameters
    ----------
    site
        The cluster.
    parts
        What there is to do; each is one task.
    """

    kept = "Rerun the command to resume."

    def __init__(self, site: Site, parts: Sequence[Part]) -> None:
        self._site, self._client = site, site.client
        self.topic = f"caloforge-{uuid.uuid4().hex}"
        self._waiting = deque(parts)
        self._running: dict[Any, Part] = {}
        self._given_up: Counter[Part] = Counter()
        self._events: SimpleQueue[Any] = SimpleQueue()
        self._seen = self._looked = time.monotonic()

    @abstractmethod
    def call(self, part: Part) -> tuple[Any, ...]:
        """Return the function that a worker calls for a part, and its arguments."""

    @abstractmethod
    def tell(self, news: Sequence[Any]) -> None:
        """Take what a worker logged to the topic."""

    @abstractmethod
    def keep(self, part: Part, made: Made) -> None:
        """Take what a worker returned."""

    @abstractmethod
    def waits(self, note: str) -> None:
        """Say what is waited for."""

    @abstractmethod
    def lost(self, part: Part) -> CaloforgeError:
        """Return the error for a part whose workers were all lost."""

    @abstractmethod
    def failed(self, error: Exception) -> CaloforgeError:
        """Return the error for a worker that failed with an exception that is not caloforge's."""

    def run(self) -> None:
        """Work until all parts are done.

        Raises
        ------
        ClusterError
            The connection was lost, or there are no workers.
        """
        try:
            self._run()
        finally:
            self._close()

    def _run(self) -> None:
        self._client.subscribe_topic(self.topic, lambda event: self._events.put(event[1]))
        for _ in range(min(_AHEAD, len(self._waiting))):
            self._submit()
        while self._running:
            with suppress(Empty):
                self._take(self._events.get(timeout=_LOOK_EVERY))
            if time.monotonic() - self._looked > _LOOK_EVERY:
                self._look()

    def _close(self) -> None:
        """Stop all tasks, even on workers that would continue without this process."""
        if self._running and self._client.status == "running":
            with suppress(Exception):  # the first error is more important
                self._client.cancel(list(self._running))
                self._client.run(stop, self.topic, wait=False)

    def _submit(self) -> None:
        part = self._waiting.popleft()
        function, *given = self.call(part)
        key = f"{self.topic}-{uuid.uuid4().hex}"
        future = self._client.submit(function, *given, key=key, pure=False)
        self._running[future] = part
        future.add_done_callback(self._events.put)

    def _take(self, event: Any) -> None:
        if isinstance(event, Sequence):
            self.tell(event)
            return
        part = self._running.pop(event)
        found = self._result(event, part)
        if found is None:
            self._waiting.appendleft(part)
        else:
            self.keep(part, found)
        event.release()
        if self._waiting:
            self._submit()

    def _result(self, future: Any, part: Part) -> Made | None:
        """Return what a task made; None if it has to be made again."""
        dask = _dask("distributed")
        try:
            made: Made = future.result(timeout=_ANSWER)
        except (dask.KilledWorker, TimeoutError):  # of the latter, the worker was lost after it had finished
            self._given_up[part] += 1
            if self._given_up[part] < _TRIES:
                return None
            raise self.lost(part) from None
        except dask.CancelledError:
            raise ClusterError(f"The connection to the Dask scheduler was lost. {self.kept}") from None
        except (CaloforgeError, OSError):
            raise
        except Exception as error:
            raise self.failed(error) from error
        return made

    def _look(self) -> None:
        """Check that there are workers."""
        self._looked = now = time.monotonic()
        alive = self._client.status == "running" and self._client.nthreads()
        if self._site.refill:
            self._refill(self._site.refill, bool(alive))
        if alive:
            self._seen = now
        elif self._site.refill:
            self.waits("waiting for the batch system to start workers")
        elif now - self._seen > _PATIENCE:
            raise ClusterError(
                f"The Dask scheduler has had no workers for {now - self._seen:.0f} s: start some, then "
                "rerun the command to resume."
            )

    def _refill(self, refill: Callable[[], None], alive: bool) -> None:
        try:
            refill()
        except InputError:
            if not alive:  # else the present workers continue, and the queue may take jobs later
                raise


def connected(cluster: str, workers: int) -> AbstractContextManager[Site]:
    """Return a connection to a cluster; workers are started unless the scheduler runs already.

    Raises
    ------
    InputError
        The batch system takes no jobs.
    ClusterError
        The scheduler does not answer.
    """
    if "://" in cluster:
        return _scheduler(cluster)
    return _this_computer(workers) if cluster == _LOCAL else _batch(cluster, workers)


@contextmanager
def _scheduler(address: str) -> Iterator[Site]:
    """Connect to a running scheduler."""
    kind = _dask("distributed").Client
    client = kind.__new__(kind)  # in hand before it connects, to end it if it can't
    try:
        client.__init__(address, timeout=_ANSWER, set_as_default=False)
    except Exception as error:  # of many kinds, from a host that is unknown to TLS without certificates
        client.status = "closed"  # else its destructor waits for the scheduler's answer
        raise ClusterError(
            f"No Dask scheduler answers at {address} ({error}): start one with 'dask scheduler', or correct "
            "the address."
        ) from None
    with client:
        yield Site(client)


@contextmanager
def _this_computer(workers: int) -> Iterator[Site]:
    dask = _dask("distributed")
    with (
        dask.LocalCluster(
            n_workers=workers,
            threads_per_worker=1,
            memory_limit=0,  # none: caloforge checks what it needs before it starts
            dashboard_address="localhost:0",
            silence_logs=logging.CRITICAL,
            preload="caloforge.clusters",
        ) as cluster,
        dask.Client(cluster, set_as_default=False) as client,
    ):
        yield Site(client)


@contextmanager
def _batch(name: str, workers: int) -> Iterator[Site]:
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
        yield Site(client, refill)


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
