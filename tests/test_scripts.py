"""Short scripts as physicists write them run from beginning to end."""

import runpy
from pathlib import Path

import pytest

SCRIPTS = sorted(Path(__file__).with_name("scripts").glob("*.py"))
NEEDS = {
    "awkward_hits": ("awkward", "pandas"),
    "histogram": ("hist",),
    "train_tiny": ("torch", "onnx", "onnxscript"),
}


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.stem)
def test_script_runs(
    script: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    for library in NEEDS.get(script.stem, ()):
        pytest.importorskip(library)
    if script.stem.startswith("simulate"):
        request.getfixturevalue("geant4")
    monkeypatch.chdir(tmp_path)
    names = runpy.run_path(str(script), run_name="__main__")
    assert names["cf"].__name__ == "caloforge"


def test_there_are_ten() -> None:
    assert len(SCRIPTS) == 10
