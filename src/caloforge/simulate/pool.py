"""Hands shards to worker processes, watches them, and replaces those that crash."""

import json
import os
import selectors
import subprocess
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from caloforge.errors import InputError, SimulationError
from caloforge.simulate.job import Shard

_TRIES = 3  # crashes of one shard after which it is given up
_READ = 1 << 16


class Worker:
    """A worker process and what it is doing.

    It reads a line ``START STOP`` for each shard from standard input and writes a line of JSON for everything
    it reports to standard output: ``{"shower": NUMBER}``, ``{"finished": [START, STOP], "seconds": S}``, or,
    before it ends, ``{"refused": SENTENCE}`` or ``{"failed": [ERRNO, TEXT, FILE]}``.

    Attributes
    ----------
    shard
        The showers it was told to make; None when it has nothing to do.
    done
        How many of them it has made.
    """

    def __init__(self, command: Sequence[str], environment: Mapping[str, str], log: Path) -> None:
        self.log = log
        self.shard: Shard | None = None
        self.done = 0
        self._rest = b""
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=output,
                env={**os.environ, **environment},
                bufsize=0,
            )

    def fileno(self) -> int:
        """Return where its reports come from."""
        assert self._process.stdout is not None
        return self._process.stdout.fileno()

    def give(self, shard: Shard) -> None:
        """Tell it to make a shard."""
        assert self._process.stdin is not None
        self.shard, self.done = shard, 0
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
        """Make sure that it is gone; return its exit code."""
        self._process.kill()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()
        return self._process.wait()


@dataclass
class Effort:
    """What it took: processor time in s, and how many workers crashed."""

    seconds: float = 0.0
    crashes: int = 0


class Pool:
    """Simulates shards with several worker processes.

    Parameters
    ----------
    command
        Starts a worker.
    environment
        Variables for the workers, beside this process's.
    logs
        Folder for what they say.
    shards
        What is to be made.
    made
        Called with the number of showers that are made, after each of them.
    """

    def __init__(
        self,
        command: Sequence[str],
        environment: Mapping[str, str],
        logs: Path,
        shards: Sequence[Shard],
        made: Callable[[int], None],
    ) -> None:
        self.effort = Effort()
        self._command, self._environment, self._logs, self._made = command, environment, logs, made
        self._waiting = deque(shards)
        self._crashes: Counter[Shard] = Counter()
        self._finished = 0
        self._selector = selectors.DefaultSelector()

    def run(self, workers: int) -> None:
        """Work until all shards are finished.

        Raises
        ------
        InputError
            Geant4 does not know something that the job names.
        SimulationError
            Geant4 crashed several times in the same shard.
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
        worker = Worker(self._command, self._environment, log)
        self._selector.register(worker, selectors.EVENT_READ)
        worker.give(self._waiting.popleft())

    def _listen(self, worker: Worker) -> None:
        reports = worker.reports()
        if reports is None:
            self._mourn(worker)
            return
        for report in reports:
            if "refused" in report:
                raise InputError(report["refused"])
            if "failed" in report:
                raise OSError(*report["failed"])
            if "shower" in report:
                worker.done += 1
            if "finished" in report:
                self._finish(worker, report["seconds"])
        self._made(self._finished + sum(other.done for other in self._workers()))

    def _finish(self, worker: Worker, seconds: float) -> None:
        assert worker.shard is not None
        self.effort.seconds += seconds
        self._finished += worker.shard.stop - worker.shard.start
        worker.shard, worker.done = None, 0
        if self._waiting:
            worker.give(self._waiting.popleft())
        else:
            self._dismiss(worker)

    def _dismiss(self, worker: Worker) -> int:
        self._selector.unregister(worker)
        return worker.end()

    def _mourn(self, worker: Worker) -> None:
        """Give the shard of a worker that crashed to a new one."""
        code = self._dismiss(worker)
        shard = worker.shard
        assert shard is not None
        self.effort.crashes += 1
        self._crashes[shard] += 1
        if self._crashes[shard] == _TRIES:
            raise SimulationError(
                f"Geant4 crashed {_TRIES} times (exit code {code}) in showers {shard.start} to "
                f"{shard.stop - 1}, last in shower {shard.start + worker.done}: {last_words(worker.log)} "
                f"Everything it said is in {worker.log}."
            )
        self._waiting.appendleft(shard)
        self._start(worker.log)


def last_words(log: Path) -> str:
    """Return the last line of a log, or what Geant4's last exception says."""
    text = log.read_text(encoding="utf-8", errors="replace")
    _, found, exception = text.rpartition("issued by : ")
    if found:
        return " ".join(exception.splitlines()[:2]).strip() + "."
    lines = text.split("\n")
    return next((line.strip() for line in reversed(lines) if line.strip()), "it said nothing.")
