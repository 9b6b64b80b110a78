"""One Geant4 process: reads from standard input which shards to make, reports on standard output.

It is started by `caloforge.stages.simulate.campaign.pool` with Geant4's data variables set. It ends with its
parent: at once on Linux, where the kernel does it, otherwise when standard input closes or the next report
can't be delivered.
"""

import ctypes
import json
import os
import select
import signal
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy.typing as npt

from caloforge import __version__
from caloforge.errors import CaloforgeError
from caloforge.formats.native import write
from caloforge.showers import Showers
from caloforge.stages.simulate.campaign.job import Folder, Shard

if TYPE_CHECKING:
    from caloforge.stages.simulate.geant4.engine import Engine

__all__ = ["Clock", "Reports", "main"]


_DEATH_SIGNAL = 1  # PR_SET_PDEATHSIG of Linux's prctl


class Reports:
    """The connection to the parent, by the original standard output.

    Geant4 always writes to standard output, so this is redirected to the log, like standard error.
    """

    def __init__(self) -> None:
        self._pipe = os.dup(sys.stdout.fileno())
        os.dup2(sys.stderr.fileno(), sys.stdout.fileno())

    def send(self, **report: Any) -> None:
        """Send a report to the parent; end the process if the parent has ended."""
        try:
            os.write(self._pipe, json.dumps(report).encode() + b"\n")
        except BrokenPipeError:
            os._exit(1)

    def end_with_reader(self) -> None:
        """Have the process killed when the thread that started it ends, even in the middle of a shower."""
        if sys.platform == "linux":
            ctypes.CDLL(None).prctl(_DEATH_SIGNAL, signal.SIGKILL, 0, 0, 0)
        # The parent may have ended before the request to the kernel; then no signal comes.
        reader = select.poll()
        reader.register(self._pipe, 0)
        if reader.poll(0):  # it ended before
            os._exit(1)


class Clock:
    """Reports each shower, with its processor time."""

    def __init__(self, reports: Reports) -> None:
        self._reports = reports

    def begins(self, number: int) -> None:
        """Report the begin of a shower."""
        self._reports.send(begins=number)
        self._begin = time.process_time()

    def finished(self, number: int) -> None:
        """Report the end of a shower."""
        self._reports.send(shower=number, seconds=time.process_time() - self._begin)


def main(path: str) -> None:
    """Make shards until standard input closes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle
    reports = Reports()
    reports.end_with_reader()
    try:
        _work(Folder(Path(path)), reports)
    except CaloforgeError as error:
        reports.send(refused=str(error))
    except OSError as error:
        reports.send(failed=[error.errno, error.strerror, error.filename])


def _work(folder: Folder, reports: Reports) -> None:
    # Only here: importing Geant4 reads the variables and prints its banner.
    from caloforge.stages.simulate.geant4.engine import Engine

    engine = Engine(folder.job())
    for line in sys.stdin:
        start, stop = map(int, line.split())
        shard = Shard(start, stop)
        before = time.process_time()
        _simulate(engine, folder, shard, reports)
        reports.send(finished=shard, seconds=time.process_time() - before)


def _simulate(engine: "Engine", folder: Folder, shard: Shard, reports: Reports) -> None:
    job = engine.job
    incident = job.beam.sample(job.seed, *shard)
    clock = Clock(reports)
    deposits = engine.shoot(shard.start, incident, clock.begins, clock.finished)
    seen = deposits.absorber + deposits.active + deposits.leaked
    columns: dict[str, npt.NDArray[Any]] = {
        "absorber": deposits.absorber,
        "active": deposits.active,
        "leaked": deposits.leaked,
        "invisible": engine.available(incident.energy) - seen,
    }
    showers = Showers(
        job.geometry,
        deposits.cells,
        incident,
        columns=columns,
        provenance={**job.provenance(engine.version), "caloforge": __version__},
    )
    write(showers, folder.file(shard))


if __name__ == "__main__":
    try:
        main(sys.argv[1])
    except BaseException:
        sys.excepthook(*sys.exc_info())
        sys.stderr.flush()
        os._exit(1)
    # Python would delete Geant4's objects in an order that Geant4 does not expect.
    sys.stderr.flush()
    os._exit(0)
