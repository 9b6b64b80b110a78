"""Prints one table of several reports: how far generated showers are from the simulation in each read-out.

python runs/arm_table.py report_arm_48x4_36x48 report_arm_between_96x24_24x24
"""

import sys
from collections.abc import Callable

from caloforge.stages.evaluate.results import MetricResult, Results, load, mean

Choice = Callable[[MetricResult], bool]

COLUMNS: dict[str, Choice] = {
    "separation": lambda one: one.metric == "separation",
    "W1 of means": lambda one: one.metric == "wasserstein" and one.observable.startswith("centre_"),
    "W1 of widths": lambda one: one.metric == "wasserstein" and one.observable.startswith("lateral_width"),
    "AUC, cells": lambda one: one.metric == "low_level",
    "AUC, shapes": lambda one: one.metric == "high_level",
}


def main(reports: list[str]) -> None:
    """Print a row for each report."""
    print("| read-out | showers |", *(f"{name} (floor) |" for name in COLUMNS))
    print("| --- | --- |", *("--- |" for _ in COLUMNS))
    for report in reports:
        results = load(report)
        cells = (cell(results, chosen) for chosen in COLUMNS.values())
        print(
            f"| {results.generated.geometry} | {results.generated.showers:,} |",
            *(f"{one} |" for one in cells),
        )


def cell(results: Results, chosen: Choice) -> str:
    """Return the mean of what is chosen, with its error and its floor."""
    found = [one for one in results.verdicts if chosen(one) and one.value is not None]
    if not found:
        return "not measured"
    one = mean(found)
    return f"{one.value:.3g} ± {one.error or 0:.2g} ({one.floor or 0:.3g})"


if __name__ == "__main__":
    main(sys.argv[1:])
