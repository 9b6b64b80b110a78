"""An evaluation as a page for people: a summary to be read in a minute, then every table and picture."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from caloforge import plots
from caloforge.evaluate import results as outcome
from caloforge.evaluate.judge import ENERGIES, WINDOW
from caloforge.evaluate.measured import SPECTRUM_EDGES, Floats, Measured
from caloforge.evaluate.neighbours import neighbours as nearest
from caloforge.evaluate.results import FAR, NEAR, Level, Quantity, Response, Results, Verdict
from caloforge.metrics.correlation import correlation_matrix
from caloforge.metrics.memorisation import MemorisationScore
from caloforge.observables.base import GROUPS, Observable
from caloforge.plots import neighbours as draw_neighbours
from caloforge.plots import words
from caloforge.plots.evaluation import Captions, Points
from caloforge.report import Card, Cell, Section, Table
from caloforge.units import GeV

LEVELS: dict[Level, str] = {
    "same": "like two samples of the reference",
    "unsure": "larger than the floor, but it scatters",
    "near": "distinguishable",
    "far": "clearly different",
    "unknown": "no number",
}

MAIN = "separation"
"""The metric of observables that the summary speaks of."""

HEADLINES = (MAIN, "frechet", "correlation", "coverage", "boosted_auc", "low_level_auc", "memorisation")
"""The metrics that the summary shows in large letters, where there are numbers."""

_PANELS = 16
"""Distributions on one picture, at most."""

_LAYERS = 4
"""Layers whose distributions are drawn, at most; tables have all."""

_HOW = (
    "Every number stands beside its floor: what two disjoint samples of the reference give when they are "
    "compared in the same way, with as many showers. Both are measured on random halves, again and again, "
    "and their errors follow from the spread. The distance above the floor is the difference in standard "
    f"deviations: below {NEAR:g} the generated showers are like a second sample of the reference, from "
    f"{FAR:g} on they are clearly different. With many showers a small difference is many standard "
    "deviations, so look at both: how large it is, and how certain."
)


def title(results: Results) -> str:
    """Return the headline of the page."""
    return f"{' beside '.join(_names(results))}: {_particles(results)}"


def _names(results: Results) -> tuple[str, str]:
    """Name generated sample and reference: by their source and, where that is the same, by their file."""
    first, second = results.generated, results.reference
    if first.source != second.source:
        return first.source, second.source
    return f"{first.source} ({first.file})", f"{second.source} ({second.file})"


def sections(results: Results) -> list[Section]:
    """Return the parts of the page that need nothing but the results."""
    parts = [_summary(results), _overall(results), _observables(results)]
    parts += [_responses(results)] if results.responses else []
    return parts


def closing(results: Results) -> list[Section]:
    """Return what stands at the end: what is missing, and how the page was made."""
    parts = []
    if results.omissions:
        rows = [[one.what, Cell(one.reason, "words")] for one in results.omissions]
        parts.append(Section("What is not on this page", table=Table(["what", "why"], rows)))
    rows = [[name, Cell(_plain(value), "words")] for name, value in _making(results)]
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
    """Say in words how many observables are how far, and which is the worst."""
    judged = [one for one in results.verdicts if one.metric == MAIN and one.sigma is not None]
    if not judged:
        return "There are too few showers to judge any observable."
    counts = dict.fromkeys(LEVELS, 0)
    for one in judged:
        counts[one.level] += 1
    worst = max(judged, key=lambda one: one.value or 0)
    label = _labels(results)[worst.observable]
    return (
        f"Of {len(judged)} observables, judged by {judged[0].label}, {counts['same']} are like those of a "
        f"second sample of the reference, {counts['near'] + counts['unsure']} are distinguishable and "
        f"{counts['far']} clearly different. "
        f"The largest difference is in the {label}: {_value(worst)}, floor {_floor(worst)}."
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
            Cell(_sigma(one), one.level, order=one.sigma),
            Cell(_words(one), f"words {one.level}"),
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


def _words(one: Verdict) -> str:
    """Say how far a sample is, or why nobody knows."""
    return one.reason if one.value is None or one.level == "unknown" else LEVELS[one.level]


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
        for judged in by_name.values():
            row += _pair(judged[quantity.name])
        rows.append(row)
    text = (
        "One row an observable, for all showers for which it is defined; a click on a column sorts by it. "
        "The pointer shows the floor, or the source of a definition. Means have statistical errors."
    )
    return Section("Observables", text, Table(head, rows, sortable=True))


def _pair(one: Verdict) -> list[str]:
    if one.value is None:
        return [Cell("–", "unknown", hint=one.reason), Cell("", "unknown", hint=one.reason)]
    hint = f"{_value(one)}, floor {_floor(one)}"
    sigma = "" if one.sigma is None else f"{one.sigma:.1f}"
    return [
        Cell(f"{one.value:.3g}", one.level, order=one.value, hint=hint),
        Cell(sigma, one.level, order=one.sigma, hint=one.reason),
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


def memorisation(found: MemorisationScore) -> Section:
    """Return the part about showers that were learned by heart."""
    picture = draw_neighbours.distances(found.distances)
    return Section("Memorisation", "\n\n".join(found.sentences), figures=[picture])


def neighbours(reference: Measured, generated: Measured, seed: int) -> Section:
    """Return the part with some showers and those that are most like them."""
    found = nearest(reference.kept, generated.kept, seed=seed)
    picture = draw_neighbours.neighbours(reference.kept, generated.kept, found)
    text = (
        "Random showers of the reference above the generated showers that are most like them, by the "
        "Euclidean distance of the images of a layer (Paganini et al. 2018, Figs. 9 to 11). A distance far "
        "below that of two showers of the reference would be a copy; one far above, that such showers are "
        "not generated."
    )
    return Section("Nearest neighbours", text, figures=[picture])


def figures(
    results: Results, reference: Measured, generated: Measured, observables: Sequence[Observable]
) -> Iterator[tuple[str, plots.Figure]]:
    """Yield all pictures with the heading below which they stand."""
    captions = Captions(
        _names(results),
        [_line(results.generated), _line(results.reference)],
    )
    yield "Distances from the reference", _distances(results, captions)
    yield (
        "Average showers",
        plots.averages(_average(generated), _average(reference), captions.names, captions.lines),
    )
    yield from _response_figures(results, reference, generated, captions)
    yield "Profiles and cells", _profiles(reference, generated, captions)
    yield "Profiles and cells", _spectra(reference, generated, captions)
    names = [one.name for one in observables]
    matrices = [_matrix(sample, names) for sample in (generated, reference)]
    labels = [one.label for one in observables]
    yield "Correlations", plots.correlations((matrices[0], matrices[1]), labels, captions)
    for name, group in _pages(reference, observables):
        figure = plots.distributions(group, generated.values, reference.values, name, captions)
        yield "Distributions", figure


def _average(sample: Measured) -> plots.Average:
    return plots.Average(sample.geometry, sample.mean, sample.hits, len(sample))


def _distances(results: Results, captions: Captions) -> plots.Figure:
    judged = [one for one in results.verdicts if one.metric == MAIN and one.value is not None]
    labels = _labels(results)
    points = [
        Points(np.zeros(len(judged)), np.array(values, float), np.array(errors, float))
        for values, errors in (
            ([one.value for one in judged], [one.error for one in judged]),
            ([one.floor for one in judged], [one.floor_error for one in judged]),
        )
    ]
    metric = judged[0].label if judged else MAIN
    return plots.distances([labels[one.observable] for one in judged], points[0], points[1], metric, captions)


def _response_figures(
    results: Results, reference: Measured, generated: Measured, captions: Captions
) -> Iterator[tuple[str, plots.Figure]]:
    near = [
        {energy: sample.values["response"][sample.near(energy, WINDOW)] for energy in ENERGIES}
        for sample in (generated, reference)
    ]
    both = [energy for energy in ENERGIES if all(len(one[energy]) for one in near)]
    if both:
        chosen = [{energy: one[energy] for energy in both} for one in near]
        figure = plots.conditional_response(chosen[0], chosen[1], captions)
        yield "Response", figure
    found = [[one for one in results.linearity if one.sample == name] for name in ("generated", "reference")]
    means, widths = (
        [_points(one, value, error) for one in found]
        for value, error in (("mean", "mean_error"), ("resolution", "resolution_error"))
    )
    figure = plots.against_energy((means[0], means[1]), (widths[0], widths[1]), captions)
    yield "Response", figure


def _points(responses: Sequence[Response], value: str, error: str) -> Points:
    columns = [[getattr(one, name) for one in responses] for name in ("energy_GeV", value, error)]
    return Points(*(np.array(column, float) for column in columns))


def _profiles(reference: Measured, generated: Measured, captions: Captions) -> plots.Figure:
    pairs = []
    for sample in (generated, reference):
        radii, matrix = _rings(sample)
        shares = [
            _shares(sample.geometry.layer_energies(sample.kept.cells)),
            _shares(sample.kept.cells @ matrix),
        ]
        layers = np.arange(shares[0].shape[1], dtype=float)
        pairs.append([_share_points(at, share) for at, share in zip((layers, radii), shares, strict=True)])
    return plots.profiles((pairs[0][0], pairs[1][0]), (pairs[0][1], pairs[1][1]), captions)


def _share_points(at: Floats, shares: Floats) -> Points:
    if not len(shares):
        return Points(at, np.full(len(at), np.nan), np.full(len(at), np.nan))
    error = shares.std(axis=0, ddof=1 if len(shares) > 1 else 0) / np.sqrt(len(shares))
    return Points(at, shares.mean(axis=0), error)


def _shares(energies: Any) -> Floats:
    """Return shares of the energy (N, n), of the showers with any."""
    total = energies.sum(axis=1, keepdims=True, dtype=float)
    return np.asarray(energies[total[:, 0] > 0] / total[total[:, 0] > 0], float)


def _rings(sample: Measured, most: int = 16) -> tuple[Floats, Any]:
    """Return mean distances (rings,) of cells' centres from the axis, and which cells are there, sparse."""
    from scipy.sparse import csr_array

    distances = [np.hypot(*layer.centres).ravel() for layer in sample.geometry.layers]
    radius = np.concatenate(distances)
    different = np.unique(np.round(radius, 6))
    edges = different if len(different) <= most else np.quantile(different, np.linspace(0, 1, most + 1)[:-1])
    number = np.searchsorted(edges, radius + 1e-6, side="right") - 1
    ones = np.ones(len(radius), np.float32)
    matrix = csr_array((ones, number, np.arange(len(radius) + 1)), shape=(len(radius), len(edges)))
    return np.bincount(number, radius) / np.bincount(number), matrix


