"""``caloforge show``: pictures of what is in a file of showers."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from caloforge.cli.common import Overwrite, file_to_write, messages, progress_bar, say
from caloforge.progress import Progress, no_progress

if TYPE_CHECKING:
    from collections.abc import Callable

    from caloforge.plots import Figure
    from caloforge.showers import Showers

__all__ = ["command"]

_MOST_CELLS = 1 << 25
"""Cells of one file that are looked at for averages and shapes: 128 MiB."""


def command(
    file: Annotated[Path, typer.Argument(help="A file of showers in any supported layout.")],
    shower: Annotated[int, typer.Option(help="Number of the single shower to draw, counted from 0.")] = 0,
    reference: Annotated[
        Path | None, typer.Option(help="Another file with the same cells: adds ratios and shower shapes.")
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            callback=file_to_write,
            help="One .png, .pdf or .svg for all plots (default: one PNG each, next to the file).",
        ),
    ] = None,
    overwrite: Overwrite = False,
) -> None:
    """Plot one shower by layer and in space, the average shower, and its profile with the textbook formula.

    [bold]Example[/bold]: caloforge show showers.h5 --shower 3 --reference geant4.h5 -o showers.pdf
    """
    from caloforge import plots
    from caloforge.files import check_replaced

    if output is not None:
        plots.check_format(output)
        check_replaced(output, overwrite, [file, *([reference] if reference else [])])
    alone, sample = _read(file, shower)
    other = None if reference is None else _read(reference, None)[1]
    with progress_bar("Drawing", "pictures") as drawing, progress_bar("Writing", "files") as writing:
        figures = _figures(alone, sample, other, drawing)
        written = _pages(figures, file, output)
        for done, (path, pages) in enumerate(written.items()):
            writing(done, len(written))
            plots.save(pages, path)
        writing(len(written), len(written))
    for path in written:
        say(str(path))


def _pages(figures: "dict[str, Figure]", file: Path, output: Path | None) -> "dict[Path, list[Figure]]":
    """Return which figures each file gets."""
    if output is not None:
        return {output: list(figures.values())}
    return {file.with_name(f"{file.stem}_{name}.png"): [figure] for name, figure in figures.items()}


def _figures(
    alone: "Showers", sample: "Showers", other: "Showers | None", progress: Progress = no_progress
) -> "dict[str, Figure]":
    pictures = _pictures(alone, sample, other)
    figures: dict[str, Figure] = {}
    for done, (name, draw) in enumerate(pictures.items()):
        progress(done, len(pictures))
        figures |= _drawn(name, draw)
    progress(len(pictures), len(pictures))
    return figures


def _pictures(
    alone: "Showers", sample: "Showers", other: "Showers | None"
) -> "dict[str, Callable[[], Figure]]":
    """Return what draws each picture."""
    from caloforge import plots

    pictures = {
        "layers": lambda: plots.layers(alone, 0),
        "3d": lambda: plots.shower_3d(alone, 0),
        "average": lambda: plots.average(sample, other),
    }
    if other is not None:
        pictures["shapes"] = lambda: plots.shapes(sample, other)
    return {**pictures, "profile": lambda: plots.profile(sample, other)}


def _drawn(name: str, draw: "Callable[[], Figure]") -> "dict[str, Figure]":
    """Draw a picture; the profile only of showers that have one."""
    from caloforge.errors import InputError

    try:
        return {name: draw()}
    except InputError as error:
        if name != "profile":
            raise
        messages.print(f"The profile was not drawn: {escape(str(error))}")
        return {}


def _read(path: Path, shower: int | None) -> "tuple[Showers, Showers]":
    """Return one shower (or none), and as many as fit in memory, both named after their file."""
    from caloforge.errors import InputError
    from caloforge.formats.open import open_any

    with open_any(path) as source:
        count = len(source)
        if count == 0:
            raise InputError(f"{path} holds no showers, so there is nothing to draw.")
        if shower is not None and not 0 <= shower < count:
            raise InputError(f"There is no shower {shower} in {path}: its showers are 0 to {count - 1}.")
        most = max(1, _MOST_CELLS // source.geometry.n_cells)
        start = shower or 0
        alone, sample = source.read(start, start + 1), source.read(0, most)
    if most < count:
        messages.print(f"{escape(str(path))}: averages are over the first {most:,} of {count:,} showers.")
    return _named(alone, path, start), _named(sample, path, 0)


def _named(showers: "Showers", path: Path, start: int) -> "Showers":
    """Return the showers with the name of their file and their numbers in it, for the pictures to tell."""
    import numpy as np

    from caloforge.showers import Showers

    columns = {**showers.columns, "number": np.arange(start, start + len(showers))}
    provenance = {**showers.provenance, "file": path.name}
    return Showers(showers.geometry, showers.cells, showers.incident, columns=columns, provenance=provenance)
