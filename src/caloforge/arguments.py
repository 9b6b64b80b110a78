"""Check numbers from callers: they are whole and within bounds, or the error is one sentence."""

import operator
from typing import SupportsIndex

from caloforge.errors import InputError

__all__ = ["whole_number"]


def whole_number(value: SupportsIndex, what: str, least: int | None = None) -> int:
    """Return a whole number as an `int`, numpy's integers included.

    A float is refused even where it is whole: ``1e15`` looks harmless, but single precision rounds it.

    Parameters
    ----------
    value
        What was given.
    what
        What it is, for the message: "The number of showers".
    least
        The smallest number allowed; None for no bound.

    Raises
    ------
    InputError
        It is not a whole number, or too small.

    Examples
    --------
    >>> whole_number(10, "The number of showers", least=1)
    10
    >>> whole_number(10.0, "The number of showers", least=1)
    Traceback (most recent call last):
    caloforge.errors.InputError: The number of showers is 10.0 (float): give a whole number of at least 1.
    """
    allowed = "a whole number" + ("" if least is None else f" of at least {least}")
    try:
        number = None if isinstance(value, bool) else operator.index(value)
    except TypeError:
        number = None
    if number is None:
        raise InputError(f"{what} is {value!r} ({type(value).__name__}): give {allowed}.")
    if least is not None and number < least:
        raise InputError(f"{what} is {number}: give {allowed}.")
    return number
