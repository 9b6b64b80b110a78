"""Where reports go, and what is in them."""

import json
from pathlib import Path
from typing import Any

import pytest

from caloforge.errors import InputError
from caloforge.stages.benchmark import BenchmarkPoint, Setting, time_simulation
from caloforge.stages.benchmark.report import make_report, markdown, prepare, write

POINTS = [BenchmarkPoint(-11, 1e3), BenchmarkPoint(-11, 1e4), BenchmarkPoint(211, 1e3)]


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


def test_the_report_says_where_it_was_measured(simulation: Any, tmp_path: Path) -> None:
    record = time_simulation(simulation, POINTS, Setting("usual"), effort=2e4)
    text, kept = (path.read_text() for path in write(make_report(record), tmp_path / "new"))
    assert text == markdown(make_report(record))
    assert "| ms/GeV | 1 GeV | 10 GeV |" in text
    assert text.count("\n| e+ | ") == text.count("\n| pi+ | ") == 1
    assert all(word in text for word in ("processor: ", "geant4: geant4-1", "G4EMLOW8.8", "small"))
    assert json.loads(kept) == json.loads(json.dumps(record))
