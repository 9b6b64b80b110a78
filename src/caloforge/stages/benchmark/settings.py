"""The effect of settings on time and showers, measured in alternation."""

import itertools
import json
import math
import re
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from caloforge.errors import SimulationError
from caloforge.files import written_aside
from caloforge.formats.native import ShowerFile
from caloforge.geometry import Calorimeter
from caloforge.observables.base import divide
from caloforge.observables.lateral_width import LateralWidth
from caloforge.observables.layer_fraction import LayerFraction
from caloforge.observables.response import Response
from caloforge.observables.shower_depth import ShowerDepth
from caloforge.progress import Progress, no_progress
from caloforge.showers import Showers
from caloforge.stages.benchmark.machine import ValueWithError, machine, median, pinned
from caloforge.stages.benchmark.workloads import BenchmarkPoint, Float64s, Record, Setting, Simulate

__all__ = ["SETTINGS", "Quantity", "compare_settings"]

SETTINGS = (
    Setting("transportation, then scattering", ("/process/em/transportationWithMsc Disabled",)),
    Setting("transportation with scattering, one step", ("/process/em/transportationWithMsc Enabled",)),
    Setting("processes of photons one by one", ("/process/em/UseGeneralProcess false",)),
    Setting("range cut 0.1 mm", range_cut=0.1),
    Setting("range cut 2 mm", range_cut=2.0),
    Setting("production cuts for all processes", ("/process/em/applyCuts true",)),
    Setting("electrons tracked down to 100 keV", ("/process/em/lowestElectronEnergy 100 keV",)),
    Setting("scattering: range factor 0.08", ("/process/msc/RangeFactor 0.08",)),
    Setting("scattering: range factor 0.2", ("/process/msc/RangeFactor 0.2",)),
    Setting("scattering: minimal step limit", ("/process/msc/StepLimit Minimal",)),
    Setting("scattering: distance to boundary", ("/process/msc/StepLimit UseDistanceToBoundary",)),
    Setting("bremsstrahlung from sampling tables", ("/process/em/enableSamplingTable true",)),
    Setting("no fluorescence", ("/process/em/fluo false",), fluorescence=True),
    Setting("electromagnetic physics alone", physics="em"),
    Setting("QGSP_BERT", physics="QGSP_BERT"),
    Setting("FTFP_BERT_ATL", physics="FTFP_BERT_ATL"),
)
"""Settings that are compared with the default."""

_FEW_LAYERS = 4  # up to which each layer is looked at
_PERCENT = 100
_MS_PER_GEV = 1e6  # in s per MeV

Quantity = Callable[[Showers], Float64s]


@dataclass
class _ShowerFiles:
    """The files of showers and their times, which a later call finds again."""

    folder: Path
    simulate: Simulate
    times: dict[str, list[float | None]] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        if self._record.exists():
            self.times = json.loads(self._record.read_text(encoding="utf-8"))

    @property
    def _record(self) -> Path:
        return self.folder / "times.json"

    def file(self, point: BenchmarkPoint, setting: Setting) -> Path:
        return self.folder / f"{_plain(str(point))}-{_plain(setting.name)}.h5"

    def check(self, point: BenchmarkPoint, setting: Setting) -> None:
        """Raise where an earlier call left other showers: names say neither the calorimeter nor the data."""
        path = self.file(point, setting)
        if path.exists():
            self._simulate(point, setting, _settled(path), path)

    def extend(self, point: BenchmarkPoint, setting: Setting, n: int) -> None:
        """Bring a file to n showers, unless Geant4 can't with this setting."""
        path = self.file(point, setting)
        if setting.name in self.failed or (path.exists() and _settled(path) >= n):
            return
        try:
            self._simulate(point, setting, n, path)
        except SimulationError as error:
            self.failed[setting.name] = str(error)

    def _simulate(self, point: BenchmarkPoint, setting: Setting, n: int, path: Path) -> None:
        seconds = self.simulate(point, setting, n, path)
        fresh = [value if math.isfinite(value) else None for value in seconds.tolist()]
        with ShowerFile(path) as file:
            before = len(file) - len(fresh)
        known = self.times.get(path.name, [])[:before]
        # A call that was stopped may have made showers without saving their times.
        self.times[path.name] = [*known, *[None] * (before - len(known)), *fresh]
        with written_aside(self._record) as aside:
            aside.write_text(json.dumps(self.times), encoding="utf-8")

    def showers(self, point: BenchmarkPoint, setting: Setting, n: int) -> Showers:
        """Return those of the first n showers that Geant4 could make."""
        with ShowerFile(self.file(point, setting)) as file:
            return file.read(0, n - sum(number < n for number in _skipped(file)))

    def costs(self, point: BenchmarkPoint, setting: Setting, showers: Showers) -> Float64s:
        """Return the time of each of these showers for each MeV that it deposits, in s."""
        times = np.array(self.times[self.file(point, setting).name][: len(showers)], dtype=float)
        costs = divide(times, _deposits(showers))
        return np.asarray(costs[np.isfinite(costs)])


