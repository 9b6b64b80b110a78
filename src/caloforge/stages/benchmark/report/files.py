"""A benchmark's result as Markdown for people and JSON for programs."""

import json
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from caloforge import plots
from caloforge.errors import InputError
from caloforge.files import written_aside
from caloforge.reports.tables import Table
from caloforge.reports.tables import markdown as as_markdown

__all__ = ["Report", "markdown", "prepare", "write"]

_PICTURES = (".svg", ".png")


@dataclass(frozen=True)
class Report:
    """What a benchmark found.

    Attributes
    ----------
    title
        What was measured.
    text
        How to read the tables.
    record
        All numbers, of JSON's types.
    tables
        What people look at, by heading.
    figures
        Pictures below the tables.
    """

    title: str
    text: str
    record: Mapping[str, Any]
    tables: Mapping[str, Table]
    figures: Sequence[plots.Figure] = field(default=())


def prepare(folder: Path) -> None:
    """Make a folder for a report, and make sure that it can be written to, before anything is measured.

    Raises
    ------
    InputError
        It is a file.
    OSError
        It can't be made or written to.
    """
    if folder.is_file():
        raise InputError(f"{folder} is a file, but results go into a folder: choose another name for it.")
    folder.mkdir(parents=True, exist_ok=True)
    tempfile.TemporaryFile(dir=folder).close()


def write(report: Report, folder: Path) -> list[Path]:
    """Write a report as Markdown and JSON, and its pictures, into a folder; return the files.

    The folder is made where there is none.

    Raises
    ------
    InputError
        The folder is a file.
    OSError
        The folder can't be made, or the disk is full.
    """
    prepare(folder)
    name = str(report.record["benchmark"])
    contents = {".md": markdown(report), ".json": json.dumps(report.record, indent=1) + "\n"}
    paths = []
    for suffix, content in contents.items():
        paths.append(folder / f"{name}{suffix}")
        with written_aside(paths[-1]) as aside:
            aside.write_text(content, encoding="utf-8")
    for suffix in _PICTURES if report.figures else ():
        paths.append(folder / f"{name}{suffix}")
        plots.save(report.figures, paths[-1])
    return paths


def markdown(report: Report) -> str:
    """Return the report as Markdown."""
    parts = [f"# {report.title}", report.text]
    for heading, table in report.tables.items():
        parts += [f"## {heading}"] if heading else []
        parts.append(as_markdown(table))
    if report.figures:
        parts.append(f"![{report.title}]({report.record['benchmark']}.svg)")
    parts.append("\n".join(f"- {key}: {value}" for key, value in report.record["machine"].items()))
    geant4 = {key: report.record["simulation"].get(key) for key in ("geant4", "geant4_pybind", "geant4_data")}
    parts.append("\n".join(f"- {key}: {_plain(value)}" for key, value in geant4.items() if value))
    return "\n\n".join(filter(None, parts)) + "\n"


def _plain(value: Any) -> str:
    return ", ".join(map(str, value.values())) if isinstance(value, dict) else str(value)
