"""What fits into the memory of this computer."""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from caloforge.errors import ShowerFileError

_SYSTEM = Path("/proc/meminfo")
_LIMITS = (  # of containers and batch jobs: what they may use and what they use, in bytes
    ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current"),
    ("/sys/fs/cgroup/memory/memory.limit_in_bytes", "/sys/fs/cgroup/memory/memory.usage_in_bytes"),
)
_KIB = 1024
_GB = 1e9


def check_memory(needed: float, what: str, instead: str) -> None:
    """Refuse what does not fit into the memory that is free.

    Parameters
    ----------
    needed
        In bytes.
    what
        Begins the sentence; a plural, such as ``The 5 showers in a.h5``.
    instead
        What works here.

    Raises
    ------
    ShowerFileError
        It says how much memory is needed, and how much there is.
    """
    free = available()
    if needed > free:
        raise ShowerFileError(
            f"{what} need {needed / _GB:.3g} GB of memory, and {free / _GB:.3g} GB are free: {instead}."
        )


def available() -> float:
    """Return how many bytes of memory are free; infinity where the system does not say."""
    return min([*_of_system(), *_of_limits()], default=float("inf"))


def _of_system() -> Iterator[int]:
    with suppress(OSError, ValueError):
        for line in _SYSTEM.read_text().splitlines():
            if line.startswith("MemAvailable:"):
                yield _KIB * int(line.split()[1])


def _of_limits() -> Iterator[int]:
    for limit, used in _LIMITS:
        with suppress(OSError, ValueError):  # no such file, or no limit: 'max'
            yield int(Path(limit).read_text()) - int(Path(used).read_text())
