"""What settings cost and change, as a table for each particle and energy."""

from typing import Any

from caloforge.reports.tables import Table
from caloforge.showers.labels import with_error
from caloforge.stages.benchmark.report.files import Report
from caloforge.stages.benchmark.workloads import Record

__all__ = ["report"]


def report(record: Record) -> Report:
    """Return the report on what `compare_settings` found."""
    usual = record["settings"][0]["name"]
    text = (
        f"Settings against '{usual}' in {record['geometry']}: {record['showers']} showers each, in turn on "
        "one core. Time is the median over showers for each GeV that they deposit. The first row has times "
        "in ms and means, the others quotients of times and changes of means in percent, all with "
        "statistical errors."
    )
    tables = {heading: _table(usual, rows, record["failed"]) for heading, rows in record["results"].items()}
    return Report("What settings cost and change", text, record, tables)


def _table(usual: str, results: dict[str, dict[str, Any]], failed: dict[str, str]) -> Table:
    means = results[usual]["means"]
    rows = [[usual, *(with_error(*value) for value in (results[usual]["time"], *means.values()))]]
    blank = [""] * (len(means) - 1)
    for name, result in results.items():
        if name != usual:
            changes = [with_error(*change) for change in result["percent"].values()]
            rows.append(
                [name, with_error(*result["time"]), *(["same", *blank] if result["identical"] else changes)]
            )
    rows += [[name, "fails", "", *blank] for name in failed]
    return Table(["setting", "time", *means], rows)
