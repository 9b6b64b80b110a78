"""``caloforge convert``: showers from one file layout to another."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from caloforge import catalog
from caloforge.cli.common import Overwrite, file_to_write, progress_bar, say

if TYPE_CHECKING:
    from caloforge.formats.base import Source
    from caloforge.geometry import Calorimeter
    from caloforge.progress import Progress
    from caloforge.showers import Showers

__all__ = ["command"]


def command(
    file: Annotated[Path, typer.Argument(help="File to read, in any supported layout.")],
    output: Annotated[Path, typer.Argument(callback=file_to_write, help="File to write.")],
    layout: Annotated[
        str | None,
        typer.Option(
            "--format",
            help=f"Layout to write: {', '.join(catalog.names('formats'))}; default: caloforge's own.",
        ),
    ] = None,
    particle: Annotated[
        str | None,
        typer.Option("--particle", "-p", help="Incident particle, if the file does not name it."),
    ] = None,
    geometry: Annotated[
        str | None,
        typer.Option(
            help="Calorimeter, if the file does not name it: a catalogue name, a TOML file or a "
            "binning.xml of the CaloChallenge."
        ),
    ] = None,
    overwrite: Overwrite = False,
) -> None:
    """Convert a file of showers to another layout, and back without any loss.

    [bold]Example[/bold]: caloforge convert published.h5 eplus.h5 --particle e+

    [bold]Example[/bold]: caloforge convert eplus.h5 points.h5 --format showerdata
    """
    from caloforge.files import check_replaced
    from caloforge.formats.native import ShowerWriter
    from caloforge.formats.open import open_any
    from caloforge.geometry import Calorimeter
    from caloforge.incident.particles import parse_particle

    check_replaced(output, overwrite, [file])
    entry = None if layout is None else catalog.load("formats", layout)
    pdg = None if particle is None else parse_particle(particle)
    calorimeter = None if geometry is None else Calorimeter.load(geometry)
    with open_any(file, pdg, calorimeter) as source, progress_bar("Converting", "showers") as progress:
        _check_geometry(file, source, calorimeter)
        batches = _batches(file, source, pdg, progress)
        if entry is not None:
            entry.write(batches, output)
        else:
            with ShowerWriter(output, source.geometry, source.provenance) as writer:
                for batch in batches:
                    writer.write(batch)
        say(f"{output}: {len(source):,} showers in {source.geometry.name}")


def _check_geometry(file: Path, source: "Source", given: "Calorimeter | None") -> None:
    from caloforge.errors import InputError

    if given is not None and given != source.geometry:
        raise InputError(
            f"{file} says that its showers are in {source.geometry.name}, not in the calorimeter "
            f"{given.name} of --geometry."
        )


def _batches(file: Path, source: "Source", pdg: int | None, progress: "Progress") -> "Iterator[Showers]":
    """Yield the showers of a file, at least one batch, and report progress."""
    if not len(source):
        yield source.read()
    done = 0
    for batch in source.batches():
        _check_particle(file, batch, pdg)
        yield batch
        done += len(batch)
        progress(done, len(source))


def _check_particle(file: Path, batch: "Showers", given: int | None) -> None:
    from caloforge.errors import InputError
    from caloforge.incident.particles import particle_name

    found = set(batch.pdg.tolist())
    if 0 in found:
        raise InputError(f"{file} does not name the particle of its showers; add it, as in --particle e+.")
    if given is not None and found != {given}:
        names = ", ".join(map(particle_name, sorted(found)))
        raise InputError(f"{file} says that its particle is {names}, which contradicts --particle.")
