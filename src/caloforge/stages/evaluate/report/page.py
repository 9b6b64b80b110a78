"""An evaluation as a folder: a page for people, numbers for programs, pictures for talks."""

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from caloforge import plots
from caloforge.progress import Progress
from caloforge.reports.page import Section, write_page
from caloforge.stages.evaluate import results
from caloforge.stages.evaluate.report import amplification, figures, sections
from caloforge.stages.evaluate.run import Evaluation, OpenProgress, quiet

_PAGE_WITHOUT_PICTURES = 5
"""Parts of the page beside the pictures, for the progress."""


def write(evaluation: Evaluation, folder: str | Path, open_progress: OpenProgress = quiet) -> list[Path]:
    """Write ``index.html``, ``metrics.json``, ``figures.pdf`` and a PNG of every picture into a folder.

    Raises
    ------
    OSError
        The folder can't be made, or the disk is full.
    """
    target = Path(folder)
    (target / "figures").mkdir(parents=True, exist_ok=True)
    results.save(evaluation.results, target / results.NAME)
    page, pdf = target / "index.html", target / "figures.pdf"
    with open_progress("Drawing", "steps") as progress:
        parts = _sections(evaluation, progress)
        every = [figure for part in parts for figure in part.figures]
        _save_each(every, target / "figures", progress)
        plots.save(every, pdf)
        write_page(page, sections.title(evaluation.results), parts, contents=True)
        progress(4 * len(every), 4 * len(every))
    return [page, target / results.NAME, pdf]


def _save_each(every: Sequence[plots.Figure], folder: Path, progress: Progress) -> None:
    for number, figure in enumerate(every):
        name = re.sub(r"[^a-z0-9]+", "_", str(figure.get_label()).lower()).strip("_")
        plots.save([figure], folder / f"{number:02d}_{name}.png")
        progress(len(every) + number, 4 * len(every))


def _sections(evaluation: Evaluation, progress: Progress) -> list[Section]:
    """Return the parts of the page, with their pictures."""
    found, samples = evaluation.results, (evaluation.reference, evaluation.generated)
    parts = {part.heading: part for part in sections.sections(found)}
    drawn = figures.figures(found, *samples, evaluation.observables)
    for done, (heading, figure) in enumerate(drawn):
        part = parts.setdefault(heading, Section(heading))
        parts[heading] = replace(part, figures=[*part.figures, figure])
        progress(done, 4 * (done + _PAGE_WITHOUT_PICTURES))
    more = [figures.neighbours(*samples, found.settings.seed)]
    if evaluation.memorisation is not None:
        more.append(figures.memorisation(evaluation.memorisation))
    if evaluation.amplification is not None:
        more.append(amplification.section(evaluation.amplification))
    return [*parts.values(), *more, *sections.closing(found)]
