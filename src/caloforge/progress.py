"""How a long job tells how far it is, without knowing who listens."""

from typing import Protocol


class Progress(Protocol):
    """Whoever listens; cheap enough to be called for every batch."""

    def __call__(self, done: float, total: float, note: str = "") -> None:
        """Take in that ``done`` of ``total`` is done; the note stands beside the rate."""


def no_progress(done: float, total: float, note: str = "") -> None:
    """Listen to nothing: the default where nobody watches."""
