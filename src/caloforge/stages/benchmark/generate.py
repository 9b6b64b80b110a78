"""Time per shower of a model, compared with the simulation (Paganini et al. 2018, Table III)."""

import math
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path

import numpy as np

from caloforge import resources
from caloforge.errors import InputError
from caloforge.formats.native import ShowerFile
from caloforge.geometry import Calorimeter
from caloforge.incident.beam import Beam
from caloforge.incident.particles import particle_name
from caloforge.incident.spectrum import Spectrum
from caloforge.inference.generator import Generator
from caloforge.inference.model import TrainedModel
from caloforge.progress import Progress, no_progress
from caloforge.stages.benchmark.machine import ValueWithError, machine, median, pinned
from caloforge.stages.benchmark.workloads import BenchmarkPoint, Float64s, Record, Setting, Simulate
from caloforge.units import GeV

__all__ = ["BATCHES", "MeasuringEffort", "Write", "time_generation"]

BATCHES = (1, 10, 128, 1024)
"""Showers that are made at once, as in Table III."""

_DRAWN = (1, 128)
_MS = 1e3
_FEWEST_CALLS = 5
_FEWEST, _MOST = 20, 200  # simulated showers of a point
_FILES = 3
_BLOCK, _MOST_WRITTEN = 1024, 1 << 18  # showers of a file, which are a multiple of the first

Write = Callable[[Generator, int, Path], None]
"""Writes a file of showers, given their generator, number and path."""


@dataclass(frozen=True)
class MeasuringEffort:
    """How much is measured.

    Attributes
    ----------
    seconds
        For each batch size and energy of a model.
    energy
        Incident energy in MeV that the simulation spends on each energy, within 20 to 200 showers.
    """

    seconds: float
    energy: float

    def showers(self, energy: float) -> int:
        """Return how many showers of an energy are simulated."""
        return round(min(max(_FEWEST, self.energy / energy), _MOST))


def time_generation(
    models: Sequence[TrainedModel],
    simulation: Callable[[Calorimeter], Simulate] | None,
    setting: Setting,
    energies: Sequence[float],
    effort: MeasuringEffort,
    *,
    write: Write | None = None,
    batches: Sequence[int] = BATCHES,
    threads: int = 1,
    progress: Progress = no_progress,
) -> Record:
    """Measure the time a shower takes: of models by batch size and energy, and of the simulation by energy.

    With one thread, models and simulation share one core of this computer and the time is the processor's, so
    that other work hardly counts. With more, models have all cores, and their time is that of the clock. A
    model's time holds the drawing of random numbers and of incident particles; loading the model and writing
    files do not count, for models or for the simulation. What writing takes is measured apart.

    Parameters
    ----------
    models
        Models to time, loaded for this number of threads.
    simulation
        Makes who simulates a calorimeter; None leaves the simulation out.
    setting
        How it is simulated.
    energies
        Incident energies in MeV, ascending. The time of a spectrum is that between the first and the last,
        uniform, by linear interpolation.
    effort
        How much is measured.
    write
        Writes a model's showers to a file; None leaves the writing out.
    batches
        Showers that models make at once.
    threads
        Threads of the models.
    progress
        Called with the points that are done and to do.

    Returns
    -------
    Record
        It holds ``speeds``, a row of Table III each, ``written``, a row for each model, and
        ``energies``, the points of the figure.

    Raises
    ------
    InputError
        There is no model, one was trained for none of the energies, or a batch does not fit into the memory.
    """
    about = machine()
    if not models:
        raise InputError("No model was given to time: give at least one.")
    for model in models:
        _check_memory(max(batches), model.geometry.n_cells)
    timer = _Timer(simulation, setting, effort, threads, about["processor"])
    runs = [_Run(model, pdg, _within(model, energies)) for model in models for pdg in model.record["pdg"]]
    beams = list({(run.model.geometry.name, run.pdg): run for run in runs}.values())
    steps = [*(len(run.energies) for run in beams if simulation), *(len(batches) for _ in runs)]
    counted = _counted(progress, sum(steps))
    found = _Found()
    with timer.core():
        for run in beams:
            points = list(counted(timer.simulated(run)))
            found.energies += points
            found.speeds += timer.average(points)
        for run in runs:
            speeds = list(counted(timer.generated(run, batch, run.energies) for batch in batches))
            found.speeds += speeds
            found.energies += timer.by_energy(run, sorted({*_DRAWN} & {*batches}) or [max(batches)])
            if write is not None:
                found.written.append(timer.written(write, run, min(speeds, key=lambda row: float(row["ms"]))))
    return timer.record(about, found)


