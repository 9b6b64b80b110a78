"""Check that this computer has enough cores, memory and disk, before long work begins."""

import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from caloforge.errors import CaloforgeError, InputError

__all__ = ["available_memory", "check_disk", "check_memory", "check_threads", "duration", "size"]

_LIMITS = (  # of containers and batch jobs: what they may use and what they use, in bytes
    ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current"),
    ("/sys/fs/cgroup/memory/memory.limit_in_bytes", "/sys/fs/cgroup/memory/memory.usage_in_bytes"),
)
_PER_CORE = 4  # threads or processes; more only wait for each other
_UNITS = ("B", "kB", "MB", "GB", "TB", "PB", "EB")
_TIMES = ((31_557_600.0, "years"), (86_400.0, "days"), (3600.0, "hours"), (60.0, "minutes"), (1.0, "seconds"))


def check_threads(number: int, what: str = "threads") -> int:
    """Return a number of threads or processes that can work here.

    Parameters
    ----------
    number
        The number that is requested.
    what
        Their name in the message.

    Raises
    ------
    InputError
        There are fewer than one, or more than four per core.
    """
    cores = os.cpu_count() or 1
    if not 1 <= number <= _PER_CORE * cores:
        raise InputError(
            f"{number} {what} are not possible: give 1 to {_PER_CORE * cores}; this computer has "
            f"{cores} core{'s' if cores > 1 else ''}."
        )
    return number


def check_disk(folder: Path, needed: float, what: str) -> None:
    """Refuse work whose files do not fit on the disk.

    Parameters
    ----------
    folder
        A folder on that disk.
    needed
        Bytes.
    what
        What takes them; the message begins with it.

    Raises
    ------
    InputError
        Less is free; the message gives both numbers.
    """
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise InputError(
            f"{what} would take about {size(needed)} on the disk of {folder}, where {size(free)} are free: "
            "ask for less, or choose another disk."
        )


def check_memory(
    needed: float, what: str, instead: str = "ask for less", kind: type[CaloforgeError] = InputError
) -> None:
    """Refuse work that does not fit into the memory.

    Parameters
    ----------
    needed
        Bytes.
    what
        What takes them; the message begins with it.
    instead
        What works here; the message ends with it.
    kind
        The error to raise.

    Raises
    ------
    InputError, or ``kind``
        Less is free; the message gives both numbers.
    """
    free = available_memory()
    if needed > free:
        raise kind(
            f"{what} would take about {size(needed)} of memory, of which {size(free)} are free: {instead}."
        )


def available_memory() -> float:
    """Return how many bytes of memory are free, within the limits of a container or batch job."""
    import psutil

    # psutil sees the whole computer. In a container, the kernel kills what exceeds the limit of its control
    # group.
    free: float = psutil.virtual_memory().available
    return min([free, *_within_limits()])


def _within_limits() -> Iterator[int]:
    for limit, used in _LIMITS:
        with suppress(OSError, ValueError):  # no such file, or no limit: 'max'
            yield int(Path(limit).read_text()) - int(Path(used).read_text())


def size(number: float) -> str:
    """Return a number of bytes in words.

    Examples
    --------
    >>> size(2_500_000)
    '2.5 MB'
    """
    number = min(number, sys.float_info.max)  # whole numbers may be larger
    for unit in _UNITS[:-1]:
        if number < 999.5:  # which is rounded to 1000
            return f"{number:.3g} {unit}"
        number /= 1000
    return f"{number:.3g} {_UNITS[-1]}"


def duration(seconds: float) -> str:
    """Return a time in words.

    Examples
    --------
    >>> duration(5400)
    '1.5 hours'
    """
    length, unit = next((entry for entry in _TIMES if seconds >= 1.05 * entry[0]), _TIMES[-1])
    return f"{seconds / length:.2g} {unit}" if seconds < 100 * length else f"{seconds / length:,.0f} {unit}"
