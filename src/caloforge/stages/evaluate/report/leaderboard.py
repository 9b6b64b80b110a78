"""Comparison of several generators from their results alone: fidelity against speed."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from caloforge import catalog, plots
from caloforge.errors import InputError
from caloforge.files import written_aside
from caloforge.metrics.levels import WORDS
from caloforge.reports.page import Section, write_page
from caloforge.reports.tables import Cell, Table, markdown
from caloforge.showers import labels
from caloforge.stages.evaluate.results import MetricResult, Results, ShowerSample, Speed

__all__ = [
    "CLASSIFIERS",
    "SIMULATION",
    "ranking",
    "read_speeds",
    "simulation_speed",
    "speed_of",
    "with_speeds",
    "write",
]

CLASSIFIERS = ("low_level_auc", "boosted_auc")
"""Metrics of the picture: can cells, or shower shapes, be told from the reference's?"""

SIMULATION = "Geant4"
"""Name of the simulation among speeds."""

_MARK = "\N{WARNING SIGN}"
"""Stands before the name of a generator whose report has warnings."""

_AUC = "AUC of a classifier (0.5: it can't tell)"


def write(path: Path, reports: Sequence[Results], metric: str, simulation: Speed | None = None) -> None:
    """Write the page and, next to it, the figures as Markdown and (if speeds are known) the picture.

    Parameters
    ----------
    path
        HTML file.
    reports
        Results of at least one evaluation.
    metric
        Name of the metric by which generators are ordered.
    simulation
        Time of the simulation, for comparison.

    Raises
    ------
    InputError
        There are no reports, or none has this metric.
    """
    ordered = _ordered(reports, metric)
    pictures = _pareto(ordered, metric, simulation)
    label = _metric_of(ordered[0], metric).label
    text = (
        f"Ordered by: {label}; those whose reports have warnings ({_MARK}) come behind those without, copies "
        "last. Every cell holds a metric with its error; the pointer shows its floor, what two samples "
        "of the reference give, and the colour how far above it is. A click on a column sorts by it."
    )
    parts = [
        Section("Generators", text, _table(ordered), pictures, warnings=_warnings(ordered)),
        Section("Floors", "What two samples of the reference give.", _floors(ordered)),
    ]
    write_page(path, "Generators of showers: fidelity and speed", parts, contents=True)
    with written_aside(path.with_suffix(".md")) as partial:
        said = "".join(f"\n{one}\n" for one in _doubts(ordered))
        partial.write_text(f"{markdown(_summary(ordered))}\n{said}", encoding="utf-8")
    if pictures:
        plots.save(pictures, path.with_suffix(".png"))


def ranking(reports: Sequence[Results], metric: str) -> list[str]:
    """Return one line for each generator, the best one first, and the warnings of those that have any."""
    lines = []
    ordered = _ordered(reports, metric)
    for place, (name, one) in enumerate(zip(_names(ordered), ordered, strict=True), 1):
        compared = _metric_of(one, metric)
        value = (
            labels.with_error(compared.value or 0.0, compared.error or 0.0)
            if compared.value is not None
            else "–"
        )
        known = compared.floor is not None
        floor = f", floor {compared.floor:.3g} ({WORDS[compared.level]})" if known else ""
        pace = f", {one.speed.ms:.3g} ms a shower" if one.speed else ""
        lines.append(f"{place}. {name}: {value}{floor}{pace}")
    return lines + _doubts(ordered)


def read_speeds(path: Path) -> list[dict[str, Any]]:
    """Read what ``caloforge benchmark generate`` wrote: a row for each generator, particle and batch size.

    Raises
    ------
    InputError
        The file can't be read or holds something else.
    """
    try:
        rows: list[dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))["speeds"]
        if not all(map(_is_speed, rows)):
            raise KeyError
    except OSError as error:
        raise InputError(f"{path} can't be read: {error.strerror}.") from None
    except (ValueError, KeyError, TypeError, RecursionError):
        raise InputError(
            f"{path} holds no speeds; give the JSON that caloforge benchmark generate wrote."
        ) from None
    return rows


def _is_speed(row: Any) -> bool:
    """Return whether a row has a generator, its time and the particle."""
    return (
        isinstance(row, dict)
        and all(isinstance(row.get(key), str) for key in ("model", "particle", "conditions"))
        and isinstance(row.get("ms"), int | float)
        and 0 < row["ms"] < math.inf
        and isinstance(row.get("error"), int | float | None)
    )


