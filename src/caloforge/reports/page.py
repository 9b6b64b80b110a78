"""One page about showers: a single HTML file with pictures and tables that opens offline and prints well."""

import base64
import re
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

from caloforge import __version__, plots
from caloforge.files import written_aside
from caloforge.reports.tables import Cell, Table

_LARGEST_SVG = 400_000
"""Bytes from which on a picture is embedded as pixels."""

_STYLE = """
:root { --same: #d3ede3; --near: #fdeec2; --far: #f9d6c8; --unknown: #ececec;
  --unsure: #fdeec2; --line: #dfe3e8; }
body { font: 16px/1.5 system-ui, sans-serif; color: #1d2329; max-width: 62rem;
  margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.7rem; line-height: 1.25; margin-bottom: .4rem; }
h2 { font-size: 1.25rem; margin-top: 2.6rem; padding-bottom: .2rem; border-bottom: 2px solid var(--line); }
nav { font-size: .9rem; margin: .8rem 0 1.4rem; } nav a { margin-right: 1.1rem; color: #005a8f; }
figure { margin: 1.2rem 0; break-inside: avoid; } figure img { max-width: 100%; height: auto; }
figcaption, footer, caption { font-size: .85rem; color: #55606b; } caption { text-align: left; }
table { border-collapse: collapse; margin: 1rem 0; font-variant-numeric: tabular-nums; font-size: .9rem; }
th, td { padding: .22rem .7rem; text-align: right; border-bottom: 1px solid var(--line); }
td { white-space: nowrap; } td.words { white-space: normal; min-width: 14rem; }
th:first-child, td:first-child, .words { text-align: left; } tr { break-inside: avoid; }
thead th { border-bottom: 2px solid #8b95a0; vertical-align: bottom; background: #fff; }
table.sortable { display: block; overflow-x: auto; font-size: .85rem; }
table.sortable :is(th, td) { padding: .2rem .45rem; }
body.wide { max-width: 82rem; } body.wide p { max-width: 62rem; }
table.sortable th { cursor: pointer; } table.sortable th[aria-sort]::after { content: " \\25B4"; }
table.sortable th[aria-sort=descending]::after { content: " \\25BE"; }
.same { background: var(--same); } .near { background: var(--near); } .far { background: var(--far); }
.unknown { background: var(--unknown); } .unsure { background: var(--unsure); }
.cards { display: grid; grid-template-columns: repeat(auto-fit, minmax(11.5rem, 1fr)); gap: .8rem; }
.card { border: 1px solid var(--line); border-radius: .4rem; padding: .7rem .9rem; break-inside: avoid; }
.card p { margin: 0; }
.card .value { font-size: 1.45rem; font-weight: 600; } .card .text { font-size: .82rem; }
.warning { border-left: .3rem solid #d55e00; background: #fdf3ee; padding: .5rem .9rem; margin: .5rem 0; }
@media print { body { font-size: 9.5pt; margin: 0; max-width: none; } h2 { break-after: avoid; }
  nav { display: none; } table { font-size: 8pt; } th, td { padding: .1rem .35rem; }
  table.sortable { display: table; }
  * { print-color-adjust: exact; -webkit-print-color-adjust: exact; } @page { margin: 14mm; } }
"""

_SCRIPT = """
for (const head of document.querySelectorAll("table.sortable th")) head.addEventListener("click", () => {
  const table = head.closest("table"), body = table.tBodies[0], n = head.cellIndex;
  const down = head.getAttribute("aria-sort") === "ascending";
  const key = row => { const cell = row.cells[n], text = cell.dataset.order ?? cell.textContent.trim();
    return text === "" || isNaN(text) ? text : Number(text); };
  const order = (a, b) => a === "" ? 1 : b === "" ? -1
    : (typeof a === "number" && typeof b === "number" ? a - b : String(a).localeCompare(b)) * (down ? -1 : 1);
  for (const other of head.parentNode.cells) other.removeAttribute("aria-sort");
  head.setAttribute("aria-sort", down ? "descending" : "ascending");
  body.append(...[...body.rows].sort((a, b) => order(key(a), key(b))));
});
"""


