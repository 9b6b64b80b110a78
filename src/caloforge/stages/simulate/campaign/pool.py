"""Hands shards to worker processes, watches them, and replaces those that crash."""

import json
import math
import os
import selectors
import subprocess
import sys
from collections import Counter, deque
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from caloforge.errors import InputError, SimulationError
from caloforge.stages.simulate.campaign.bookkeeping import Listener
from caloforge.stages.simulate.campaign.job import Shard

__all__ = ["Effort", "Pool", "Worker", "geant4", "last_words"]

_TRIES = 3  # crashes after which a shower is given up
_READ = 1 << 16


def geant4(folder: Path) -> list[str]:
    """Return the command that starts a worker for the shards of a folder."""
    # -u: when a worker is killed, the last words of Geant4 must be in the log and not in a buffer of Python.
    return [sys.executable, "-P", "-u", "-m", "caloforge.stages.simulate.geant4.worker", str(folder)]


class Worker:
    """A worker process and what it is doing.

    It reads a line ``START STOP`` for each shard from standard input and writes a line of JSON for everything
    it reports to standard output: ``{"begins": NUMBER}`` and ``{"shower": NUMBER, "seconds": S}`` before and
    after each shower, ``{"finished": [START, STOP], "seconds": S}`` after a shard, or, before it ends,
    ``{"refused": SENTENCE}`` or ``{"failed": [ERRNO, TEXT, FILE]}``.

    Attributes
    ----------
    shard
        The showers that it makes; None when it is idle.
    shower
        The current shower; None before, between and after showers.
    warm
        Whether it has made a shower: the first one also builds tables for all later ones.
    """

    def __init__(
        self, command: Sequence[str], environment: Mapping[str, str], log: Path, held: Sequence[int]
    ) -> None:
        self.log = log
        self.shard: Shard | None = None
        self.shower: int | None = None
        self.warm = False
        self._rest = b""
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=output,
                env={**os.environ, **environment},
                bufsize=0,
                pass_fds=held,
            )

    def fileno(self) -> int:
        """Return the file descriptor of its reports."""
        assert self._process.stdout is not None
        return self._process.stdout.fileno()

    def give(self, shard: Shard) -> None:
        """Tell it to make a shard."""
        assert self._process.stdin is not None
        self.shard = shard
        with suppress(BrokenPipeError):  # it died; the end of its reports says so too
            self._process.stdin.write(f"{shard.start} {shard.stop}\n".encode())

    def reports(self) -> list[dict[str, Any]] | None:
        """Return what it reported since the last call; None when it ended."""
        received = os.read(self.fileno(), _READ)
        if not received:
            return None
        *lines, self._rest = (self._rest + received).split(b"\n")
        return [json.loads(line) for line in lines]

    def end(self) -> int:
        """Kill it if it is still running; return its exit code."""
        self._process.kill()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()
        return self._process.wait()


@dataclass
class Effort:
    """Processor time in s, and the number of workers that crashed."""

    seconds: float = 0.0
    crashes: int = 0


