"""``caloforge simulate``."""

from typing import Annotated

import typer

from caloforge.cli.common import Energy, Output, Seed, progress_bar, say


def command(
    geometry: Annotated[str, typer.Argument(help="Calorimeter: a name of the catalogue or a TOML file.")],
    particle: Annotated[
        str, typer.Option("--particle", "-p", help="Incident particle: e+, gamma, pi+ or a PDG id.")
    ],
    energy: Energy,
    n: Annotated[int, typer.Option("-n", help="Number of showers in the finished file.")],
    output: Output,
    physics: Annotated[
        str, typer.Option(help="Geant4 reference physics list, or em (no hadronic interactions).")
    ] = "FTFP_BERT",
    workers: Annotated[int, typer.Option(help="Number of processes.")] = 1,
    seed: Seed = 0,
) -> None:
    """Simulate showers with Geant4.

    Stopped at any time, the same command goes on; with a larger -n it extends the file. The showers do not
    depend on the number of workers.

    [bold]Example[/bold]: caloforge simulate calogan_fine --particle e+ --energy 1:100 -n 1000 -o eplus.h5
    """
    from caloforge import simulate
    from caloforge.geometry import Calorimeter
    from caloforge.particles import parse_particle
    from caloforge.spectrum import Spectrum

    calorimeter, pdg, spectrum = Calorimeter.load(geometry), parse_particle(particle), Spectrum.parse(energy)
    with progress_bar(f"Simulating {particle}", unit="showers") as progress:
        done = simulate.run(
            calorimeter,
            pdg,
            spectrum,
            n,
            output,
            physics=physics,
            seed=seed,
            workers=workers,
            progress=progress,
        )
    say(f"{done.path}: {done.showers:,} showers, {done.simulated:,} of them new")
    if done.simulated:
        say(f"{done.ms_per_GeV:.1f} ms of processor time per GeV, {done.seconds:.0f} s in all")
    if done.crashes:
        say(f"{done.crashes} crashed workers were replaced; their logs are in {done.path}.shards")
