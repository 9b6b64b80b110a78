"""Searches for failures of a generator: checks a million showers without keeping them.

Every shower is made in memory, checked and dropped. The checks are for energies that are not finite, negative
energies, no energy at all, and more energy than the particle can bring. With a reference, outliers are also
counted.
"""

import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from caloforge.config import strict_dataclass
from caloforge.errors import InputError
from caloforge.formats.base import Source
from caloforge.formats.open import open_any
from caloforge.geometry import Calorimeter
from caloforge.incident.incident import Incident
from caloforge.incident.particles import brought, particle_name
from caloforge.inference.generator import Generator
from caloforge.metrics.outliers import ANY, SHARE, OutlierCounts, Ranges
from caloforge.observables.base import Observable
from caloforge.observables.hits import Hits
from caloforge.observables.lateral_width import LateralWidth
from caloforge.observables.layer_fraction import LayerFraction
from caloforge.observables.response import Response
from caloforge.progress import Progress, no_progress
from caloforge.showers import Showers
from caloforge.stages.evaluate.checks import check_cells
from caloforge.stages.evaluate.measure import measure
from caloforge.units import GeV

__all__ = [
    "CHECKS",
    "ROUNDING",
    "CheckCount",
    "FailedShower",
    "Floats",
    "Outliers",
    "RateWithErrors",
    "Reference",
    "Reliability",
    "ShapeOutliers",
    "reliability",
    "shapes",
]

ROUNDING = 1e-5
"""Share of the incident energy that single precision may add to the sum of the cells."""

_BLOCK = 1024
_EXAMPLES = 5
_LAYERS = 3
"""Maximum number of layers whose shapes are used: those with most energy."""

CHECKS = {
    "finite": "a cell that is not finite",
    "negative": "a cell of negative energy",
    "empty": "no energy at all, where the reference always has some",
    "energy": "more energy than the particle can bring",
}
"""Properties that no shower may have."""

Floats = NDArray[np.float64]


@strict_dataclass
class FailedShower:
    """A shower that failed: its number, and its energies if they are finite."""

    shower: int
    energy_GeV: float  # noqa: N815 (the unit belongs to the name)
    total_MeV: float | None  # noqa: N815


@strict_dataclass
class CheckCount:
    """A property that no shower may have, how many had it, and the first of them."""

    name: str
    label: str
    failed: int
    examples: tuple[FailedShower, ...]


@strict_dataclass
class RateWithErrors:
    """A share of showers with its binomial error, of the reference and of the generated ones."""

    reference: float
    reference_error: float
    generated: float
    generated_error: float

    @property
    def sigma(self) -> float:
        """How far the generated share is above the reference's, in standard deviations."""
        return (self.generated - self.reference) / float(np.hypot(self.reference_error, self.generated_error))


@strict_dataclass
class ShapeOutliers:
    """Outliers in one shape, or in any."""

    name: str
    label: str
    outliers: RateWithErrors
    far: RateWithErrors


@strict_dataclass
class Outliers:
    """Outliers compared with those of a reference; `caloforge.metrics.outliers` defines them.

    Attributes
    ----------
    reference
        Name of its file.
    defining, tested
        Showers of the reference that define the ranges, and those among which its outliers are counted.
    share
        Share of the reference's showers beyond either end of a range.
    bins
        Of incident energy.
    shapes
        In any shape first, then in each.
    """

    reference: str
    defining: int
    tested: int
    share: float
    bins: int
    shapes: tuple[ShapeOutliers, ...]


@strict_dataclass
class Reliability:
    """Result of the checks of a million showers of a model.

    Attributes
    ----------
    energy_GeV
        Incident energies as text.
    brought_MeV
        Energy that the particle can bring in addition to its kinetic energy.
    highest_response
        Largest energy of a shower over its incident energy.
    excess_MeV
        Largest energy of a shower beyond what the particle can bring.
    checks
        All checks.
    outliers
        None without a reference, or if no shower has one of its energies.
    seconds, generating
        Time for everything, and for the model alone.
    """

    model: str
    weights_sha256: str
    particle: str
    geometry: str
    energy_GeV: str  # noqa: N815
    showers: int
    seed: int
    brought_MeV: float  # noqa: N815
    highest_response: float
    excess_MeV: float  # noqa: N815
    checks: tuple[CheckCount, ...]
    outliers: Outliers | None
    seconds: float
    generating: float

    @property
    def passed(self) -> bool:
        """Whether no shower failed."""
        return not any(check.failed for check in self.checks)


