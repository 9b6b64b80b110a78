"""What the documentation shows is real: descriptions load, commands parse, profiles are understood."""

import re
import shlex
import tomllib
from pathlib import Path
from typing import Any

import pytest
import typer

from caloforge import cli
from caloforge.geometry import Calorimeter

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "simulation.md"
PAGES = (
    PAGE,
    ROOT / "docs" / "evaluation.md",
    ROOT / "docs" / "generators.md",
    ROOT / "docs" / "extending.md",
    ROOT / "README.md",
)


def blocks(language: str) -> list[str]:
    text = "\n".join(page.read_text(encoding="utf-8") for page in PAGES)
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


COMMANDS = [
    line.partition(" #")[0].strip()
    for block in blocks("sh")
    for line in block.splitlines()
    if line.startswith("caloforge ")
]


CALORIMETERS = [block for block in blocks("toml") if "layers" in block]


@pytest.mark.parametrize("number", range(len(CALORIMETERS)))
def test_calorimeters_load(number: int) -> None:
    geometry = Calorimeter.from_dict(tomllib.loads(CALORIMETERS[number]))
    assert geometry.depth == 360


def test_the_three_lines_of_the_readme_make_showers() -> None:
    (code,) = re.findall(r"^```python\n(.*?)^```", PAGES[-1].read_text("utf-8"), re.MULTILINE | re.DOTALL)
    names: dict[str, Any] = {}
    exec(code, names)
    assert names["showers"].cells.shape == (10_000, 504)
    assert set(names["showers"].pdg) == {22}


@pytest.mark.parametrize("line", COMMANDS)
def test_commands_parse(line: str) -> None:
    group = typer.main.get_command(cli.app)
    words = shlex.split(line)[1:]
    context = typer.Context(group)
    while hasattr(group, "commands"):
        if words[0] not in group.commands:
            words.insert(0, "report")  # evaluate's default
        group = group.commands[words.pop(0)]
    group.make_context(group.name, words, parent=context)


def test_profiles_have_the_keys_that_dask_knows() -> None:
    yaml = pytest.importorskip("yaml")
    jobqueue = pytest.importorskip("dask_jobqueue")
    known = yaml.safe_load((Path(jobqueue.__file__).parent / "jobqueue.yaml").read_text())["jobqueue"]
    profiles = yaml.safe_load(blocks("yaml")[0])["jobqueue"]
    assert set(profiles) == {"slurm", "htcondor"}
    for name, profile in profiles.items():
        assert set(profile) <= set(known[name])


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)]+)\)", page.read_text(encoding="utf-8")):
        if target.startswith("https://"):
            continue
        name, _, anchor = target.partition("#")
        path = page.parent / name if name else page
        assert path.exists()
        assert not anchor or anchor in anchors(path)


def anchors(page: Path) -> set[str]:
    headings = re.findall(r"^##+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading).lower().replace(" ", "-") for heading in headings}