def speed_of(sample: ShowerSample, rows: Sequence[Mapping[str, Any]]) -> Speed | None:
    """Return the shortest time per shower of a sample; None if it was not measured."""
    own = [row for row in rows if row["model"] == sample.source and row["particle"] in sample.particles]
    if not own:
        return None
    # A generator may be timed for several batch sizes; users would take the fastest.
    fastest = min(own, key=lambda row: float(row["ms"]))
    return Speed(float(fastest["ms"]), fastest.get("error"), str(fastest["conditions"]))


def simulation_speed(reports: Sequence[Results], rows: Sequence[Mapping[str, Any]]) -> Speed | None:
    """Return the simulation's time for a shower of the reports' particle; None if it is not known.

    If the reports are of several particles there is no single time.
    """
    particles = {one.generated.particles for one in reports}
    own = [row for row in rows if row["model"] == SIMULATION and {(row["particle"],)} == particles]
    return Speed(float(own[0]["ms"]), own[0].get("error"), str(own[0]["conditions"])) if own else None


def with_speeds(reports: Sequence[Results], rows: Sequence[Mapping[str, Any]]) -> list[Results]:
    """Return reports with the speeds of those generators that were measured."""
    return [replace(one, speed=speed_of(one.generated, rows) or one.speed) for one in reports]


def _ordered(reports: Sequence[Results], metric: str) -> list[Results]:
    """Return the reports, the best first; those with warnings come later, and those without a number last."""
    if not reports:
        raise InputError("There is nothing to compare: give at least one report.")
    known = sorted({one.metric for each in reports for one in each.overall})
    if metric not in known:
        raise InputError(catalog.unknown(metric, known, what="metrics of these reports"))

    def rank(one: Results) -> tuple[bool, bool, bool, float]:
        compared = _metric_of(one, metric)
        value = compared.value or 0.0
        none = compared.value is None
        # False sorts before True. Copies of the reference would have the best numbers of all, so they come
        # last.
        return none, bool(one.copies), bool(one.warnings), -value if compared.higher else value

    return sorted(reports, key=rank)


def _metric_of(one: Results, metric: str) -> MetricResult:
    """Return the verdict of a metric, an empty one where a report has none."""
    found = (verdict for verdict in one.overall if verdict.metric == metric)
    missing = "This report has no such metric."
    # Reports of other versions, or without classifiers, need not have all metrics.
    none = MetricResult(metric, metric, "", "joint", "", None, None, None, None, None, 0, 0, reason=missing)
    return next(found, none)


def _names(reports: Sequence[Results]) -> list[str]:
    """Name generators by their source and, if that is the same, their file; mark those with warnings."""
    sources = [one.generated.source for one in reports]
    names = [
        source if sources.count(source) == 1 else f"{source} ({one.generated.file})"
        for source, one in zip(sources, reports, strict=True)
    ]
    return [f"{_MARK} {name}" if one.warnings else name for name, one in zip(names, reports, strict=True)]


def _marked_names(reports: Sequence[Results]) -> list[str]:
    """Return the names as cells; the pointer shows the warnings."""
    return [
        Cell(name, "far" if one.copies else "near", hint="\n".join(one.warnings)) if one.warnings else name
        for name, one in zip(_names(reports), reports, strict=True)
    ]


def _doubts(reports: Sequence[Results]) -> list[str]:
    """Return the warnings of all reports, each with the name of the generator."""
    named = zip(_names(reports), reports, strict=True)
    return [f"{name}: {warning}" for name, one in named for warning in one.warnings]


def _metrics(reports: Sequence[Results]) -> dict[str, str]:
    """Return names and labels of all metrics, in the order in which they first come."""
    return {one.metric: one.label for each in reports for one in each.overall}


def _table(reports: Sequence[Results]) -> Table:
    metrics = _metrics(reports)
    rows = []
    for name, one in zip(_marked_names(reports), reports, strict=True):
        pace = (
            [Cell(f"{one.speed.ms:.3g}", order=one.speed.ms, hint=one.speed.conditions)]
            if one.speed
            else ["–"]
        )
        worth = [_worth(one)]
        rows.append([name, *pace, *worth, *(_cell(_metric_of(one, metric)) for metric in metrics)])
    return Table(["generator", "ms a shower", "is worth", *metrics.values()], rows, sortable=True)


