"""The import rules: which parts of the package may know of which others."""

import ast
import subprocess
import sys
from collections.abc import Iterable
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import caloforge

SOURCE = Path(caloforge.__file__).parent
MODULES = {
    ".".join(["caloforge", *path.relative_to(SOURCE).with_suffix("").parts]).removesuffix(".__init__"): path
    for path in sorted(SOURCE.rglob("*.py"))
}
# The ground comes first; a part may import those that stand before it, and nothing behind.
ORDER = (
    *(
        "errors",
        "arguments",
        "units",
        "config",
        "catalog",
        "progress",
        "uninterrupted",
        "files",
        "resources",
        "clusters",
    ),
    *("geometry", "incident", "showers", "physics", "formats", "observables", "metrics"),
    *("preprocessing", "models", "inference", "plots", "reports", "stages", "cli"),
)
# Which parts may import a library; all others must not.
HOMES = {
    "torch": ("models", "preprocessing", "stages.train", "stages.export", "metrics.classifiers"),
    "sklearn": ("metrics",),
    "safetensors": ("models.checkpoint",),
    "onnx": ("stages.export",),
    "onnxruntime": ("inference",),
    "isal": ("formats",),
    "filelock": ("files",),
    "psutil": ("resources",),
    "tomli_w": ("config",),
    "pooch": ("inference.adding",),
    "platformdirs": ("inference.zoo",),
    "geant4_pybind": ("stages.simulate.geant4",),
    "distributed": ("clusters", "stages.simulate.campaign", "stages.train.dask_worker"),
    "dask_jobqueue": ("clusters",),
    "matplotlib": ("plots",),
    "awkward": ("showers",),
    "pandas": ("showers",),
    "jinja2": ("reports",),
    "cpuinfo": ("stages.benchmark.machine",),
    "typer": ("cli",),
    "rich": ("cli",),
}
# Pictures are for reports and the command line; of a stage only its part named report makes any.
DRAW = ("plots", "reports", "cli", "stages.evaluate.report", "stages.benchmark.report", "stages.train.report")
MODEL_FILES_MAY_IMPORT = {
    *("caloforge.config", "caloforge.errors", "caloforge.units", "caloforge.models.base"),
    *("caloforge.models.flows", "caloforge.models.layers", "caloforge.physics.shower_profile"),
    *("caloforge.models.caloflow_base", "caloforge.models.l2l_base"),  # what models of a family share
    "caloforge.models.image_flows",
}
MODEL_PACKAGES = ("geometry", "incident", "preprocessing")


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


def part_of(module: str) -> str:
    return module.split(".")[1] if "." in module else ""


def stage_of(module: str) -> str | None:
    parts = module.split(".")
    return parts[2] if parts[1:2] == ["stages"] and len(parts) > 2 else None


def lives_in(module: str, homes: Iterable[str]) -> bool:
    return any(f"{module}.".startswith(f"caloforge.{home}.") for home in homes)


def test_every_part_of_the_package_has_a_place_in_the_order() -> None:
    assert {part_of(module) for module in MODULES} - {""} <= set(ORDER)


@pytest.mark.parametrize("module", [name for name in MODULES if name != "caloforge"])
def test_parts_import_only_what_stands_before_them(module: str) -> None:
    mine = ORDER.index(part_of(module))
    later = {
        name
        for name in imports(module)
        if name.startswith("caloforge.") and ORDER.index(part_of(name)) > mine
    }
    assert not later


def test_no_modules_import_each_other_in_a_circle() -> None:
    graph = {
        module: imports(module) & MODULES.keys() - {module} for module in MODULES if module != "caloforge"
    }
    try:
        tuple(TopologicalSorter(graph).static_order())
    except CycleError as error:
        pytest.fail(" -> ".join(error.args[1]))


@pytest.mark.parametrize("module", [name for name in MODULES if stage_of(name)])
def test_stages_do_not_know_each_other(module: str) -> None:
    assert {stage_of(name) for name in imports(module)} <= {None, stage_of(module)}


@pytest.mark.parametrize(
    "module", [name for name in MODULES if name != "caloforge" and not lives_in(name, DRAW)]
)
def test_computation_never_imports_pictures(module: str) -> None:
    drawn = {name for name in imports(module) if lives_in(name, ("plots", "reports.page"))}
    assert not drawn


@pytest.mark.parametrize("module", MODULES)
def test_libraries_stay_in_their_homes(module: str) -> None:
    for name in imports(module):
        library = name.split(".")[0]
        assert library not in HOMES or lives_in(module, HOMES[library]), (
            f"{library} belongs to {', '.join(HOMES[library])}"
        )


@pytest.mark.parametrize("module", [name for name in MODULES if name.startswith("caloforge.models.")])
def test_model_files_do_not_know_each_other(module: str) -> None:
    if module == "caloforge.models.checkpoint":  # which reads and writes any model
        return
    ours = {name for name in imports(module) if name.startswith("caloforge")}
    assert {name for name in ours if not lives_in(name, MODEL_PACKAGES)} <= MODEL_FILES_MAY_IMPORT


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


def test_every_public_name_is_there() -> None:
    assert all(getattr(caloforge, name) is not None for name in caloforge.__all__)
    assert "generate" in caloforge.__all__


def test_everything_but_training_runs_without_torch() -> None:
    free = [name for name in MODULES if not lives_in(name, HOMES["torch"])]
    assert {"caloforge.stages.generate", "caloforge.stages.evaluate"} <= set(free)
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
