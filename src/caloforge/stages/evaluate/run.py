"""Computes all numbers about the difference between two files of showers."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from caloforge import __version__, observables
from caloforge.arguments import whole_number
from caloforge.errors import InputError
from caloforge.formats.base import Source
from caloforge.formats.energies import read_incident
from caloforge.formats.memory import Given, name_of, opened
from caloforge.incident.incident import Incident
from caloforge.metrics import classifiers as tests
from caloforge.metrics import memorisation as memory
from caloforge.metrics.amplification import AmplificationResult
from caloforge.metrics.memorisation import MemorisationScore, memorisation
from caloforge.observables.base import Observable
from caloforge.progress import Progress, no_progress
from caloforge.showers import labels
from caloforge.stages.evaluate import checks, results, scoring
from caloforge.stages.evaluate.amplification import amplification, worth
from caloforge.stages.evaluate.measure import KEPT, Measured, measure, same_spectrum
from caloforge.stages.evaluate.results import (
    IncidentRanges,
    MetricResult,
    Omission,
    Results,
    Settings,
    ShowerSample,
)
from caloforge.units import GeV

__all__ = ["Evaluation", "OpenProgress", "evaluate", "quiet"]

OpenProgress = Callable[[str, str], AbstractContextManager[Progress]]
"""Opens a progress display, given the title of a step and the unit of its progress."""

_Samples = tuple[Measured, Measured]


def quiet(title: str, unit: str) -> AbstractContextManager[Progress]:
    """Show no progress."""
    return nullcontext(no_progress)


@dataclass(frozen=True)
class Evaluation:
    """An evaluation: its results, and the data of its pictures.

    `caloforge.stages.evaluate.report.write` makes a page of it.
    """

    results: Results
    reference: Measured
    generated: Measured
    observables: tuple[Observable, ...]
    memorisation: MemorisationScore | None = None
    amplification: AmplificationResult | None = None


def evaluate(
    reference: Given,
    generated: Given,
    *,
    training: Given | None = None,
    match_energies: bool = False,
    classifiers: bool = True,
    repeats: int = 10,
    seed: int = 1,
    kept: int = KEPT,
    open_progress: OpenProgress = quiet,
) -> Evaluation:
    """Compare generated showers with a reference.

    Parameters
    ----------
    reference, generated
        Showers in the same cells: names of files of any layout of the catalogue, `Showers`, or open files.
    training
        Showers that the generator learned from: shows whether it memorised them, and how many showers of the
        simulation the generated ones are worth.
    match_energies
        Compare only showers whose incident energies have the same distribution in both files.
    classifiers
        Train classifiers to tell the two apart; the slowest part.
    repeats
        Random divisions from which uncertainties and floors are taken; at least 2.
    seed
        Seed for all random numbers: the same seed gives the same results.
    kept
        Showers of either file, at most, for what needs their cells (classifiers).
    open_progress
        Told how far the work is.

    Raises
    ------
    InputError
        The files have different cells, hold no showers, or there are fewer than two repeats.
    ShowerFileError
        A file can't be read, or a shower in it is not possible.

    Examples
    --------
    >>> from caloforge import catalog, generate, read
    >>> geant4 = read(catalog.load("samples", "calogan_gamma"))
    >>> found = evaluate(geant4, generate("gamma", like=geant4), classifiers=False, repeats=2)
    >>> found.results.generated.showers == len(geant4)
    True
    """
    repeats, seed = whole_number(repeats, "The number of repeats"), whole_number(seed, "The seed", least=0)
    if repeats < 2:
        raise InputError(f"{repeats} repeats give no uncertainty: use 2 or more.")
    if training is not None:  # errors in it are reported before hours of work, not after
        with opened(training) as learned_from, opened(reference) as wanted:
            checks.check_cells(wanted.geometry, learned_from.geometry, "training showers")
    settings = Settings(repeats, seed, match_energies, kept)
    both = _measured((reference, generated), settings, open_progress)
    every = observables.every(both[0].geometry)
    compared = _of_metrics(both, every, settings, open_progress)
    compared += _of_classifiers(both, seed, open_progress) if classifiers else []
    learned = None
    if training is not None:
        learned = _compared_with_training(training, both, every, seed, open_progress)
    return Evaluation(
        _results(both, every, settings, compared, learned, classifiers),
        *both,
        every,
        learned.memorisation if learned else None,
        learned.amplification if learned else None,
    )


@dataclass(frozen=True)
class _WithTraining:
    """Results of the comparison with the showers that a generator learned from.

    If there is no amplification, a sentence says why.
    """

    memorisation: MemorisationScore
    amplification: AmplificationResult | None
    why_none: str = ""


def _compared_with_training(
    given: Given, both: _Samples, every: tuple[Observable, ...], seed: int, open_progress: OpenProgress
) -> _WithTraining:
    """Read the training sample, and compare both samples with it."""
    reference, generated = both
    with open_progress("Reading the training sample", "showers") as progress, opened(given) as source:
        checks.check_cells(reference.geometry, source.geometry)
        training = measure(source, every, file=name_of(given, "training"), seed=seed, progress=progress)
    with open_progress("Looking for copies", "samples") as progress:
        found = memorisation(training.kept, reference.kept, generated.kept, seed=seed)
        progress(1, 1)
    try:
        with open_progress("Amplification", "observables") as progress:
            sizes = amplification(training, generated, reference, every, seed=seed, progress=progress)
    except InputError as error:
        return _WithTraining(found, None, str(error))
    return _WithTraining(found, sizes)


def _results(
    both: _Samples,
    every: tuple[Observable, ...],
    settings: Settings,
    compared: list[MetricResult],
    learned: _WithTraining | None,
    classifiers: bool,
) -> Results:
    """Put all numbers together."""
    copied = (*checks.copied(*both), *(learned.memorisation.warnings if learned else ()))
    return Results(
        results.FORMAT,
        1,
        __version__,
        _sample(both[0]),
        _sample(both[1]),
        settings,
        (*copied, *checks.warnings(*both)),
        scoring.quantities(*both, every),
        (*compared, *([_of_memorisation(learned.memorisation)] if learned else [])),
        scoring.responses(*both),
        scoring.linearity(*both),
        tuple(_omissions(learned, classifiers)),
        worth=worth(learned.amplification) if learned and learned.amplification else (),
        copies=copied,
    )


def _omissions(learned: _WithTraining | None, classifiers: bool) -> Iterator[Omission]:
    if not classifiers:
        yield Omission("classifiers", "They were not asked for.")
    if learned is None:
        reason = "They need the training sample: give it with --training."
        yield Omission("memorisation, amplification", reason)
    elif learned.amplification is None:
        yield Omission("amplification", learned.why_none)


def _of_memorisation(found: MemorisationScore) -> MetricResult:
    """Return how many showers are nearer to the training set than to held-out ones."""
    return results.from_score(
        found.score,
        metric=memory.NAME,
        label=memory.LABEL,
        citation=memory.CITATION,
        kind="memorisation",
        observable="",
    )


def _measured(both: tuple[Given, Given], settings: Settings, open_progress: OpenProgress) -> _Samples:
    """Read both samples, side by side."""
    files = name_of(both[0], "reference"), name_of(both[1], "generated")
    with ExitStack() as stack, open_progress("Reading", "showers") as progress:
        sources = [stack.enter_context(opened(one)) for one in both]
        checks.check_cells(sources[0].geometry, sources[1].geometry)
        # Before the showers are read: measuring then skips those that are not chosen.
        matched = _matched(files, sources, settings.seed) if settings.match_energies else (None, None)
        every = observables.every(sources[0].geometry)
        listeners = _joint_listeners(progress, len(sources))

        def read(n: int) -> Measured:
            return measure(
                sources[n],
                every,
                file=files[n],
                chosen=matched[n],
                kept=settings.kept,
                seed=settings.seed,
                progress=listeners[n],
            )

        with ThreadPoolExecutor(2) as pool:
            first, second = pool.map(read, range(2))
    return first, second


def _matched(
    files: tuple[str, str], sources: list[Source], seed: int
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Return which showers of either file have incident energies of one distribution."""
    for file, source in zip(files, sources, strict=True):
        if not len(source):
            raise InputError(f"{file} holds no showers to evaluate: give a file with some.")
    first, second = (read_incident(source).energy for source in sources)
    return same_spectrum(first, second, seed)


