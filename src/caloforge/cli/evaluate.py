"""``caloforge evaluate``: a report on generated showers; further tests are its sub-commands."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape
from typer.core import TyperGroup

from caloforge.cli.common import Folder, Output, Quality, Seed, messages, progress_bar, say

if TYPE_CHECKING:
    from caloforge.inference.model import TrainedModel
    from caloforge.stages.evaluate.reliability import Reference

__all__ = [
    "ReportByDefault",
    "amplification_command",
    "app",
    "classes_command",
    "reliability_command",
    "report_command",
]

_REPORT = "report"
_MOST = 1000  # repeats of anything: errors of errors are below 3 % then


class ReportByDefault(TyperGroup):
    """A command group that treats unknown commands as arguments of ``report``."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Insert the default command before arguments that do not begin with a command."""
        if args and args[0] not in (*self.commands, *ctx.help_option_names):
            args = [_REPORT, *args]
        return super().parse_args(ctx, args)


app = typer.Typer(
    cls=ReportByDefault,
    no_args_is_help=True,
    help="Compare generated showers with a reference: every shower shape and metric with its uncertainty and "
    "its floor, on one page.\n\n[bold]caloforge evaluate REFERENCE GENERATED[/bold] is short for caloforge "
    "evaluate report REFERENCE GENERATED; its options: [bold]caloforge evaluate report --help[/bold].\n\n"
    "[bold]Example[/bold]: caloforge evaluate geant4.h5 generated.h5 -o report",
    rich_markup_mode="rich",
)


@app.command(_REPORT)
def report_command(
    reference: Annotated[Path, typer.Argument(help="Showers to compare with, in any supported layout.")],
    generated: Annotated[Path, typer.Argument(help="Showers to judge, in the same cells.")],
    output: Folder = Path("caloforge-report"),
    training: Annotated[
        Path | None,
        typer.Option(
            help="Training showers of the generator: adds memorisation, and how many showers the "
            "generated ones are worth."
        ),
    ] = None,
    match_energies: Annotated[
        bool,
        typer.Option(
            "--match-energies", help="Select showers so that both spectra of incident energies agree."
        ),
    ] = False,
    classifiers: Annotated[
        bool, typer.Option(help="Train classifiers to tell the two samples apart; takes minutes.")
    ] = True,
    repeats: Annotated[
        int, typer.Option(min=2, max=_MOST, help="Random splits for uncertainties and floors.")
    ] = 10,
    seed: Seed = 1,
) -> None:
    """Write a report: a page that opens offline, its plots, and all numbers in metrics.json.

    [bold]Example[/bold]: caloforge evaluate geant4.h5 generated.h5 -o report

    [bold]Example[/bold]: caloforge evaluate geant4.h5 generated.h5 --training learned.h5 --no-classifiers
    """
    from caloforge.stages.evaluate import evaluate
    from caloforge.stages.evaluate.report import verdict_text, write

    evaluation = evaluate(
        reference,
        generated,
        training=training,
        match_energies=match_energies,
        classifiers=classifiers,
        repeats=repeats,
        seed=seed,
        open_progress=progress_bar,
    )
    for warning in evaluation.results.warnings:
        messages.print(f"[yellow]Warning[/]: {escape(warning)}", highlight=False)
    for path in write(evaluation, output, open_progress=progress_bar):
        say(str(path))
    say(verdict_text(evaluation.results))


@app.command("classes")
def classes_command(
    reference: Annotated[
        tuple[Path, Path],
        typer.Option(help="Simulated showers of two particles.", metavar="FILE FILE"),
    ],
    generated: Annotated[
        tuple[Path, Path],
        typer.Option(help="Generated showers of the same particles, in the same order.", metavar="FILE FILE"),
    ],
    output: Output = Path("caloforge-classes.html"),
    trials: Annotated[int, typer.Option(min=2, max=_MOST, help="Trainings in each domain.")] = 10,
    seed: Seed = 1,
) -> None:
    """Train classifiers of two particles on simulated or generated showers, and test them on both.

    [bold]Example[/bold]: caloforge evaluate classes --reference g4_e.h5 g4_pi.h5 --generated e.h5 pi.h5
    """
    from caloforge.files import check_target
    from caloforge.stages.evaluate.particle_id import read, separate_particles
    from caloforge.stages.evaluate.report import particle_id

    check_target(output)
    with progress_bar("Training", "trainings") as progress:
        found = separate_particles(
            read(reference), read(generated), trials=trials, seed=seed, progress=progress
        )
    particle_id.write(output, found)
    for sentence in particle_id.sentences(found):
        say(sentence)
    say(str(output))


