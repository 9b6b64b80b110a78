"""Table III of the CaloGAN paper, what writing costs, and a picture of the time against the energy."""

import math
from collections.abc import Sequence

import numpy as np

from caloforge.plots.speed import Times, speed
from caloforge.reports.tables import Table
from caloforge.showers import labels
from caloforge.showers.labels import with_error
from caloforge.stages.benchmark.report.files import Report
from caloforge.stages.benchmark.workloads import Record

__all__ = ["report"]

_MS = 1e3
_SIMULATED = ", of Geant4 processor time on one core. The last column is Geant4's time over the model's"


def report(record: Record) -> Report:
    """Return the report on what `time_generation` found."""
    speeds, written, points = (record[name] for name in ("speeds", "written", "energies"))
    energies = sorted({point["energy_GeV"] for point in points})
    ends = " to ".join(dict.fromkeys(f"{energy:g}" for energy in (energies[0], energies[-1])))
    models = f"{record['clock']} with {record['threads']} thread" + "s" * (record["threads"] > 1)
    text = (
        f"Time a shower takes, of incident energies that are uniform from {ends} GeV: of models {models}"
        f"{_SIMULATED if _simulated(speeds) else ''}. With statistical errors; loading a model, the first "
        "shower of a simulation, and the writing of files do not count."
    )
    lines = [f"models: {models}; Geant4: one core; {record['machine']['processor']}"]
    tables = {
        "": _table(speeds),
        **({"written to a file": _written(written, speeds)} if written else {}),
        "ms/shower by incident energy": _by_energy(points, energies),
    }
    return Report("Speed of generation", text, record, tables, [speed(_times(points), lines)])


def _key(point: Record) -> tuple[str, str]:
    """Return the group of rows to compare: showers of the same particle in the same calorimeter."""
    return point["geometry"], point["particle"]


def _table(speeds: Sequence[Record]) -> Table:
    """Table III, with a column for the gain."""
    simulated = _simulated(speeds)
    beams = list(dict.fromkeys(_key(row) for row in speeds))
    rows = []
    for row in sorted(speeds, key=lambda row: beams.index(_key(row))):
        against = simulated.get(_key(row)) if row["batch"] is not None else None
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


def _written(written: Sequence[Record], speeds: Sequence[Record]) -> Table:
    """Showers per second when written to a file, and of the network alone."""
    simulated = _simulated(speeds)
    rows = []
    for row in written:
        against = simulated.get(_key(row))
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


def _simulated(speeds: Sequence[Record]) -> dict[tuple[str, ...], Record]:
    """Return the rows of the simulation by geometry and particle."""
    return {_key(row): row for row in speeds if row["batch"] is None}


def _gain(simulated: Record, row: Record) -> str:
    ratio = simulated["ms"] / row["ms"]
    return with_error(
        ratio, ratio * math.hypot(simulated["error"] / simulated["ms"], row["error"] / row["ms"])
    )


def _curves(points: Sequence[Record]) -> dict[str, list[Record]]:
    curves: dict[str, list[Record]] = {}
    for point in points:
        batch = "" if point["batch"] is None else f", batch {point['batch']}"
        curves.setdefault(f"{point['model']} {point['particle']}{batch}", []).append(point)
    return curves


def _by_energy(points: Sequence[Record], energies: Sequence[float]) -> Table:
    rows = []
    for name, curve in _curves(points).items():
        cells = {point["energy_GeV"]: with_error(point["ms"], point["error"]) for point in curve}
        rows.append([name, *(cells.get(energy, "") for energy in energies)])
    return Table(["", *(f"{energy:g} GeV" for energy in energies)], rows)


def _times(points: Sequence[Record]) -> list[Times]:
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