def _summary(reports: Sequence[Results]) -> Table:
    """Return the figures of all generators with one line for each metric, and the floors of the first one."""
    rows = [
        [label, *(_cell(_metric_of(one, metric)) for one in reports), _floor(_metric_of(reports[0], metric))]
        for metric, label in _metrics(reports).items()
    ]
    rows.insert(0, ["is worth / learned from", *map(_worth, reports), ""])
    return Table(["", *_marked_names(reports), "floor"], rows)


def _floor(one: MetricResult) -> str:
    return "–" if one.floor is None else labels.with_error(one.floor, one.floor_error or 0.0)


def _worth(one: Results) -> str:
    first = one.worth[0] if one.worth else None
    if first is None or first.effective is None:
        return Cell("–", hint=first.reason if first else "The report was made without --training.")
    return Cell(f"{first.effective:,.0f} / {first.training:,}", order=first.effective, hint=first.label)


def _cell(one: MetricResult) -> str:
    if one.value is None:
        return Cell("–", "unknown", hint=one.reason)
    sigma = "" if one.sigma is None else f", {one.sigma:.1f} σ above it: {WORDS[one.level]}"
    floor = "" if one.floor is None else f"floor {_floor(one)}"
    return Cell(
        labels.with_error(one.value, one.error or 0.0), one.level, order=one.value, hint=floor + sigma
    )


def _floors(reports: Sequence[Results]) -> Table:
    rows = [
        [label, *(_floor(_metric_of(one, metric)) for one in reports)]
        for metric, label in _metrics(reports).items()
    ]
    rows.insert(0, ["reference", *(one.reference.source for one in reports)])
    rows.insert(1, ["its showers", *(f"{one.reference.showers:,}" for one in reports)])
    return Table(["floor", *_names(reports)], rows)


def _pareto(reports: Sequence[Results], metric: str, simulation: Speed | None) -> list[plots.Figure]:
    """Draw fidelity against speed, if any generator has both: what classifiers say, else the given metric."""
    timed = [one for one in reports if one.speed]
    drawn = [name for name in CLASSIFIERS if any(_metric_of(one, name).value is not None for one in timed)]
    chosen = drawn or [metric]
    shown = [one for one in timed if any(_metric_of(one, name).value is not None for name in chosen)]
    if not shown:
        return []
    every = [[_metric_of(one, name) for one in shown] for name in chosen]
    rated = [
        plots.NamedSpeed(name, one.speed.ms)
        for name, one in zip(labels.short_names(_names(shown)), shown, strict=True)
        if one.speed
    ]
    return [
        plots.pareto(
            rated,
            [_fidelity(verdicts) for verdicts in every],
            plots.NamedSpeed(SIMULATION, simulation.ms) if simulation else None,
            lines=_lines(shown, simulation),
            ylabel=_AUC if drawn else next(one.label for one in every[0] if one.value is not None),
            # An AUC is between 0.5 and 1; other metrics range over decades, but need positive numbers.
            logarithmic=not drawn and all((one.value or 1) > 0 and (one.floor or 1) > 0 for one in every[0]),
        )
    ]


def _lines(reports: Sequence[Results], simulation: Speed | None) -> list[str]:
    """Say what is drawn: the particle, and the conditions of the times."""
    particles = dict.fromkeys(", ".join(one.generated.particles) for one in reports)
    said = [f"showers of {'; '.join(particles)}, a generator at its fastest batch size"]
    return [*said, f"{SIMULATION}: {simulation.conditions}"] if simulation else said


def _fidelity(verdicts: Sequence[MetricResult]) -> plots.Fidelity:
    label = next(one.label for one in verdicts if one.value is not None)
    numbers = (
        np.array([getattr(one, name) for one in verdicts], float) for name in ("value", "error", "floor")
    )
    return plots.Fidelity(label.removeprefix("AUC, "), *numbers)


def _warnings(reports: Sequence[Results]) -> list[str]:
    """Say where reports are not comparable, or have no speed."""
    said = _doubts(reports)
    references = {(one.reference.file, one.reference.showers) for one in reports}
    if len(references) > 1:
        files = ", ".join(f"{file} ({showers:,} showers)" for file, showers in sorted(references))
        said.append(f"The references differ, so small differences mean nothing: {files}.")
    slow = [name for name, one in zip(_names(reports), reports, strict=True) if one.speed is None]
    if slow:
        said.append(
            f"The speed of {', '.join(slow)} is not known: give the JSON of caloforge benchmark "
            "generate as --speed."
        )
    return said
