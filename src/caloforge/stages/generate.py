"""Generate showers with a trained model, in memory or into a file of any size."""

import warnings
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy.typing as npt

from caloforge import resources
from caloforge.errors import InputError
from caloforge.files import check_target
from caloforge.formats.native import ShowerWriter
from caloforge.incident.beam import CENTRE, PERPENDICULAR, Beam, Particles, Range, Ranges, RecordedParticles
from caloforge.incident.incident import Incident
from caloforge.incident.particles import parse_particle, particle_name
from caloforge.incident.spectrum import Spectrum
from caloforge.inference.generator import Conservation, Generator
from caloforge.inference.model import TrainedModel
from caloforge.inference.shipped import find
from caloforge.progress import Progress, no_progress
from caloforge.showers import Showers

Angles = tuple[float | Range, float | Range]
_USUAL = "calogan"  # the calorimeter where neither it nor a model is named
_MANY = 100_000_000
"""Cells of a sample of which it is worth knowing beforehand what it takes: 400 MB in memory."""
_PROBE = 1 << 19
"""Cells of the showers from which the size of a file is estimated."""
_PARTICLE = 100  # bytes that a shower takes in memory beside its cells

Energies = float | tuple[float, float] | npt.ArrayLike | Spectrum


def generate(
    particle: str,
    energy: Energies | None = None,
    n: int | None = None,
    *,
    direction: Angles | None = None,
    position: Angles | None = None,
    like: Incident | None = None,
    seed: int = 1,
    model: str | Path | None = None,
    quality: str | None = None,
    geometry: str | None = None,
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
        Number of showers (default: 1, or those of ``like``).
    direction
        Theta and phi in rad, each a number or a `Range` (default: that of the model, if it has only one, and
        else perpendicular).
    position
        Eta and phi on the front face in mm, likewise (default: the centre).
    like
        Incident particles to take in turn, instead of energy, direction and position.
    seed
        The same seed gives the same showers.
    model
        Name of shipped weights or path of a record; by default those for the particle and geometry.
    quality
        Which of these, "fast" or "precise"; by default the recommended one (`find`).
    geometry
        Name of the calorimeter; by default that of the model, or calogan where no model is named.
    conserve_energy
        Draw again until no shower holds more energy than came in.
    threads
        CPU threads of the model.

    Raises
    ------
    InputError, CatalogError, CheckpointError
        The request is not possible or does not fit into the memory, there is no such model, or it is damaged.

    Examples
    --------
    >>> generate("gamma", energy=5e4, n=10).energy.max()
    np.float64(50000.0)
    """
    pdg = parse_particle(particle)
    trained = choose(pdg, geometry, model, quality, threads)
    particles = _particles(trained, pdg, energy, direction, position, like)
    n = n if n is not None else len(like) if like is not None else 1
    _check_memory(n, trained.geometry.n_cells)
    conservation = Conservation() if conserve_energy else None
    (showers,) = Generator(trained, particles, seed, conservation).batches(n, max(n, 1))
    return showers


def aim(
    model: TrainedModel, pdg: int, spectrum: Spectrum, direction: Ranges | None, position: Ranges | None
) -> Beam:
    """Return a beam for a model, by default from its own direction and at its own place, if it has one."""
    own = model.direction_range, model.position_range
    asked = [
        given or (trained if all(one.low == one.high for one in trained) else default)
        for given, trained, default in zip((direction, position), own, (PERPENDICULAR, CENTRE), strict=True)
    ]
    return Beam(pdg, spectrum, *asked)


def choose(
    pdg: int,
    geometry: str | None = None,
    model: str | Path | None = None,
    quality: str | None = None,
    threads: int | None = None,
) -> TrainedModel:
    """Return the model that is named, or that ships for a particle, a calorimeter and a quality.

    Raises
    ------
    InputError, CatalogError, CheckpointError
        The model is named and a quality is asked for, or another particle or calorimeter; there is no such
        model; or it is damaged.
    """
    if model is None:
        return find(pdg, geometry or _USUAL, quality, threads)
    if quality is not None:
        raise InputError(
            f"A quality chooses among the shipped models, but the model {model} is named as well: give one "
            "or the other."
        )
    trained = TrainedModel.load(model, threads)
    trained.label(pdg)  # refuses a particle that it does not know
    if geometry not in (None, trained.geometry.name):
        raise InputError(
            f"The model {model} makes showers in {trained.geometry.name}, not in {geometry}: leave one of "
            "them out."
        )
    return trained


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
        The request is not possible or does not fit on the disk, or the file can't be written.
    CheckpointError
        The model can't be used.
    """
    _check_memory(min(n, batch), generator.model.geometry.n_cells)
    check_disk(generator, n, path)
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


def check_disk(generator: Generator, n: int, path: Path) -> int | None:
    """Refuse a file that does not fit on its disk.

    Parameters
    ----------
    generator
        The stream that would be drawn from.
    n
        Number of showers.
    path
        The file.

    Returns
    -------
    About how many bytes it will have, by the first showers; None if that is too little to think of.

    Raises
    ------
    InputError, CatalogError, CheckpointError, OSError
        It does not fit, the request is not possible, or the file can't be written.
    """
    n_cells = generator.model.geometry.n_cells
    if n * n_cells < _MANY:
        return None
    check_target(path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # they come when the file is made
        some = max(1, _PROBE // n_cells)
        size = n * _written_size(replace(generator), some) // some
    resources.check_disk(path.resolve().parent, size, f"{path} with {n:,} showers")
    return size


def _written_size(generator: Generator, n: int) -> int:
    """Return how many bytes a file of n showers has."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "showers.h5"
        with ShowerWriter(path, generator.model.geometry) as writer:
            for showers in generator.batches(n, n):
                writer.write(showers)
        return path.stat().st_size


def _check_memory(n: int, n_cells: int) -> None:
    """Refuse more showers than fit into the memory that is free."""
    if n * n_cells < _MANY:
        return
    resources.check_memory(n * (4 * n_cells + _PARTICLE), f"{n:,} showers of {n_cells:,} cells at once")


def _particles(
    model: TrainedModel,
    pdg: int,
    energy: Energies | None,
    direction: Angles | None,
    position: Angles | None,
    like: Incident | None,
) -> Particles:
    if like is None:
        if energy is None:
            raise InputError(
                "Give the energy of the incident particles, or particles to take in turn as 'like'."
            )
        return aim(model, pdg, _spectrum(energy), _ranges(direction), _ranges(position))
    if not (energy is direction is position is None):
        raise InputError(
            "Give either energy, direction and position, or particles to take in turn as 'like'."
        )
    recorded = RecordedParticles(like, f"{len(like)} particles")
    if recorded.pdg != pdg:
        raise InputError(
            f"The particles to take in turn are {particle_name(recorded.pdg)}, not {particle_name(pdg)}."
        )
    return recorded


def _ranges(given: Angles | None) -> Ranges | None:
    if given is None:
        return None
    first, second = (one if isinstance(one, Range) else Range(float(one), float(one)) for one in given)
    return first, second


def _spectrum(energy: Energies) -> Spectrum:
    if isinstance(energy, Spectrum):
        return energy
    if isinstance(energy, tuple) and len(energy) == 2:
        return Spectrum.uniform(*energy)
    return Spectrum.listed(energy)
