"""The documentation site builds without a warning, and loads nothing from another server."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("mkdocs")
pytest.importorskip("mkdocstrings")

ROOT = Path(__file__).parents[1]
LOADED = re.compile(r"<(?:script|link|img)[^>]+(?:src|href)=\"?(?:https?:)?//[^>]*>")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    build = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)]
    environment = {**os.environ, "CALOFORGE_EXECUTE_NOTEBOOKS": "false", "NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(build, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return folder


def test_pages_load_nothing_from_elsewhere(site: Path) -> None:
    pages = list(site.rglob("*.html"))
    assert len(pages) > 15
    assert not [page for page in pages if LOADED.search(page.read_text("utf-8"))]


@pytest.mark.parametrize(
    "name", ["Calorimeter", "Showers", "evaluate", "generate", "read", "simulate", "train"]
)
def test_the_reference_has_the_public_surface(site: Path, name: str) -> None:
    assert f'id="caloforge.{name}"' in (site / "api" / "index.html").read_text("utf-8")


def test_equations_are_shown_without_a_script(site: Path) -> None:
    page = (site / "generators.html").read_text("utf-8")
    assert page.count("<math") > 40
    assert "arithmatex" not in page
    assert "Error in" not in page


def test_notebooks_are_pages(site: Path) -> None:
    page = (site / "notebooks" / "train.html").read_text("utf-8")
    assert "Describe the calorimeter" in page
    assert "Calorimeter" in page
