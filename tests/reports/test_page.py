"""A page: one file, no network, everything escaped; figures of two samples beside each other."""

import base64
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from caloforge import plots
from caloforge.errors import InputError
from caloforge.incident.incident import Incident
from caloforge.reports.comparison import comparison
from caloforge.reports.page import Card, Section, write_page
from caloforge.reports.tables import Cell, Table
from caloforge.showers import Showers


class Reader(HTMLParser):
    """Checks that all elements are closed in order, and collects tags and sources of pictures."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.sources: list[str] = []
        self.attributes: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes.append((tag, dict(attrs)))
        self.sources += [value or "" for name, value in attrs if name in ("src", "href")]
        if tag not in ("meta", "img"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def read_page(path: Path) -> Reader:
    reader = Reader()
    reader.feed(path.read_text(encoding="utf-8"))
    assert not reader.open
    return reader


def test_page_holds_everything_itself(make_showers, tmp_path: Path) -> None:
    showers = make_showers(4)
    figures = [plots.layers(showers, 0), plots.shower_3d(showers, 0)]
    table = Table(["mean of", "a", "b", "difference"], [["x < y", "1", "2", ""]])
    write_page(
        tmp_path / "page.html", "Photons & more", [Section("One", "First.\n\nSecond.", table, figures)]
    )
    page = read_page(tmp_path / "page.html")
    assert [page.tags.count(tag) for tag in ("h1", "h2", "table", "img")] == [1, 1, 1, 2]
    assert all(source.startswith("data:image/") for source in page.sources)
    text = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert "Photons &amp; more" in text
    assert "x &lt; y" in text
    assert "http" not in re.sub(r"base64,[^\"]*", "", text)
    assert len(list(tmp_path.iterdir())) == 1


def test_large_pictures_are_embedded_as_pixels(make_showers, monkeypatch, tmp_path: Path) -> None:
    monkeypatch.setattr("caloforge.reports.page._LARGEST_SVG", 10)
    write_page(tmp_path / "page.html", "A page", [Section("One", figures=[plots.average(make_showers(2))])])
    (source,) = read_page(tmp_path / "page.html").sources
    assert base64.b64decode(source.removeprefix("data:image/png;base64,")).startswith(b"\x89PNG")


def test_sections_may_be_bare(tmp_path: Path) -> None:
    write_page(tmp_path / "page.html", "A page", [Section("Nothing yet")])
    assert read_page(tmp_path / "page.html").tags.count("section") == 1


def test_comparison_has_all_figures_of_both_samples(make_showers, calogan) -> None:
    showers = make_showers(30)
    twice = Showers(calogan, showers.cells * 2, Incident(22, showers.energy), provenance={"model": "twice"})
    table = comparison(twice, showers)
    assert list(table.head) == ["mean of", "twice", "unknown source", "difference"]
    assert all(len(row) == 4 for row in table.rows)
    rows = {row[0]: row[1:] for row in table.rows}
    assert rows["showers"] == ["30", "30", ""]
    assert rows["response"][2].startswith("100 ± ")
    mean = (showers.cells.sum(axis=1) / showers.energy).mean()
    assert float(rows["response"][1].split()[0]) == pytest.approx(mean, rel=0.02)
    assert [name for name in rows if name.startswith("width in η")] == [
        f"width in η, layer {n} [cells]" for n in range(3)
    ]


@pytest.mark.parametrize("n", [1, 2])
def test_empty_showers_can_be_compared(make_showers, calogan, n: int) -> None:
    empty = Showers(calogan, np.zeros((n, calogan.n_cells)), Incident(22, 1e4))
    rows = {row[0]: row[1:] for row in comparison(empty, make_showers(1)).rows}
    assert rows["shower depth [layers]"][0] == "undefined"
    assert rows["response"][0] == "0"


def test_other_cells_are_refused(make_showers, calogan_fine) -> None:
    with pytest.raises(InputError, match="different cells"):
        comparison(make_showers(1), make_showers(1, calogan_fine))


def test_cells_carry_colour_order_and_hint(tmp_path: Path) -> None:
    cells = [Cell("1.0 ± 0.1", "far", order=1.0, hint='a "hint" <b>'), Cell("plain")]
    table = Table(["one", Cell("two", "words")], [cells], sortable=True)
    write_page(tmp_path / "page.html", "A page", [Section("One", table=table)], contents=True)
    text = (tmp_path / "page.html").read_text(encoding="utf-8")
    page = read_page(tmp_path / "page.html")
    marks = {"class": "far", "data-order": "1", "title": 'a "hint" <b>'}
    assert [(tag, attributes) for tag, attributes in page.attributes if tag == "td"] == [
        ("td", marks), ("td", {})
    ]  # fmt: skip
    assert "<b>" not in text
    assert ">1.0 ± 0.1</td>" in text
    assert '<th class="words">two</th>' in text
    assert '<a href="#one">One</a>' in text
    assert "<script>" in text


def test_cards_and_warnings_are_shown_and_escaped(tmp_path: Path) -> None:
    card = Card("AUC", "0.97", "floor < 0.5", "far")
    write_page(tmp_path / "page.html", "A page", [Section("One", cards=[card], warnings=["a < b"])])
    text = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert '<div class="card far">' in text
    assert "floor &lt; 0.5" in text
    assert '<p class="warning">a &lt; b</p>' in text
    assert "<script>" not in text
    read_page(tmp_path / "page.html")


def test_nothing_that_a_page_is_given_becomes_html(tmp_path: Path) -> None:
    evil = "<script>\"&'"
    table = Table([evil], [[Cell(evil, order=1.0, hint=evil)]])
    section = Section(evil, evil, table, warnings=[evil], cards=[Card(evil, evil, evil)])
    write_page(tmp_path / "page.html", evil, [section], contents=True)
    assert "script" not in read_page(tmp_path / "page.html").tags
