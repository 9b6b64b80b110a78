import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from caloforge.errors import SimulationError
from caloforge.formats.native import read, write
from caloforge.geometry import Calorimeter
from caloforge.stages.benchmark import SETTINGS, BenchmarkPoint, Setting, compare_settings
from caloforge.stages.benchmark.report import make_report, markdown

POINTS = [BenchmarkPoint(-11, 1e4), BenchmarkPoint(211, 2e4)]
USUAL = Setting("usual")


def run(simulation: Any, folder: Path, *names: str, n: int = 40, rounds: int = 4) -> Any:
    return compare_settings(simulation, [USUAL, *map(Setting, names)], POINTS, n, rounds, folder)


def test_costs_and_effects_are_measured(simulation: Any, tmp_path: Path) -> None:
    record = run(simulation, tmp_path, "slow", "other")
    for results in record["results"].values():
        slow, other = results["slow"], results["other"]
        assert slow["time"][0] == pytest.approx(2.0)
        assert slow["percent"]["response"][0] == pytest.approx(-2.0, abs=1e-3)
        assert slow["percent"]["response"][1] > 0
        assert slow["percent"]["share of layer 0"][0] == pytest.approx(0, abs=1e-3)
        assert slow["percent"]["active fraction"][0] == pytest.approx(0, abs=1e-6)
        assert not slow["identical"]
        assert other["identical"]
        assert results["usual"]["time"][0] == pytest.approx(1.0)
    json.dumps(record)
    text = markdown(make_report(record))
    assert "## e+ 10 GeV" in text
    assert "| other | 1" in text
    assert "| same |" in text


def test_settings_take_turns_in_both_orders(simulation: Any, tmp_path: Path) -> None:
    run(simulation, tmp_path, "other", n=10, rounds=2)
    names = [(name, n) for point, name, n in simulation.calls if point == "e+ 10 GeV"]
    assert names == [("usual", 5), ("other", 5), ("other", 10), ("usual", 10)]


def test_it_goes_on_where_it_stopped(simulation: Any, tmp_path: Path) -> None:
    first = run(simulation, tmp_path / "whole", "slow")
    simulation.calls.clear()

    def tired(*arguments: Any) -> Any:
        if len(simulation.calls) == 7:
            raise KeyboardInterrupt
        return simulation(*arguments)

    with pytest.raises(KeyboardInterrupt):
        run(tired, tmp_path / "parts", "slow")
    again = run(simulation, tmp_path / "parts", "slow")
    found_again = 4  # files, each of which is asked for before the rest is made
    assert len(simulation.calls) == 2 * 2 * 4 + found_again
    assert again["results"] == first["results"]


def test_a_setting_that_crashes_is_named_and_left_out(simulation: Any, tmp_path: Path) -> None:
    record = run(simulation, tmp_path, "crashing")
    assert record["failed"] == {"crashing": "Geant4 crashes."}
    assert "| crashing | fails |" in markdown(make_report(record))
    assert sum(name == "crashing" for _, name, _ in simulation.calls) == 1


def test_nothing_is_compared_with_a_crash(simulation: Any, tmp_path: Path) -> None:
    with pytest.raises(SimulationError, match="Geant4 crashes"):
        compare_settings(simulation, [Setting("crashing"), USUAL], POINTS, 4, 1, tmp_path)
    assert len(simulation.calls) == 1, "what comes after it is simulated in vain"


def test_showers_of_another_calorimeter_are_not_reported(
    simulation: Any, calogan: Calorimeter, tmp_path: Path
) -> None:
    run(simulation, tmp_path, "other")
    simulation.geometry = calogan
    simulation.calls.clear()
    with pytest.raises(SimulationError, match="of another job"):
        run(simulation, tmp_path, "new", "other")
    assert len(simulation.calls) == 1


def test_a_report_is_about_as_many_showers_as_it_says(simulation: Any, tmp_path: Path) -> None:
    run(simulation, tmp_path / "grown", "slow", n=40)
    grown, fewer = (run(simulation, tmp_path / name, "slow", n=20) for name in ("grown", "fewer"))
    for point, results in fewer["results"].items():
        assert grown["results"][point]["usual"]["means"] == results["usual"]["means"]
        assert grown["results"][point]["slow"]["percent"] == results["slow"]["percent"]


def test_showers_that_geant4_could_not_make_are_not_missed(simulation: Any, tmp_path: Path) -> None:
    whole = run(simulation, tmp_path / "whole", "slow")

    def without_the_third(*arguments: Any) -> Any:
        point, setting, n, out = arguments
        made = simulation(point, setting, n, tmp_path / "all.h5")
        showers = read(tmp_path / "all.h5")
        kept = np.arange(n) != 2
        (tmp_path / "all.h5").unlink()
        before = len(read(out)) if out.exists() else 0
        write(replace(showers[kept], provenance={**showers.provenance, "skipped": [2]}), out)
        return made[kept][before:]

    for _ in ("made", "found again"):
        record = run(without_the_third, tmp_path / "parts", "slow")
        for point, results in record["results"].items():
            assert results["slow"]["time"][0] == pytest.approx(2.0)
            usual = whole["results"][point]["usual"]
            assert results["usual"]["means"]["response"] != usual["means"]["response"]
            assert results["usual"]["time"][0] == pytest.approx(usual["time"][0])
    assert not any(path.name == "all.h5" for path in (tmp_path / "parts").iterdir())


def test_times_whose_showers_were_deleted_are_forgotten(simulation: Any, tmp_path: Path) -> None:
    simulation.slowness["usual"] = 5.0
    run(simulation, tmp_path, "other")
    for path in tmp_path.glob("*.h5"):
        path.unlink()
    simulation.slowness["usual"] = 1.0
    results = run(simulation, tmp_path, "other")["results"].values()
    assert all(result["usual"]["time"][0] == pytest.approx(1.0) for result in results)


def test_each_setting_has_a_name_of_its_own() -> None:
    assert len({setting.name for setting in SETTINGS}) == len(SETTINGS)
    for setting in SETTINGS:
        assert setting != Setting(setting.name), "a setting that changes nothing"
