"""``caloforge demo``."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from caloforge.cli.common import Seed, progress_bar, say

if TYPE_CHECKING:
    from caloforge.report import Section
    from caloforge.showers import Showers

_PARTICLES = ("e+", "gamma")


def command(
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder to write to.")] = Path(
        "caloforge-demo"
    ),
    seed: Seed = 1,
) -> None:
    """Generate showers of e+ and gamma, lay them beside Geant4's, and make a page with the pictures.

    The Geant4 showers come with the package. Takes about a minute.

    [bold]Example[/bold]: caloforge demo -o my-first-showers
    """
    from caloforge import report

    output.mkdir(parents=True, exist_ok=True)
    pairs = {}
    for particle in _PARTICLES:
        geant4 = _sample(particle)
        pairs[particle] = _generate(particle, geant4, seed, output), geant4
    sections: list[Section] = []
    page, parts = output / "index.html", len(pairs) + 1
    with progress_bar("Drawing", "parts") as progress:
        for done, (particle, (generated, geant4)) in enumerate(pairs.items()):
            progress(done, parts)
            sections += _sections(particle, generated, geant4, output)
        progress(len(pairs), parts)
        report.write_page(page, "Showers from caloforge beside Geant4", sections)
        progress(parts, parts)
    say(f"Showers and pictures: {output}/")
    say(f"All on one page:      {page}")


def _sample(particle: str) -> "Showers":
    from caloforge import catalog
    from caloforge.particles import parse_particle
    from caloforge.showers import read

    samples = (read(catalog.load("samples", name)) for name in catalog.names("samples"))
    return next(showers for showers in samples if parse_particle(particle) in showers.pdg)


def _generate(particle: str, like: "Showers", seed: int, folder: Path) -> "Showers":
    """Generate showers at the energies of a sample, into a file of the folder."""
    from caloforge.generate import Generator, generate_file
    from caloforge.showers import read
    from caloforge.spectrum import Spectrum
    from caloforge.trained import TrainedModel

    pdg = int(like.pdg[0])
    model = TrainedModel.find(pdg, like.geometry.name)
    path = folder / f"{model.name}.h5"
    with progress_bar(f"Generating {particle}", "showers") as progress:
        stream = Generator(model, pdg, Spectrum.listed(like.energy), seed)
        generate_file(stream, len(like), path, progress=progress)
    return read(path)


def _sections(particle: str, generated: "Showers", geant4: "Showers", folder: Path) -> "list[Section]":
    from caloforge import plots, report

    figures = {
        "layers": plots.layers(generated, 0),
        "3d": plots.shower_3d(generated, 0),
        "average": plots.average(generated, geant4),
        "shapes": plots.shapes(generated, geant4),
    }
    for name, figure in figures.items():
        plots.save([figure], folder / f"{particle.replace('+', 'plus')}_{name}.png")
    one, both = list(figures.values())[:2], list(figures.values())[2:]
    text = "Generated showers beside Geant4 showers of the same incident energies."
    table = report.comparison(generated, geant4)
    return [
        report.Section(f"One generated shower of {particle}", figures=one),
        report.Section(f"{particle}: caloforge beside Geant4", text, table, both),
    ]
