"""How a long job tells how far it is, without knowing who listens."""

from collections.abc import Callable

Progress = Callable[[int, int], None]
"""Called with (done, total); cheap enough to be called for every batch."""


def no_progress(done: int, total: int) -> None:
    """Listen to nothing: the default where nobody watches."""
