"""Generate showers with a trained model, in memory or into a file of any size."""

import reprlib
import warnings
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import SupportsIndex

from caloforge import resources
from caloforge.arguments import whole_number
from caloforge.errors import InputError
from caloforge.files import check_target
from caloforge.formats.energies import Energies, as_spectrum
from caloforge.formats.native import ShowerWriter
from caloforge.geometry import Calorimeter
from caloforge.incident.beam import (
    CENTRE,
    PERPENDICULAR,
    Beam,
    Coordinates,
    Particles,
    Ranges,
    RecordedParticles,
    as_direction,
    as_position,
)
from caloforge.incident.incident import Incident
from caloforge.incident.particles import parse_particle, particle_name
from caloforge.incident.spectrum import Spectrum
from caloforge.inference.generator import Conservation, Generator
from caloforge.inference.model import TrainedModel
from caloforge.inference.shipped import find
from caloforge.progress import Progress, no_progress
from caloforge.showers import Showers

__all__ = ["aim", "check_disk", "choose", "generate", "generate_file"]

_USUAL = "calogan"  # the calorimeter if neither it nor a model is named
_MANY = 100_000_000
"""Cells of a sample whose size is checked beforehand: 400 MB in memory."""
_PROBE = 1 << 19
"""Cells of the showers from which the size of a file is estimated."""
_PARTICLE = 100  # bytes that a shower takes in memory in addition to its cells


def generate(
    particle: str | SupportsIndex,
    energy: Energies | None = None,
    n: SupportsIndex | None = None,
    *,
    direction: Coordinates | None = None,
    position: Coordinates | None = None,
    like: Incident | Showers | None = None,
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
        Name or PDG id, such as ``"gamma"`` or 22.
    energy
        Incident kinetic energy in MeV: a number, a pair (low, high) for uniform energies between both, or a
        list or an array, taken in turn. Or text in GeV, as on the command line: ``"50"``, ``"1:100"``,
        ``"log:1:100"``, ``"10,50,100"``, or the name of a file of energies or showers.
    n
        Number of showers (default: as many as there are energies, or particles in ``like``; 1 for a range).
    direction
        Theta and phi in rad, each a number or a pair (low, high) (default: that of the model, if it has only
        one, and else perpendicular).
    position
        Eta and phi on the front face in mm, likewise (default: the centre).
    like
        Incident particles to take in turn, or showers with them, instead of energy, direction and position.
    seed
        The same seed gives the same showers; from 0 to 2^64 - 1.
    model
        Name of shipped weights or path of a record; by default those for the particle and geometry.
    quality
        Which of these, "fast" or "precise"; by default the recommended one (`find`).
    geometry
        Name of the calorimeter, or its TOML file; by default that of the model, or calogan where no model is
        named. Cells of a model are summed where those of the calorimeter are larger.
    conserve_energy
        Redraw showers until none holds more energy than came in.
    threads
        CPU threads of the model (default: all cores).

    Returns
    -------
        The showers, their cells (n, n_cells) in MeV.

    Raises
    ------
    InputError, CatalogError, CheckpointError
        The request is not possible or does not fit into the memory, there is no such model, or it is damaged.

    Examples
    --------
    >>> from caloforge.units import GeV
    >>> generate("gamma", energy=50 * GeV, n=10).energy.max()
    np.float64(50000.0)
    >>> generate(22, energy="10:20", n=10, seed=2)
    <10 showers in calogan>
    >>> generate("e+", energy=[10 * GeV, 20 * GeV, 40 * GeV]).energy
    array([10000., 20000., 40000.])
    """
    pdg, seed = parse_particle(particle), whole_number(seed, "The seed")
    number = None if n is None else whole_number(n, "The number of showers", least=1)
    if threads is not None:
        threads = whole_number(threads, "The number of threads", least=1)
    trained = choose(pdg, geometry, model, quality, threads)
    like = like.incident if isinstance(like, Showers) else like
    particles = _particles(trained, pdg, energy, direction, position, like)
    if number is None:
        number = len(particles.spectrum.values) or 1
    _check_memory(number, trained.geometry.n_cells)
    conservation = Conservation() if conserve_energy else None
    (showers,) = Generator(trained, particles, seed, conservation).batches(number, number)
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
    if geometry is None or geometry == trained.geometry.name:
        return trained
    return trained.on(Calorimeter.load(geometry))


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
    About how many bytes it will have, by the first showers; None if that is negligible.

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
    direction: Coordinates | None,
    position: Coordinates | None,
    like: Incident | None,
) -> Particles:
    if like is None:
        if energy is None:
            raise InputError(
                "Give the energy of the incident particles, or particles to take in turn as 'like'."
            )
        toward = as_direction(direction) if direction is not None else None
        place = as_position(position) if position is not None else None
        return aim(model, pdg, as_spectrum(energy), toward, place)
    if not (energy is direction is position is None):
        raise InputError(
            "Give either energy, direction and position, or particles to take in turn as 'like'."
        )
    if not isinstance(like, Incident):
        raise InputError(f"Particles to take in turn are an Incident or Showers, not {reprlib.repr(like)}.")
    recorded = RecordedParticles(like, f"{len(like)} particles")
    if recorded.pdg != pdg:
        raise InputError(
            f"The particles to take in turn are {particle_name(recorded.pdg)}, not {particle_name(pdg)}."
        )
    return recorded