@dataclass(frozen=True)
class Reference:
    """The information of a reference about showers of one particle.

    Attributes
    ----------
    file
        Its name.
    pdg
        The particle.
    geometry
        The calorimeter.
    empty_below
        Highest incident energy (MeV) of a shower without energy; 0 if there is none.
    ranges
        Of shapes, by one half of the showers.
    own
        Outliers of the other half.
    tested
        How many showers that half has.
    """

    file: str
    pdg: int
    geometry: Calorimeter
    empty_below: float
    ranges: Ranges
    own: OutlierCounts
    tested: int

    @classmethod
    def read(cls, path: Path, seed: int = 1, progress: Progress = no_progress) -> Self:
        """Read a file of any layout.

        Raises
        ------
        InputError
            It holds too few showers, or several particles.
        ShowerFileError
            It can't be read.
        """
        with open_any(path) as source:
            observables = shapes(source)
            sample = measure(source, observables, file=path, kept=0, progress=progress)
        pdg = np.unique(sample.pdg)
        if len(pdg) > 1:
            raise InputError(f"{path} holds {len(pdg)} particles: give a file for each as reference.")
        # Ranges and outliers of the reference come from different halves: in the half that defines a range
        # the share beyond it is fixed.
        order = np.random.default_rng(seed).permutation(len(sample))
        halves = np.array_split(order, 2)
        defining, own = (
            (sample.energy[half], {name: value[half] for name, value in sample.values.items()})
            for half in halves
        )
        ranges = Ranges.of(observables, *defining)
        # Up to the highest of these energies empty showers occur in the simulation too: they do not fail.
        empty = sample.energy[sample.values["response"] == 0]
        return cls(
            path.name,
            int(pdg[0]),
            sample.geometry,
            float(empty.max(initial=0.0)),
            ranges,
            ranges.outside(*own),
            len(halves[1]),
        )

    def fits(self, geometry: Calorimeter, pdg: int) -> bool:
        """Whether it is of this particle, in these cells."""
        return self.pdg == pdg and self.geometry.layers == geometry.layers


def shapes(source: Source) -> tuple[Observable, ...]:
    """Return the shapes that outliers are looked for in: response, layers' shares and widths, hits."""
    geometry = source.geometry
    energies = source.read(0, _BLOCK).layer_energies().sum(axis=0)
    layers = np.sort(np.argsort(-energies, kind="stable")[:_LAYERS]).tolist()
    widths = [one for one in LateralWidth.every(geometry) if one.layer in layers]
    return (Response(), *map(LayerFraction, layers), *widths, Hits())


def reliability(
    generator: Generator,
    n: int,
    *,
    reference: Reference | None = None,
    progress: Progress = no_progress,
) -> Reliability:
    """Make showers and check every one.

    Parameters
    ----------
    generator
        A model, with the incident particles and the seed; the energies may be outside of the training's.
    n
        Showers to make; they are never held together.
    reference
        Simulated showers to compare the outlier rate with.
    progress
        Called with (showers done, n).

    Raises
    ------
    InputError
        No shower is asked for, the reference is of another particle or other cells, or has none of the
        incident energies.
    """
    if n < 1:
        raise InputError(f"The number of showers must be at least 1; found {n}.")
    if reference is not None:
        _check_reference(reference, generator)
    monitor = _ShowerMonitor(generator.model.geometry, brought(generator.beam.pdg), reference)
    begin, generating = time.perf_counter(), 0.0
    progress(0, n)
    for start in range(0, n, _BLOCK):
        before = time.perf_counter()
        incident, cells = generator.draw(start, min(start + _BLOCK, n))
        generating += time.perf_counter() - before
        monitor.inspect(start, incident, cells)
        progress(start + len(incident), n)
    return _result(generator, n, monitor, time.perf_counter() - begin, generating)


def _result(
    generator: Generator, n: int, monitor: "_ShowerMonitor", seconds: float, generating: float
) -> Reliability:
    model, beam = generator.model, generator.beam
    return Reliability(
        model.name,
        str(model.record["sha256"]),
        particle_name(beam.pdg),
        model.geometry.name,
        beam.spectrum.text,
        n,
        generator.seed,
        monitor.brought,
        monitor.highest,
        monitor.excess,
        monitor.checks,
        monitor.outliers,
        seconds,
        generating,
    )


