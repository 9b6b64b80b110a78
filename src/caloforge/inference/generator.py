"""The seeded stream of showers that every stage draws from.

Shower number i of a seed follows from the model, the seed and i alone. It is the same, bit for bit, for any
number of showers, for any division of the work, and for any other showers in the same call.
"""

import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from caloforge import __version__
from caloforge.errors import CheckpointError, InputError
from caloforge.incident.beam import Particles, Ranges
from caloforge.incident.incident import Incident
from caloforge.incident.text import direction_text, position_text
from caloforge.inference.commands import recipe
from caloforge.inference.model import BLOCK, TrainedModel
from caloforge.inference.runtime import Cells
from caloforge.showers import Showers
from caloforge.units import GeV

__all__ = ["Conservation", "Generator", "OutsideTrainedRange", "SharedCells"]

_FAR = (0.5, 1.5)
"""Factors of the lowest and highest trained energy up to which showers are made, with a warning."""

_AT_ONCE = 8 * BLOCK  # showers whose noise is held at once

_SLACK = (1e-3, 0.1)
"""Rad and mm by which directions and positions may exceed those of the training, which are rounded."""


_ABSURD = 100.0
"""Factor of its incident energy (plus 2 GeV, since antinuclei annihilate) that a shower must not exceed."""

_OTHER = (
    "The {} that are asked for ({}) are not those that {} was trained on ({}): ask for these, or choose a "
    "model that knows others (caloforge models lists them)."
)


class OutsideTrainedRange(UserWarning):
    """Warning: showers are requested at energies that the model was not trained on.

    Examples
    --------
    >>> from caloforge.incident.beam import Beam
    >>> from caloforge.incident.spectrum import Spectrum
    >>> generator = Generator(TrainedModel.load("fast_eplus"), Beam(-11, Spectrum.parse("120")))
    >>> with warnings.catch_warnings(record=True) as caught:
    ...     warnings.simplefilter("always")
    ...     generator.check()
    >>> str(caught[0].message).split("; ")[0]
    'fast_eplus was trained from 1 to 100 GeV'
    """


class SharedCells(UserWarning):
    """Warning: edges of the read-out divide cells of the model, whose energy is shared by area.

    Examples
    --------
    >>> issubclass(SharedCells, UserWarning)
    True
    """


@dataclass(frozen=True)
class Conservation:
    """Draw showers again until they hold no more energy than the particle brought (CaloGAN paper, Sec. V B).

    Attributes
    ----------
    tries
        Maximum number of draws for a shower before the generation gives up.

    Examples
    --------
    >>> from caloforge.incident.beam import Beam
    >>> from caloforge.incident.spectrum import Spectrum
    >>> beam = Beam(-11, Spectrum.parse("10"))
    >>> generator = Generator(TrainedModel.load("fast_eplus"), beam, conservation=Conservation(tries=50))
    >>> (showers,) = generator.batches(100, 100)
    >>> bool((showers.cells.sum(axis=1) <= 10_001).all())
    True
    """

    tries: int = 100


