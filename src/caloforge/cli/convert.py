"""``caloforge convert``: foreign layouts to caloforge's, and back."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from caloforge.cli.common import Output, progress_bar, say

if TYPE_CHECKING:
    from caloforge.formats import Format, Source
    from caloforge.progress import Progress
    from caloforge.showers import Showers


def command(
    file: Annotated[Path, typer.Argument(help="File to read: caloforge's or of the foreign layout.")],
    output: Output,
    layout: Annotated[str, typer.Option("--format", help="The foreign layout, such as calogan.")],
    particle: Annotated[
        str | None,
        typer.Option("--particle", "-p", help="Incident particle, where the foreign file does not say it."),
    ] = None,
) -> None:
    """Convert a file of a foreign layout to caloforge's, or a file of caloforge's to a foreign layout.

    [bold]Example[/bold]: caloforge convert published.h5 --format calogan --particle e+ -o eplus.h5
    """
    from caloforge import catalog
    from caloforge.showers import ShowerFile

    entry = catalog.load("formats", layout)
    with progress_bar("Converting", "showers") as progress:
        if entry.recognises(file):
            number = _import(entry, file, particle, output, progress)
        else:
            with ShowerFile(file) as source:
                entry.write(_told(source, progress), output)
                number = len(source)
    say(f"{output}: {number:,} showers")


def _import(entry: "Format", file: Path, particle: str | None, output: Path, progress: "Progress") -> int:
    from caloforge.errors import InputError
    from caloforge.particles import parse_particle
    from caloforge.showers import ShowerWriter

    pdg = None if particle is None else parse_particle(particle)
    with entry.open(file, pdg) as source, ShowerWriter(output, source.geometry, source.provenance) as writer:
        for batch in _told(source, progress):
            if not batch.pdg.all():
                raise InputError(
                    f"{file} does not say the particle of its showers; add it, as in --particle e+."
                )
            writer.write(batch)
        return len(source)


def _told(source: "Source", progress: "Progress") -> "Iterator[Showers]":
    """Yield the batches of a file and tell how far they are."""
    done = 0
    for batch in source.batches():
        yield batch
        done += len(batch)
        progress(done, len(source))
