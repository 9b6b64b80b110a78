import math
from dataclasses import replace

import numpy as np
import pytest

from caloforge.errors import SimulationError
from caloforge.geometry import Calorimeter
from caloforge.incident.beam import Beam
from caloforge.incident.spectrum import Spectrum
from caloforge.stages.simulate.campaign.bookkeeping import Ledger, always_crashes
from caloforge.stages.simulate.campaign.job import Job, Shard
from caloforge.units import GeV

CALOGAN = Calorimeter.load("calogan")
JOB = Job(CALOGAN, Beam(22, Spectrum.parse("1")), "QBBC", 1, 0.7, (), False, {}, "0.1.3")


class Watch:
    """A clock and somebody who looks at the progress."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1000.0
        self.told: list[tuple[float, float, str]] = []
        monkeypatch.setattr("caloforge.stages.simulate.campaign.bookkeeping.time.monotonic", lambda: self.now)

    def __call__(self, done: float, total: float, note: str = "") -> None:
        self.told.append((done, total, note))


@pytest.fixture
def watch(monkeypatch: pytest.MonkeyPatch) -> Watch:
    return Watch(monkeypatch)


def ledger(watch: Watch, energies: list[float], first: int = 0, size: int = 100) -> Ledger:
    n = len(energies)
    shards = [Shard(start, min(start + size, n)) for start in range(first, n, size)]
    return Ledger(np.array(energies) * GeV, shards, lambda number, reason: None, watch, JOB)


def test_what_is_there_counts_from_the_beginning(watch: Watch) -> None:
    book = ledger(watch, [1, 2, 3, 4, 5], first=2)
    assert watch.told == [(2, 5, "")]
    book.made(3, 0.5)
    book.made(2, math.nan)
    assert watch.told[-1][:2] == (4, 5)
    assert book.energy == 7 * GeV
    np.testing.assert_array_equal(book.seconds, [math.nan, 0.5])


def test_the_rate_counts_energy(watch: Watch) -> None:
    book = ledger(watch, [1] * 50)
    for number in range(50):
        watch.now += 0.02
        book.made(number, 0.02)
    assert watch.told[-1][2] == "50 GeV/s"


def test_lost_showers_are_made_again(watch: Watch) -> None:
    book = ledger(watch, [1, 2, 3, 4], size=2)
    for number in range(3):
        book.made(number, number)
    book.lost(Shard(0, 2))
    assert watch.told[-1][:2] == (1, 4)
    assert book.energy == 3 * GeV
    book.made(0, 6)
    book.made(0, 7)  # by another worker, while the first was taken for lost
    assert book.energy == 4 * GeV
    assert book.seconds.tolist() == [7, 2]


def test_skipped_showers_are_settled(watch: Watch) -> None:
    book = ledger(watch, [1, 2, 3])
    book.made(0, 1)
    book.skipped(1, "it crashed")
    assert watch.told[-1][:2] == (2, 3)


def test_physics_in_which_every_shower_crashes_ends_the_job(watch: Watch) -> None:
    book = ledger(watch, [1] * 9)
    for number in range(2):
        book.skipped(number, "exit code 1, no data")
    sentence = r"with QBBC \(exit code 1, no data\).*: caloforge doctor calogan --physics QBBC$"
    with pytest.raises(SimulationError, match=sentence):
        book.skipped(2, "exit code 1, no data")
    mine = Calorimeter.from_dict(CALOGAN.to_dict() | {"name": "mine"})
    told = str(always_crashes(replace(JOB, geometry=mine), "no data"))
    assert told.endswith(": caloforge doctor GEOMETRY --physics QBBC")


def test_crashes_among_showers_that_are_made_do_not_end_the_job(watch: Watch) -> None:
    book = ledger(watch, [1] * 9)
    book.made(0, 1)
    for number in range(1, 9):
        book.skipped(number, "exit code 1, no data")
    assert watch.told[-1][:2] == (9, 9)
