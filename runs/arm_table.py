"""Prints one table of several reports: how far each model's showers are from the simulation in each read-out.

python runs/arm_table.py report_arm_gamma_* report_arm_blind_* --twins arm_gamma arm_blind
"""

import argparse
import re
from collections.abc import Callable, Sequence

from caloforge.stages.evaluate.results import MetricResult, Results, load, mean

Choice = Callable[[MetricResult], bool]

WHERE = {"seen": 0, "between": 1, "beyond": 2}


def wasserstein(pattern: str) -> Choice:
    """Choose the Wasserstein distances of observables whose whole name matches."""
    return lambda one: one.metric == "wasserstein" and bool(re.fullmatch(pattern, one.observable))


FOUR = wasserstein(r"(centre|shower_width)_\d_(eta|phi)")
"""The four observables of arXiv:2212.08233 (Eq. 1, 2), in every layer."""

DISTANCES: dict[str, Choice] = {
    "W1 of means": wasserstein(r"centre_\d_(eta|phi)"),
    "W1 of widths": wasserstein(r"shower_width_\d_(eta|phi)"),
    "W1 of distances": wasserstein(r"centre_distance_\d_\d"),
    "W1 of layer energies": wasserstein(r"layer_energy_\d"),
    "separation": lambda one: one.metric == "separation",
}
CLASSIFIERS: dict[str, Choice] = {
    "AUC, cells": lambda one: one.metric == "low_level_auc",
    "AUC, shapes": lambda one: one.metric == "high_level_auc",
}


def main(reports: Sequence[str], twins: Sequence[str] = ()) -> None:
    """Print tables of distances and of classifiers; with twins, also by how much the first is nearer."""
    every = sorted(map(load, reports), key=_order)
    print_table(every, DISTANCES)
    classified = [one for one in every if any(cell(one, chosen) for chosen in CLASSIFIERS.values())]
    if classified:
        print()
        print_table(classified, CLASSIFIERS)
    if twins:
        print()
        compare(every, *twins)


def print_table(every: Sequence[Results], columns: dict[str, Choice]) -> None:
    """Print a row for each model and read-out."""
    header = ["read-out", "model", "showers", *(f"{name} (floor)" for name in columns)]
    print_row(header)
    print_row(["---"] * len(header))
    for one in every:
        measured = [cell(one, chosen) or "not measured" for chosen in columns.values()]
        print_row([one.generated.geometry, one.generated.source, f"{one.generated.showers:,}", *measured])


def compare(every: Sequence[Results], model: str, twin: str) -> None:
    """Print how much smaller a model's mean distance of `FOUR` is than its twin's, in each read-out."""
    found = {(one.generated.geometry, one.generated.source): average(one, FOUR) for one in every}
    print_row(["read-out", "floor", twin, model, "smaller by"])
    print_row(["---"] * 5)
    for read_out in dict.fromkeys(read_out for read_out, _ in found):
        pair = [found.get((read_out, source)) for source in (twin, model)]
        base, one = (None if each is None else each.value for each in pair)
        if base and one is not None and pair[0] is not None:
            print_row(
                [read_out, f"{pair[0].floor:.3g}", f"{base:.3g}", f"{one:.3g}", f"{1 - one / base:.0%}"]
            )


def average(results: Results, chosen: Choice) -> MetricResult | None:
    """Return the mean of the chosen results that have a value."""
    found = [one for one in results.verdicts if chosen(one) and one.value is not None]
    return mean(found) if found else None


def cell(results: Results, chosen: Choice) -> str:
    """Return the mean of what is chosen, with its error and its floor; nothing if nothing was measured."""
    one = average(results, chosen)
    if one is None:
        return ""
    error = "" if one.error is None else f" ± {one.error:.2g}"
    floor = "no floor" if one.floor is None else f"{one.floor:.3g}"
    return f"{one.value:.3g}{error} ({floor})"


def print_row(cells: Sequence[str]) -> None:
    """Print a row of a Markdown table."""
    print("|", " | ".join(cells), "|")


def _order(results: Results) -> tuple[int, str, str]:
    """Seen read-outs first, then those between and beyond; the models of each one below the other."""
    name = results.generated.geometry
    where = next((number for word, number in WHERE.items() if word in name), 0)
    return where, name, results.generated.source


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("reports", nargs="+", help="folders that caloforge evaluate wrote")
    parser.add_argument("--twins", nargs=2, default=(), help="a model, and one with which it is compared")
    asked = parser.parse_args()
    main(asked.reports, asked.twins)
