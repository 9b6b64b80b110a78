"""The page about particles that classifiers tell apart, in the layout of the CaloGAN paper's Table II."""

import json
from pathlib import Path

from caloforge.files import written_aside
from caloforge.reports.page import Section, write_page
from caloforge.reports.tables import Table
from caloforge.stages.evaluate.particle_id import CITATION, DOMAINS, ParticleSeparation

__all__ = ["section", "sentences", "table", "write"]


def write(path: Path, found: ParticleSeparation) -> None:
    """Write a page and, next to it, all numbers as JSON.

    Raises
    ------
    OSError
        The folder does not exist, or the disk is full.
    """
    write_page(path, f"{' and '.join(found.particles)} told apart, on either domain", [section(found)])
    with written_aside(path.with_suffix(".json")) as aside:
        aside.write_text(json.dumps(found.to_dict(), indent=1) + "\n", encoding="utf-8")


def section(found: ParticleSeparation) -> Section:
    """Return the part of a report."""
    training, validation, test = found.split
    text = (
        f"Accuracy of classifiers of {' and '.join(found.particles)}: mean and standard deviation over "
        f"{found.accuracy.shape[2]} trials. Six-layer fully connected networks with dropout see cells, not "
        f"the incident energy; each trial takes {training:,} showers of each particle for training, "
        f"{validation:,} to choose the best epoch, and {test:,} of each domain to test.\n\n"
        f"{CITATION}."
    )
    return Section(f"Classification of {' and '.join(found.particles)}", text, table(found))


def table(found: ParticleSeparation) -> Table:
    """Return mean and standard deviation, in the layout of the paper."""
    rows = [
        [f"trained on {domain}", *(_percent(*pair) for pair in zip(means, spreads, strict=True))]
        for domain, means, spreads in zip(DOMAINS, found.mean, found.spread, strict=True)
    ]
    return Table([" vs ".join(found.particles), *(f"tested on {domain}" for domain in DOMAINS)], rows)


def sentences(found: ParticleSeparation) -> tuple[str, ...]:
    """Return the table in words."""
    return tuple(
        f"{row[0].capitalize()} showers: {row[1]} right on the reference, {row[2]} on generated ones."
        for row in table(found).rows
    )


def _percent(mean: float, spread: float) -> str:
    return f"{100 * mean:.1f} ± {100 * spread:.1f} %"