class Pool:
    """Simulates shards with several worker processes.

    Parameters
    ----------
    command
        Starts a worker.
    environment
        Variables for the workers, in addition to those of this process.
    logs
        Folder for their logs.
    shards
        The shards to make.
    listener
        Gets the outcome of each shower.
    held
        Open files that the workers inherit: a lock among them lasts as long as any worker does.
    """

    def __init__(
        self,
        command: Sequence[str],
        environment: Mapping[str, str],
        logs: Path,
        shards: Sequence[Shard],
        listener: Listener,
        held: Sequence[int] = (),
    ) -> None:
        self.effort = Effort()
        self._command, self._environment, self._logs = command, environment, logs
        self._listener, self._held = listener, held
        self._waiting = deque(shards)
        self._crashes: Counter[int | Shard] = Counter()
        self._selector = selectors.DefaultSelector()

    def run(self, workers: int) -> None:
        """Work until all shards are finished; a shower in which Geant4 always crashes is in none of them.

        Raises
        ------
        InputError
            Geant4 does not know something that the job names.
        SimulationError
            Geant4 crashed several times outside a shower.
        OSError
            A worker could not write, for instance because the disk is full.
        """
        try:
            for number in range(min(workers, len(self._waiting))):
                self._start(self._logs / f"worker-{number}.log")
            while self._workers():
                for key, _ in self._selector.select():
                    self._listen(key.fileobj)  # type: ignore[arg-type]
        finally:
            for worker in self._workers():
                worker.end()
            self._selector.close()

    def _workers(self) -> list[Worker]:
        return [key.fileobj for key in self._selector.get_map().values()]  # type: ignore[misc]

    def _start(self, log: Path) -> None:
        worker = Worker(self._command, self._environment, log, self._held)
        self._selector.register(worker, selectors.EVENT_READ)
        worker.give(self._waiting.popleft())

    def _listen(self, worker: Worker) -> None:
        reports = worker.reports()
        if reports is None:
            self._replace_crashed(worker)
            return
        for report in reports:
            if "refused" in report:
                raise InputError(report["refused"])
            if "failed" in report:
                raise OSError(*report["failed"])
            if "begins" in report:
                worker.shower = report["begins"]
            if "shower" in report:
                self._count(worker, report["shower"], report["seconds"])
            if "finished" in report:
                self._finish(worker, report["seconds"])

    def _count(self, worker: Worker, number: int, seconds: float) -> None:
        self._listener.made(number, seconds if worker.warm else math.nan)
        worker.shower, worker.warm = None, True

    def _finish(self, worker: Worker, seconds: float) -> None:
        self.effort.seconds += seconds
        worker.shard = None
        if self._waiting:
            worker.give(self._waiting.popleft())
        else:
            self._dismiss(worker)

    def _dismiss(self, worker: Worker) -> int:
        self._selector.unregister(worker)
        return worker.end()

    def _replace_crashed(self, worker: Worker) -> None:
        """Give the work of a crashed worker to a new one; give up a shower that has crashed too often."""
        code, shard, shower = self._dismiss(worker), worker.shard, worker.shower
        assert shard is not None
        self.effort.crashes += 1
        self._listener.lost(shard)
        # A crash outside of showers has no single cause, so the shard as a whole is counted.
        culprit = shard if shower is None else shower
        self._crashes[culprit] += 1
        given_up = self._crashes[culprit] == _TRIES
        reason = f"exit code {code}, {last_words(worker.log).rstrip('.')}"
        if shower is None:
            if given_up:
                raise SimulationError(
                    f"Geant4 crashed {_TRIES} times before or after showers {shard.start} to "
                    f"{shard.stop - 1}: {reason}. Everything it said is in {worker.log}; caloforge doctor "
                    "finds out whether it misses data."
                )
            parts = [shard]
        else:
            if given_up:
                self._listener.skipped(shower, reason)
            parts = _around(shower, shard, given_up)
        self._waiting.extendleft(reversed(parts))
        if self._waiting:
            self._start(worker.log)


def _around(shower: int, shard: Shard, given_up: bool) -> list[Shard]:
    """Put a shower in its own shard, so that its next crash affects no other; drop it if it is given up."""
    alone = [] if given_up else [Shard(shower, shower + 1)]
    parts = [Shard(shard.start, shower), *alone, Shard(shower + 1, shard.stop)]
    return [part for part in parts if part.start < part.stop]


def last_words(log: Path) -> str:
    """Return the last line of a log, or what Geant4's last exception says."""
    text = log.read_text(encoding="utf-8", errors="replace")
    _, found, exception = text.rpartition("issued by : ")
    if found:
        return " ".join(exception.splitlines()[:2]).strip() + "."
    lines = text.split("\n")
    return next((line.strip() for line in reversed(lines) if line.strip()), "it said nothing.")