@dataclass(frozen=True)
class _Run:
    """A model that makes showers of one particle, and the energies (MeV) at which it is timed."""

    model: TrainedModel
    pdg: int
    energies: Sequence[float]

    def generator(self, energies: Sequence[float]) -> Generator:
        """Return a stream of showers with energies that are uniform between the first and the last."""
        low, high = energies[0], energies[-1]
        beam = Beam(self.pdg, Spectrum.over(low, high), self.model.direction_range, self.model.position_range)
        return Generator(self.model, beam)


@dataclass
class _Found:
    """Rows of Table III, points of the figure, and the times of files."""

    speeds: list[Record] = field(default_factory=list)
    energies: list[Record] = field(default_factory=list)
    written: list[Record] = field(default_factory=list)


def _counted(progress: Progress, total: int) -> Callable[[Iterable[Record]], Iterator[Record]]:
    """Return a function that passes rows on and reports the progress."""
    done = 0
    progress(done, total)

    def counted(rows: Iterable[Record]) -> Iterator[Record]:
        nonlocal done
        for row in rows:
            progress(done := done + 1, total)
            yield row

    return counted


def _check_memory(batch: int, n_cells: int) -> None:
    resources.check_memory(4 * batch * n_cells, f"A batch of {batch:,} showers of {n_cells:,} cells")


def _within(model: TrainedModel, energies: Sequence[float]) -> list[float]:
    low, high = model.energy_range
    chosen = [energy for energy in energies if low <= energy <= high]
    if not chosen:
        raise InputError(
            f"{model.name} was trained from {low / GeV:g} to {high / GeV:g} GeV: give energies in this range."
        )
    return chosen


