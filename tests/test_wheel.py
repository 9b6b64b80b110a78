"""What is installed stays small: large models live in zoo/, which is not in the wheel."""

import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MEGABYTE = 1_000_000


def sizes(folder: Path) -> dict[Path, int]:
    return {path: path.stat().st_size for path in folder.rglob("*") if path.is_file()}


def test_the_wheel_is_below_40_megabytes() -> None:
    build = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]
    assert build["wheel"] == {"packages": ["src/caloforge"]}
    installed = {path: size for path, size in sizes(ROOT / "src").items() if "__pycache__" not in path.parts}
    assert any(path.suffix == ".onnx" for path in installed)
    assert sum(installed.values()) < 40 * MEGABYTE


@pytest.mark.parametrize("path", sorted((ROOT / "zoo").glob("*.json")), ids=lambda path: path.stem)
def test_models_of_the_zoo_are_below_15_megabytes(path: Path) -> None:
    files = sizes(ROOT / "zoo")
    assert 0 < sum(size for file, size in files.items() if file.stem == path.stem) < 15 * MEGABYTE
