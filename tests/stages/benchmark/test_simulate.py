from typing import Any

import pytest

from caloforge.stages.benchmark import BenchmarkPoint, Setting, time_simulation

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


def test_progress_counts_energy(simulation: Any) -> None:
    calls: list[tuple[float, float]] = []
    time_simulation(
        simulation, POINTS, Setting("usual"), 5e4, lambda done, total, note="": calls.append((done, total))
    )
    assert calls == [(0, 300), (50, 300), (250, 300), (300, 300)]
