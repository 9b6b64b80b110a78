"""``caloforge simulate``."""

import math
from typing import TYPE_CHECKING, Annotated

import typer

from caloforge.cli.common import Energy, Output, Seed, progress_bar, say, say_aside

if TYPE_CHECKING:
    from caloforge.geometry import Calorimeter
    from caloforge.incident.spectrum import Spectrum
    from caloforge.stages.simulate.run import Summary

__all__ = ["command"]

_NAMED = 10  # skipped showers whose numbers are printed


def command(
    geometry: Annotated[str, typer.Argument(help="Calorimeter: a name of the catalogue or a TOML file.")],
    particle: Annotated[
        str, typer.Option("--particle", "-p", help="Incident particle: e+, gamma, pi+ or a PDG id.")
    ],
    energy: Energy,
    n: Annotated[int, typer.Option("-n", help="Number of showers in the finished file.")],
    output: Output,
    direction: Annotated[
        tuple[str, str],
        typer.Option(
            metavar="THETA PHI",
            help="Direction in degrees: angle from the perpendicular, azimuth from eta towards "
            "phi. Each a number or LOW:HIGH (uniform).",
        ),
    ] = ("0", "0"),
    position: Annotated[
        tuple[str, str] | None,
        typer.Option(
            metavar="ETA PHI",
            help="Position on the front face, in mm from the centre. Each a number or LOW:HIGH (uniform).",
        ),
    ] = None,
    physics: Annotated[
        str, typer.Option(help="Geant4 reference physics list, or em (no hadronic interactions).")
    ] = "FTFP_BERT",
    range_cut: Annotated[
        float, typer.Option(metavar="MM", help="Range below which secondaries are not tracked.")
    ] = 0.7,
    workers: Annotated[int, typer.Option(help="Number of worker processes.")] = 1,
    cluster: Annotated[
        str | None,
        typer.Option(
            help="Dask cluster to run on: local, slurm, htcondor, ... or the address of a scheduler.",
        ),
    ] = None,
    seed: Seed = 0,
) -> None:
    """Simulate showers with Geant4.

    If interrupted, rerun the command to resume; a larger -n extends the file. The showers do not
    depend on the number of workers.

    [bold]Example[/bold]: caloforge simulate calogan_fine --particle e+ --energy 1:100 -n 1000 -o eplus.h5
    """
    from caloforge.formats.energies import parse_spectrum
    from caloforge.geometry import Calorimeter
    from caloforge.incident.beam import parse_direction, parse_position
    from caloforge.incident.particles import parse_particle
    from caloforge.stages.simulate.run import simulate

    calorimeter, pdg, spectrum = Calorimeter.load(geometry), parse_particle(particle), parse_spectrum(energy)
    _check(calorimeter, spectrum, n, workers, seed, range_cut, cluster)
    with progress_bar(f"Simulating {particle}", unit="showers") as progress:
        done = simulate(
            calorimeter, pdg, spectrum, n, output, direction=parse_direction(*direction),
            position=parse_position(*position) if position else None, physics=physics,
            range_cut=range_cut, seed=seed, workers=workers, cluster=cluster, progress=progress,
        )  # fmt: skip
    _say(done)


def _check(
    calorimeter: "Calorimeter",
    spectrum: "Spectrum",
    n: int,
    workers: int,
    seed: int,
    range_cut: float,
    cluster: str | None,
) -> None:
    """Refuse what can't be simulated, and announce how long the rest takes."""
    from caloforge.stages.simulate import limits

    limits.check(spectrum, n, workers, seed, range_cut, cluster=cluster is not None)
    say_aside(limits.estimate(calorimeter, spectrum, n, seed).sentence(n, workers))


def _say(done: "Summary") -> None:
    say(f"{done.path}: {done.showers:,} showers, {done.simulated:,} of them new")
    if done.simulated:
        typical = math.isfinite(done.ms_per_GeV)
        cost = f"{done.ms_per_GeV:.3g} ms of processor time per GeV, " if typical else ""
        say(f"{cost}{done.seconds:.0f} s in all")
    if done.crashes:
        say(f"{done.crashes} crashed workers were replaced; their logs are in {done.path}.shards")
    if done.damaged:
        say(
            f"{len(done.damaged)} damaged shards were simulated again; their remains are in "
            f"{done.path}.shards/*.damaged"
        )
    if done.skipped:
        numbers = ", ".join(map(str, done.skipped[:_NAMED])) + (", ..." if done.skipped[_NAMED:] else "")
        say(
            f"{len(done.skipped)} showers were skipped because Geant4 crashed three times in each "
            f"(number {numbers}); reasons in {done.path}.shards/skipped.json"
        )
