"""What a million showers of generators showed, as a line, a page and JSON."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np

from caloforge import __version__, config, plots
from caloforge.files import written_aside
from caloforge.plots.evaluation import Captions, Points
from caloforge.reports.page import Section, write_page
from caloforge.reports.tables import Cell, Table
from caloforge.showers import labels
from caloforge.stages.evaluate.reliability import (
    CHECKS,
    ROUNDING,
    CheckCount,
    Outliers,
    RateWithErrors,
    Reliability,
)

__all__ = ["FORMAT", "to_dict", "verdict", "write"]

FORMAT: Literal["caloforge-reliability"] = "caloforge-reliability"

_SAMPLES = ("reference", "generated")


def verdict(one: Reliability) -> str:
    """Return the outcome in a line."""
    failed = [f"{check.failed:,} with {_label(one, check)}" for check in one.checks if check.failed]
    found = "; ".join(failed) or "none with nan, negative, missing or too much energy"
    said = f"{one.model}: {one.showers:,} showers of {one.particle}, {one.energy_GeV} GeV: {found}"
    if one.outliers:
        own, theirs = (_percent(one.outliers.shapes[0].outliers, sample) for sample in _SAMPLES)
        said += f"; outliers {theirs}, of the reference {own}"
    rates = [f"{one.showers / seconds:,.0f}" for seconds in (one.seconds, one.generating)]
    return f"{'passed' if one.passed else 'FAILED'}: {said}; {rates[0]} showers/s ({rates[1]} made)."


def write(path: Path, results: Sequence[Reliability]) -> list[Path]:
    """Write a page and, next to it, all numbers as JSON; return both paths.

    A page that is named ``.json`` becomes ``.html``, since that name is the numbers'.

    Raises
    ------
    OSError
        The folder does not exist, or the disk is full.
    """
    numbers = path.with_suffix(".json")
    page = path.with_suffix(".html") if path == numbers else path
    write_page(page, "Reliability of generators", list(_sections(results)), contents=True)
    with written_aside(numbers) as aside:
        aside.write_text(json.dumps(to_dict(results), indent=1, allow_nan=False) + "\n", encoding="utf-8")
    return [page, numbers]


def to_dict(results: Sequence[Reliability]) -> dict[str, Any]:
    """Return everything in JSON's types."""
    models = [{**config.to_dict(one), "passed": one.passed} for one in results]
    return {"format": FORMAT, "version": 1, "caloforge": __version__, "models": models}


def _sections(results: Sequence[Reliability]) -> Iterator[Section]:
    text = (
        "Every shower was made in memory and checked. A particle can bring more than its kinetic energy: "
        "a positron two electron masses, a pion its rest energy; single precision may add "
        f"{ROUNDING:g} of the incident energy. Where none of n showers fails, the rate is below 3/n with "
        "95 % confidence."
    )
    failures = [_failure(one) for one in results if not one.passed]
    yield Section("Checks", text, _overview(results), warnings=failures)
    for one in results:
        heading = f"{one.model}, {one.particle}"
        if one.outliers is None:
            text = "there is no reference of this particle, or no shower of its energies."
            yield Section(heading, f"Outliers were not counted: {text}")
        else:
            yield _outliers(heading, one.outliers)


def _overview(results: Sequence[Reliability]) -> Table:
    about = ("model", "particle", "energy [GeV]", "showers")
    rows = [
        [
            one.model,
            one.particle,
            one.energy_GeV,
            f"{one.showers:,}",
            *(Cell(f"{check.failed:,}", "far" if check.failed else "same") for check in one.checks),
            f"{one.highest_response:.4g}",
            f"{one.showers / one.seconds:,.0f}",
        ]
        for one in results
    ]
    return Table([*about, *CHECKS.values(), "highest response", "showers/s"], rows, sortable=True)


def _failure(one: Reliability) -> str:
    parts = [
        f"{check.failed:,} of {one.showers:,} have {_label(one, check)} (the first: "
        + ", ".join(f"number {each.shower} of {each.energy_GeV:.4g} GeV" for each in check.examples)
        + ")"
        for check in one.checks
        if check.failed
    ]
    return f"{one.model}, {one.particle}: {'; '.join(parts)}."


def _label(one: Reliability, check: CheckCount) -> str:
    more = f", by up to {one.excess_MeV:.3g} MeV" if check.name == "energy" else ""
    return check.label + more


def _outliers(heading: str, found: Outliers) -> Section:
    text = (
        f"Ranges of shapes that follow the incident energy, in {found.bins} bins of it, are taken from "
        f"{found.defining:,} showers of {found.reference} so that {100 * found.share:g} % of them are beyond "
        "either end. Outliers are outside such a range; far ones by more than it is wide. The reference's "
        f"own are counted among its other {found.tested:,} showers. Errors are binomial."
    )
    rows = [
        [
            shape.label,
            *(_percent(rate, sample) for rate in (shape.outliers, shape.far) for sample in _SAMPLES),
            f"{shape.outliers.sigma:.1f} σ".replace("-", "\N{MINUS SIGN}"),
        ]
        for shape in found.shapes
    ]
    head = ["shape", "outliers: reference", "generated", "far ones: reference", "generated", "above"]
    return Section(heading, text, Table(head, rows), [_picture(heading, found)])


def _picture(heading: str, found: Outliers) -> plots.Figure:
    generated, reference = (
        Points(
            np.zeros(len(found.shapes)),
            *(
                100 * np.array([getattr(one.outliers, name) for one in found.shapes])
                for name in (sample, f"{sample}_error")
            ),
        )
        for sample in ("generated", "reference")
    )
    labels = [one.label for one in found.shapes]
    return plots.distances(labels, generated, reference, "outliers [%]", Captions((heading, found.reference)))


def _percent(rate: RateWithErrors, sample: str) -> str:
    value, error = (100 * getattr(rate, name) for name in (sample, f"{sample}_error"))
    return f"{labels.with_error(value, error)} %"
