"""Processor time of the simulation as a table: a row for each particle, a column for each energy."""

from collections.abc import Sequence

from caloforge.reports.tables import Table
from caloforge.showers.labels import with_error
from caloforge.stages.benchmark.report.files import Report
from caloforge.stages.benchmark.workloads import Record

__all__ = ["report"]


def report(record: Record) -> Report:
    """Return the report on what `time_simulation` found."""
    text = (
        f"Processor time for each GeV of incident energy in {record['geometry']}, {record['physics']}, one "
        "process on one core, with statistical errors. The first shower of a process, which prepares what "
        "the others use, and the writing of files do not count."
    )
    return Report("Speed of simulation", text, record, {"": _table(record["points"])})


def _table(points: Sequence[Record]) -> Table:
    """One row for each particle, one column for each energy."""
    energies = sorted({point["energy_GeV"] for point in points})
    cells = {
        (point["particle"], point["energy_GeV"]): with_error(point["ms_per_GeV"], point["error"])
        for point in points
    }
    particles = dict.fromkeys(point["particle"] for point in points)
    rows = [[name, *(cells.get((name, energy), "") for energy in energies)] for name in particles]
    return Table(["ms/GeV", *(f"{energy:g} GeV" for energy in energies)], rows)
