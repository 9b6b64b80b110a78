"""``caloforge train`` killed with -9, or out of disk, and called again."""

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from caloforge.formats.native import write
from caloforge.geometry import Calorimeter
from caloforge.models import checkpoint
from tests.cli.conftest import Run
from tests.conftest import MakeShowers
from tests.full_disk import files_end_at

TOML = """
name = "small"
description = "for tests"
reference = "none"
visible = ["absorber", "active"]
[[stack]]
repeat = 2
slabs = [
  { material = "G4_Pb", thickness = 2.0, role = "absorber" },
  { material = "G4_lAr", thickness = 4.0, role = "active" },
]
[[layers]]
z = [0.0, 6.0]
eta = { bins = 8, range = [-20.0, 20.0] }
phi = { bins = 2, range = [-20.0, 20.0] }
[[layers]]
z = [6.0, 12.0]
eta = { bins = 4, range = [-20.0, 20.0] }
phi = { bins = 4, range = [-20.0, 20.0] }
"""


@pytest.fixture
def command(tmp_path: Path, small: Calorimeter, make_showers: MakeShowers) -> list[str]:
    (tmp_path / "small.toml").write_text(TOML)
    write(make_showers(80, small), tmp_path / "small.h5")
    words = (
        f"train calogan --data {tmp_path}/small.h5 --geometry {tmp_path}/small.toml --batch 16 --threads 1"
    )
    words += " --held-out 32 --epochs 20 --validate-every 30 --minutes 0 --set latent=8 --average 0.9 -o"
    return [sys.executable, "-c", "from caloforge.cli import main; main()", *words.split()]


def digests(folder: Path) -> tuple[str, str]:
    records = [checkpoint.read_record(path) for path in (folder, folder / "best")]
    return tuple(record["sha256"] for record in records if record is not None)  # type: ignore[return-value]


def test_the_weights_are_those_of_a_training_that_was_left_alone(
    run: Run, tmp_path: Path, command: list[str]
) -> None:
    code, out, _ = run(*command[3:], tmp_path / "whole")
    assert code == 0
    assert "Next: caloforge export" in out

    record = tmp_path / "killed" / "checkpoint.json"
    with subprocess.Popen([*command, str(record.parent)], stderr=subprocess.DEVNULL) as killed:
        while not (record.is_file() and json.loads(record.read_text())["step"] > 5):
            assert killed.poll() is None
            time.sleep(0.01)
        killed.kill()
    assert json.loads(record.read_text())["step"] < 60
    assert run(*command[3:], record.parent)[0] == 0
    assert digests(tmp_path / "killed") == digests(tmp_path / "whole")
    logs = [(tmp_path / run / "log.csv").read_text() for run in ("killed", "whole")]
    assert logs[0] == logs[1]


def test_a_full_disk_is_one_sentence_and_the_training_goes_on_when_there_is_room(
    run: Run, tmp_path: Path, command: list[str]
) -> None:
    folder, arguments = tmp_path / "run", command[3:]
    begun = [word if word != "20" else "4" for word in arguments]
    assert run(*begun, folder)[0] == 0
    before = digests(folder)
    with files_end_at(100_000):
        code, _, errors = run(*arguments, folder)
    assert code == 2
    assert "Traceback" not in errors
    assert errors.splitlines()[-1].startswith(f"Error: {folder}/step-")
    assert "File too large. Free some space and run the same command again." in errors
    assert digests(folder) == before
    assert not list(folder.rglob("*.partial-*"))
    assert run(*arguments, folder)[0] == 0
    assert checkpoint.load(folder).record["step"] == 60


@pytest.mark.parametrize("size", [0, 100, 2_000, 20_000])
def test_wherever_the_disk_is_full_it_is_one_sentence(
    run: Run, tmp_path: Path, command: list[str], size: int
) -> None:
    with files_end_at(size):
        code, _, errors = run(*command[3:], tmp_path / "run")
    assert code == 2
    assert "Traceback" not in errors
    assert errors.splitlines()[-1].startswith(f"Error: {tmp_path}")
    assert "Free some space" in errors
