"""Processor time of a simulation for each particle and energy."""

import math
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from caloforge.formats.native import ShowerFile
from caloforge.incident.particles import particle_name
from caloforge.progress import Progress, no_progress
from caloforge.reports.tables import Table
from caloforge.showers.labels import with_error
from caloforge.stages.benchmark.machine import machine, pinned
from caloforge.stages.benchmark.report import Report
from caloforge.stages.benchmark.workloads import Float64s, Setting, Shot, Simulate
from caloforge.units import GeV

_FEWEST, _MOST = 20, 500  # showers of a point
_MS = 1e3


def speed(
    simulate: Simulate,
    shots: Sequence[Shot],
    setting: Setting,
    effort: float,
    progress: Progress = no_progress,
) -> Report:
    """Measure the processor time for each GeV of incident energy, on one core.

    Parameters
    ----------
    simulate
        Makes the showers.
    shots
        What is shot.
    setting
        How it is simulated.
    effort
        Incident energy in MeV that each point simulates in all, within 20 to 500 showers.
    progress
        Called with the energy that is done and to do, in GeV.

    Returns
    -------
    Report
        Its record holds ``points``: particle, energy_GeV, showers, ms_per_GeV and its statistical error.
    """
    about = machine()
    numbers = [round(min(max(_FEWEST, effort / shot.energy), _MOST)) for shot in shots]
    total = sum(n * shot.energy for n, shot in zip(numbers, shots, strict=True)) / GeV
    points: list[dict[str, Any]] = []
    provenance: dict[str, Any] = {}
    done = 0.0
    progress(done, total)
    with tempfile.TemporaryDirectory(prefix="caloforge-benchmark-") as scratch, pinned():
        for shot, n in zip(shots, numbers, strict=True):
            out = Path(scratch, f"{len(points)}.h5")
            seconds = simulate(shot, setting, n + 1, out)  # the first does not count
            points.append(_point(shot, seconds))
            with ShowerFile(out) as file:
                provenance, geometry = file.provenance, file.geometry
            progress(done := done + n * shot.energy / GeV, total)
    record = {
        "benchmark": "simulate",
        "geometry": geometry.name,
        "machine": about,
        "simulation": _common(provenance),
        "points": points,
    }
    return Report("Speed of simulation", _words(geometry.name, setting), record, {"": _table(points)})


def _point(shot: Shot, seconds: Float64s) -> dict[str, Any]:
    costs = seconds[np.isfinite(seconds)] / (shot.energy / GeV) * _MS
    return {
        "particle": particle_name(shot.pdg),
        "energy_GeV": shot.energy / GeV,
        "showers": costs.size,
        "ms_per_GeV": float(costs.mean()),
        "error": float(costs.std(ddof=1) / math.sqrt(costs.size)),
    }


def _table(points: Sequence[dict[str, Any]]) -> Table:
    """One row for each particle, one column for each energy."""
    energies = sorted({point["energy_GeV"] for point in points})
    cells = {
        (point["particle"], point["energy_GeV"]): with_error(point["ms_per_GeV"], point["error"])
        for point in points
    }
    particles = dict.fromkeys(point["particle"] for point in points)
    rows = [[name, *(cells.get((name, energy), "") for energy in energies)] for name in particles]
    return Table(["ms/GeV", *(f"{energy:g} GeV" for energy in energies)], rows)


def _words(geometry: str, setting: Setting) -> str:
    return (
        f"Processor time for each GeV of incident energy in {geometry}, {setting.physics}, one process on "
        "one core, with statistical errors. The first shower of a process, which prepares what the others "
        "use, and the writing of files do not count."
    )


def _common(provenance: dict[str, Any]) -> dict[str, Any]:
    """What a file's provenance says about all points alike."""
    return {key: value for key, value in provenance.items() if key not in ("particle", "energy_GeV")}
