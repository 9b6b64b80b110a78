"""Time that a model takes for a shower, beside that of the simulation (Paganini et al. 2018, Table III)."""

import math
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from caloforge.errors import InputError
from caloforge.formats.native import ShowerFile
from caloforge.geometry import Calorimeter
from caloforge.incident.particles import particle_name
from caloforge.inference.model import TrainedModel
from caloforge.plots.speed import Times
from caloforge.plots.speed import speed as picture
from caloforge.progress import Progress, no_progress
from caloforge.reports.tables import Table
from caloforge.showers import labels
from caloforge.showers.labels import with_error
from caloforge.stages.benchmark.machine import machine, pinned
from caloforge.stages.benchmark.medians import Measured, median
from caloforge.stages.benchmark.report import Report
from caloforge.stages.benchmark.workloads import Float64s, Setting, Shot, Simulate
from caloforge.units import GeV

BATCHES = (1, 10, 128, 1024)
"""Showers that are made at once, as in Table III."""

_DRAWN = (1, 128)
_MS = 1e3
_FEWEST_CALLS = 5
_FEWEST, _MOST = 20, 200  # simulated showers of a point
_FILES = 3
_BLOCK, _MOST_WRITTEN = 1024, 1 << 18  # showers of a file, which are a multiple of the first

_SIMULATED = ", of Geant4 processor time on one core. The last column is Geant4's time over the model's"

Point = dict[str, Any]

Write = Callable[[TrainedModel, int, tuple[float, float], int, Path], None]
"""Whoever writes a file of showers: model, PDG id, lowest and highest energy (MeV), number, path."""


@dataclass(frozen=True)
class Effort:
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


def generate(
    models: Sequence[TrainedModel],
    simulation: Callable[[Calorimeter], Simulate] | None,
    setting: Setting,
    energies: Sequence[float],
    effort: Effort,
    *,
    write: Write | None = None,
    batches: Sequence[int] = BATCHES,
    threads: int = 1,
    progress: Progress = no_progress,
) -> Report:
    """Measure the time a shower takes: of models by batch size and energy, and of the simulation by energy.

    With one thread, models and simulation share one core of this computer and the time is the processor's, so
    that other work hardly counts. With more, models have all cores, and their time is that of the clock. A
    model's time holds the drawing of random numbers; loading the model and writing files do not count, for
    models or for the simulation. What writing takes is measured apart.

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
    Report
        Its record holds ``speeds``, a row of Table III each, ``written``, a row for each model, and
        ``energies``, the points of the figure.

    Raises
    ------
    InputError
        There is no model, or one was trained for none of the energies.
    """
    about = machine()
    if not models:
        raise InputError("There is no model to time: give at least one.")
    bench = _Bench(simulation, setting, effort, threads, about["processor"])
    plans = [(model, pdg, _within(model, energies)) for model in models for pdg in model.record["pdg"]]
    beams = {(model.geometry.name, pdg): (model.geometry, chosen) for model, pdg, chosen in plans}
    speeds: list[Point] = []
    points: list[Point] = []
    written: list[Point] = []
    steps = [*(len(chosen) for _, chosen in beams.values() if simulation), *(len(batches) for _ in plans)]
    drawn = sorted({*_DRAWN} & {*batches}) or [max(batches)]
    done = 0
    progress(done, sum(steps))
    with bench.core():
        for (name, pdg), (geometry, chosen) in beams.items():
            for point in bench.simulated(geometry, pdg, chosen):
                points.append(point)
                progress(done := done + 1, sum(steps))
            speeds += bench.average([p for p in points if _key(p) == ("Geant4", name, particle_name(pdg))])
        for model, pdg, chosen in plans:
            for batch in batches:
                speeds.append(bench.generated(model, pdg, batch, np.array(chosen)))
                progress(done := done + 1, sum(steps))
            for batch, energy in product(drawn, chosen):
                point = bench.generated(model, pdg, batch, np.array([energy]))
                points.append({**point, "energy_GeV": energy / GeV})
            if write is not None:
                fastest = min(speeds[-len(batches) :], key=lambda row: float(row["ms"]))
                written.append(bench.written(write, model, pdg, (chosen[0], chosen[-1]), fastest))
    return _report(about, bench, speeds, points, written)


def _within(model: TrainedModel, energies: Sequence[float]) -> list[float]:
    low, high = model.energy_range
    chosen = [energy for energy in energies if low <= energy <= high]
    if not chosen:
        raise InputError(
            f"{model.name} was trained from {low / GeV:g} to {high / GeV:g} GeV: give energies in this range."
        )
    return chosen


def _key(point: Point) -> tuple[str, str, str]:
    return point["model"], point["geometry"], point["particle"]


