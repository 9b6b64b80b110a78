import json
from pathlib import Path
from typing import Any

import pytest

from caloforge.benchmark import SETTINGS, Setting, Shot, compare, markdown
from caloforge.errors import SimulationError

SHOTS = [Shot(-11, 1e4), Shot(211, 2e4)]
USUAL = Setting("usual")


def run(simulation: Any, folder: Path, *names: str, n: int = 40, rounds: int = 4) -> Any:
    return compare(simulation, [USUAL, *map(Setting, names)], SHOTS, n, rounds, folder)


def test_costs_and_effects_are_measured(simulation: Any, tmp_path: Path) -> None:
    report = run(simulation, tmp_path, "slow", "other")
    for results in report.record["results"].values():
        slow, other = results["slow"], results["other"]
        assert slow["time"][0] == pytest.approx(2.0)
        assert slow["percent"]["response"][0] == pytest.approx(-2.0, abs=1e-3)
        assert slow["percent"]["response"][1] > 0
        assert slow["percent"]["share of layer 0"][0] == pytest.approx(0, abs=1e-3)
        assert slow["percent"]["active fraction"][0] == pytest.approx(0, abs=1e-6)
        assert not slow["identical"]
        assert other["identical"]
        assert results["usual"]["time"][0] == pytest.approx(1.0)
    json.dumps(report.record)
    text = markdown(report)
    assert "## e+ 10 GeV" in text
    assert "| other | 1" in text
    assert "| same |" in text


def test_settings_take_turns_in_both_orders(simulation: Any, tmp_path: Path) -> None:
    run(simulation, tmp_path, "other", n=10, rounds=2)
    names = [(name, n) for shot, name, n in simulation.calls if shot == "e+ 10 GeV"]
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
    assert len(simulation.calls) == 2 * 2 * 4
    assert again.record["results"] == first.record["results"]


def test_a_setting_that_crashes_is_named_and_left_out(simulation: Any, tmp_path: Path) -> None:
    report = run(simulation, tmp_path, "crashing")
    assert report.record["failed"] == {"crashing": "Geant4 crashes."}
    assert "| crashing | crashes |" in markdown(report)
    assert sum(name == "crashing" for _, name, _ in simulation.calls) == 1


def test_nothing_is_compared_with_a_crash(simulation: Any, tmp_path: Path) -> None:
    with pytest.raises(SimulationError, match="Geant4 crashes"):
        compare(simulation, [Setting("crashing"), USUAL], SHOTS, 4, 1, tmp_path)


def test_each_setting_has_a_name_of_its_own() -> None:
    assert len({setting.name for setting in SETTINGS}) == len(SETTINGS)
    for setting in SETTINGS:
        assert setting != Setting(setting.name), "a setting that changes nothing"
