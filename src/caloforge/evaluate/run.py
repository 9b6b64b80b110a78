"""Two files of showers -> results and pages."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from caloforge import __version__, observables, plots, report
from caloforge.errors import InputError
from caloforge.evaluate import checks, judge, pages, results
from caloforge.evaluate.measured import KEPT, Measured, incident_energies, measure, same_spectrum
from caloforge.evaluate.results import Omission, Results, Sample, Settings, Speed, Verdict
from caloforge.formats import Source, open_any
from caloforge.metrics import classifiers as tests
from caloforge.observables.base import Observable
from caloforge.particles import particle_name
from caloforge.plots import words
from caloforge.progress import Progress, no_progress
from caloforge.units import GeV

Stages = Callable[[str, str], AbstractContextManager[Progress]]
"""Told of every stage by its title and the unit of its progress; gives who listens to it."""

_Both = tuple[Measured, Measured]


def quiet(title: str, unit: str) -> AbstractContextManager[Progress]:
    """Let nobody listen."""
    return nullcontext(no_progress)


@dataclass(frozen=True)
class Evaluation:
    """An evaluation: its results, and what its pictures are drawn of."""

    results: Results
    reference: Measured
    generated: Measured
    observables: tuple[Observable, ...]

    def write(self, folder: str | Path, stages: Stages = quiet) -> list[Path]:
        """Write ``index.html``, ``metrics.json``, ``figures.pdf`` and a PNG of every picture into a folder.

        Raises
        ------
        OSError
            The folder can't be made, or the disk is full.
        """
        target = Path(folder)
        (target / "figures").mkdir(parents=True, exist_ok=True)
        results.save(self.results, target / results.NAME)
        drawn: dict[str, list[plots.Figure]] = {}
        with stages("Drawing", "pictures") as progress:
            for done, (heading, name, figure) in enumerate(self._figures()):
                drawn.setdefault(heading, []).append(figure)
                plots.save([figure], target / "figures" / f"{name}.png")
                progress(done, done + 2)
            every = [figure for group in drawn.values() for figure in group]
            plots.save(every, target / "figures.pdf")
            parts = [
                *pages.sections(self.results),
                *(report.Section(heading, figures=group) for heading, group in drawn.items()),
                *pages.closing(self.results),
            ]
            page = target / "index.html"
            report.write_page(page, pages.title(self.results), parts, contents=True)
            progress(len(every), len(every))
        return [page, target / results.NAME, target / "figures.pdf"]

    def _figures(self) -> Iterator[tuple[str, str, plots.Figure]]:
        return pages.figures(self.results, self.reference, self.generated, self.observables)


def evaluate(
    reference: str | Path,
    generated: str | Path,
    *,
    match_energies: bool = False,
    classifiers: bool = True,
    repeats: int = 10,
    seed: int = 1,
    kept: int = KEPT,
    speed: Speed | None = None,
    stages: Stages = quiet,
) -> Evaluation:
    """Compare generated showers with a reference.

    Parameters
    ----------
    reference, generated
        Files of showers in the same cells, of any layout of the catalogue.
    match_energies
        Compare only showers whose incident energies have the same distribution in both files.
    classifiers
        Train classifiers to tell the two apart; the slowest part.
    repeats
        Random divisions from which uncertainties and floors are taken; at least 2.
    seed
        Of everything random: the same seed gives the same results.
    kept
        Showers of either file, at most, for what needs their cells (classifiers).
    speed
        What is known of the generator's speed, for the leaderboard.
    stages
        Told how far the work is.

    Raises
    ------
    InputError
        The files have different cells, hold no showers, or there are fewer than two repeats.
    ShowerFileError
        A file can't be read, or a shower in it is not possible.
    """
    if repeats < 2:
        raise InputError(f"{repeats} repeats have no spread, so no uncertainty: ask for 2 or more.")
    both = _measured((Path(reference), Path(generated)), match_energies, kept, seed, stages)
    every = observables.every(both[0].geometry)
    verdicts, omissions = _verdicts(both, every, repeats, seed, stages)
    if classifiers:
        verdicts += _classifiers(both, seed, stages)
    else:
        omissions.append(Omission("classifiers", "They were not asked for."))
    outcome = Results(
        results.FORMAT,
        1,
        __version__,
        _sample(both[0]),
        _sample(both[1]),
        Settings(repeats, seed, match_energies, kept),
        tuple(checks.warnings(*both)),
        judge.quantities(*both, every),
        tuple(verdicts),
        judge.responses(*both),
        judge.linearity(*both),
        tuple(omissions),
        speed,
    )
    return Evaluation(outcome, *both, every)


def _measured(files: tuple[Path, Path], match: bool, kept: int, seed: int, stages: Stages) -> _Both:
    """Read both files, side by side."""
    with ExitStack() as opened, stages("Reading", "showers") as progress:
        sources = [opened.enter_context(open_any(file)) for file in files]
        checks.check_cells(sources[0].geometry, sources[1].geometry)
        chosen = _chosen(files, sources, seed) if match else (None, None)
        every = observables.every(sources[0].geometry)
        listeners = _together(progress, len(sources))

        def read(n: int) -> Measured:
            return measure(
                sources[n],
                every,
                file=files[n],
                chosen=chosen[n],
                kept=kept,
                seed=seed,
                progress=listeners[n],
            )

        with ThreadPoolExecutor(2) as pool:
            first, second = pool.map(read, range(2))
    return first, second


def _chosen(
    files: tuple[Path, Path], sources: list[Source], seed: int
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    for file, source in zip(files, sources, strict=True):
        if not len(source):
            raise InputError(f"{file} holds no showers to evaluate: give a file with some.")
    return same_spectrum(incident_energies(sources[0]), incident_energies(sources[1]), seed)


def _together(progress: Progress, parts: int) -> list[Progress]:
    """Return one listener a part, which tell one listener of all."""
    states = [(0.0, 0.0)] * parts

    def part(n: int) -> Progress:
        def listen(done: float, total: float, note: str = "") -> None:
            states[n] = (done, total)
            if all(total for _, total in states):
                progress(sum(one for one, _ in states), sum(total for _, total in states))

        return listen

    return [part(n) for n in range(parts)]


def _verdicts(
    both: _Both, every: tuple[Observable, ...], repeats: int, seed: int, stages: Stages
) -> tuple[list[Verdict], list[Omission]]:
    with stages("Comparing observables", "observables") as progress:
        verdicts = judge.of_observables(*both, every, repeats, seed, progress)
    with stages("Comparing all together", "metrics") as progress:
        verdicts += judge.joint(*both, repeats, seed, progress)
    return verdicts, []


def _classifiers(both: _Both, seed: int, stages: Stages) -> list[Verdict]:
    verdicts: list[Verdict] = []
    for name in tests.names():
        with stages(f"Classifier {name}", "trainings") as progress:
            verdicts += judge.classifier(*both, tests.load(name), seed, progress)
    return verdicts


def _sample(measured: Measured) -> Sample:
    names = [particle_name(pdg) if pdg else "unknown" for pdg in np.unique(measured.pdg).tolist()]
    low, high = measured.energy.min() / GeV, measured.energy.max() / GeV
    provenance: dict[str, Any] = {key: value for key, value in measured.provenance.items() if key != "file"}
    return Sample(
        measured.file,
        words.source_text(measured.kept),
        len(measured),
        tuple(names),
        (float(low), float(high)),
        measured.geometry.name,
        provenance,
    )