@app.command("amplification")
def amplification_command(
    training: Annotated[Path, typer.Argument(help="Training showers of the generator.")],
    generated: Annotated[Path, typer.Argument(help="Generated showers.")],
    truth: Annotated[Path, typer.Argument(help="Many simulated showers that were not used for training.")],
    output: Output = Path("caloforge-amplification.html"),
    repeats: Annotated[int, typer.Option(min=2, max=_MOST, help="Random subsamples.")] = 20,
    seed: Seed = 1,
) -> None:
    """Estimate how many simulated showers a generated sample is worth.

    [bold]Example[/bold]: caloforge evaluate amplification learned.h5 generated.h5 held_out.h5
    """
    from caloforge import observables
    from caloforge.formats.open import open_any
    from caloforge.reports.page import write_page
    from caloforge.stages.evaluate.amplification import amplification
    from caloforge.stages.evaluate.measure import measure
    from caloforge.stages.evaluate.report.amplification import section, sentences

    measured = []
    for file in (training, generated, truth):
        with progress_bar(f"Reading {file.name}", "showers") as progress, open_any(file) as source:
            every = observables.every(source.geometry)
            measured.append(measure(source, every, file=file, kept=0, seed=seed, progress=progress))
    with progress_bar("Comparing", "observables") as progress:
        result = amplification(
            measured[0], measured[1], measured[2], every, repeats=repeats, seed=seed, progress=progress
        )
    write_page(output, f"How many showers is {generated.name} worth?", [section(result)])
    for sentence in sentences(result):
        say(sentence)
    say(str(output))


@app.command("reliability")
def reliability_command(
    models: Annotated[
        list[str] | None,
        typer.Option(
            "--model", "-m", help="Weights by name, or the .json of your own export (default: all)."
        ),
    ] = None,
    particles: Annotated[
        list[str] | None, typer.Option("--particle", "-p", help="Only models of this particle.")
    ] = None,
    quality: Annotated[Quality | None, typer.Option(help="Only models of this quality.")] = None,
    number: Annotated[int, typer.Option("-n", min=1, help="Showers of each model.")] = 1_000_000,
    energy: Annotated[
        str | None,
        typer.Option(help="Incident energy, as for generate (default: uniform in the trained range)."),
    ] = None,
    references: Annotated[
        list[Path] | None,
        typer.Option(
            "--reference", help="Simulated showers to compare outlier rates with; one file per particle."
        ),
    ] = None,
    output: Output = Path("caloforge-reliability.html"),
    threads: Annotated[int | None, typer.Option(min=1, help="CPU threads (default: all cores).")] = None,
    seed: Seed = 1,
) -> None:
    """Generate a million showers of each model and check every one; none are saved.

    No cell may be nan or negative, no shower without energy or with more than its particle can bring. With
    --reference, outliers in shower shapes are counted too. Exit code 0 when no shower failed, 1 when one did.

    [bold]Example[/bold]: caloforge evaluate reliability -p e+ --reference geant4.h5
    """
    from caloforge.files import check_target
    from caloforge.formats.energies import parse_spectrum
    from caloforge.incident.spectrum import Spectrum
    from caloforge.inference.generator import Generator
    from caloforge.stages.evaluate.reliability import reliability
    from caloforge.stages.evaluate.report import reliability as reliability_page
    from caloforge.stages.generate import aim

    check_target(output)
    pairs = _generators(models or [], particles or [], quality, threads)
    spectrum = parse_spectrum(energy) if energy else None
    found = _references(references or [], pairs, seed)
    results = []
    for model, pdg in pairs:
        beam = aim(model, pdg, spectrum or Spectrum.over(*model.energy_range), None, None)
        with progress_bar(model.name, "showers") as progress:
            result = reliability(
                Generator(model, beam, seed),
                number,
                reference=found.get((model.name, pdg)),
                progress=progress,
            )
        say(reliability_page.verdict(result))
        results.append(result)
    for path in reliability_page.write(output, results):
        say(str(path))
    if not all(result.passed for result in results):
        raise typer.Exit(1)


def _generators(
    models: list[str], particles: list[str], quality: Quality | None, threads: int | None
) -> "list[tuple[TrainedModel, int]]":
    """Return the requested models, each with one of its particles."""
    from caloforge.errors import CatalogError
    from caloforge.incident.particles import parse_particle, particle_name
    from caloforge.inference import zoo
    from caloforge.inference.model import TrainedModel

    wanted = {parse_particle(name) for name in particles}
    every = [TrainedModel.load(name, threads) for name in models or zoo.names()]
    chosen = [
        (model, pdg)
        for model in every
        for pdg in model.record["pdg"]
        if (not wanted or pdg in wanted) and quality in (None, model.record.get("quality"))
    ]
    if not chosen:
        there = "; ".join(
            f"{model.name} ({', '.join(map(particle_name, model.record['pdg']))}, "
            f"quality {model.record.get('quality') or 'not said'})"
            for model in every
        )
        raise CatalogError(f"No model is of this particle and quality. There are: {there}.")
    return chosen


def _references(
    files: list[Path], pairs: "list[tuple[TrainedModel, int]]", seed: int
) -> "dict[tuple[str, int], Reference]":
    """Return the reference of each model and particle that has one."""
    from caloforge.errors import InputError
    from caloforge.stages.evaluate.reliability import Reference

    found: dict[tuple[str, int], Reference] = {}
    for file in files:
        with progress_bar(f"Reading {file.name}", "showers") as progress:
            reference = Reference.read(file, seed, progress)
        fitting = [(model.name, pdg) for model, pdg in pairs if reference.fits(model.geometry, pdg)]
        if not fitting:
            raise InputError(f"{file} holds showers of a particle or of cells that none of the models makes.")
        if found.keys() & set(fitting):
            raise InputError(f"{file} is a second reference for the same particle and cells: give only one.")
        found.update(dict.fromkeys(fitting, reference))
    return found
