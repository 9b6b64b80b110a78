"""Processor time of a simulation for each particle and energy."""

import math
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from caloforge.formats.native import ShowerFile
from caloforge.incident.particles import particle_name
from caloforge.progress import Progress, no_progress
from caloforge.stages.benchmark.machine import machine, pinned
from caloforge.stages.benchmark.workloads import BenchmarkPoint, Float64s, Record, Setting, Simulate
from caloforge.units import GeV

__all__ = ["time_simulation"]

_FEWEST, _MOST = 20, 500  # showers of a point
_MS = 1e3


def time_simulation(
    simulate: Simulate,
    points: Sequence[BenchmarkPoint],
    setting: Setting,
    effort: float,
    progress: Progress = no_progress,
) -> Record:
    """Measure the processor time for each GeV of incident energy, on one core.

    Parameters
    ----------
    simulate
        Makes the showers.
    points
        Particles and their energies.
    setting
        How it is simulated.
    effort
        Incident energy in MeV that each point simulates in all, within 20 to 500 showers.
    progress
        Called with the energy that is done and to do, in GeV.

    Returns
    -------
    Record
        Its ``points`` hold particle, energy_GeV, showers, ms_per_GeV and its statistical error.
    """
    about = machine()
    numbers = [round(min(max(_FEWEST, effort / point.energy), _MOST)) for point in points]
    total = sum(n * point.energy for n, point in zip(numbers, points, strict=True)) / GeV
    rows: list[Record] = []
    done = 0.0
    progress(done, total)
    with pinned():
        for point, n in zip(points, numbers, strict=True):
            row, file = _timed(simulate, point, setting, n)
            rows.append(row)
            progress(done := done + n * point.energy / GeV, total)
    return {
        "benchmark": "simulate",
        "geometry": file["geometry"],
        "physics": setting.physics,
        "machine": about,
        "simulation": _common(file["provenance"]),
        "points": rows,
    }


def _timed(simulate: Simulate, point: BenchmarkPoint, setting: Setting, n: int) -> tuple[Record, Record]:
    """Time n showers; return the numbers, and what the file says about itself."""
    with tempfile.TemporaryDirectory(prefix="caloforge-benchmark-") as scratch:
        out = Path(scratch, "showers.h5")
        seconds = simulate(point, setting, n + 1, out)  # the first does not count
        with ShowerFile(out) as file:
            return _row(point, seconds), {"geometry": file.geometry.name, "provenance": file.provenance}


def _row(point: BenchmarkPoint, seconds: Float64s) -> Record:
    costs = seconds[np.isfinite(seconds)] / (point.energy / GeV) * _MS
    return {
        "particle": particle_name(point.pdg),
        "energy_GeV": point.energy / GeV,
        "showers": costs.size,
        "ms_per_GeV": float(costs.mean()),
        "error": float(costs.std(ddof=1) / math.sqrt(costs.size)),
    }


def _common(provenance: Record) -> Record:
    """What a file's provenance says about all points alike."""
    return {key: value for key, value in provenance.items() if key not in ("particle", "energy_GeV")}
