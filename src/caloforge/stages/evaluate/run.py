"""Two files of showers -> results and pages."""

import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from caloforge import __version__, observables, plots
from caloforge.errors import InputError
from caloforge.formats.base import Source
from caloforge.formats.energies import read_incident
from caloforge.formats.open import open_any
from caloforge.incident.particles import particle_name
from caloforge.metrics import classifiers as tests
from caloforge.metrics import memorisation as memory
from caloforge.metrics.memorisation import MemorisationScore, memorisation
from caloforge.observables.base import Observable
from caloforge.progress import Progress, no_progress
from caloforge.reports.page import Section, write_page
from caloforge.showers import labels
from caloforge.stages.evaluate import checks, results, scoring
from caloforge.stages.evaluate.measure import KEPT, Measured, measure, same_spectrum
from caloforge.stages.evaluate.report import figures, sections
from caloforge.stages.evaluate.report.amplification import AmplificationResult, amplification
from caloforge.stages.evaluate.results import Omission, Results, Sample, Settings, Verdict
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
    memorisation: MemorisationScore | None = None
    amplification: AmplificationResult | None = None

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
        with stages("Drawing", "steps") as progress:
            parts = self._sections(progress)
            every = [figure for part in parts for figure in part.figures]
            for number, figure in enumerate(every):
                name = re.sub(r"[^a-z0-9]+", "_", str(figure.get_label()).lower()).strip("_")
                plots.save([figure], target / "figures" / f"{number:02d}_{name}.png")
                progress(len(every) + number, 4 * len(every))
            plots.save(every, target / "figures.pdf")
            page = target / "index.html"
            write_page(page, sections.title(self.results), parts, contents=True)
            progress(4 * len(every), 4 * len(every))
        return [page, target / results.NAME, target / "figures.pdf"]

    @property
    def verdict(self) -> str:
        """The outcome in a few sentences."""
        return sections.verdict_text(self.results)

    def _sections(self, progress: Progress) -> list[Section]:
        """Return the parts of the page, with their pictures."""
        parts = sections.sections(self.results)
        headings = [part.heading for part in parts]
        drawn = figures.figures(self.results, self.reference, self.generated, self.observables)
        for done, (heading, figure) in enumerate(drawn):
            if heading not in headings:
                headings.append(heading)
                parts.append(Section(heading))
            at = headings.index(heading)
            parts[at] = replace(parts[at], figures=[*parts[at].figures, figure])
            progress(done, 4 * (done + 5))
        parts.append(figures.neighbours(self.reference, self.generated, self.results.settings.seed))
        if self.memorisation is not None:
            parts.append(figures.memorisation(self.memorisation))
        if self.amplification is not None:
            parts.append(self.amplification.section())
        return [*parts, *sections.closing(self.results)]


def evaluate(
    reference: str | Path,
    generated: str | Path,
    *,
    training: str | Path | None = None,
    match_energies: bool = False,
    classifiers: bool = True,
    repeats: int = 10,
    seed: int = 1,
    kept: int = KEPT,
    stages: Stages = quiet,
) -> Evaluation:
    """Compare generated showers with a reference.

    Parameters
    ----------
    reference, generated
        Files of showers in the same cells, of any layout of the catalogue.
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
        Of everything random: the same seed gives the same results.
    kept
        Showers of either file, at most, for what needs their cells (classifiers).
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
    if training is not None:  # what is wrong with it is said before hours of work, not after
        with open_any(training) as learned_from, open_any(reference) as wanted:
            checks.check_cells(wanted.geometry, learned_from.geometry, "training showers")
    both = _measured((Path(reference), Path(generated)), match_energies, kept, seed, stages)
    every = observables.every(both[0].geometry)
    verdicts = _verdicts(both, every, repeats, seed, stages)
    omissions = []
    if classifiers:
        verdicts += _classifiers(both, seed, stages)
    else:
        omissions.append(Omission("classifiers", "They were not asked for."))
    learned = None
    if training is None:
        omissions.append(
            Omission("memorisation, amplification", "They need the training sample: give it with --training.")
        )
    else:
        learned = _Learned.of(Path(training), both, every, seed, stages)
        verdicts.append(learned.verdict)
    outcome = Results(
        results.FORMAT,
        1,
        __version__,
        _sample(both[0]),
        _sample(both[1]),
        Settings(repeats, seed, match_energies, kept),
        tuple(checks.warnings(*both)),
        scoring.quantities(*both, every),
        tuple(verdicts),
        scoring.responses(*both),
        scoring.linearity(*both),
        (*omissions, *(learned.omissions if learned else ())),
        worth=learned.amplification.worth if learned and learned.amplification else (),
    )
    return Evaluation(
        outcome,
        *both,
        every,
        learned.memorisation if learned else None,
        learned.amplification if learned else None,
    )


@dataclass(frozen=True)
class _Learned:
    """What is known from the showers that a generator learned from."""

    memorisation: MemorisationScore
    amplification: AmplificationResult | None
    omissions: tuple[Omission, ...] = ()

    @classmethod
    def of(
        cls, file: Path, both: _Both, every: tuple[Observable, ...], seed: int, stages: Stages
    ) -> "_Learned":
        """Read the training sample, and compare both samples with it."""
        reference, generated = both
        with stages("Reading the training sample", "showers") as progress, open_any(file) as source:
            checks.check_cells(reference.geometry, source.geometry)
            training = measure(source, every, file=file, seed=seed, progress=progress)
        with stages("Looking for copies", "samples") as progress:
            found = memorisation(training.kept, reference.kept, generated.kept, seed=seed)
            progress(1, 1)
        try:
            with stages("Amplification", "observables") as progress:
                worth = amplification(training, generated, reference, every, seed=seed, progress=progress)
        except InputError as error:
            return cls(found, None, (Omission("amplification", str(error)),))
        return cls(found, worth)

    @property
    def verdict(self) -> Verdict:
        """How many showers are nearer to the training set than to held-out ones."""
        return results.verdict(
            self.memorisation.score,
            metric=memory.NAME,
            label=memory.LABEL,
            citation=memory.CITATION,
            kind="memorisation",
            observable="",
        )


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
    return same_spectrum(*(read_incident(source).energy for source in sources), seed)


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
) -> list[Verdict]:
    """Apply all metrics of observables, one by one and together."""
    with stages("Comparing observables", "observables") as progress:
        verdicts = scoring.of_observables(*both, every, repeats, seed, progress)
    with stages("Comparing all together", "metrics") as progress:
        verdicts += scoring.joint(*both, repeats, seed, progress)
    return verdicts


def _classifiers(both: _Both, seed: int, stages: Stages) -> list[Verdict]:
    verdicts: list[Verdict] = []
    for name in tests.names():
        with stages(f"Classifier {name}", "trainings") as progress:
            verdicts += scoring.classifier(*both, tests.load(name), seed, progress)
    return verdicts


def _sample(measured: Measured) -> Sample:
    names = [particle_name(pdg) if pdg else "unknown" for pdg in np.unique(measured.pdg).tolist()]
    low, high = measured.energy.min() / GeV, measured.energy.max() / GeV
    provenance: dict[str, Any] = {key: value for key, value in measured.provenance.items() if key != "file"}
    return Sample(
        measured.file,
        labels.source_text(measured.kept),
        len(measured),
        tuple(names),
        (float(low), float(high)),
        measured.geometry.name,
        provenance,
    )