def _check_reference(reference: Reference, generator: Generator) -> None:
    check_cells(reference.geometry, generator.model.geometry)
    pdg, spectrum = generator.beam.pdg, generator.beam.spectrum
    if reference.pdg != pdg:
        raise InputError(
            f"{reference.file} holds showers of {particle_name(reference.pdg)}, not of "
            f"{particle_name(pdg)}: give a reference of the same particle."
        )
    low, high = reference.ranges.energies[[0, -1]]
    if spectrum.high < low or spectrum.low > high:
        raise InputError(
            f"{reference.file} holds showers of {low / GeV:.4g} to {high / GeV:.4g} GeV and none of "
            f"{spectrum.text} GeV: give other energies, or do without a reference."
        )


@dataclass
class _ShowerMonitor:
    """Checks showers, block by block."""

    geometry: Calorimeter
    brought: float
    reference: Reference | None
    highest: float = 0.0
    excess: float = 0.0
    outside: OutlierCounts | None = None
    failed: dict[str, int] = field(default_factory=lambda: dict.fromkeys(CHECKS, 0))
    examples: dict[str, list[FailedShower]] = field(default_factory=lambda: {name: [] for name in CHECKS})

    def inspect(self, start: int, incident: Incident, cells: NDArray[np.float32]) -> None:
        """Take in showers from number ``start`` on."""
        energy = incident.energy
        with np.errstate(invalid="ignore"):
            total = cells.sum(
                axis=1, dtype=float
            )  # finite unless a cell is not: a double does not overflow here
        finite, negative = np.isfinite(total), cells.min(axis=1) < 0
        excess = total - energy - self.brought
        empty_below = self.reference.empty_below if self.reference else 0.0
        found = {
            "finite": ~finite,
            "negative": negative,
            "empty": (total == 0) & (energy > empty_below),
            "energy": finite & (excess > ROUNDING * energy),
        }
        for name, which in found.items():
            self._record(name, np.flatnonzero(which), start, energy, total)
        self.highest = max(self.highest, float((total / energy)[finite].max(initial=0.0)))
        self.excess = max(self.excess, float(excess[finite].max(initial=0.0)))
        # Showers with impossible cells are refused by `Showers`, and have no shapes.
        sound = finite & ~negative
        if self.reference is not None and sound.any():
            rows = slice(None) if sound.all() else sound
            self._shapes(Showers(self.geometry, cells[rows], incident[rows]), self.reference.ranges)

    def _shapes(self, showers: Showers, ranges: Ranges) -> None:
        values = {one.name: one(showers) for one in ranges.observables}
        outside = ranges.outside(showers.energy, values)
        self.outside = outside if self.outside is None else self.outside + outside

    def _record(self, name: str, which: NDArray[np.intp], start: int, energy: Floats, total: Floats) -> None:
        self.failed[name] += len(which)
        # Only the first ones, or a bad model would fill the memory with failures.
        for i in which[: _EXAMPLES - len(self.examples[name])].tolist():
            deposited = float(total[i]) if np.isfinite(total[i]) else None
            self.examples[name].append(FailedShower(start + i, float(energy[i] / GeV), deposited))

    @property
    def checks(self) -> tuple[CheckCount, ...]:
        """Results of the checks."""
        return tuple(
            CheckCount(name, label, self.failed[name], tuple(self.examples[name]))
            for name, label in CHECKS.items()
        )

    @property
    def outliers(self) -> Outliers | None:
        """The outliers compared with those of the reference, if any shower could be compared."""
        if self.reference is None or self.outside is None or not self.outside.showers.any():
            return None
        ranges, samples = self.reference.ranges, (self.reference.own, self.outside)
        near, far = (
            np.array([values for sample in samples for values in sample.rates(far=away)])
            for away in (False, True)
        )
        names = [(ANY, "any of these"), *((one.name, one.label) for one in ranges.observables)]
        return Outliers(
            self.reference.file,
            ranges.showers,
            self.reference.tested,
            SHARE,
            len(ranges.energies) - 1,
            tuple(
                ShapeOutliers(
                    name, label, RateWithErrors(*near[:, row].tolist()), RateWithErrors(*far[:, row].tolist())
                )
                for row, (name, label) in enumerate(names)
            ),
        )
