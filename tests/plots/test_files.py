"""Figures as files: three formats, whole or not at all, the same bytes every time."""

import io
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import matplotlib.image
import pytest

from caloforge import plots
from caloforge.errors import InputError


@pytest.fixture(scope="module")
def figures(make_showers) -> list[plots.Figure]:
    showers = make_showers(3)
    return [plots.layers(showers, 0), plots.average(showers, showers)]


@pytest.mark.parametrize("ending", sorted(plots.FORMATS))
def test_file_is_written_and_the_same_every_time(ending: str, figures, tmp_path: Path) -> None:
    for name in ("first", "second"):
        plots.save(figures, tmp_path / f"{name}{ending}")
    first, second = ((tmp_path / f"{name}{ending}").read_bytes() for name in ("first", "second"))
    assert first == second
    assert len(list(tmp_path.iterdir())) == 2


def test_png_holds_all_figures_below_each_other(figures) -> None:
    sizes = [matplotlib.image.imread(io.BytesIO(plots.png([figure]))).shape for figure in figures]
    both = matplotlib.image.imread(io.BytesIO(plots.png(figures))).shape
    assert both[0] == sum(size[0] for size in sizes)
    assert both[1] == max(size[1] for size in sizes)


def test_svg_is_well_formed(figures) -> None:
    for drawing in (plots.svg(figures), plots.svg(figures[:1])):
        assert ElementTree.fromstring(drawing).tag.endswith("svg")


def test_pdf_has_a_page_for_each_figure(figures, tmp_path: Path) -> None:
    plots.save(figures, tmp_path / "two.pdf")
    assert (tmp_path / "two.pdf").read_bytes().count(b"/Type /Page ") == 2


@pytest.mark.parametrize("name", ["picture.jpg", "picture", "picture.png.gz"])
def test_other_formats_are_refused(name: str, figures, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"\.png, \.pdf, \.svg"):
        plots.save(figures, tmp_path / name)
    assert not list(tmp_path.iterdir())


def test_absent_folder_leaves_nothing(figures, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        plots.save(figures, tmp_path / "absent" / "picture.png")
    assert not list(tmp_path.iterdir())
