"""One page about showers: a single HTML file with pictures and tables that opens offline and prints well."""

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

import numpy as np

from caloforge import __version__, plots
from caloforge.atomic import written_aside
from caloforge.observables.base import Observable
from caloforge.observables.lateral_width import LateralWidth
from caloforge.observables.layer_fraction import LayerFraction
from caloforge.observables.response import Response
from caloforge.observables.shower_depth import ShowerDepth
from caloforge.plots import words
from caloforge.showers import Showers

_LARGEST_SVG = 400_000
"""Bytes from which on a picture is embedded as pixels."""

_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; color: #222; max-width: 62rem;
  margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.6rem; } h2 { font-size: 1.2rem; margin-top: 2.2rem; border-bottom: 1px solid #ddd; }
figure { margin: 1rem 0; break-inside: avoid; } figure img { max-width: 100%; height: auto; }
figcaption, footer { font-size: .85rem; color: #555; }
table { border-collapse: collapse; margin: 1rem 0; break-inside: avoid; font-variant-numeric: tabular-nums; }
th, td { padding: .2rem .9rem .2rem 0; text-align: right; border-bottom: 1px solid #e5e5e5; }
th:first-child, td:first-child { text-align: left; } thead th { border-bottom: 2px solid #999; }
@media print { body { font-size: 11pt; margin: 0; max-width: none; } h2 { break-after: avoid; } }
"""


@dataclass(frozen=True)
class Table:
    """A table: its head, and rows of as many cells; the first cell of a row names it."""

    head: Sequence[str]
    rows: Sequence[Sequence[str]]


@dataclass(frozen=True)
class Section:
    """A part of a page: paragraphs (divided by empty lines), a table, pictures; each may be missing."""

    heading: str
    text: str = ""
    table: Table | None = None
    figures: Sequence[plots.Figure] = ()


def write_page(path: Path, title: str, sections: Sequence[Section]) -> None:
    """Write a page that needs no other file and no network.

    Raises
    ------
    OSError
        The folder does not exist, or the disk is full.
    """
    parts = "\n".join(_section(section) for section in sections)
    page = (
        f'<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n"
        f"<h1>{escape(title)}</h1>\n{parts}\n"
        f"<footer><p>Made by caloforge {escape(__version__)}.</p></footer>\n</body>\n</html>\n"
    )
    with written_aside(path) as partial:
        partial.write_text(page, encoding="utf-8")


def comparison(showers: Showers, beside: Showers) -> Table:
    """Return the figures of two samples beside each other: means with errors, and their difference.

    Showers for which a quantity is not defined (an empty layer has no width) do not count in its mean.

    Raises
    ------
    InputError
        A sample is empty, or the two have different cells.
    """
    plots.check_pair(showers, beside)
    rows = [["showers", f"{len(showers):,}", f"{len(beside):,}", ""]]
    rows.append(["incident energy", words.energies_text(showers), words.energies_text(beside), ""])
    layers = range(len(showers.geometry.layers))
    quantities: list[Observable] = [Response(), ShowerDepth()]
    quantities += [LayerFraction(layer) for layer in layers]
    quantities += LateralWidth.every(showers.geometry)[: len(layers)]  # along eta
    rows += [_row(quantity, showers, beside) for quantity in quantities]
    return Table(["mean of", *words.sample_names(showers, beside), "difference"], rows)


def _row(quantity: Observable, showers: Showers, beside: Showers) -> list[str]:
    unit = f" [{quantity.unit}]" if quantity.unit else ""
    (first, first_error), (second, second_error) = (_mean(quantity(sample)) for sample in (showers, beside))
    cells = [_value(first, first_error), _value(second, second_error)]
    difference = ""
    if np.isfinite([first, second]).all() and second > 0:
        error = 100 * np.hypot(first_error, second_error) / second
        difference = words.with_error(100 * (first / second - 1), float(error)) + " %"
    return [quantity.label + unit, *cells, difference]


def _value(mean: float, error: float) -> str:
    return words.with_error(mean, error) if np.isfinite(mean) else "undefined"


def _mean(values: np.ndarray[tuple[int, ...], np.dtype[np.float64]]) -> tuple[float, float]:
    """Return the mean of the defined values and its statistical error."""
    defined = values[np.isfinite(values)]
    if defined.size == 0:
        return float("nan"), float("nan")
    error = defined.std(ddof=1) / np.sqrt(defined.size) if defined.size > 1 else float("nan")
    return float(defined.mean()), float(error)


def _section(section: Section) -> str:
    paragraphs = [f"<p>{escape(part.strip())}</p>" for part in section.text.split("\n\n") if part.strip()]
    table = [_table(section.table)] if section.table else []
    figures = [_figure(figure) for figure in section.figures]
    inside = "\n".join([f"<h2>{escape(section.heading)}</h2>", *paragraphs, *table, *figures])
    return f"<section>\n{inside}\n</section>"


def _table(table: Table) -> str:
    head = "".join(f"<th>{escape(cell)}</th>" for cell in table.head)
    rows = ["".join(f"<td>{escape(cell)}</td>" for cell in row) for row in table.rows]
    body = "\n".join(f"<tr>{row}</tr>" for row in rows)
    return f"<table>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody>\n</table>"


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
