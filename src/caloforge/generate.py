"""Generate showers with a trained model, in memory or into a file of any size.

Showers are made in blocks of fixed size, each from random numbers of its own: shower number i of a seed is
the same whatever is asked for around it and however the work is divided.
"""

import warnings
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from caloforge import __version__
from caloforge.errors import InputError
from caloforge.particles import parse_particle, particle_name
from caloforge.progress import Progress, no_progress
from caloforge.showers import Showers, ShowerWriter
from caloforge.spectrum import Spectrum
from caloforge.trained import TrainedModel
from caloforge.units import GeV
from caloforge.untrained import recipe

_WORD = (1 << 32) - 1

BLOCK = 128
"""Showers that are made at once; part of what a seed means.

More at once would be hardly faster, and a single shower, for which a whole block is made, would come later.
"""

_FAR = (0.5, 1.5)
"""Times the lowest and the highest trained energy: how far beyond them showers are made, with a warning."""

Energies = float | tuple[float, float] | npt.ArrayLike | Spectrum


class OutsideTrainedRange(UserWarning):
    """Showers are asked for at energies that the model was not trained on."""


@dataclass(frozen=True)
class Conservation:
    """Draw showers again until they hold no more energy than the particle brought (CaloGAN paper, Sec. V B).

    Attributes
    ----------
    tries
        Draws a shower may take before the generation gives up.
    """

    tries: int = 100


@dataclass
class Generator:
    """A stream of showers of one particle.

    Attributes
    ----------
    model
        The trained model.
    pdg
        The particle.
    spectrum
        Its incident energies.
    seed
        Of energies and showers.
    conservation
        None takes showers as they come.
    rejected
        Showers that were drawn again so far.
    """

    model: TrainedModel
    pdg: int
    spectrum: Spectrum
    seed: int = 1
    conservation: Conservation | None = None
    rejected: int = 0

    def batches(self, n: int, size: int) -> Iterator[Showers]:
        """Return n showers in batches of a size, rounded up to whole blocks; the last may be smaller.

        Raises
        ------
        InputError
            Less than one shower, or less than one a batch, is asked for, energies are far outside of those
            that the model was trained on, or energy conservation is not met.
        """
        for what, value in (("number of showers", n), ("batch size", size)):
            if value < 1:
                raise InputError(f"The {what} must be at least 1; found {value}.")
        if not 0 <= self.seed < 1 << 64:
            raise InputError(f"The seed {self.seed} is not possible: give a number from 0 to 2^64 - 1.")
        self._check_energies()
        return self._batches(n, size)

    def _batches(self, n: int, size: int) -> Iterator[Showers]:
        size = -(-size // BLOCK) * BLOCK
        for start in range(0, n, size):
            yield self._batch(start, min(n - start, size))

    def _batch(self, start: int, wanted: int) -> Showers:
        """Make whole blocks, of which the first showers are wanted, and return those."""
        blocks = range(start // BLOCK, -(-(start + wanted) // BLOCK))
        energy = self.spectrum.sample(self.seed, start, blocks.stop * BLOCK)
        cells = np.empty((len(energy), self.model.geometry.n_cells), np.float32)
        for number in blocks:
            first = number * BLOCK - start
            here = slice(first, first + BLOCK)
            self._block(number, energy[here], cells[here], wanted - first)
        return Showers(
            self.model.geometry, cells[:wanted], energy[:wanted], self.pdg, provenance=self.provenance
        )

    def _block(
        self, number: int, energy: npt.NDArray[np.float64], cells: npt.NDArray[np.float32], wanted: int
    ) -> None:
        """Fill the cells of a block, of which the first showers are wanted."""
        label = np.full(BLOCK, self.model.label(self.pdg))
        cells[:] = self._draw(number, 0, energy, label, np.full(BLOCK, True))
        if self.conservation is not None:
            self._conserve(cells, number, energy, label, wanted)

    def _draw(
        self,
        number: int,
        attempt: int,
        energy: npt.NDArray[np.float64],
        label: npt.NDArray[np.int64],
        which: npt.NDArray[np.bool_],
    ) -> npt.NDArray[np.float32]:
        """Make some showers of a block, from random numbers that only the block and the attempt decide."""
        # One word of 32 bits each, so that no two meanings share a stream.
        words = [self.seed & _WORD, number, attempt, self.seed >> 32]
        stream = np.random.Generator(np.random.SFC64(words))
        noise = self.model.noise(stream, BLOCK)
        return self.model(noise[which], energy[which], label[which])

    def _conserve(
        self,
        cells: npt.NDArray[np.float32],
        number: int,
        energy: npt.NDArray[np.float64],
        label: npt.NDArray[np.int64],
        wanted: int,
    ) -> None:
        """Replace, in place, showers with more energy than came in by ones drawn again."""
        assert self.conservation is not None
        for attempt in range(1, self.conservation.tries + 1):
            over = cells.sum(axis=1, dtype=np.float64) > energy
            if not over[:wanted].any():
                return
            self.rejected += int(over[:wanted].sum())
            cells[over] = self._draw(number, attempt, energy, label, over)
        over = (cells.sum(axis=1, dtype=np.float64) > energy)[:wanted]
        if over.any():
            raise InputError(
                f"After {self.conservation.tries} draws {over.sum()} of {len(over)} showers still hold more "
                f"than their incident energy (the lowest is {energy[:wanted][over].min() / GeV:.3g} GeV): "
                "allow more tries, choose higher energies, or do without energy conservation."
            )

    def _check_energies(self) -> None:
        """Warn of energies a little outside of the trained range; refuse those far outside."""
        trained, asked = self.model.energy_range, (self.spectrum.low, self.spectrum.high)
        if trained[0] <= asked[0] and asked[1] <= trained[1]:
            return
        reach = f"{self.model.name} was trained from {_in_gev(trained)} GeV; showers of {_in_gev(asked)} GeV"
        allowed = (_FAR[0] * trained[0], _FAR[1] * trained[1])
        if asked[0] < allowed[0] or allowed[1] < asked[1]:
            energies = (min(trained[0], asked[0]) / GeV, max(trained[1], asked[1]) / GeV)
            raise InputError(
                f"{reach} reach too far beyond. Ask for {_in_gev(allowed)} GeV, or make a model of your "
                "own:\n"
                f"{recipe(self.model.record, self.pdg, self.model.geometry.name, energies)}"
            )
        warnings.warn(
            f"{reach} reach beyond, and nobody has compared those with Geant4.",
            OutsideTrainedRange,
            stacklevel=3,
        )

    @property
    def provenance(self) -> dict[str, Any]:
        """How the showers were made."""
        return {
            "stage": "generate",
            "model": self.model.name,
            "weights_sha256": self.model.record["sha256"],
            "particle": particle_name(self.pdg),
            "energy_GeV": self.spectrum.text,
            "seed": self.seed,
            "conserve_energy": self.conservation is not None,
            "caloforge": __version__,
        }


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
        return TrainedModel.find(pdg, geometry, quality, threads)
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


def _in_gev(bounds: tuple[float, float]) -> str:
    return " to ".join(dict.fromkeys(f"{energy / GeV:g}" for energy in bounds))


def _spectrum(energy: Energies) -> Spectrum:
    if isinstance(energy, Spectrum):
        return energy
    if isinstance(energy, tuple) and len(energy) == 2:
        return Spectrum.uniform(*energy)
    return Spectrum.listed(energy)
