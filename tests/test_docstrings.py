"""The examples in docstrings run, and all that users call from the top of the package has one."""

import doctest
import importlib
import inspect
from pathlib import Path

import pytest

import caloforge
from tests.test_layers import MODULES, lives_in

EXAMPLES = [name for name, path in MODULES.items() if ">>> " in path.read_text(encoding="utf-8")]
NEED_TORCH = ("models", "preprocessing", "stages.train", "stages.export")
NO_EXAMPLE = {"CaloforgeError", "export"}  # tests/scripts/train_tiny.py exports


@pytest.mark.parametrize("name", EXAMPLES)
def test_examples_run(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    if lives_in(name, ["stages.simulate"]):
        request.getfixturevalue("geant4")
    if lives_in(name, NEED_TORCH):
        pytest.importorskip("torch")
    monkeypatch.chdir(tmp_path)
    found = doctest.testmod(importlib.import_module(name))
    assert found.attempted > 0
    assert found.failed == 0


@pytest.mark.parametrize("name", sorted(set(caloforge.__all__) - NO_EXAMPLE))
def test_what_users_call_has_an_example(name: str) -> None:
    entry = getattr(caloforge, name)
    if callable(entry):
        assert ">>> " in (inspect.getdoc(entry) or "")