def _joint_listeners(progress: Progress, parts: int) -> list[Progress]:
    """Return one listener a part, which tell one listener of all."""
    states = [(0.0, 0.0)] * parts

    def part(n: int) -> Progress:
        def listen(done: float, total: float, note: str = "") -> None:
            states[n] = (done, total)
            # Before every part has told its total, a sum would show too much progress.
            if all(total for _, total in states):
                progress(sum(one for one, _ in states), sum(total for _, total in states))

        return listen

    return [part(n) for n in range(parts)]


def _of_metrics(
    both: _Samples, every: tuple[Observable, ...], settings: Settings, open_progress: OpenProgress
) -> list[MetricResult]:
    """Apply all metrics of observables, one by one and together."""
    repeats, seed = settings.repeats, settings.seed
    with open_progress("Comparing observables", "observables") as progress:
        found = scoring.of_observables(*both, every, repeats, seed, progress)
    with open_progress("Comparing all together", "metrics") as progress:
        found += scoring.joint(*both, repeats, seed, progress)
    return found


def _of_classifiers(both: _Samples, seed: int, open_progress: OpenProgress) -> list[MetricResult]:
    found: list[MetricResult] = []
    for name in tests.names():
        with open_progress(f"Classifier {name}", "trainings") as progress:
            found += scoring.classifier(*both, tests.load(name), seed, progress)
    return found


def _sample(measured: Measured) -> ShowerSample:
    provenance: dict[str, Any] = {key: value for key, value in measured.provenance.items() if key != "file"}
    return ShowerSample(
        measured.file,
        labels.source_text(measured.kept),
        len(measured),
        tuple(checks.particle_names(measured.incident)),
        _span(measured.energy / GeV),
        measured.geometry.name,
        provenance,
        incident=_incident_ranges(measured.incident),
    )


def _incident_ranges(incident: Incident) -> IncidentRanges:
    theta, phi = checks.directions(incident)
    eta, across = incident.position.T.astype(float)
    return IncidentRanges(
        _span(theta),
        _span(phi) if len(phi) else None,
        _span(eta),
        _span(across),
    )


def _span(values: NDArray[np.float64]) -> tuple[float, float]:
    """Return the lowest and the highest value."""
    return float(values.min()), float(values.max())