@dataclass
class Generator:
    """A stream of showers of one particle.

    Attributes
    ----------
    model
        The trained model.
    beam
        The incident particles.
    seed
        Seed of particles and showers.
    conservation
        None accepts all showers.
    rejected
        Number of showers that were drawn again so far.

    Examples
    --------
    >>> from caloforge.incident.beam import Beam
    >>> from caloforge.incident.spectrum import Spectrum
    >>> generator = Generator(TrainedModel.load("fast_eplus"), Beam(-11, Spectrum.parse("1:100")), seed=1)
    >>> batches = list(generator.batches(5, size=2))
    >>> [len(showers) for showers in batches]
    [2, 2, 1]
    >>> _, cells = generator.draw(4, 5)  # the last shower alone
    >>> np.array_equal(cells, batches[-1].cells)
    True
    """

    model: TrainedModel
    beam: Particles
    seed: int = 1
    conservation: Conservation | None = None
    rejected: int = 0

    def batches(self, n: int, size: int) -> Iterator[Showers]:
        """Return n showers in batches of a size; the last may be smaller.

        Raises
        ------
        InputError
            Less than one shower, or less than one a batch, is asked for, the particles are others than those
            that the model was trained on, or energy conservation is not met.
        CheckpointError
            The model can't be used, or makes cells that are not finite, negative or absurdly high.
        """
        for what, value in (("number of showers", n), ("batch size", size)):
            if value < 1:
                raise InputError(f"The {what} must be at least 1; found {value}.")
        self.check()
        return self._batches(n, size)

    def _batches(self, n: int, size: int) -> Iterator[Showers]:
        for start in range(0, n, size):
            incident, cells = self.draw(start, min(start + size, n))
            self._check_cells(cells, incident, start)
            yield Showers(self.model.geometry, cells, incident, provenance=self.provenance)

    def draw(self, start: int, stop: int) -> tuple[Incident, Cells]:
        """Return showers start to stop of the stream as they come out of the model, cells in MeV.

        Unlike those of `batches` they are not checked: a cell may be nan.
        """
        incident = self.beam.sample(self.seed, start, stop)
        # Allocated once and filled in place: the blocks are never joined.
        cells = np.empty((stop - start, self.model.geometry.n_cells), np.float32)
        for first in range(start, stop, _AT_ONCE):
            last = min(first + _AT_ONCE, stop)
            here = slice(first - start, last - start)
            self.model(self.model.noise(self.seed, first, last), incident[here], cells[here])
        if self.conservation is not None:
            self._conserve(cells, incident, start)
        return incident, cells

    def _check_cells(self, cells: Cells, incident: Incident, start: int) -> None:
        """Refuse impossible cells, with a message about the model that made them."""
        with np.errstate(invalid="ignore"):  # of infinities
            # In double precision, which can't overflow in a sum of float32: a total that is not finite has
            # such a cell.
            totals = cells.sum(axis=1, dtype=np.float64)
        sound = (totals <= _ABSURD * (incident.energy + 2 * GeV)) & (cells.min(axis=1) >= 0)
        if sound.all():
            return
        first = int(np.flatnonzero(~sound)[0])
        raise CheckpointError(
            f"{self.model.name} can't be trusted: shower {start + first} of seed {self.seed} holds "
            f"{totals[first] / GeV:.3g} GeV, its lowest cell {cells[first].min() / GeV:.3g} GeV, of a "
            f"particle of {incident.energy[first] / GeV:.3g} GeV. Take another model, or train this one "
            "again."
        )

    def _conserve(self, cells: Cells, incident: Incident, start: int) -> None:
        """Replace, in place, showers with more energy than came in by ones drawn again."""
        assert self.conservation is not None
        for attempt in range(1, self.conservation.tries + 1):
            over = np.flatnonzero(cells.sum(axis=1, dtype=np.float64) > incident.energy)
            if not len(over):
                return
            self.rejected += len(over)
            # The attempt is part of the random stream, so a shower does not depend on what else was rejected.
            noise = [self.model.noise(self.seed, start + i, start + i + 1, attempt) for i in over.tolist()]
            cells[over] = self.model(np.concatenate(noise), incident[over])
        over = np.flatnonzero(cells.sum(axis=1, dtype=np.float64) > incident.energy)
        if len(over):
            raise InputError(
                f"After {self.conservation.tries} draws {len(over)} of {len(cells)} showers still hold more "
                f"than their incident energy (the lowest is {incident.energy[over].min() / GeV:.3g} GeV): "
                "allow more tries, choose higher energies, or do without energy conservation."
            )

    def check(self) -> None:
        """Refuse particles that the model was not trained for; warn of energies a little outside.

        Raises
        ------
        InputError, CatalogError
            The seed is not possible, or particle, energies, directions or positions are others than those of
            the training.
        """
        if not 0 <= self.seed < 1 << 64:
            raise InputError(f"The seed {self.seed} is not possible: give a number from 0 to 2^64 - 1.")
        self.model.label(self.beam.pdg)
        self._check_energies()
        beam, model = self.beam, self.model
        if not _covered(beam.direction, model.direction_range, _SLACK[0]):
            asked, trained = (direction_text(*_degrees(r)) for r in (beam.direction, model.direction_range))
            raise InputError(_OTHER.format("directions", asked, model.name, trained))
        if not _covered(beam.place, model.position_range, _SLACK[1]):
            asked, trained = (position_text(*_pairs(r)) for r in (beam.place, model.position_range))
            raise InputError(_OTHER.format("positions", asked, model.name, trained))
        if model.divides:
            warnings.warn(
                f"edges of {model.geometry.name} divide {model.divides:,} of the {model.grid.n_cells:,} "
                f"cells of {model.grid.name} that {model.name} makes; their energy is shared by area.",
                SharedCells,
                stacklevel=3,
            )

    def _check_energies(self) -> None:
        """Warn of energies a little outside of the trained range; refuse those far outside."""
        spectrum = self.beam.spectrum
        trained, asked = self.model.energy_range, (spectrum.low, spectrum.high)
        if trained[0] <= asked[0] and asked[1] <= trained[1]:
            return
        if trained[0] == trained[1]:
            raise InputError(
                f"{self.model.name} was trained at {_in_gev(trained)} GeV only, not at {_in_gev(asked)} GeV: "
                f"ask for {_in_gev(trained)} GeV."
            )
        reach = f"{self.model.name} was trained from {_in_gev(trained)} GeV; showers of {_in_gev(asked)} GeV"
        allowed = (_FAR[0] * trained[0], _FAR[1] * trained[1])
        if asked[0] < allowed[0] or allowed[1] < asked[1]:
            energies = (min(trained[0], asked[0]) / GeV, max(trained[1], asked[1]) / GeV)
            raise InputError(
                f"{reach} reach too far beyond. Ask for {_in_gev(allowed)} GeV, or make a model of your "
                "own:\n"
                f"{recipe(self.model.record, self.beam.pdg, self.model.geometry.name, energies)}"
            )
        warnings.warn(
            f"{reach} are outside, and were not compared with Geant4.",
            OutsideTrainedRange,
            stacklevel=4,
        )

    @property
    def provenance(self) -> dict[str, Any]:
        """How the showers were made."""
        return {
            "stage": "generate",
            "model": self.model.name,
            "weights_sha256": self.model.record["sha256"],
            **self.beam.provenance(),
            "seed": self.seed,
            "conserve_energy": self.conservation is not None,
            "caloforge": __version__,
        }


def _in_gev(bounds: tuple[float, float]) -> str:
    return " to ".join(dict.fromkeys(f"{energy / GeV:g}" for energy in bounds))


def _covered(asked: Ranges, trained: Ranges, slack: float) -> bool:
    return all(there.covers(one, slack) for one, there in zip(asked, trained, strict=True))


def _pairs(ranges: Ranges) -> list[tuple[float, float]]:
    return [(one.low, one.high) for one in ranges]


def _degrees(ranges: Ranges) -> list[tuple[float, float]]:
    return _pairs((ranges[0].scaled(180 / np.pi), ranges[1].scaled(180 / np.pi)))
