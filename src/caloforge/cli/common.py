"""What all commands share: progress bars, errors as sentences, options that occur twice."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from caloforge.errors import CaloforgeError
from caloforge.progress import Progress

console = Console()
"""Standard output, for results."""
messages = Console(stderr=True)
"""Standard error, for progress and warnings, so that results can be piped."""

Seed = Annotated[int, typer.Option(min=0, help="Seed; the same seed gives the same showers.")]
Energy = Annotated[
    str,
    typer.Option(help="Incident energy in GeV: 50 (fixed), 1:100 (uniform), 10,50,100 (in turn), or a file of energies."),
]
Output = Annotated[Path, typer.Option("--output", "-o", help="File to write.")]


def sentence(error: Exception) -> str | None:
    """Return the one sentence that an expected error deserves; None for one that nobody expected."""
    if isinstance(error, CaloforgeError):
        return str(error)
    if not isinstance(error, OSError):
        return None
    where = f"{error.filename}: " if error.filename else ""
    hint = " Free some space and run the same command again." if error.errno == errno.ENOSPC else ""
    return f"{where}{error.strerror or error}.{hint}"


@contextmanager
def progress_bar(title: str, unit: str) -> Iterator[Progress]:
    """Show a bar with rate and time to go on standard error; yields the callback a stage wants."""
    from rich import progress as bars

    columns = (
        bars.TextColumn("{task.description}"),
        bars.BarColumn(),
        bars.MofNCompleteColumn(),
        bars.TextColumn("{task.fields[rate]}"),
        bars.TimeElapsedColumn(),
        bars.TextColumn("ETA"),
        bars.TimeRemainingColumn(),
    )
    with bars.Progress(*columns, console=messages, transient=False) as bar:
        task = bar.add_task(title, total=None, rate="")

        def advance(done: int, total: int) -> None:
            speed = bar.tasks[0].speed
            rate = f"{speed:.3g} {unit}/s" if speed else ""
            bar.update(task, completed=done, total=total, rate=rate)

        yield advance
