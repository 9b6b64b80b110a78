"""What the documentation shows is real: descriptions load, commands parse, profiles are understood."""

import re
import shlex
import tomllib
from pathlib import Path

import pytest
import typer

from caloforge import cli
from caloforge.geometry import Calorimeter

PAGE = Path(__file__).parents[1] / "docs" / "simulation.md"


def blocks(language: str) -> list[str]:
    return re.findall(
        rf"^```{language}\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL
    )


COMMANDS = [
    line.partition(" #")[0].strip()
    for block in blocks("sh")
    for line in block.splitlines()
    if line.startswith("caloforge ")
]


@pytest.mark.parametrize("number", range(len(blocks("toml"))))
def test_calorimeters_load(number: int) -> None:
    geometry = Calorimeter.from_dict(tomllib.loads(blocks("toml")[number]))
    assert geometry.depth == 360


@pytest.mark.parametrize("line", COMMANDS)
def test_commands_parse(line: str) -> None:
    group = typer.main.get_command(cli.app)
    words = shlex.split(line)[1:]
    context = typer.Context(group)
    while hasattr(group, "commands"):
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


def test_links_lead_somewhere() -> None:
    text = PAGE.read_text(encoding="utf-8")
    headings = re.findall(r"^##+ (.+)$", text, re.MULTILINE)
    anchors = {re.sub(r"[^\w -]", "", heading).lower().replace(" ", "-") for heading in headings}
    for target in re.findall(r"\]\(([^)]+)\)", text):
        if target.startswith("#"):
            assert target[1:] in anchors
        elif not target.startswith("https://"):
            assert (PAGE.parent / target).exists()