@dataclass
class _Bench:
    """Takes times."""

    simulation: Callable[[Calorimeter], Simulate] | None
    setting: Setting
    effort: Effort
    threads: int
    processor: str

    def __post_init__(self) -> None:
        self.provenance: dict[str, Any] = {}
        self.clock = time.process_time if self.threads == 1 else time.perf_counter

    @property
    def kind(self) -> str:
        """What the models' times are times of."""
        return "processor time" if self.threads == 1 else "wall-clock time"

    def core(self) -> AbstractContextManager[None]:
        """Keep to one core, if that is all the threads that there are."""
        return pinned() if self.threads == 1 else nullcontext()

    def simulated(self, geometry: Calorimeter, pdg: int, energies: Sequence[float]) -> Iterator[Point]:
        """Time the simulation at each energy."""
        if self.simulation is None:
            return
        simulate = self.simulation(geometry)
        for energy in energies:
            with tempfile.TemporaryDirectory(prefix="caloforge-benchmark-") as scratch, pinned():
                out, n = Path(scratch, "showers.h5"), self.effort.showers(energy)
                # The first shower does not count: it prepares what the others use.
                seconds = simulate(Shot(pdg, energy), self.setting, n + 1, out)
                with ShowerFile(out) as file:
                    self.provenance = file.provenance
            times = _MS * seconds[np.isfinite(seconds)]
            error = float(times.std(ddof=1) / math.sqrt(times.size))
            row = self._row("Geant4", "", pdg, geometry, None, (float(times.mean()), error))
            yield {**row, "energy_GeV": energy / GeV}

    def average(self, points: Sequence[Point]) -> list[Point]:
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

    def generated(self, model: TrainedModel, pdg: int, batch: int, energies: Float64s) -> Point:
        """Time a model for one batch size, at energies that are uniform between the first and the last."""
        times = np.array(list(self._calls(model, pdg, batch, energies)))
        return self._row(
            model.name, model.record["sha256"], pdg, model.geometry, batch, median(_MS / batch * times)
        )

    def written(
        self, write: Write, model: TrainedModel, pdg: int, energies: tuple[float, float], bare: Point
    ) -> Point:
        """Time the writing of files, each with as many showers as the network makes in the given time."""
        number = _MS * self.effort.seconds / bare["ms"]
        n = _BLOCK * round(min(max(number, _BLOCK), _MOST_WRITTEN) / _BLOCK)
        times = []
        for _ in range(1 + _FILES):
            with tempfile.TemporaryDirectory(prefix="caloforge-benchmark-") as scratch:
                begin = self.clock()
                write(model, pdg, energies, n, Path(scratch, "showers.h5"))
                times.append((self.clock() - begin) / n)
        ms = median(_MS * np.array(times[1:]))  # the first file loads what writes it
        row = self._row(model.name, model.record["sha256"], pdg, model.geometry, bare["batch"], ms)
        return {**row, "showers": n, "network_ms": bare["ms"], "network_share": bare["ms"] / ms[0]}

    def _calls(self, model: TrainedModel, pdg: int, batch: int, energies: Float64s) -> Iterator[float]:
        stream = np.random.Generator(np.random.SFC64(1))
        label = np.full(batch, model.label(pdg))
        end, calls = 0.0, 0
        while calls <= _FEWEST_CALLS or time.perf_counter() < end:
            energy = stream.uniform(energies[0], energies[-1], batch)
            begin = self.clock()
            model(model.noise(stream, batch), energy, label)
            seconds = self.clock() - begin
            if calls:
                yield seconds
            else:  # the first call loads the model, and does not count
                end = time.perf_counter() + self.effort.seconds
            calls += 1

    def _row(
        self, name: str, sha256: str, pdg: int, geometry: Calorimeter, batch: int | None, ms: Measured
    ) -> Point:
        threads = 1 if batch is None else self.threads
        said = [] if batch is None else [f"batch {batch}"]
        said += [f"{threads} thread" + "s" * (threads > 1), self.processor]
        return {
            "model": name,
            "weights_sha256": sha256,
            "particle": particle_name(pdg),
            "geometry": geometry.name,
            "batch": batch,
            "threads": threads,
            "ms": ms[0],
            "error": ms[1],
            "conditions": ", ".join(said),
        }


def _trapezoid(energies: Float64s) -> Float64s:
    """Weights of points in the mean of a function that is linear between them; 1 for a single point."""
    if len(energies) == 1:
        return np.ones(1)
    steps = np.diff(energies)
    weights = (np.append(steps, 0) + np.append(0, steps)) / 2
    return np.asarray(weights / weights.sum())


