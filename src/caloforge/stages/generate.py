"""Generate showers with a trained model, in memory or into a file of any size.

Showers are made in blocks of fixed size, each from random numbers of its own: shower number i of a seed is
the same whatever is asked for around it and however the work is divided.
"""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy.typing as npt

from caloforge.errors import InputError
from caloforge.formats.native import ShowerWriter
from caloforge.incident.particles import parse_particle
from caloforge.incident.spectrum import Spectrum
from caloforge.inference.generator import Conservation, Generator
from caloforge.inference.model import TrainedModel
from caloforge.inference.shipped import find
from caloforge.progress import Progress, no_progress
from caloforge.showers import Showers

Energies = float | tuple[float, float] | npt.ArrayLike | Spectrum


def generate(
    particle: str,
    energy: Energies,
    n: int = 1,
    *,
    seed: int = 1,
    model: str | Path | None = None,
    quality: str | None = None,
    geometry: str = "calogan",
    conserve_energy: bool = False,
    threads: int | None = None,
) -> Showers:
    """Generate showers in memory.

    Parameters
    ----------
    particle
        Name or PDG id, such as ``"gamma"``.
    energy
        Incident kinetic energy in MeV: a number, a pair (uniform between both), an array (taken in turn).
    n
        Number of showers.
    seed
        The same seed gives the same showers.
    model
        Name of shipped weights or path of a record; by default those for the particle and geometry.
    quality
        Which of these, "fast" or "precise"; by default what one should have (`TrainedModel.find`).
    geometry
        Name of the calorimeter.
    conserve_energy
        Draw again until no shower holds more energy than came in.
    threads
        CPU threads of the model.

    Raises
    ------
    InputError, CatalogError, CheckpointError
        The request is not possible, nobody trained such a model, or its weights were altered.
    """
    pdg = parse_particle(particle)
    trained = choose(pdg, geometry, model, quality, threads)
    conservation = Conservation() if conserve_energy else None
    (showers,) = Generator(trained, pdg, _spectrum(energy), seed, conservation).batches(n, max(n, 1))
    return showers


def choose(
    pdg: int,
    geometry: str,
    model: str | Path | None = None,
    quality: str | None = None,
    threads: int | None = None,
) -> TrainedModel:
    """Return the model that is named, or that ships for a particle, a calorimeter and a quality.

    Raises
    ------
    InputError, CatalogError, CheckpointError
        A model and a quality are asked for, nobody trained such a model, or its weights were altered.
    """
    if model is None:
        return find(pdg, geometry, quality, threads)
    if quality is not None:
        raise InputError(
            f"A quality chooses among the shipped models, but the model {model} was chosen already: give one "
            "of both."
        )
    return TrainedModel.load(model, threads)


def generate_file(
    generator: Generator, n: int, path: Path, *, batch: int = 1024, progress: Progress = no_progress
) -> None:
    """Generate showers into a file, batch by batch; the file appears when it is whole.

    Parameters
    ----------
    generator
        The stream to draw from.
    n
        Number of showers.
    path
        File to write.
    batch
        Showers between writes; decides memory, not the result.
    progress
        Called with (showers written, n).

    Raises
    ------
    InputError, OSError
        The request is not possible, or the file can't be written.
    """
    with (
        ShowerWriter(path, generator.model.geometry, generator.provenance) as writer,
        ThreadPoolExecutor(1) as pool,
    ):
        batches = generator.batches(n, batch)
        progress(0, n)
        done, written = 0, pool.submit(lambda: None)
        for showers in batches:  # of which one is written while the next is made
            written.result()
            progress(done, n)
            written = pool.submit(writer.write, showers)
            done += len(showers)
        written.result()
        progress(n, n)


def _spectrum(energy: Energies) -> Spectrum:
    if isinstance(energy, Spectrum):
        return energy
    if isinstance(energy, tuple) and len(energy) == 2:
        return Spectrum.uniform(*energy)
    return Spectrum.listed(energy)
