"""The figures of a report."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from caloforge import plots
from caloforge.metrics.correlation import correlation_matrix
from caloforge.metrics.memorisation import MemorisationScore
from caloforge.metrics.nearest_neighbours import neighbours as nearest
from caloforge.observables.base import GROUPS, Observable
from caloforge.plots import neighbours as draw_neighbours
from caloforge.plots.evaluation import Captions, Points
from caloforge.reports.page import Section
from caloforge.stages.evaluate.measure import SPECTRUM_EDGES, Floats, Measured
from caloforge.stages.evaluate.radial import radial_profile
from caloforge.stages.evaluate.report.sections import MAIN, observable_labels, sample_line, sample_names
from caloforge.stages.evaluate.results import EnergyResponse, Results
from caloforge.stages.evaluate.scoring import ENERGIES, WINDOW

__all__ = ["Drawing", "figures", "memorisation", "neighbours"]

Drawing = Callable[[], Section]
"""Draws a picture and returns it as a section with its heading."""

_MOST_PANELS = 16
"""Distributions on one picture, at most."""

_MOST_LAYERS = 4
"""Layers whose distributions are drawn, at most; tables have all."""


def memorisation(found: MemorisationScore) -> Section:
    """Return the part about memorised showers."""
    picture = draw_neighbours.distances(found.distances)
    return Section("Memorisation", "\n\n".join(found.sentences), figures=[picture])


def neighbours(reference: Measured, generated: Measured, seed: int) -> Section:
    """Return the part with some showers and their nearest neighbours."""
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
) -> list[Drawing]:
    """Return what draws each picture: nothing is drawn before it is called."""
    captions = Captions(
        sample_names(results),
        [sample_line(results.generated), sample_line(results.reference)],
    )
    samples = (reference, generated, captions)
    drawings = [
        _drawing("Distances from the reference", _distances, results, captions),
        _drawing("Average showers", _averages, *samples),
        *_response_figures(results, *samples),
        _drawing("Profiles and cells", _profiles, *samples),
        _drawing("Profiles and cells", _spectra, *samples),
        _drawing("Correlations", _correlations, *samples, observables),
    ]
    for name, group in _pages(reference, observables):
        values = (group, generated.values, reference.values)
        drawings.append(_drawing("Distributions", plots.distributions, *values, name, captions))
    return drawings


def _drawing(heading: str, draw: Callable[..., plots.Figure], *arguments: Any) -> Drawing:
    # Not drawn yet: pictures are made one by one, with progress.
    return lambda: Section(heading, figures=[draw(*arguments)])


def _averages(reference: Measured, generated: Measured, captions: Captions) -> plots.Figure:
    return plots.averages(_average(generated), _average(reference), captions.names, captions.lines)


def _correlations(
    reference: Measured, generated: Measured, captions: Captions, observables: Sequence[Observable]
) -> plots.Figure:
    names = [one.name for one in observables]
    matrices = _matrix(generated, names), _matrix(reference, names)
    return plots.correlations(matrices, [one.label for one in observables], captions)


def _average(sample: Measured) -> plots.Average:
    return plots.Average(sample.geometry, sample.mean, sample.hits, len(sample))


def _distances(results: Results, captions: Captions) -> plots.Figure:
    compared = [one for one in results.verdicts if one.metric == MAIN and one.value is not None]
    labels = observable_labels(results)
    points = [
        Points(np.zeros(len(compared)), np.array(values, float), np.array(errors, float))
        for values, errors in (
            ([one.value for one in compared], [one.error for one in compared]),
            ([one.floor for one in compared], [one.floor_error for one in compared]),
        )
    ]
    metric = compared[0].label if compared else MAIN
    return plots.distances(
        [labels[one.observable] for one in compared], points[0], points[1], metric, captions
    )


def _response_figures(
    results: Results, reference: Measured, generated: Measured, captions: Captions
) -> Iterator[Drawing]:
    near = [
        {energy: sample.values["response"][sample.near(energy, WINDOW)] for energy in ENERGIES}
        for sample in (generated, reference)
    ]
    both = [energy for energy in ENERGIES if all(len(one[energy]) for one in near)]
    if both:
        chosen = [{energy: one[energy] for energy in both} for one in near]
        yield _drawing("Response", plots.conditional_response, *chosen, captions)
    found = [[one for one in results.linearity if one.sample == name] for name in ("generated", "reference")]
    means, widths = (
        tuple(_points(one, value, error) for one in found)
        for value, error in (("mean", "mean_error"), ("resolution", "resolution_error"))
    )
    yield _drawing("Response", plots.against_energy, means, widths, captions)


def _points(responses: Sequence[EnergyResponse], value: str, error: str) -> Points:
    columns = [[getattr(one, name) for one in responses] for name in ("energy_GeV", value, error)]
    return Points(*(np.array(column, float) for column in columns))


def _profiles(reference: Measured, generated: Measured, captions: Captions) -> plots.Figure:
    samples = (generated, reference)
    layers = [_shares(one.geometry.layer_energies(one.kept.cells)) for one in samples]
    at = np.arange(layers[0].shape[1], dtype=float)
    longitudinal = _share_points(at, layers[0]), _share_points(at, layers[1])
    # Errors need the profiles of single showers, so only the kept showers can be used.
    radii, *rings = radial_profile(generated.kept, reference.kept)
    radial = _share_points(radii, _shares(rings[0])), _share_points(radii, _shares(rings[1]))
    return plots.profiles(longitudinal, radial, captions)


def _share_points(at: Floats, shares: Floats) -> Points:
    if not len(shares):
        return Points(at, np.full(len(at), np.nan), np.full(len(at), np.nan))
    # The standard deviation of one shower is not defined with ddof=1.
    error = shares.std(axis=0, ddof=1 if len(shares) > 1 else 0) / np.sqrt(len(shares))
    return Points(at, shares.mean(axis=0), error)


def _shares(energies: Any) -> Floats:
    """Return shares of the energy (N, n), of the showers with any."""
    total = energies.sum(axis=1, keepdims=True, dtype=float)
    return np.asarray(energies[total[:, 0] > 0] / total[total[:, 0] > 0], float)


def _spectra(reference: Measured, generated: Measured, captions: Captions) -> plots.Figure:
    counts = (generated.spectra.astype(float), reference.spectra.astype(float))
    showers = (len(generated), len(reference))
    return plots.cell_spectra(generated.geometry, SPECTRUM_EDGES, counts, showers, captions)


def _matrix(sample: Measured, names: Sequence[str]) -> Floats:
    """Return the correlations of observables; where one is not defined, its mean is taken."""
    columns = [sample.values[name] for name in names]
    # A mean in place of an undefined value adds nothing to a covariance.
    means = [column[np.isfinite(column)].mean() if np.isfinite(column).any() else 0.0 for column in columns]
    filled = [
        np.where(np.isfinite(column), column, mean) for column, mean in zip(columns, means, strict=True)
    ]
    return correlation_matrix(np.column_stack(filled))


def _pages(sample: Measured, observables: Sequence[Observable]) -> Iterator[tuple[str, list[Observable]]]:
    """Yield the observables of the layers with most energy, as many a picture as it has room for."""
    energies = sample.geometry.layer_energies(sample.mean)
    # Calorimeters may have dozens of layers; the tables have them all.
    leading = set(np.argsort(-energies, kind="stable")[:_MOST_LAYERS].tolist())
    shown = [one for one in observables if getattr(one, "layer", None) in {None, *leading}]
    for group in GROUPS:
        members = [one for one in shown if one.group == group]
        for start in range(0, len(members), _MOST_PANELS):
            part = f", part {start // _MOST_PANELS + 1}" if len(members) > _MOST_PANELS else ""
            yield f"distributions, {group}{part}", members[start : start + _MOST_PANELS]
