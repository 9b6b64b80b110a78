"""Functions that libraries in C call back, which no request to stop may interrupt.

An exception that a signal's handler raises inside such a function returns to the library, which forgets it
at best and crashes at worst (HDF5 does).
"""

from collections.abc import Callable
from types import CodeType, FrameType
from typing import ParamSpec, TypeVar

__all__ = ["called_back", "is_called_back"]

_P = ParamSpec("_P")
_R = TypeVar("_R")
_CODES: set[CodeType] = set()


def called_back(function: Callable[_P, _R]) -> Callable[_P, _R]:
    """Mark a function as one that a library in C calls back."""
    _CODES.add(function.__code__)
    return function


def is_called_back(frame: FrameType | None) -> bool:
    """Return whether a marked function is running: in a frame, or in one that called it."""
    while frame is not None:
        if frame.f_code in _CODES:
            return True
        frame = frame.f_back
    return False
