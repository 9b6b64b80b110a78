"""Functions that no request to stop may interrupt.

An exception that a signal's handler raises in a function that a library in C calls back returns to the
library, which forgets it at best and crashes at worst (HDF5 does). One that is raised while a file is opened
or closed leaves it open for good.
"""

from collections.abc import Callable
from types import CodeType, FrameType
from typing import ParamSpec, TypeVar

__all__ = ["is_uninterrupted", "uninterrupted"]

_P = ParamSpec("_P")
_R = TypeVar("_R")
_CODES: set[CodeType] = set()


def uninterrupted(function: Callable[_P, _R]) -> Callable[_P, _R]:
    """Mark a function that must run to its end."""
    _CODES.add(function.__code__)
    return function


def is_uninterrupted(frame: FrameType | None) -> bool:
    """Return whether a marked function is running: in a frame, or in one that called it."""
    while frame is not None:
        if frame.f_code in _CODES:
            return True
        frame = frame.f_back
    return False
