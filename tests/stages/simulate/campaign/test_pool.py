"""The pool with workers that only pretend: what it does when they crash, refuse or run out of disk."""

import errno
import math
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from caloforge.errors import InputError, SimulationError
from caloforge.files import locked
from caloforge.stages.simulate.campaign.job import Shard
from caloforge.stages.simulate.campaign.pool import Pool, last_words

HONEST = """
import json, os, sys
def say(**report): print(json.dumps(report), flush=True)
{at_start}
for line in sys.stdin:
    start, stop = map(int, line.split())
    for number in range(start, stop):
        say(begins=number)
        {on_shower}
        say(shower=number, seconds=0.1)
    open(f"made-{{start}}-{{stop}}", "x").close()
    say(finished=[start, stop], seconds=0.5)
"""
CRASH_ONCE = """
        if number == 4 and not os.path.exists("crashed"):
            open("crashed", "x").close()
            os.abort()
"""


CRASH_THRICE = "number not in (4, 9) or sys.exit('no way on')"


class Heard:
    """A listener that remembers."""

    def __init__(self) -> None:
        self.times: dict[int, float] = {}
        self.skips: dict[int, str] = {}

    def made(self, number: int, seconds: float) -> None:
        self.times[number] = seconds

    def lost(self, shard: Shard) -> None:
        for number in range(*shard):
            self.times.pop(number, None)

    def skipped(self, number: int, reason: str) -> None:
        self.skips[number] = reason


def pool(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    on_shower: str = "",
    shards: int = 4,
    at_start: str = "pass",
) -> tuple[Pool, Heard]:
    monkeypatch.chdir(tmp_path)
    heard = Heard()
    program = HONEST.format(on_shower=on_shower.strip() or "pass", at_start=at_start)
    todo = [Shard(3 * i, 3 * i + 3) for i in range(shards)]
    return Pool([sys.executable, "-c", program], {}, tmp_path, todo, heard), heard


def finished(folder: Path) -> list[int]:
    """Return the numbers of the showers in all shards that were finished."""
    spans = (path.name.split("-")[1:] for path in folder.glob("made-*"))
    return sorted(number for start, stop in spans for number in range(int(start), int(stop)))


@pytest.mark.parametrize("workers", [1, 2, 9])
def test_every_shard_is_made_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, workers: int) -> None:
    crew, heard = pool(tmp_path, monkeypatch)
    crew.run(workers)
    assert len(list(tmp_path.glob("made-*"))) == 4
    assert sorted(heard.times) == finished(tmp_path) == list(range(12))
    assert crew.effort.seconds == 2
    assert crew.effort.crashes == 0


def test_the_first_shower_of_a_worker_is_no_measure_of_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    crew, heard = pool(tmp_path, monkeypatch)
    crew.run(1)
    assert [number for number, seconds in heard.times.items() if math.isnan(seconds)] == [0]
    assert {seconds for seconds in heard.times.values() if not math.isnan(seconds)} == {0.1}


def test_a_shard_whose_worker_crashed_is_made_by_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    crew, heard = pool(tmp_path, monkeypatch, CRASH_ONCE)
    crew.run(2)
    assert sorted(heard.times) == finished(tmp_path) == list(range(12))
    assert (tmp_path / "made-4-5").exists()  # set apart, so that another crash would cost no other shower
    assert crew.effort.crashes == 1
    assert heard.skips == {}


@pytest.mark.parametrize("workers", [1, 3])
def test_a_shower_that_crashes_three_times_is_skipped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, workers: int
) -> None:
    crew, heard = pool(tmp_path, monkeypatch, CRASH_THRICE)
    crew.run(workers)
    assert heard.skips == {4: "exit code 1, no way on", 9: "exit code 1, no way on"}
    assert sorted(heard.times) == finished(tmp_path) == [0, 1, 2, 3, 5, 6, 7, 8, 10, 11]
    assert crew.effort.crashes == 6


def test_three_crashes_outside_showers_end_the_job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    crew, heard = pool(tmp_path, monkeypatch, at_start="sys.exit('no way in')")
    with pytest.raises(SimulationError, match=r"3 times before or after showers 0 to 2: .* no way in"):
        crew.run(1)
    assert heard.skips == {}
    assert finished(tmp_path) == []


def test_a_refusal_is_not_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    crew, _ = pool(tmp_path, monkeypatch, "say(refused='There is no such particle.')")
    with pytest.raises(InputError, match=r"^There is no such particle\.$"):
        crew.run(2)


def test_a_full_disk_is_an_os_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    crew, _ = pool(tmp_path, monkeypatch, f"say(failed=[{errno.ENOSPC}, 'No space left', 'x.h5'])")
    with pytest.raises(OSError, match="No space left") as caught:
        crew.run(1)
    assert caught.value.errno == errno.ENOSPC


HOLDS = """
import sys
from pathlib import Path
from caloforge.files import locked
from caloforge.stages.simulate.campaign.job import Shard
from caloforge.stages.simulate.campaign.pool import Pool
lives_on = "import os, time; print(os.getpid(), file=open('pid', 'w'), flush=True); time.sleep(60)"
with locked(Path("lock"), Exception()) as lock:
    Pool([sys.executable, "-c", lives_on], {}, Path(), [Shard(0, 1)], None, held=[lock]).run(1)
"""


def test_a_lock_lasts_as_long_as_a_worker(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", HOLDS], cwd=tmp_path) as parent:
        pid = tmp_path / "pid"
        wait_until(lambda: pid.exists() and pid.read_text().endswith("\n"))
        parent.kill()
    with pytest.raises(SimulationError), locked(tmp_path / "lock", SimulationError()):
        pass
    os.kill(int(pid.read_text()), signal.SIGKILL)
    wait_until(lambda: free(tmp_path / "lock"))


def wait_until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def free(lock: Path) -> bool:
    try:
        with locked(lock, SimulationError()):
            return True
    except SimulationError:
        return False


def test_nothing_to_do_starts_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    crew, heard = pool(tmp_path, monkeypatch, shards=0)
    crew.run(2)
    assert heard.times == {}
    assert list(tmp_path.iterdir()) == []


def test_last_words_are_those_of_geant4s_exception(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("*** G4Exception : PART70000\n      issued by : G4NuclideTable\nno data\n*** Fatal ***\n")
    assert last_words(log) == "G4NuclideTable no data."
    log.write_text("one\ntwo\n\n")
    assert last_words(log) == "two"
    log.write_text("")
    assert last_words(log) == "it said nothing."
