"""How long jobs report their progress, independently of what shows it."""

from typing import Protocol

__all__ = ["Progress", "no_progress"]


class Progress(Protocol):
    """Callback for progress, called for every batch."""

    def __call__(self, done: float, total: float, note: str = "") -> None:
        """Record that ``done`` of ``total`` is done; the note is shown next to the rate."""


def no_progress(done: float, total: float, note: str = "") -> None:
    """Ignore progress: the default."""
