"""An evaluation as a page for people: a summary to be read in a minute, then every table and picture."""

import math
from collections import Counter
from collections.abc import Iterator
from typing import Any

from caloforge.metrics.levels import FAR, NEAR, WORDS
from caloforge.reports.page import Card, Section
from caloforge.reports.tables import Cell, Table
from caloforge.showers import labels
from caloforge.stages.evaluate import results as outcome
from caloforge.stages.evaluate.results import MetricResult, Quantity, Results
from caloforge.stages.evaluate.scoring import ENERGIES, WINDOW
from caloforge.units import GeV

__all__ = [
    "HEADLINES",
    "MAIN",
    "closing",
    "observable_labels",
    "sample_line",
    "sample_names",
    "sections",
    "title",
    "verdict_text",
]

MAIN = "separation"
"""The metric of observables in the summary."""

HEADLINES = (MAIN, "frechet", "correlation", "coverage", "boosted_auc", "low_level_auc", "memorisation")
"""The metrics that the summary shows in large letters, where there are numbers."""

_HOW = (
    "Every number comes with its floor: the value for two disjoint samples of the reference when they are "
    "compared in the same way, with as many showers. Both are measured on random halves, again and again, "
    "and their errors follow from the spread. The distance above the floor is the difference in standard "
    f"deviations: below {NEAR:g} the generated showers are like a second sample of the reference, from "
    f"{FAR:g} on they are clearly different. With many showers a small difference is many standard "
    "deviations, so look at both: how large it is, and how certain."
)


def title(results: Results) -> str:
    """Return the headline of the page."""
    return f"{' compared with '.join(sample_names(results))}: {_particles(results)}"


def sample_names(results: Results) -> tuple[str, str]:
    """Name generated sample and reference: by their source and, where that is the same, by their file."""
    first, second = results.generated, results.reference
    if first.source != second.source:
        return first.source, second.source
    return f"{first.source} ({first.file})", f"{second.source} ({second.file})"


def sections(results: Results) -> list[Section]:
    """Return the parts of the page that only need the results."""
    parts = [_summary(results), _overall(results), _observables(results)]
    parts += [_responses(results)] if results.responses else []
    return parts


def closing(results: Results) -> list[Section]:
    """Return the last parts: what is missing, and how the page was made."""
    parts = []
    if results.omissions:
        rows = [[one.what, Cell(one.reason, "words")] for one in results.omissions]
        parts.append(Section("What is not on this page", table=Table(["what", "why"], rows)))
    rows = [[name, Cell(_as_text(value), "words")] for name, value in _how_made(results)]
    return [*parts, Section("How it was made", table=Table(["", ""], rows))]


def _summary(results: Results) -> Section:
    samples = f"{_sentence(results.generated)} Compared with: {_sentence(results.reference)}"
    return Section(
        "Summary",
        f"{samples}\n\n{verdict_text(results)}\n\n{_HOW}",
        warnings=results.warnings,
        cards=list(_cards(results)),
    )


def verdict_text(results: Results) -> str:
    """Say in words how many observables are how far, and which is farthest above its floor."""
    compared = [one for one in results.verdicts if one.metric == MAIN and one.excess is not None]
    if not compared:
        return "There are too few showers to judge any observable."
    counts = Counter(one.level for one in compared)
    worst = max(compared, key=lambda one: one.excess or 0.0)
    label = observable_labels(results)[worst.observable]
    unsure = f", {counts['unsure']} scatter too much to tell" if counts["unsure"] else ""
    return (
        f"Of {len(compared)} observables, by their {compared[0].label}, {counts['same']} are like those of "
        f"a second sample of the reference{unsure}, {counts['near']} are distinguishable and "
        f"{counts['far']} clearly different. "
        f"The largest excess over its floor is that of the {label}: {_value(worst)}, floor {_floor(worst)}, "
        f"{_sigma(worst)} above it ({WORDS[worst.level]})."
    )


def _cards(results: Results) -> Iterator[Card]:
    overall = {one.metric: one for one in results.overall}
    for name in HEADLINES:
        one = overall.get(name)
        if one is not None and one.value is not None:
            yield Card(one.label, f"{one.value:.3g}", f"floor {one.floor:.3g}, {_sigma(one)}", one.level)
    for worth in results.worth[:1]:
        if worth.effective is not None:
            text = f"of the simulation; the generator learned from {worth.training:,}"
            yield Card("is worth", f"{worth.effective:,.0f} showers", text)
    if results.speed:
        yield Card("time of a shower", f"{results.speed.ms:.3g} ms", results.speed.conditions)


def _overall(results: Results) -> Section:
    rows = [
        [
            Cell(one.label, hint=one.citation),
            Cell(_value(one), order=one.value),
            Cell(_floor(one), order=one.floor),
            Cell(_sigma(one), one.level, order=one.excess),
            Cell(_level_text(one), f"words {one.level}"),
            Cell(f"{one.showers:,}", order=one.showers),
        ]
        for one in results.overall
    ]
    head = ["metric", "value", "floor", "above it", Cell("in words", "words"), "showers a sample"]
    text = (
        "Means over observables first: their errors are upper bounds, because observables depend on each "
        "other. Then the metrics of all observables together, and classifiers. The pointer shows where a "
        "metric comes from."
    )
    return Section("The samples as a whole", text, Table(head, rows, sortable=True))


