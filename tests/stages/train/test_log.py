"""What a training leaves to look at."""

import csv
from pathlib import Path

from caloforge.stages.train.log import RunLog


def rows(folder: Path) -> list[list[str]]:
    with (folder / "log.csv").open(newline="") as file:
        return list(csv.reader(file))


def test_rows_that_will_be_made_again_are_dropped(tmp_path: Path) -> None:
    first = RunLog(tmp_path, done=0, every=1)
    for step in (1, 2, 3):
        first(step, {"loss": step / 10})
    RunLog(tmp_path, done=2, every=1)(3, {"loss": 0.5})
    expected = [["step", "figure", "value"], ["1", "loss", "0.1"], ["2", "loss", "0.2"], ["3", "loss", "0.5"]]
    assert rows(tmp_path) == expected


def test_closed_curves_are_on_the_disk(tmp_path: Path) -> None:
    with RunLog(tmp_path, done=0, every=1) as log:
        log(1, {"loss": 0.25})
    (events,) = (tmp_path / "tensorboard").iterdir()
    assert b"loss" in events.read_bytes()


def test_validations_are_logged_between_the_turns(tmp_path: Path) -> None:
    log = RunLog(tmp_path, done=0, every=10)
    log(3, {"loss": 1.0})
    log(4, {"loss": 1.0, "separation": 0.5})
    assert [row[0] for row in rows(tmp_path)[1:]] == ["4", "4"]