@dataclass
class _Timer:
    """Takes times."""

    simulation: Callable[[Calorimeter], Simulate] | None
    setting: Setting
    effort: MeasuringEffort
    threads: int
    processor: str

    def __post_init__(self) -> None:
        self.provenance: Record = {}
        self.clock = time.process_time if self.threads == 1 else time.perf_counter

    @property
    def kind(self) -> str:
        """The kind of time that is measured for models."""
        return "processor time" if self.threads == 1 else "wall-clock time"

    def core(self) -> AbstractContextManager[None]:
        """Keep to one core if there is only one thread."""
        return pinned() if self.threads == 1 else nullcontext()

    def simulated(self, run: _Run) -> Iterator[Record]:
        """Time the simulation at each energy."""
        if self.simulation is None:
            return
        simulate = self.simulation(run.model.geometry)
        for energy in run.energies:
            with tempfile.TemporaryDirectory(prefix="caloforge-benchmark-") as scratch, pinned():
                out, n = Path(scratch, "showers.h5"), self.effort.showers(energy)
                # The first shower does not count: it prepares what the others use.
                seconds = simulate(BenchmarkPoint(run.pdg, energy), self.setting, n + 1, out)
                with ShowerFile(out) as file:
                    self.provenance = file.provenance
            times = _MS * seconds[np.isfinite(seconds)]
            error = float(times.std(ddof=1) / math.sqrt(times.size))
            yield {**self._row(run, None, (float(times.mean()), error)), "energy_GeV": energy / GeV}

    def average(self, points: Sequence[Record]) -> list[Record]:
        """Return the mean over the spectrum between the first and the last energy."""
        if not points:
            return []
        energies, ms, errors = (np.array([p[key] for p in points]) for key in ("energy_GeV", "ms", "error"))
        weights = _trapezoid(energies)
        ends = " to ".join(dict.fromkeys(f"{energy:g}" for energy in energies[[0, -1]]))
        conditions = f"{self.setting.physics}, {ends} GeV, one core, {self.processor}"
        point = {key: value for key, value in points[0].items() if key != "energy_GeV"}
        mean, error = float(weights @ ms), float(np.hypot.reduce(weights * errors))
        return [{**point, "ms": mean, "error": error, "conditions": conditions}]

    def generated(self, run: _Run, batch: int, energies: Sequence[float]) -> Record:
        """Time a model for one batch size, at energies that are uniform between the first and the last."""
        times = np.array(list(self._calls(run, batch, energies)))
        return self._row(run, batch, median(_MS / batch * times))

    def by_energy(self, run: _Run, batches: Sequence[int]) -> Iterator[Record]:
        """Time a model for some batch sizes at each energy."""
        for batch, energy in product(batches, run.energies):
            yield {**self.generated(run, batch, [energy]), "energy_GeV": energy / GeV}

    def written(self, write: Write, run: _Run, bare: Record) -> Record:
        """Time the writing of files, each with as many showers as the network makes in the given time."""
        number = _MS * self.effort.seconds / bare["ms"]
        n = _BLOCK * round(min(max(number, _BLOCK), _MOST_WRITTEN) / _BLOCK)
        times = []
        for _ in range(1 + _FILES):
            with tempfile.TemporaryDirectory(prefix="caloforge-benchmark-") as scratch:
                begin = self.clock()
                write(run.generator(run.energies), n, Path(scratch, "showers.h5"))
                times.append((self.clock() - begin) / n)
        ms = median(_MS * np.array(times[1:]))  # the first file loads what writes it
        row = self._row(run, bare["batch"], ms)
        return {**row, "showers": n, "network_ms": bare["ms"], "network_share": bare["ms"] / ms[0]}

    def _calls(self, run: _Run, batch: int, energies: Sequence[float]) -> Iterator[float]:
        """Yield the time of each call of the model, in s; the first one loads it, and does not count."""
        generator = run.generator(energies)
        end, calls = 0.0, 0
        while calls <= _FEWEST_CALLS or time.perf_counter() < end:
            begin = self.clock()
            generator.draw(calls * batch, (calls + 1) * batch)
            seconds = self.clock() - begin
            if calls:
                yield seconds
            else:
                end = time.perf_counter() + self.effort.seconds
            calls += 1

    def _row(self, run: _Run, batch: int | None, ms: ValueWithError) -> Record:
        """Return a row of Table III: for the model, or for the simulation if there is no batch."""
        threads = 1 if batch is None else self.threads
        said = [] if batch is None else [f"batch {batch}"]
        said += [f"{threads} thread" + "s" * (threads > 1), self.processor]
        return {
            "model": "Geant4" if batch is None else run.model.name,
            "weights_sha256": "" if batch is None else run.model.record["sha256"],
            "particle": particle_name(run.pdg),
            "geometry": run.model.geometry.name,
            "batch": batch,
            "threads": threads,
            "ms": ms[0],
            "error": ms[1],
            "conditions": ", ".join(said),
        }

    def record(self, about: Record, found: _Found) -> Record:
        """Return everything."""
        of_a_point = ("particle", "energy_GeV", "geometry")
        return {
            "benchmark": "generate",
            "machine": about,
            "threads": self.threads,
            "clock": self.kind,
            "simulation": {key: value for key, value in self.provenance.items() if key not in of_a_point},
            "speeds": found.speeds,
            "written": found.written,
            "energies": found.energies,
        }


def _trapezoid(energies: Float64s) -> Float64s:
    """Weights of points in the mean of a function that is linear between them; 1 for a single point."""
    if len(energies) == 1:
        return np.ones(1)
    steps = np.diff(energies)
    weights = (np.append(steps, 0) + np.append(0, steps)) / 2
    return np.asarray(weights / weights.sum())