def _level_text(one: MetricResult) -> str:
    """Say how far a sample is, or why this is unknown."""
    return one.reason if one.value is None or one.level == "unknown" else WORDS[one.level]


def _observables(results: Results) -> Section:
    groups = outcome.by_metric([one for one in results.verdicts if one.kind == "observable"])
    by_name = {metric: {one.observable: one for one in group} for metric, group in groups.items()}
    head = ["observable", "mean, reference", "mean, generated"]
    for group in groups.values():
        head += [group[0].label, "σ above floor"]
    rows = []
    for quantity in results.observables:
        row: list[str] = [Cell(_axis(quantity), hint=quantity.citation)]
        row.append(Cell(_mean(quantity.reference, quantity.reference_error), order=quantity.reference))
        row.append(Cell(_mean(quantity.generated, quantity.generated_error), order=quantity.generated))
        for compared in by_name.values():
            row += _value_and_sigma(compared[quantity.name])
        rows.append(row)
    text = (
        "One row an observable, for all showers for which it is defined; a click on a column sorts by it. "
        "The pointer shows the floor, or the source of a definition. Means have statistical errors."
    )
    return Section("Observables", text, Table(head, rows, sortable=True))


def _value_and_sigma(one: MetricResult) -> list[str]:
    if one.value is None:
        return [Cell("–", "unknown", hint=one.reason), Cell("", "unknown", hint=one.reason)]
    hint = f"{_value(one)}, floor {_floor(one)}"
    return [
        Cell(f"{one.value:.3g}", one.level, order=one.value, hint=hint),
        Cell(_sigma(one).removesuffix(" σ"), one.level, order=one.excess, hint=one.reason),
    ]


def _responses(results: Results) -> Section:
    missing = sorted({energy / GeV for energy in ENERGIES} - {one.energy_GeV for one in results.responses})
    rows = [
        [
            f"{one.energy_GeV:g} GeV, {one.sample}",
            f"{one.showers:,}",
            _mean(one.mean, one.mean_error),
            _mean(one.resolution, one.resolution_error),
        ]
        for one in results.responses
    ]
    text = (
        f"Response E_tot/E of showers within {100 * WINDOW:g} % of an incident energy: its mean, and its "
        "standard deviation over the mean (resolution)."
    )
    if missing:
        text += f" Neither sample has showers near {', '.join(f'{energy:g}' for energy in missing)} GeV."
    return Section("Response", text, Table(["energy", "showers", "mean response", "resolution"], rows))


def observable_labels(results: Results) -> dict[str, str]:
    """Return labels with units by the observables' names."""
    return {one.name: one.label + (f" [{one.unit}]" if one.unit else "") for one in results.observables}


def _axis(quantity: Quantity) -> str:
    return quantity.label + (f" [{quantity.unit}]" if quantity.unit else "")


def _value(one: MetricResult) -> str:
    return _mean(one.value, one.error)


def _floor(one: MetricResult) -> str:
    return _mean(one.floor, one.floor_error)


def _mean(value: float | None, error: float | None) -> str:
    return "–" if value is None else labels.with_error(value, error or 0.0)


def _sigma(one: MetricResult) -> str:
    if one.excess is None:
        return ""
    # Infinite where numbers that never vary differ: then there is no error to divide by.
    number = "\N{INFINITY}" if math.isinf(one.excess) else f"{abs(one.excess):.1f}"
    return ("\N{MINUS SIGN}" if one.excess < 0 else "") + f"{number} σ"


def _name(sample: outcome.ShowerSample) -> str:
    return sample.source


def _particles(results: Results) -> str:
    return ", ".join(results.generated.particles) or "unknown particle"


def _energies(sample: outcome.ShowerSample) -> str:
    low, high = sample.energy_range_GeV
    return f"{low:.3g} GeV" if low == high else f"{low:.3g}–{high:.3g} GeV"


def _sentence(sample: outcome.ShowerSample) -> str:
    return (
        f"{_name(sample)}: {sample.showers:,} showers of {', '.join(sample.particles)}, "
        f"{_energies(sample)}{_tilt(sample)}, in {sample.geometry} ({sample.file})."
    )


def _tilt(sample: outcome.ShowerSample) -> str:
    """Say from which directions the particles come, unless all are perpendicular to the front face."""
    if sample.incident is None or not any(sample.incident.theta_deg):
        return ""
    low, high = sample.incident.theta_deg
    return f", at an angle of {low:.3g}°" if low == high else f", at angles of {low:.3g}° to {high:.3g}°"


def sample_line(sample: outcome.ShowerSample) -> str:
    """Describe a sample in a line below a picture."""
    parts = (", ".join(sample.particles), _energies(sample), f"{sample.showers:,} showers", sample.geometry)
    return "  ·  ".join((_name(sample), *parts, sample.file))


def _how_made(results: Results) -> Iterator[tuple[str, Any]]:
    yield "caloforge", results.caloforge
    yield "random divisions", results.settings.repeats
    yield "seed", results.settings.seed
    yield "incident energies matched", "yes" if results.settings.match_energies else "no"
    for name, sample in (("reference", results.reference), ("generated", results.generated)):
        yield f"{name}: {sample.file}", sample.provenance


def _as_text(value: Any) -> str:
    if isinstance(value, dict):
        return "; ".join(f"{key} {_as_text(part)}" for key, part in value.items() if part not in ("", {}, []))
    return ", ".join(map(_as_text, value)) if isinstance(value, list | tuple) else str(value)
