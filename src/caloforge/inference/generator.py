"""The seeded stream of showers that every stage draws from."""

import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from caloforge import __version__
from caloforge.errors import InputError
from caloforge.incident.incident import Incident
from caloforge.incident.particles import particle_name
from caloforge.incident.spectrum import Spectrum
from caloforge.inference.commands import recipe
from caloforge.inference.model import TrainedModel
from caloforge.showers import Showers
from caloforge.units import GeV

_WORD = (1 << 32) - 1
BLOCK = 128
"""Showers that are made at once; part of what a seed means.

More at once would be hardly faster, and a single shower, for which a whole block is made, would come later.
"""
_FAR = (0.5, 1.5)
"""Times the lowest and the highest trained energy: how far beyond them showers are made, with a warning."""


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
            self.model.geometry,
            cells[:wanted],
            Incident(self.pdg, energy[:wanted]),
            provenance=self.provenance,
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


def _in_gev(bounds: tuple[float, float]) -> str:
    return " to ".join(dict.fromkeys(f"{energy / GeV:g}" for energy in bounds))
