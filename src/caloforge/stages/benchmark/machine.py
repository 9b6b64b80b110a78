"""The computer on which times are measured, and their median, which other work hardly changes."""

import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib.metadata import version
from typing import Any

import numpy as np

from caloforge.stages.benchmark.workloads import Float64s

__all__ = ["ValueWithError", "machine", "median", "pinned"]

_RESAMPLED = 200

ValueWithError = tuple[float, float]
"""A value and its statistical error."""


def machine() -> dict[str, Any]:
    """Return the properties of the computer that determine the speed, in JSON's types."""
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "load": round(os.getloadavg()[0], 1),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "caloforge": version("caloforge"),
    }


@cache
def _processor() -> str:
    """Return the processor's name."""
    import cpuinfo  # takes a second

    return str(cpuinfo.get_cpu_info().get("brand_raw") or platform.processor() or platform.machine())


@contextmanager
def pinned() -> Iterator[None]:
    """Keep this process and those it starts on one core, where the operating system can."""
    if not hasattr(os, "sched_setaffinity"):
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {max(before)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def median(values: Float64s) -> ValueWithError:
    """Return the median with its error by resampling.

    Other work on the computer makes some showers slower, which hardly changes the median.
    """
    random = np.random.default_rng(0)
    medians = [np.median(random.choice(values, len(values))) for _ in range(_RESAMPLED)]
    return float(np.median(values)), float(np.std(medians))
