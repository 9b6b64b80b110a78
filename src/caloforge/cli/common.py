"""Shared by all commands: progress bars, error messages, common options."""

import errno
import os
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from caloforge.errors import CaloforgeError, InputError, MissingExtra
from caloforge.progress import Progress

__all__ = [
    "Energy",
    "Folder",
    "Output",
    "Overwrite",
    "Quality",
    "Seed",
    "console",
    "extra",
    "file_to_write",
    "messages",
    "progress_bar",
    "say",
    "say_aside",
    "sentence",
]

console = Console(emoji=False)
"""Standard output, for results."""
messages = Console(stderr=True, emoji=False)
"""Standard error, for progress and warnings, so that results can be piped."""

_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_PARTIAL = re.compile(r"\.(?P<name>.+)\.partial-\d+")  # names of incomplete files of `files.written_aside`
_LINE_EVERY = 30.0  # seconds between lines of progress without a terminal


def _check_seed(seed: int) -> int:
    if not 0 <= seed < 1 << 64:
        raise InputError(f"The seed {seed} is not possible: give a whole number from 0 to 2^64 - 1.")
    return seed


Seed = Annotated[
    int,
    typer.Option(
        callback=_check_seed, help="Seed for all random numbers; the same seed gives the same result."
    ),
]
Energy = Annotated[
    str,
    typer.Option(
        help="Incident energy in GeV: 50 (fixed), 1:100 (uniform), log:1:100 (uniform in its logarithm), "
        "10,50,100 (in turn), or a file of energies or showers."
    ),
]


def file_to_write(path: Path | None) -> Path | None:
    """Refuse an output that names a folder, as '' and '.' do."""
    if path is not None and path.is_dir():
        raise InputError(f"The output '{path}' is a folder: name a file to write.")
    return path


def _folder_to_write(text: str | Path) -> Path:
    """Refuse a file, and an empty name, which would be the current folder: mostly a variable is not set."""
    if not str(text):
        raise typer.BadParameter("The name of the folder to write to is empty.")
    path = Path(text)
    if path.exists() and not path.is_dir():
        raise InputError(f"{path} is a file, but results go into a folder: choose another name for it.")
    return path


Output = Annotated[Path, typer.Option("--output", "-o", callback=file_to_write, help="File to write.")]
Folder = Annotated[
    Path,
    typer.Option("--output", "-o", parser=_folder_to_write, metavar="FOLDER", help="Folder to write to."),
]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace a file that exists.")]


class Quality(StrEnum):
    """Quality of a shipped model."""

    fast = "fast"
    precise = "precise"


def say(text: str) -> None:
    """Print a line of the result as it is: names may hold brackets, and long paths are not wrapped."""
    console.print(text, markup=False, highlight=False, soft_wrap=True)


def say_aside(text: str) -> None:
    """Print a line that is not part of the result, on standard error, without markup."""
    messages.print(text, markup=False, highlight=False, soft_wrap=True)


def sentence(error: BaseException) -> str | None:
    """Return the message for an expected error; None for an unexpected one."""
    if isinstance(error, CaloforgeError):
        return str(error)
    if isinstance(error, MemoryError):
        return f"There is not enough memory ({str(error) or 'for this'}): ask for less at once."
    if not isinstance(error, OSError):
        return None
    where = f"{_given(error.filename)}: " if error.filename else ""
    hint = " Free some space and run the same command again." if error.errno in _NO_ROOM else ""
    return f"{where}{error.strerror or error}.{hint}"


def _given(name: object) -> Path:
    """Return the file that the user named if an error names the hidden file next to it."""
    path = Path(os.fsdecode(name) if isinstance(name, str | bytes) else str(name))
    hidden = _PARTIAL.fullmatch(path.name)
    return path.with_name(hidden["name"]) if hidden else path


@contextmanager
def extra(name: str) -> Iterator[None]:
    """Import modules that need an extra of caloforge; raises `MissingExtra` if it is not installed."""
    try:
        yield
    except ImportError as error:
        if error.name is None or error.name.startswith("caloforge"):
            raise
        raise MissingExtra(name, error.name) from None


@contextmanager
def progress_bar(title: str, unit: str) -> Iterator[Progress]:
    """Show progress, rate and remaining time on standard error; yields the callback for a stage.

    A terminal shows a bar; the log of a batch job gets a line every half minute.
    """
    if not messages.is_terminal:
        yield _Lines(title, unit)
        return
    from rich import progress as bars

    columns = (
        bars.TextColumn("{task.description}"),
        bars.BarColumn(),
        bars.MofNCompleteColumn(),
        bars.TextColumn("{task.fields[rate]}{task.fields[note]}"),
        bars.TimeElapsedColumn(),
        bars.TextColumn("ETA"),
        bars.TimeRemainingColumn(),
    )
    bar = bars.Progress(*columns, console=messages)
    task = bar.add_task(title, total=None, rate="", note="")

    def advance(done: float, total: float, note: str = "") -> None:
        bar.start()  # at the first call, so that the bars of a job's parts follow each other
        speed = bar.tasks[0].speed
        rate = f"{speed:.3g} {unit}/s" if speed else ""
        bar.update(task, completed=done, total=total, rate=rate, note=f", {note}" if note else "")
        if done >= total:
            bar.stop()

    try:
        yield advance
    finally:
        bar.stop()


class _Lines:
    """Prints progress: a line every half minute, and one at the end."""

    def __init__(self, title: str, unit: str) -> None:
        self._title, self._unit = title, unit
        self._begin: tuple[float, float] | None = None
        self._born = self._printed = time.monotonic()

    def __call__(self, done: float, total: float, note: str = "") -> None:
        now = time.monotonic()
        begin, start = self._begin = self._begin or (now, done)
        if now - self._printed < _LINE_EVERY and done < total:
            return
        self._printed = now
        rate = (done - start) / max(now - begin, 1e-9)
        left = f"{rate:.3g} {self._unit}/s, {(total - done) / rate:.0f} s to go" if rate else "waiting"
        left += f", {note}" if note else ""
        state = left if done < total else f"{now - self._born:.1f} s"
        shown = f"{self._title}: {round(done, 2):,} of {total:,} {self._unit}, {state}"
        messages.print(shown, highlight=False)
