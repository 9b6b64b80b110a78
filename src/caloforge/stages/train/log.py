"""Writes the figures of a training: a CSV file and TensorBoard curves."""

import csv
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType

from caloforge.files import written_aside
from caloforge.stages.train.curves import Curves

__all__ = ["RunLog"]


class RunLog:
    """Writes the figures of a training into its folder as ``log.csv`` and for TensorBoard.

    Use it as a context manager; otherwise the last curves may not be written. On a full disk it raises an
    `OSError` that names the file.

    Parameters
    ----------
    folder
        The training's folder.
    done
        Steps that are kept from an earlier part of the training; rows of later steps, which will be made
        again, are dropped.
    every
        Steps between rows.
    """

    def __init__(self, folder: Path, done: int, every: int = 10) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.path, self.every = folder / "log.csv", every
        kept = [row for row in self._rows() if int(row[0]) <= done]
        with written_aside(self.path) as aside, aside.open("w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows([["step", "figure", "value"], *kept])
        self._curves = Curves(folder / "tensorboard", done)

    def __enter__(self) -> "RunLog":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with _named(self._curves.path):
            self._curves.close()

    def __call__(self, step: int, figures: dict[str, float]) -> None:
        """Log the figures of a step, if its turn has come or a validation is among them."""
        if step % self.every and "separation" not in figures:
            return
        with _named(self.path), self.path.open("a", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows([step, name, f"{value:.6g}"] for name, value in figures.items())
        with _named(self._curves.path):
            self._curves.add(step, figures)

    def _rows(self) -> list[list[str]]:
        if not self.path.is_file():
            return []
        with self.path.open(newline="", encoding="utf-8") as file:
            # A process that was killed may have left half a row.
            return [row for row in list(csv.reader(file))[1:] if len(row) == 3]


@contextmanager
def _named(path: Path) -> Iterator[None]:
    """Add the name of the file to errors of the disk: those of a write have none."""
    try:
        yield
    except OSError as error:
        if error.errno and not error.filename:
            error.filename = str(path)
        raise