def _spectra(reference: Measured, generated: Measured, captions: Captions) -> plots.Figure:
    counts = (generated.spectra.astype(float), reference.spectra.astype(float))
    showers = (len(generated), len(reference))
    return plots.cell_spectra(generated.geometry, SPECTRUM_EDGES, counts, showers, captions)


def _matrix(sample: Measured, names: Sequence[str]) -> Floats:
    """Return the correlations of observables; where one is not defined, its mean is taken."""
    columns = [sample.values[name] for name in names]
    means = [column[np.isfinite(column)].mean() if np.isfinite(column).any() else 0.0 for column in columns]
    filled = [
        np.where(np.isfinite(column), column, mean) for column, mean in zip(columns, means, strict=True)
    ]
    return correlation_matrix(np.column_stack(filled))


def _pages(sample: Measured, observables: Sequence[Observable]) -> Iterator[tuple[str, list[Observable]]]:
    """Yield the observables of the layers with most energy, as many a picture as it has room for."""
    energies = sample.geometry.layer_energies(sample.mean)
    leading = set(np.argsort(-energies, kind="stable")[:_LAYERS].tolist())
    shown = [one for one in observables if getattr(one, "layer", None) in {None, *leading}]
    for group in GROUPS:
        members = [one for one in shown if one.group == group]
        for start in range(0, len(members), _PANELS):
            part = f", part {start // _PANELS + 1}" if len(members) > _PANELS else ""
            yield f"distributions, {group}{part}", members[start : start + _PANELS]


