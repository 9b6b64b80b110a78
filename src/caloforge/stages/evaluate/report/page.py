"""An evaluation as a folder: a page for people, numbers for programs, pictures for talks."""

import re
from dataclasses import replace
from functools import partial
from pathlib import Path

from caloforge import plots
from caloforge.reports.page import Section, write_page
from caloforge.stages.evaluate import results
from caloforge.stages.evaluate.report import amplification, figures, sections
from caloforge.stages.evaluate.run import Evaluation, OpenProgress, quiet

__all__ = ["write"]


def write(evaluation: Evaluation, folder: str | Path, open_progress: OpenProgress = quiet) -> list[Path]:
    """Write ``index.html``, ``metrics.json``, ``figures.pdf`` and a PNG of every picture into a folder.

    Raises
    ------
    OSError
        The folder can't be made, or the disk is full.
    """
    target = Path(folder)
    (target / "figures").mkdir(parents=True, exist_ok=True)
    # Before the pictures, which take much longer: the numbers survive an interruption.
    results.save(evaluation.results, target / results.NAME)
    page, pdf = target / "index.html", target / "figures.pdf"
    drawings = _drawings(evaluation)
    steps = len(drawings)
    total = 4 * steps  # each drawing is made, and then goes into a PNG, into the PDF and onto the page
    with open_progress("Drawing", "steps") as progress:
        parts = {part.heading: part for part in sections.sections(evaluation.results)}
        for done, draw in enumerate(drawings):
            progress(done, total)
            _add(parts, draw())
        every = [figure for part in parts.values() for figure in part.figures]
        for number, figure in enumerate(every):
            progress(steps + steps * number // len(every), total)
            _save(figure, number, target / "figures")
        progress(2 * steps, total)
        plots.save(every, pdf)
        progress(3 * steps, total)
        all_parts = [*parts.values(), *sections.closing(evaluation.results)]
        write_page(page, sections.title(evaluation.results), all_parts, contents=True)
        progress(total, total)
    return [page, target / results.NAME, pdf]


def _drawings(evaluation: Evaluation) -> list[figures.Drawing]:
    """Return functions that draw the pictures, in the order of the page: their number is known beforehand."""
    found, samples = evaluation.results, (evaluation.reference, evaluation.generated)
    drawings = figures.figures(found, *samples, evaluation.observables)
    drawings.append(partial(figures.neighbours, *samples, found.settings.seed))
    if evaluation.memorisation is not None:
        drawings.append(partial(figures.memorisation, evaluation.memorisation))
    if evaluation.amplification is not None:
        drawings.append(partial(amplification.section, evaluation.amplification))
    return drawings


def _add(parts: dict[str, Section], drawn: Section) -> None:
    """Add what was drawn to the part of the page with its heading, or as a new part."""
    part = parts.get(drawn.heading, replace(drawn, figures=()))
    parts[drawn.heading] = replace(part, figures=[*part.figures, *drawn.figures])


def _save(figure: plots.Figure, number: int, folder: Path) -> None:
    name = re.sub(r"[^a-z0-9]+", "_", str(figure.get_label()).lower()).strip("_")
    plots.save([figure], folder / f"{number:02d}_{name}.png")