def compare_settings(
    simulate: Simulate,
    settings: Sequence[Setting],
    points: Sequence[BenchmarkPoint],
    n: int,
    rounds: int,
    folder: Path,
    progress: Progress = no_progress,
) -> Record:
    """Compare settings with the first of them: time, response, sampling fraction, shapes.

    All run in turn on the same core, so that other work on the computer affects them equally. A call after an
    interruption continues where it stopped.

    Parameters
    ----------
    simulate
        Makes the showers.
    settings
        The first is what the others are compared with.
    points
        Particles and their energies.
    n
        Showers of each setting and point.
    rounds
        Into how many parts they are divided.
    folder
        For the showers.
    progress
        Called with the files' showers that are done and to do.

    Raises
    ------
    SimulationError
        The first setting does not work, or the folder has showers of another calorimeter, of other data, or
        of a setting or point that has the same name but is another.
    """
    about, files = machine(), _ShowerFiles(folder, simulate)
    steps = [(point, setting) for point in points for setting in settings]
    done, total = 0, n * len(steps)
    progress(done, total)
    with pinned():
        for step in steps:
            files.check(*step)
        for start, stop in itertools.pairwise(_stops(n, rounds)):
            for point, setting in steps:
                files.extend(point, setting, stop)
                if settings[0].name in files.failed:
                    raise SimulationError(files.failed[settings[0].name])
                progress(done := done + stop - start, total)
            steps.reverse()  # so that a setting does not always follow the same one
    return _record(files, settings, points, n, about)


def _stops(n: int, rounds: int) -> list[int]:
    """Numbers of showers before the first round and after each."""
    return sorted({n * number // rounds for number in range(rounds + 1)})


def _record(
    files: _ShowerFiles,
    settings: Sequence[Setting],
    points: Sequence[BenchmarkPoint],
    n: int,
    about: dict[str, Any],
) -> Record:
    usual, *others = settings
    results = {str(point): _against(files, point, n, usual, others) for point in points}
    with ShowerFile(files.file(points[0], usual)) as file:
        provenance, geometry = file.provenance, file.geometry
    return {
        "benchmark": "settings",
        "geometry": geometry.name,
        "machine": about,
        "simulation": {key: provenance[key] for key in provenance if key not in ("particle", "energy_GeV")},
        "showers": n,
        "settings": [asdict(setting) for setting in settings],
        "results": results,
        "failed": files.failed,
    }


def _against(
    files: _ShowerFiles, point: BenchmarkPoint, n: int, usual: Setting, others: Sequence[Setting]
) -> dict[str, dict[str, Any]]:
    """Compare settings with the usual one for one point; the numbers are values with their errors."""
    reference = files.showers(point, usual, n)
    costs = files.costs(point, usual, reference)
    quantities = _quantities(reference)
    means = {name: _mean(of(reference)) for name, of in quantities.items()}
    results: dict[str, dict[str, Any]] = {usual.name: {"time": median(_MS_PER_GEV * costs), "means": means}}
    for setting in others:
        if setting.name in files.failed:
            continue
        showers = files.showers(point, setting, n)
        results[setting.name] = {
            "time": _quotient(files.costs(point, setting, showers), costs),
            "identical": bool(np.array_equal(showers.cells, reference.cells)),
            "percent": {name: _change(_mean(of(showers)), means[name]) for name, of in quantities.items()},
        }
    return results


def _quantities(showers: Showers) -> dict[str, Quantity]:
    """Return the quantities to compare: those that a setting could change."""
    geometry: Calorimeter = showers.geometry
    few = len(geometry.layers) <= _FEW_LAYERS
    energies = showers.layer_energies().sum(axis=0)
    leading = sorted(np.argsort(energies)[-2:].tolist())
    longitudinal: dict[str, Quantity] = {"depth": ShowerDepth()}
    if few:
        longitudinal = {f"share of layer {i}": LayerFraction(i) for i in range(len(geometry.layers))}
    widths: dict[str, Quantity] = {f"width in layer {i} / mm": LateralWidth(i, "eta", "mm") for i in leading}
    return {"response": Response(), "active fraction": _active_fraction, **longitudinal, **widths}


def _active_fraction(showers: Showers) -> Float64s:
    return divide(showers.columns["active"].astype(float), _deposits(showers))


def _quotient(costs: Float64s, usual: Float64s) -> ValueWithError:
    (above, above_error), (below, below_error) = median(costs), median(usual)
    ratio = above / below
    return ratio, ratio * math.hypot(above_error / above, below_error / below)


def _change(mean: ValueWithError, reference: ValueWithError) -> ValueWithError:
    """Change in percent."""
    if not reference[0] > 0:
        return math.nan, math.nan
    ratio = mean[0] / reference[0]
    return _PERCENT * (ratio - 1), _PERCENT * math.hypot(mean[1], ratio * reference[1]) / reference[0]


def _mean(values: Float64s) -> ValueWithError:
    """Mean of the defined values and its error; nan where it can't be told."""
    defined = values[np.isfinite(values)]
    mean = float(defined.mean()) if defined.size else math.nan
    error = float(defined.std(ddof=1) / math.sqrt(defined.size)) if defined.size > 1 else math.nan
    return mean, error


def _deposits(showers: Showers) -> Float64s:
    deposits: Float64s = showers.columns["absorber"].astype(float) + showers.columns["active"].astype(float)
    return deposits


def _settled(path: Path) -> int:
    """How many showers were asked for when a file was made, also those that Geant4 could not make."""
    with ShowerFile(path) as file:
        return len(file) + len(_skipped(file))


def _skipped(file: ShowerFile) -> list[int]:
    return list(file.provenance.get("skipped", ()))


def _plain(name: str) -> str:
    return re.sub(r"[^\w+.-]+", "-", name).strip("-")
