"""The pool with workers that only pretend: what it does when they crash, refuse or run out of disk."""

import errno
import sys
from pathlib import Path

import pytest

from caloforge.errors import InputError, SimulationError
from caloforge.simulate.job import Shard
from caloforge.simulate.pool import Pool, last_words

HONEST = """
import json, os, sys
def say(**report): print(json.dumps(report), flush=True)
for line in sys.stdin:
    start, stop = map(int, line.split())
    for number in range(start, stop):
        {on_shower}
        say(shower=number)
    open(f"made-{{start}}-{{stop}}", "x").close()
    say(finished=[start, stop], seconds=0.5)
"""
CRASH_ONCE = """
        if number == 4 and not os.path.exists("crashed"):
            open("crashed", "x").close()
            os.abort()
"""


def pool(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, on_shower: str = "", shards: int = 4
) -> tuple[Pool, list[int]]:
    monkeypatch.chdir(tmp_path)
    made: list[int] = []
    command = [sys.executable, "-c", HONEST.format(on_shower=on_shower.strip() or "pass")]
    todo = [Shard(3 * i, 3 * i + 3) for i in range(shards)]
    return Pool(command, {}, tmp_path, todo, made.append), made


@pytest.mark.parametrize("workers", [1, 2, 9])
def test_every_shard_is_made_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, workers: int) -> None:
    crew, made = pool(tmp_path, monkeypatch)
    crew.run(workers)
    assert len(list(tmp_path.glob("made-*"))) == 4
    assert made == sorted(made)
    assert made[-1] == 12
    assert crew.effort.seconds == 2
    assert crew.effort.crashes == 0


def test_a_shard_whose_worker_crashed_is_made_by_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    crew, made = pool(tmp_path, monkeypatch, CRASH_ONCE)
    crew.run(2)
    assert len(list(tmp_path.glob("made-*"))) == 4
    assert crew.effort.crashes == 1
    assert made[-1] == 12


def test_three_crashes_of_a_shard_end_the_job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    crew, _ = pool(tmp_path, monkeypatch, "number != 4 or sys.exit('no way on')")
    with pytest.raises(
        SimulationError, match=r"crashed 3 times .* in showers 3 to 5, last in shower 4: no way"
    ):
        crew.run(1)
    assert [path.name for path in tmp_path.glob("made-*")] == ["made-0-3"]


def test_a_refusal_is_not_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    crew, _ = pool(tmp_path, monkeypatch, "say(refused='There is no such particle.')")
    with pytest.raises(InputError, match=r"^There is no such particle\.$"):
        crew.run(2)


def test_a_full_disk_is_an_os_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    crew, _ = pool(tmp_path, monkeypatch, f"say(failed=[{errno.ENOSPC}, 'No space left', 'x.h5'])")
    with pytest.raises(OSError, match="No space left") as caught:
        crew.run(1)
    assert caught.value.errno == errno.ENOSPC


def test_nothing_to_do_starts_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    crew, made = pool(tmp_path, monkeypatch, shards=0)
    crew.run(2)
    assert made == []
    assert list(tmp_path.iterdir()) == []


def test_last_words_are_those_of_geant4s_exception(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("*** G4Exception : PART70000\n      issued by : G4NuclideTable\nno data\n*** Fatal ***\n")
    assert last_words(log) == "G4NuclideTable no data."
    log.write_text("one\ntwo\n\n")
    assert last_words(log) == "two"
    log.write_text("")
    assert last_words(log) == "it said nothing."
