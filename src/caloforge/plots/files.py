"""Writes figures to files: completely or not at all, and with the same bytes for the same figures."""

import io
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import matplotlib.image
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_pdf import FigureCanvasPdf, PdfPages
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from numpy.typing import NDArray

from caloforge.errors import InputError
from caloforge.files import written_aside
from caloforge.plots._style import DPI, style

__all__ = ["FORMATS", "Pixels", "check_format", "pdf", "png", "save", "svg"]

Pixels = NDArray[np.uint8]


def png(figures: Sequence[Figure]) -> bytes:
    """Return the figures as one PNG picture, below each other."""
    with style():
        pages = [_pixels(figure) for figure in figures]
        width = max(page.shape[1] for page in pages)
        sheet = np.concatenate([_widened(page, width) for page in pages])
        buffer = io.BytesIO()
        matplotlib.image.imsave(buffer, sheet, format="png", dpi=DPI)
    return buffer.getvalue()


def svg(figures: Sequence[Figure]) -> bytes:
    """Return the figures as one SVG picture, below each other."""
    with style():
        pages = [_svg_page(figure) for figure in figures]
    if len(pages) == 1:
        return pages[0].encode()
    sizes = [figure.get_size_inches() * 72 for figure in figures]
    width, height = max(size[0] for size in sizes), sum(size[1] for size in sizes)
    tops = np.cumsum([0.0, *(size[1] for size in sizes)])
    placed = [
        f'<g transform="translate(0 {top:g})">{page}</g>' for top, page in zip(tops, pages, strict=False)
    ]
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" '
        f'width="{width:g}pt" height="{height:g}pt" viewBox="0 0 {width:g} {height:g}">'
        f"{''.join(placed)}</svg>\n"
    ).encode()


def pdf(figures: Sequence[Figure]) -> bytes:
    """Return the figures as one PDF document, a page each."""
    buffer = io.BytesIO()
    with style(), PdfPages(buffer, metadata={"CreationDate": None}) as pages:
        for figure in figures:
            with _canvas_restored(figure):
                FigureCanvasPdf(figure).print_pdf(pages)
    return buffer.getvalue()


FORMATS = {".png": png, ".pdf": pdf, ".svg": svg}


def check_format(path: Path) -> None:
    """Refuse a file name whose ending is not a known format.

    Raises
    ------
    InputError
        The ending is another one than .png, .pdf or .svg.
    """
    if path.suffix.lower() not in FORMATS:
        found = f"ends in '{path.suffix}'" if path.suffix else "has no ending"
        raise InputError(
            f"A picture can't be written to {path.name}, which {found}: use {', '.join(FORMATS)}."
        )


def save(figures: Sequence[Figure], path: Path) -> None:
    """Write figures to one file: pages of a PDF; below each other in a PNG or SVG.

    Raises
    ------
    InputError
        The file's ending is another one than .png, .pdf or .svg.
    """
    check_format(path)
    content = FORMATS[path.suffix.lower()](figures)
    with written_aside(path) as partial:
        partial.write_bytes(content)


def _pixels(figure: Figure) -> Pixels:
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()


def _widened(page: Pixels, width: int) -> Pixels:
    return np.pad(page, ((0, 0), (0, width - page.shape[1]), (0, 0)), constant_values=255)


def _svg_page(figure: Figure) -> str:
    buffer = io.StringIO()
    with _canvas_restored(figure):
        FigureCanvasSVG(figure).print_svg(buffer, metadata={"Date": None})
    return re.sub(r"^.*?(?=<svg)", "", buffer.getvalue(), flags=re.DOTALL)


@contextmanager
def _canvas_restored(figure: Figure) -> Iterator[None]:
    """Give a figure its canvas and resolution back, which printing to one changes.

    `Figure.savefig` does so too, but first draws in vain to find a layout, which is a third of the work.
    """
    canvas, dpi = figure.canvas, figure.dpi
    try:
        yield
    finally:
        figure.set_canvas(canvas)
        figure.set_dpi(dpi)