@dataclass(frozen=True)
class Card:
    """One number in large letters, with what it is and what it means; `Cell` tells the levels."""

    title: str
    value: str
    text: str = ""
    level: str = ""


@dataclass(frozen=True)
class Section:
    """A part of a page: paragraphs (divided by empty lines), a table, pictures; each may be missing.

    ``warnings`` are sentences that nobody may overlook, ``cards`` the numbers that everybody wants.
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
        What is on it.
    contents
        Begin with links to the sections, and leave room for wide tables: for long pages.

    Raises
    ------
    OSError
        The folder does not exist, or the disk is full.
    """
    parts = "\n".join(_section(section) for section in sections)
    links = "".join(f'<a href="#{_anchor(one)}">{escape(one.heading)}</a> ' for one in sections)
    script = f"<script>{_SCRIPT}</script>\n" if "sortable" in parts else ""
    page = (
        f'<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{_STYLE}</style>\n</head>\n"
        f"<body class={'wide' if contents else 'plain'}>\n"
        f"<h1>{escape(title)}</h1>\n{f'<nav>{links}</nav>' if contents else ''}{parts}\n"
        f"<footer><p>Made by caloforge {escape(__version__)}.</p></footer>\n{script}</body>\n</html>\n"
    )
    with written_aside(path) as partial:
        partial.write_text(page, encoding="utf-8")


def _section(section: Section) -> str:
    paragraphs = [f"<p>{escape(part.strip())}</p>" for part in section.text.split("\n\n") if part.strip()]
    warnings = [f'<p class="warning">{escape(warning)}</p>' for warning in section.warnings]
    cards = [f'<div class="cards">{"".join(map(_card, section.cards))}</div>'] if section.cards else []
    table = [_table(section.table)] if section.table else []
    figures = [_figure(figure) for figure in section.figures]
    heading = f'<h2 id="{_anchor(section)}">{escape(section.heading)}</h2>'
    inside = "\n".join([heading, *cards, *paragraphs, *warnings, *table, *figures])
    return f"<section>\n{inside}\n</section>"


def _anchor(section: Section) -> str:
    return re.sub(r"[^a-z0-9]+", "-", section.heading.lower()).strip("-")


def _card(card: Card) -> str:
    return (
        f'<div class="card {card.level}"><p>{escape(card.title)}</p><p class="value">{escape(card.value)}</p>'
        f'<p class="text">{escape(card.text)}</p></div>'
    )


def _table(table: Table) -> str:
    head = "".join(_cell(cell, "th") for cell in table.head)
    rows = ["".join(map(_cell, row)) for row in table.rows]
    body = "\n".join(f"<tr>{row}</tr>" for row in rows)
    kind = ' class="sortable"' if table.sortable else ""
    return f"<table{kind}>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody>\n</table>"


def _cell(text: str, tag: str = "td") -> str:
    if not isinstance(text, Cell):
        return f"<{tag}>{escape(text)}</{tag}>"
    marks = {
        "class": text.level,
        "data-order": "" if text.order is None else f"{text.order:.9g}",
        "title": escape(text.hint, quote=True),
    }
    said = "".join(f' {name}="{value}"' for name, value in marks.items() if value)
    return f"<{tag}{said}>{escape(text)}</{tag}>"


def _figure(figure: plots.Figure) -> str:
    """Embed a picture; as an image of its own, so that no names inside two pictures meet."""
    kind, content = "svg+xml", plots.svg([figure])
    if len(content) > _LARGEST_SVG:
        kind, content = "png", plots.png([figure])
    label = escape(str(figure.get_label()), quote=True)
    data = base64.b64encode(content).decode()
    return (
        f'<figure><img alt="{label}" src="data:image/{kind};base64,{data}">'
        f"<figcaption>{label}</figcaption></figure>"
    )
