"""The types that users' checkers see: right code passes ``mypy --strict``, wrong code doesn't."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.test_layers import SOURCE

pytest.importorskip("mypy")

# Of installed packages mypy shows no errors; torch's own types take seconds and are none of ours.
CONFIG = "[mypy]\n[mypy-caloforge.*]\nfollow_imports = silent\n[mypy-torch.*]\nfollow_imports = skip\n"


MISTAKES = """import caloforge as cf
cf.generat("e+")
cf.generate("e+", "50", n=10.0)
cf.read("a.h5").layer("1")
"""


def test_types_are_installed() -> None:
    assert (SOURCE / "py.typed").is_file()


def test_a_users_script_passes_and_mistakes_do_not(tmp_path: Path) -> None:
    (tmp_path / "mypy.ini").write_text(CONFIG)
    (tmp_path / "wrong.py").write_text(MISTAKES)
    right = Path(__file__).with_name("typed_user.py")
    found = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--config-file=mypy.ini", str(right), "wrong.py"],
        cwd=tmp_path,
        env={**os.environ, "MYPYPATH": str(SOURCE.parent)},
        capture_output=True,
        text=True,
        check=False,
    ).stdout.splitlines()
    assert [line.partition(": error")[0] for line in found[:-1]] == [f"wrong.py:{n}" for n in (2, 3, 4)], (
        found
    )
