"""The examples in docstrings run, and what users call has one."""

import doctest
import importlib
import inspect
from pathlib import Path

import pytest

import caloforge
from tests.test_layers import MODULES, lives_in

EXAMPLES = [name for name, path in MODULES.items() if ">>> " in path.read_text(encoding="utf-8")]
NEED_TORCH = (
    *("models", "preprocessing", "stages.train", "stages.export"),
    *("metrics.classifiers.networks", "metrics.classifiers.convolutions"),
)
NO_EXAMPLE = {"CaloforgeError", "export"}  # tests/scripts/train_tiny.py exports
# Every public function of these packages has an example, and every class that they export.
DOCUMENTED = ("geometry", "metrics", "observables", "physics", "showers")
WITH_FUNCTIONS = ("metrics", "observables", "physics")
PUBLIC = [
    name
    for name, path in MODULES.items()
    if lives_in(name, WITH_FUNCTIONS if path.name != "__init__.py" else DOCUMENTED) and "._" not in name
]
NOT_CHEAP = {"fit", "train"}  # seconds; tests/metrics runs them


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


@pytest.mark.parametrize("name", PUBLIC)
def test_public_functions_and_classes_have_an_example(name: str) -> None:
    if lives_in(name, NEED_TORCH):
        pytest.importorskip("torch")
    module = importlib.import_module(name)
    exports = MODULES[name].name == "__init__.py"
    for entry in set(getattr(module, "__all__", ())) - NOT_CHEAP:
        found = getattr(module, entry)
        wanted = inspect.isfunction(found) or (inspect.isclass(found) and (exports or entry == "ENTRY"))
        assert not wanted or ">>> " in (inspect.getdoc(found) or ""), entry
