"""One page about showers: a single HTML file with pictures and tables that opens offline and prints well."""

import base64
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from caloforge import __version__, plots
from caloforge.files import written_aside
from caloforge.reports.tables import Cell, Table

__all__ = ["Card", "Section", "write_page"]

_LARGEST_SVG = 400_000
"""Bytes from which a picture is embedded as pixels."""

_TEMPLATES = Path(__file__).with_name("templates")


@dataclass(frozen=True)
class Card:
    """One number in large letters, with its title and meaning; `Cell` defines the levels."""

    title: str
    value: str
    text: str = ""
    level: str = ""


@dataclass(frozen=True)
class Section:
    """A part of a page: paragraphs (divided by empty lines), a table, pictures; each may be missing.

    ``warnings`` are sentences shown prominently, ``cards`` the main numbers.
    """

    heading: str
    text: str = ""
    table: Table | None = None
    figures: Sequence[plots.Figure] = ()
    warnings: Sequence[str] = ()
    cards: Sequence[Card] = ()


def write_page(path: Path, title: str, sections: Sequence[Section], *, contents: bool = False) -> None:
    """Write a page that needs no other file and no network.

    Parameters
    ----------
    path
        The HTML file.
    title, sections
        The headline and the parts of the page.
    contents
        Begin with links to the sections, and leave room for wide tables: for long pages.

    Raises
    ------
    OSError
        The folder does not exist, or the disk is full.
    """
    template = _environment().get_template("page.html.jinja")
    page = template.render(title=title, sections=sections, contents=contents, version=__version__)
    with written_aside(path) as partial:
        partial.write_text(page, encoding="utf-8")


@cache
def _environment() -> Environment:
    """Return the environment of the templates, which escapes all values."""
    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    for use in (_anchor, _embedded, _label, _marks, _paragraphs):
        environment.filters[use.__name__.removeprefix("_")] = use
    return environment


def _anchor(heading: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", heading.lower()).strip("-")


def _paragraphs(text: str) -> list[str]:
    return [part.strip() for part in text.split("\n\n") if part.strip()]


def _marks(text: str) -> dict[str, str]:
    """Return the attributes of a cell of a table."""
    if not isinstance(text, Cell):
        return {}
    order = "" if text.order is None else f"{text.order:.9g}"
    marks = {"class": text.level, "data-order": order, "title": text.hint}
    return {name: value for name, value in marks.items() if value}


def _label(figure: plots.Figure) -> str:
    return str(figure.get_label())


def _embedded(figure: plots.Figure) -> str:
    """Return a picture as a data address, so that names inside of two pictures can't collide."""
    kind, content = "svg+xml", plots.svg([figure])
    if len(content) > _LARGEST_SVG:
        kind, content = "png", plots.png([figure])
    return f"data:image/{kind};base64,{base64.b64encode(content).decode()}"
