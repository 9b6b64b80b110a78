"""``caloforge generate``."""

import time
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from caloforge.cli.common import (
    Energy,
    Output,
    Overwrite,
    Quality,
    Seed,
    messages,
    progress_bar,
    say,
    say_aside,
)

if TYPE_CHECKING:
    from caloforge.incident.beam import Particles
    from caloforge.inference.generator import Generator
    from caloforge.inference.model import TrainedModel

__all__ = ["command"]


def command(
    output: Output,
    particle: Annotated[
        str, typer.Option("--particle", "-p", help="Incident particle: e+, gamma, pi+ or a PDG id.")
    ],
    energy: Energy = "1:100",
    direction: Annotated[
        tuple[str, str] | None,
        typer.Option(
            metavar="THETA PHI",
            help="Angle from the z axis and azimuth in degrees, each a number or LOW:HIGH (default: that "
            "of the model, if it has only one, else perpendicular).",
        ),
    ] = None,
    position: Annotated[
        tuple[str, str] | None,
        typer.Option(metavar="ETA PHI", help="Position on the front face in mm (default: its centre)."),
    ] = None,
    like: Annotated[
        Path | None,
        typer.Option(
            help="File of showers whose incident energies, directions and positions are used in turn."
        ),
    ] = None,
    number: Annotated[
        int | None,
        typer.Option("-n", help="Number of showers (default: 1000, or as many as in the file)."),
    ] = None,
    geometry: Annotated[
        str | None,
        typer.Option(
            help="Calorimeter (default: that of --model, else calogan): a name or a TOML file. Models draw "
            "their own read-out and any with larger cells."
        ),
    ] = None,
    model: Annotated[
        str | None, typer.Option(help="Model name, or the .json file of your own export.")
    ] = None,
    quality: Annotated[
        Quality | None,
        typer.Option(
            help="Which shipped model: fast makes a shower in one step, in microseconds; precise uses "
            "a network, takes tens of microseconds, and is closer to Geant4 for pions. "
            "Default: the recommended one, fast for e+ and gamma, precise for pi+.",
        ),
    ] = None,
    seed: Seed = 1,
    batch: Annotated[int, typer.Option(help="Showers in memory at once; does not change the result.")] = 1024,
    threads: Annotated[
        int | None, typer.Option(min=1, help="CPU threads of the model (default: all cores).")
    ] = None,
    conserve_energy: Annotated[
        bool, typer.Option("--conserve-energy", help="Redraw showers that hold more energy than came in.")
    ] = False,
    max_tries: Annotated[
        int, typer.Option(min=1, help="Maximum number of draws per shower with --conserve-energy.")
    ] = 100,
    overwrite: Overwrite = False,
) -> None:
    """Generate showers with a trained model, in the same file format as 'caloforge simulate'.

    The same seed gives the same showers, whatever the batch size.

    [bold]Example[/bold]: caloforge generate --particle gamma --energy 1:100 -n 10000 -o showers.h5
    [bold]Example[/bold]: caloforge generate -p e+ --quality precise --energy 50 -o showers.h5
    """
    from caloforge.files import check_replaced
    from caloforge.incident.particles import parse_particle
    from caloforge.inference.generator import Conservation, Generator
    from caloforge.stages.generate import choose

    pdg = parse_particle(particle)
    _check_options(like, direction, position)
    check_replaced(output, overwrite, _read(energy, like, model))
    trained = choose(pdg, geometry, model, quality, threads)
    particles = _recorded(like) if like else _beam(trained, pdg, energy, direction, position)
    generator = Generator(trained, particles, seed, Conservation(max_tries) if conserve_energy else None)
    _run(generator, pdg, _number(particles, energy) if number is None else number, output, batch)


def _check_options(
    like: Path | None, direction: tuple[str, str] | None, position: tuple[str, str] | None
) -> None:
    """Refuse two sources of the directions and positions."""
    from caloforge.errors import InputError

    if like is not None and (direction or position):
        raise InputError(
            "--like takes directions and positions from a file: leave --direction and --position out."
        )


def _run(generator: "Generator", pdg: int, number: int, output: Path, batch: int) -> None:
    """Generate the showers into a file, and print its size before and the rate afterwards."""
    _say_size(generator, number, output)
    seconds = _generate(generator, pdg, number, output, batch)
    if generator.conservation is not None:
        messages.print(f"Energy conservation: {generator.rejected:,} showers were drawn again.")
    rate = f"{number / seconds:,.0f} showers/s, written"
    say(f"{output}: {number:,} showers, {rate}")


def _say_size(generator: "Generator", number: int, output: Path) -> None:
    """Check the free space on the disk; announce how much a large file takes."""
    from caloforge import resources
    from caloforge.stages.generate import check_disk

    size = check_disk(generator, number, output)
    if size is not None:
        say_aside(f"{number:,} showers take about {resources.size(size)} on the disk.")


def _generate(generator: "Generator", pdg: int, number: int, output: Path, batch: int) -> float:
    """Generate the showers with a progress bar; return the seconds that this took."""
    from caloforge.incident.particles import particle_name
    from caloforge.inference.generator import OutsideTrainedRange, SharedCells
    from caloforge.stages.generate import generate_file

    begin = time.perf_counter()
    with (
        # Recorded, to be printed as plain sentences below the finished progress bar.
        warnings.catch_warnings(record=True) as caught,
        progress_bar(f"Generating {particle_name(pdg)}", "showers") as progress,
    ):
        for kind in (OutsideTrainedRange, SharedCells):
            warnings.simplefilter("always", kind)
        generate_file(generator, number, output, batch=batch, progress=progress)
    seconds = time.perf_counter() - begin
    for warning in caught:
        messages.print(f"[yellow]Warning:[/yellow] {escape(str(warning.message))}")
    return seconds


def _read(energy: str, like: Path | None, model: str | None) -> list[Path]:
    """Return the files that are read, as far as they are named."""
    from caloforge.formats.energies import names_file

    own = [Path(model), Path(model).with_suffix(".onnx")] if model else []
    return own + ([Path(energy)] if names_file(energy) else []) + ([like] if like else [])


def _recorded(path: Path) -> "Particles":
    """Return the particles of a file of showers."""
    from caloforge.formats.energies import read_incident
    from caloforge.formats.open import open_any
    from caloforge.incident.beam import RecordedParticles

    with open_any(path) as file:
        return RecordedParticles(read_incident(file), path.name)


def _beam(
    model: "TrainedModel",
    pdg: int,
    energy: str,
    direction: tuple[str, str] | None,
    position: tuple[str, str] | None,
) -> "Particles":
    """Return a beam with the requested energies, directions and positions."""
    from caloforge.formats.energies import parse_spectrum
    from caloforge.incident.beam import parse_direction, parse_position
    from caloforge.stages.generate import aim

    asked = parse_direction(*direction) if direction else None
    place = parse_position(*position) if position else None
    return aim(model, pdg, parse_spectrum(energy), asked, place)


def _number(particles: "Particles", energy: str) -> int:
    """Return as many showers as a file has particles, or a thousand."""
    from caloforge.formats.energies import names_file
    from caloforge.incident.beam import RecordedParticles

    if isinstance(particles, RecordedParticles):
        return len(particles.incident)
    return len(particles.spectrum.values) if names_file(energy) else 1000