def _labels(results: Results) -> dict[str, str]:
    return {one.name: one.label + (f" [{one.unit}]" if one.unit else "") for one in results.observables}


def _axis(quantity: Quantity) -> str:
    return quantity.label + (f" [{quantity.unit}]" if quantity.unit else "")


def _value(one: Verdict) -> str:
    return _mean(one.value, one.error)


def _floor(one: Verdict) -> str:
    return _mean(one.floor, one.floor_error)


def _mean(value: float | None, error: float | None) -> str:
    return "–" if value is None else words.with_error(value, error or 0.0)


def _sigma(one: Verdict) -> str:
    return "" if one.sigma is None else f"{one.sigma:.1f} σ".replace("-", "\N{MINUS SIGN}")


def _name(sample: outcome.Sample) -> str:
    return sample.source


def _particles(results: Results) -> str:
    return ", ".join(results.generated.particles) or "unknown particle"


def _energies(sample: outcome.Sample) -> str:
    low, high = sample.energy_range_GeV
    return f"{low:.3g} GeV" if low == high else f"{low:.3g}–{high:.3g} GeV"


def _sentence(sample: outcome.Sample) -> str:
    return (
        f"{_name(sample)}: {sample.showers:,} showers of {', '.join(sample.particles)}, "
        f"{_energies(sample)}, in {sample.geometry} ({sample.file})."
    )


def _line(sample: outcome.Sample) -> str:
    parts = (", ".join(sample.particles), _energies(sample), f"{sample.showers:,} showers", sample.geometry)
    return "  ·  ".join((_name(sample), *parts, sample.file))


def _making(results: Results) -> Iterator[tuple[str, Any]]:
    yield "caloforge", results.caloforge
    yield "random divisions", results.settings.repeats
    yield "seed", results.settings.seed
    yield "incident energies matched", "yes" if results.settings.match_energies else "no"
    for name, sample in (("reference", results.reference), ("generated", results.generated)):
        yield f"{name}: {sample.file}", sample.provenance


def _plain(value: Any) -> str:
    if isinstance(value, dict):
        return "; ".join(f"{key} {_plain(part)}" for key, part in value.items() if part not in ("", {}, []))
    return ", ".join(map(_plain, value)) if isinstance(value, list | tuple) else str(value)
