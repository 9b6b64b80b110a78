"""The import rules: which parts of the package may know of which others."""

import ast
import subprocess
import sys
from collections.abc import Iterable
from functools import cache
from pathlib import Path

import pytest

import caloforge

SOURCE = Path(caloforge.__file__).parent
MODULES = {
    ".".join(["caloforge", *path.relative_to(SOURCE).with_suffix("").parts]).removesuffix(".__init__"): path
    for path in sorted(SOURCE.rglob("*.py"))
}
STAGES = {
    f"caloforge.{name}" for name in ("simulate", "train", "generate", "export", "benchmark", "evaluate")
}
# Which parts may import a library; all others must not.
HOMES = {
    "torch": ("models", "scaling", "checkpoint", "train", "export", "metrics.classifiers"),
    "sklearn": ("metrics",),
    "safetensors": ("checkpoint",),
    "onnx": ("export",),
    "onnxruntime": ("trained",),
    "isal": ("chunks",),
    "geant4_pybind": ("simulate",),
    "distributed": ("simulate",),
    "dask_jobqueue": ("simulate",),
    "matplotlib": ("plots",),
    "typer": ("cli",),
    "rich": ("cli",),
}
MODEL_FILES_MAY_IMPORT = {
    *("caloforge.config", "caloforge.errors", "caloforge.geometry", "caloforge.units"),
    *("caloforge.models.base", "caloforge.models.layers", "caloforge.profile", "caloforge.scaling"),
}


@cache
def imports(module: str) -> frozenset[str]:
    """Full names of everything that a module imports, at the top or inside functions."""
    tree = ast.parse(MODULES[module].read_text(encoding="utf-8"))
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module} has a relative import"
            names = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= {name if name in MODULES else str(node.module) for name in names}
    return frozenset(found)


def stage_of(module: str) -> str | None:
    return next((stage for stage in STAGES if module == stage or module.startswith(f"{stage}.")), None)


def lives_in(module: str, homes: Iterable[str]) -> bool:
    return any(f"{module}.".startswith(f"caloforge.{home}.") for home in homes)


@pytest.mark.parametrize("module", [name for name in MODULES if not name.startswith("caloforge.cli")])
def test_only_the_command_line_imports_stages(module: str) -> None:
    imported = {stage_of(name) for name in imports(module)} - {None, stage_of(module)}
    assert not imported


@pytest.mark.parametrize("module", MODULES)
def test_libraries_stay_in_their_homes(module: str) -> None:
    for name in imports(module):
        library = name.split(".")[0]
        assert library not in HOMES or lives_in(module, HOMES[library]), (
            f"{library} belongs to {', '.join(HOMES[library])}"
        )


@pytest.mark.parametrize("module", [name for name in MODULES if name.startswith("caloforge.models.")])
def test_model_files_do_not_know_each_other(module: str) -> None:
    ours = {name for name in imports(module) if name.startswith("caloforge")}
    assert ours <= MODEL_FILES_MAY_IMPORT


def run(code: str) -> str:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_importing_caloforge_loads_nothing_heavy() -> None:
    heavy = {"torch", "h5py", "matplotlib", "onnxruntime", "scipy", "pydantic", "particle"}
    loaded = run("import caloforge, sys; print(*{name.split('.')[0] for name in sys.modules})").split()
    assert not heavy & set(loaded)


def test_everything_but_training_runs_without_torch() -> None:
    free = [name for name in MODULES if not lives_in(name, HOMES["torch"])]
    assert {"caloforge.generate", "caloforge.evaluate"} <= set(free)
    # A finder, not None in sys.modules: scipy looks there for torch, and takes what it finds for a module.
    lines = [
        "import sys",
        "class Without:",
        "    def find_spec(self, name, path=None, target=None):",
        "        if name.split('.')[0] == 'torch': raise ModuleNotFoundError(name)",
        "sys.meta_path.insert(0, Without())",
    ]
    wanted = [name for name in free if "simulate" not in name]
    run("\n".join([*lines, *(f"import {name}" for name in wanted)]))
