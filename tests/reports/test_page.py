"""A page: one file, no network, everything escaped."""

import base64
import re
from html.parser import HTMLParser
from pathlib import Path

from caloforge import plots
from caloforge.reports.page import Card, Section, write_page
from caloforge.reports.tables import Cell, Table


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
