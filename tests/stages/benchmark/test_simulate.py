import json
import os
from pathlib import Path
from typing import Any

import pytest

from caloforge.errors import InputError
from caloforge.stages.benchmark import BenchmarkPoint, Setting, pinned, time_simulation
from caloforge.stages.benchmark.machine import machine
from caloforge.stages.benchmark.report import make_report, markdown, prepare, write

POINTS = [BenchmarkPoint(-11, 1e3), BenchmarkPoint(-11, 1e4), BenchmarkPoint(211, 1e3)]


def test_time_is_for_each_gev_and_without_the_first_shower(simulation: Any) -> None:
    record = time_simulation(simulation, POINTS, Setting("usual"), effort=1e5)
    points = record["points"]
    assert [point["showers"] for point in points] == [100, 20, 100]
    for point in points:
        assert point["ms_per_GeV"] == pytest.approx(1.0, rel=0.2)
        assert 0 < point["error"] < 0.1
    assert [n for _, _, n in simulation.calls] == [101, 21, 101]


@pytest.mark.parametrize(("effort", "showers"), [(0, 20), (float("inf"), 500), (float("nan"), 20)])
def test_no_effort_is_too_small_or_too_large(simulation: Any, effort: float, showers: int) -> None:
    simulation.showers = 600
    record = time_simulation(simulation, POINTS[:1], Setting("usual"), effort)
    assert [point["showers"] for point in record["points"]] == [showers]


@pytest.mark.parametrize("name", ["results.md", "results.md/below"])
def test_a_file_is_no_folder_for_results(tmp_path: Path, name: str) -> None:
    (tmp_path / "results.md").write_text("mine")
    with pytest.raises((InputError, NotADirectoryError)):
        prepare(tmp_path / name)
    assert (tmp_path / "results.md").read_text() == "mine"


def test_a_folder_for_results_is_made_and_left_empty(tmp_path: Path) -> None:
    for _ in ("new", "there already"):
        prepare(tmp_path / "new" / "results")
    assert list((tmp_path / "new" / "results").iterdir()) == []


def test_progress_counts_energy(simulation: Any) -> None:
    calls: list[tuple[float, float]] = []
    time_simulation(
        simulation, POINTS, Setting("usual"), 5e4, lambda done, total, note="": calls.append((done, total))
    )
    assert calls == [(0, 300), (50, 300), (250, 300), (300, 300)]


def test_the_report_says_where_it_was_measured(simulation: Any, tmp_path: Path) -> None:
    record = time_simulation(simulation, POINTS, Setting("usual"), effort=2e4)
    text, kept = (path.read_text() for path in write(make_report(record), tmp_path / "new"))
    assert text == markdown(make_report(record))
    assert "| ms/GeV | 1 GeV | 10 GeV |" in text
    assert text.count("\n| e+ | ") == text.count("\n| pi+ | ") == 1
    assert all(word in text for word in ("processor: ", "geant4: geant4-1", "G4EMLOW8.8", "small"))
    assert json.loads(kept) == json.loads(json.dumps(record))


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="this system pins no process")
def test_one_core_while_it_lasts() -> None:
    before = os.sched_getaffinity(0)
    with pinned():
        assert len(os.sched_getaffinity(0)) == 1
    assert os.sched_getaffinity(0) == before


def test_the_machine_is_described() -> None:
    found = machine()
    assert found["processor"]
    assert found["cores"] == os.cpu_count()
    json.dumps(found)
