import math
import shutil
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np
import psutil
import pytest

from caloforge.stages.simulate import run as stage
from tests.cli.conftest import Run

ASKED = ("simulate", "calogan", "-p", "e+")


@pytest.mark.parametrize(
    ("cost", "words"), [(7.654, "7.65 ms of processor time per GeV, 4 s in all"), (math.nan, "\n4 s in all")]
)
def test_the_cost_is_said_where_it_is_known(
    run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, cost: float, words: str
) -> None:
    done = stage.Summary(
        path=tmp_path / "a.h5",
        showers=2,
        simulated=2,
        skipped=(),
        damaged=(),
        ms_per_GeV=cost,
        seconds=4.2,
        crashes=0,
        seconds_per_shower=np.full(2, cost),
    )
    monkeypatch.setattr(stage, "simulate", lambda *_, **__: done)
    arguments = ("-p", "e+", "--energy", "1", "-n", "2", "-o", tmp_path / "a.h5")
    code, output, said = run("simulate", "calogan", *arguments)
    assert code == 0
    assert words in output
    assert "nan" not in output
    assert said.startswith("2 showers take roughly 0.016 seconds with 1 worker, and")


@pytest.mark.parametrize(
    ("options", "answer"),
    [
        (("--energy", 1, "-n", 10**12), "at most 1,000,000,000"),
        (("--energy", 1, "-n", 10**9), "Simulating 1,000,000,000 showers would take about 150 GB of memory"),
        (("--energy", 50, "-n", 10**8), "(1.3 years of processor time) would take about"),
        (("--energy", "1e30", "-n", 1), "Geant4's physics reaches to 100,000 GeV"),
        (("--energy", "1:200000", "-n", 1), "200000 GeV can't be simulated"),
        (("--energy", 1, "-n", 1, "--workers", 100_000), "100000 workers are not possible: give 1 to"),
    ],
)
def test_what_cannot_work_here_is_refused_within_a_second(
    run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, options: tuple[object, ...], answer: str
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(10**10, 0, 10**10))
    monkeypatch.setattr(psutil, "virtual_memory", lambda: Available(10**11))
    monkeypatch.setattr(stage.data, "find", lambda _: {"G4LEDATA": str(tmp_path)})
    run("simulate", "--help")  # loads what the command needs
    begin = time.monotonic()
    code, output, errors = run(*ASKED, *options, "-o", tmp_path / "a.h5")
    assert time.monotonic() - begin < 1
    assert code == 2
    assert answer in errors
    assert not output
    assert not list(tmp_path.iterdir())


class Usage(NamedTuple):
    total: int
    used: int
    free: int


class Available(NamedTuple):
    available: int
