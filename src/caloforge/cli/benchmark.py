"""``caloforge benchmark``."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from caloforge.cli.common import Folder, console, progress_bar, say

if TYPE_CHECKING:
    from caloforge.geometry import Calorimeter
    from caloforge.stages.benchmark import BenchmarkPoint, Record, Setting, Simulate

__all__ = ["app", "generate_command", "settings_command", "simulate_command"]

app = typer.Typer(help="Measure speed on this computer.", no_args_is_help=True)

_GEOMETRY = typer.Argument(help="Calorimeter: a name of the catalogue or a TOML file.")
_FOLDER = Path("caloforge-benchmark")
_WIDE = 200  # columns; a narrower terminal wraps the lines, which is better than truncated numbers


@app.command("simulate")
def simulate_command(
    geometry: Annotated[str, _GEOMETRY] = "calogan_fine",
    particles: Annotated[
        str, typer.Option("--particles", "-p", help="Particles, separated by commas.")
    ] = "e+,gamma,pi+",
    energies: Annotated[
        str, typer.Option("--energies", help="Energies in GeV, separated by commas.")
    ] = "1,10,50,100",
    physics: Annotated[
        str, typer.Option(help="Geant4 reference physics list, or em (no hadronic interactions).")
    ] = "FTFP_BERT",
    effort: Annotated[
        float, typer.Option(min=0.0, help="Total GeV to simulate for each particle and energy.")
    ] = 2000.0,
    output: Folder = _FOLDER,
) -> None:
    """Measure Geant4's processor time per GeV, with statistical errors.

    Writes simulate.md and simulate.json.

    [bold]Example[/bold]: caloforge benchmark simulate calogan_fine
    """
    from caloforge.stages import benchmark
    from caloforge.stages.benchmark import Setting
    from caloforge.stages.benchmark.report import prepare
    from caloforge.units import GeV

    make, points = _simulate(geometry), _points(particles, energies)
    prepare(output)
    with progress_bar("Measuring", unit="GeV") as progress:
        record = benchmark.time_simulation(
            make, points, Setting(physics, physics=physics), effort * GeV, progress
        )
    _finish(record, output)


@app.command("settings")
def settings_command(
    geometry: Annotated[str, _GEOMETRY] = "calogan_fine",
    points: Annotated[
        str, typer.Option("--points", help="Particles with energies in GeV, separated by commas.")
    ] = "e+:10,gamma:10,pi+:20",
    commands: Annotated[
        list[str] | None,
        typer.Option("--command", "-c", help="Geant4 command to compare, instead of the default list."),
    ] = None,
    n: Annotated[int, typer.Option("-n", min=2, help="Showers of each setting, particle and energy.")] = 200,
    rounds: Annotated[int, typer.Option(min=1, help="Number of turns for each setting.")] = 10,
    output: Folder = _FOLDER,
) -> None:
    """Measure how Geant4 settings affect speed and showers.

    Settings take turns on one core. If interrupted, rerun the command to resume. Writes settings.md
    and settings.json.

    [bold]Example[/bold]: caloforge benchmark settings -c "/process/em/applyCuts true" -n 100
    """
    from caloforge.stages import benchmark
    from caloforge.stages.benchmark.report import prepare

    beams = [_point(*text.split(":", 1)) for text in points.split(",")]
    make, ways = _simulate(geometry), _settings(commands)
    prepare(output)
    with progress_bar("Measuring", unit="showers") as progress:
        record = benchmark.compare_settings(make, ways, beams, n, rounds, output / "showers", progress)
    _finish(record, output)
    for name, reason in record["failed"].items():
        say(f"'{name}' failed here: {reason}")


@app.command("generate")
def generate_command(
    models: Annotated[
        list[str] | None,
        typer.Option(
            "--model",
            "-m",
            help="Weights by name, or the .json of your own export (default: all trained at these energies).",
        ),
    ] = None,
    energies: Annotated[
        str, typer.Option("--energies", help="Energies in GeV, ascending, separated by commas.")
    ] = "1,10,50,100",
    batches: Annotated[
        str, typer.Option("--batches", help="Batch sizes, separated by commas.")
    ] = "1,10,128,1024",
    threads: Annotated[int, typer.Option(min=1, help="CPU threads for the models.")] = 1,
    seconds: Annotated[
        float,
        typer.Option(min=0.0, max=3600.0, help="Measuring time for each batch size and energy, in seconds."),
    ] = 1.0,
    geant4: Annotated[bool, typer.Option(help="Time Geant4 as well, on the same core.")] = True,
    physics: Annotated[
        str, typer.Option(help="Geant4 reference physics list, or em (no hadronic interactions).")
    ] = "FTFP_BERT",
    effort: Annotated[
        float, typer.Option(min=0.0, help="Total GeV for Geant4 to simulate for each particle and energy.")
    ] = 1000.0,
    output: Folder = _FOLDER,
) -> None:
    """Measure the time per shower of trained models, by batch size, and of Geant4 on the same core.

    By default of all shipped models, of every quality; also with the writing of a file. Writes generate.md,
    generate.json, and a picture of the time against energy. 'caloforge compare' takes the .json for its axis
    of speed.

    [bold]Example[/bold]: caloforge benchmark generate --model calogan_eplus
    """
    from caloforge.formats.energies import parse_spectrum
    from caloforge.inference import zoo
    from caloforge.inference.model import TrainedModel
    from caloforge.stages import benchmark
    from caloforge.stages.benchmark import MeasuringEffort, Setting
    from caloforge.stages.benchmark.report import prepare
    from caloforge.stages.generate import generate_file
    from caloforge.units import GeV

    trained = [TrainedModel.load(name, threads) for name in models or zoo.names()]
    spectrum = parse_spectrum(energies)
    points = sorted({*spectrum.values, spectrum.low, spectrum.high})
    if not models:  # some may be trained at other energies only
        low, high = points[0], points[-1]
        fitting = [one for one in trained if one.energy_range[0] <= low and high <= one.energy_range[1]]
        trained = fitting or trained
    sizes = _sizes(batches)
    prepare(output)
    with progress_bar("Measuring", unit="points") as progress:
        record = benchmark.time_generation(
            trained, _simulation if geant4 else None, Setting(physics, physics=physics), points,
            MeasuringEffort(seconds, effort * GeV), write=generate_file, batches=sizes, threads=threads,
            progress=progress,
        )  # fmt: skip
    _finish(record, output)


def _sizes(batches: str) -> list[int]:
    from caloforge.errors import InputError

    try:
        sizes = [int(size) for size in batches.split(",")]
    except ValueError:
        sizes = [0]
    if min(sizes) < 1:
        raise InputError(f"'{batches}' is not a list of batch sizes: give numbers of showers, such as 1,128.")
    return sizes


def _simulate(geometry: str) -> "Simulate":
    """What is timed: the simulation of a calorimeter by its name."""
    from caloforge.geometry import Calorimeter

    return _simulation(Calorimeter.load(geometry))


def _simulation(calorimeter: "Calorimeter") -> "Simulate":
    """What is timed: the simulation in one process."""
    from caloforge.incident.spectrum import Spectrum
    from caloforge.stages.benchmark.workloads import Float64s
    from caloforge.stages.simulate.campaign.job import DEFAULT_COMMANDS
    from caloforge.stages.simulate.run import simulate
    from caloforge.units import GeV

    def make(point: "BenchmarkPoint", setting: "Setting", n: int, out: Path) -> Float64s:
        return simulate(
            calorimeter,
            point.pdg,
            Spectrum.parse(f"{point.energy / GeV:g}"),
            n,
            out,
            physics=setting.physics,
            range_cut=setting.range_cut,
            commands=(*DEFAULT_COMMANDS, *setting.commands),
        ).seconds_per_shower

    return make


def _settings(commands: list[str] | None) -> "list[Setting]":
    from caloforge.stages.benchmark import SETTINGS, Setting
    from caloforge.stages.simulate.geant4 import data

    usual = Setting("usual")
    if commands:
        return [usual, *(Setting(command, (command,)) for command in commands)]
    fluorescence = data.has_fluorescence(data.find(usual.physics))
    return [usual, *(setting for setting in SETTINGS if fluorescence or not setting.fluorescence)]


def _points(particles: str, energies: str) -> "list[BenchmarkPoint]":
    return [_point(name, energy) for name in particles.split(",") for energy in energies.split(",")]


def _point(particle: str, energy: str = "") -> "BenchmarkPoint":
    from caloforge.errors import InputError
    from caloforge.incident.particles import parse_particle
    from caloforge.incident.spectrum import check_energy
    from caloforge.stages.benchmark import BenchmarkPoint
    from caloforge.units import GeV

    try:
        value = float(energy) * GeV
    except ValueError:
        raise InputError(
            f"'{energy}' is not an energy in GeV for '{particle}': give a number such as 10."
        ) from None
    return BenchmarkPoint(parse_particle(particle), check_energy(value))


def _finish(record: "Record", folder: Path) -> None:
    """Show the tables, and write everything."""
    from rich.console import Console
    from rich.table import Table

    from caloforge.stages.benchmark.report import make_report, write

    report = make_report(record)
    for heading, content in report.tables.items():
        table = Table(*content.head, title=heading or None, title_justify="left")
        for row in content.rows:
            table.add_row(*row)
        Console(width=max(console.width, _WIDE)).print(table)
    for path in write(report, folder):
        say(str(path))
