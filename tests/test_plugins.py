"""Entries of other packages: `tests/plugin` adds one of each kind, broken ones are told by their package."""

import os
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import pytest

import caloforge
from caloforge import catalog
from caloforge.errors import CatalogError
from caloforge.formats.base import recognise
from caloforge.geometry import Calorimeter
from caloforge.incident.incident import Incident
from caloforge.metrics import base as metrics
from caloforge.observables import every
from caloforge.showers import Showers

PLUGIN = Path(__file__).with_name("plugin")
GROUPS = tomllib.loads((PLUGIN / "pyproject.toml").read_text())["project"]["entry-points"]
ADDED = {group.removeprefix("caloforge."): next(iter(entries)) for group, entries in GROUPS.items()}


def install(folder: Path, name: str, groups: Mapping[str, Mapping[str, str]]) -> None:
    """Write what pip writes about a package that it installs."""
    info = folder / f"{name.replace('-', '_')}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    lines = [
        line
        for group, entries in groups.items()
        for line in (f"[{group}]", *(f"{key} = {value}" for key, value in entries.items()))
    ]
    (info / "entry_points.txt").write_text("\n".join(lines) + "\n")


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Return a folder from which packages are imported."""
    folder = tmp_path / "site-packages"
    folder.mkdir()
    before = set(sys.modules)
    monkeypatch.syspath_prepend(folder)
    catalog.refresh()
    yield folder
    monkeypatch.undo()
    catalog.refresh()
    for name in set(sys.modules) - before:
        if name.partition(".")[0] in ("caloforge_example", "other"):
            del sys.modules[name]


@pytest.fixture
def example(site: Path) -> Path:
    """Install the example."""
    (site / "caloforge_example").symlink_to(PLUGIN / "caloforge_example")
    install(site, "caloforge-example", GROUPS)
    return site


@pytest.mark.parametrize(("folder", "name"), ADDED.items())
def test_every_kind_of_entry_is_found(example: Path, folder: str, name: str) -> None:
    names = catalog.names(folder)
    assert name in names
    assert names == sorted(names)
    assert "caloforge_example" not in sys.modules  # nothing is imported for a list
    entry = catalog.load(folder, name)
    assert entry.is_file() if isinstance(entry, Path) else entry is not None
    with pytest.raises(CatalogError, match=f"Did you mean '{name}'"):
        catalog.load(folder, name[:-1])


def test_there_are_examples_of_all_kinds() -> None:
    assert set(ADDED) == set(catalog._OPEN)


def test_names_are_looked_up_once(example: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    known = catalog.names("models")
    monkeypatch.setattr(catalog, "entry_points", None)
    monkeypatch.setattr(catalog, "files", None)
    assert catalog.names("models") == known


def test_what_uses_the_catalogue_sees_the_entries(example: Path, tmp_path: Path) -> None:
    tower = Calorimeter.load("tower")
    assert tower.n_cells == 16
    assert "hottest_cell" in [observable.name for observable in every(tower)]
    assert "median_shift" in [metric.name for metric in metrics.every(joint=False)]
    path = tmp_path / "a.npz"
    showers = Showers(tower, np.ones((3, 16), np.float32), Incident(22, np.full(3, 1e3)))
    archive = catalog.load("formats", "numpy_archive")
    archive.write(showers, path)
    assert recognise(path) == "numpy_archive"
    np.testing.assert_array_equal(archive.read(path, 22, tower).cells, showers.cells)


def command(site: Path, *arguments: object) -> str:
    """Run a command line in a process of its own; return its output."""
    path = os.pathsep.join([str(site), str(Path(caloforge.__file__).parents[1])])
    main = [sys.executable, "-W", "error", "-c", "from caloforge.cli import main; main()"]
    environment = os.environ | {"PYTHONPATH": path, "COLUMNS": "200"}
    whole = [*main, *map(str, arguments)]
    done = subprocess.run(whole, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_model_of_another_package_is_trained_and_rebuilt(example: Path, tmp_path: Path) -> None:
    pytest.importorskip("torch")
    from caloforge.models.checkpoint import load

    data = catalog.load("samples", "calogan_gamma")
    options = ("-d", data, "--epochs", 1, "--held-out", 20, "-o", tmp_path / "run")
    command(example, "train", "even_share", *options)
    assert load(tmp_path / "run").build_model().name == "even_share"


def test_the_command_line_offers_the_entries(example: Path) -> None:
    assert "numpy_archive" in command(example, "convert", "--help")
    assert "A tower of 4 x 4 cells" in command(example, "info", "tower")


@pytest.mark.parametrize(
    ("folder", "name", "value", "content", "said"),
    [
        (
            "metrics",
            "separation",
            "other.separation",
            "ENTRY = 1",
            r"more than one package \(caloforge, other",
        ),
        ("metrics", "mine", "other.mine", "import no_such_library", "can't be imported.*no_such_library"),
        ("metrics", "mine", "other.mine", "1 / 0", "can't be imported.*division"),
        ("metrics", "mine", "other.mine", "entry = 1", "must be a module with an ENTRY"),
        ("metrics", "mine", "other.missing", "", "can't be imported"),
        ("models", "yours", "other.mine", "ENTRY = 1", r"must be named like the entry: yours\.py"),
        ("geometries", "mine", "other", "", r"must be a package with a file mine\.toml"),
        ("geometries", "mine", "other.mine", "", r"must be a package with a file mine\.toml"),
        ("geometries", "calogan", "other", "", r"\(caloforge, other-package\)"),
    ],
)
def test_what_can_not_be_used_is_told_by_its_package(
    site: Path, folder: str, name: str, value: str, content: str, said: str
) -> None:
    (site / "other").mkdir()
    (site / "other" / "__init__.py").touch()
    module = value.partition(".")[2]
    if module and module != "missing":
        (site / "other" / f"{module}.py").write_text(content)
    install(site, "other-package", {f"caloforge.{folder}": {name: value}})
    assert name in catalog.names(folder)
    with pytest.raises(CatalogError, match=said) as caught:
        catalog.load(folder, name)
    assert "other-package" in str(caught.value)


def test_two_packages_with_the_same_name_are_told_apart(site: Path) -> None:
    for package in ("one", "two"):
        install(site, package, {"caloforge.metrics": {"mine": f"{package}.mine"}})
    assert catalog.names("metrics").count("mine") == 1
    with pytest.raises(CatalogError, match=r"\((one, two|two, one)\)"):
        catalog.load("metrics", "mine")
