"""What a training leaves to look at."""

import csv
from pathlib import Path

import pytest

from caloforge.stages.train.log import RunLog
from tests.full_disk import files_end_at


def rows(folder: Path) -> list[list[str]]:
    with (folder / "log.csv").open(newline="") as file:
        return list(csv.reader(file))


def test_rows_that_will_be_made_again_are_dropped(tmp_path: Path) -> None:
    with RunLog(tmp_path, done=0, every=1) as first:
        for step in (1, 2, 3):
            first(step, {"loss": step / 10})
    with RunLog(tmp_path, done=2, every=1) as second:
        second(3, {"loss": 0.5})
    expected = [["step", "figure", "value"], ["1", "loss", "0.1"], ["2", "loss", "0.2"], ["3", "loss", "0.5"]]
    assert rows(tmp_path) == expected


def test_closed_curves_are_on_the_disk(tmp_path: Path) -> None:
    with RunLog(tmp_path, done=0, every=1) as log:
        log(1, {"loss": 0.25})
    (events,) = (tmp_path / "tensorboard").iterdir()
    assert b"loss" in events.read_bytes()


def test_validations_are_logged_between_the_turns(tmp_path: Path) -> None:
    with RunLog(tmp_path, done=0, every=10) as log:
        log(3, {"loss": 1.0})
        log(4, {"loss": 1.0, "separation": 0.5})
    assert [row[0] for row in rows(tmp_path)[1:]] == ["4", "4"]


def test_a_full_disk_names_the_file(tmp_path: Path) -> None:
    def log_much() -> None:
        with RunLog(tmp_path, done=0, every=1) as log:
            for step in range(200):
                log(step, {"loss": 1.0})

    with files_end_at(1000), pytest.raises(OSError, match="File too large") as caught:
        log_much()
    assert caught.value.filename is not None
    assert str(tmp_path) in caught.value.filename
    with RunLog(tmp_path, done=10, every=1) as log:
        log(11, {"loss": 1.0})
    assert [int(row[0]) for row in rows(tmp_path)[1:]] == list(range(12))