def _report(
    about: dict[str, Any], bench: _Bench, speeds: list[Point], points: list[Point], written: list[Point]
) -> Report:
    record = {
        "benchmark": "generate",
        "machine": about,
        "threads": bench.threads,
        "clock": bench.kind,
        "simulation": {
            key: value
            for key, value in bench.provenance.items()
            if key not in ("particle", "energy_GeV", "geometry")
        },
        "speeds": speeds,
        "written": written,
        "energies": points,
    }
    energies = sorted({point["energy_GeV"] for point in points})
    ends = " to ".join(dict.fromkeys(f"{energy:g}" for energy in (energies[0], energies[-1])))
    models = f"{bench.kind} with {bench.threads} thread" + "s" * (bench.threads > 1)
    text = (
        f"Time a shower takes, of incident energies that are uniform from {ends} GeV: of models {models}"
        f"{_SIMULATED if bench.provenance else ''}. With statistical errors; loading a model, the first "
        "shower of a simulation, and the writing of files do not count."
    )
    figure = picture(_times(points), [f"models: {models}; Geant4: one core; {bench.processor}"])
    tables = {
        "": _table(speeds),
        **({"written to a file": _written(written, speeds)} if written else {}),
        "ms/shower by incident energy": _by_energy(points, energies),
    }
    return Report("Speed of generation", text, record, tables, [figure])


def _table(speeds: Sequence[Point]) -> Table:
    """Table III, with a column for the gain."""
    simulated = _simulated(speeds)
    beams = list(dict.fromkeys(_key(row)[1:] for row in speeds))
    rows = []
    for row in sorted(speeds, key=lambda row: beams.index(_key(row)[1:])):
        against = simulated.get(_key(row)[1:]) if row["batch"] is not None else None
        rows.append(
            [
                row["model"],
                row["particle"],
                row["geometry"],
                "" if row["batch"] is None else f"{row['batch']}",
                with_error(row["ms"], row["error"]),
                "" if against is None else _gain(against, row),
            ]
        )
    return Table(["simulator", "particle", "geometry", "batch", "ms/shower", "times faster"], rows)


def _written(written: Sequence[Point], speeds: Sequence[Point]) -> Table:
    """Showers a second into a file, beside those of the network alone."""
    simulated = _simulated(speeds)
    rows = []
    for row in written:
        against = simulated.get(_key(row)[1:])
        rows.append(
            [
                row["model"],
                row["particle"],
                row["geometry"],
                f"{_MS / row['network_ms']:,.0f}",
                f"{row['batch']}",
                f"{_MS / row['ms']:,.0f}",
                f"{100 * row['network_share']:.0f} %",
                "" if against is None else _gain(against, row),
            ]
        )
    rates = ("showers/s of the network", "at batch", "showers/s, written", "share")
    return Table(["simulator", "particle", "geometry", *rates, "times faster"], rows)


def _simulated(speeds: Sequence[Point]) -> dict[tuple[str, ...], Point]:
    """Return the rows of the simulation by geometry and particle."""
    return {_key(row)[1:]: row for row in speeds if row["batch"] is None}


def _gain(simulated: Point, row: Point) -> str:
    ratio = simulated["ms"] / row["ms"]
    return with_error(
        ratio, ratio * math.hypot(simulated["error"] / simulated["ms"], row["error"] / row["ms"])
    )


def _curves(points: Sequence[Point]) -> dict[str, list[Point]]:
    curves: dict[str, list[Point]] = {}
    for point in points:
        batch = "" if point["batch"] is None else f", batch {point['batch']}"
        curves.setdefault(f"{point['model']} {point['particle']}{batch}", []).append(point)
    return curves


def _by_energy(points: Sequence[Point], energies: Sequence[float]) -> Table:
    rows = []
    for name, curve in _curves(points).items():
        cells = {point["energy_GeV"]: with_error(point["ms"], point["error"]) for point in curve}
        rows.append([name, *(cells.get(energy, "") for energy in energies)])
    return Table(["", *(f"{energy:g} GeV" for energy in energies)], rows)


def _times(points: Sequence[Point]) -> list[Times]:
    """Return the curves, with models named without their particle, which is that of the panel."""
    names: dict[tuple[str, str], str] = {}
    for particle in dict.fromkeys(point["particle"] for point in points):
        own = [point for point in points if point["particle"] == particle]
        models = list(dict.fromkeys(point["model"] for point in own if point["batch"] is not None))
        short = dict(zip(models, labels.short_names(models), strict=True))
        names |= {(point["model"], particle): short.get(point["model"], point["model"]) for point in own}
    return [
        Times(
            names[curve[0]["model"], curve[0]["particle"]],
            curve[0]["particle"],
            curve[0]["batch"],
            *(np.array([point[key] for point in curve]) for key in ("energy_GeV", "ms", "error")),
        )
        for curve in _curves(points).values()
    ]
