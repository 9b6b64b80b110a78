"""What this computer has room for."""

import os
import shutil
from pathlib import Path

import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st

from caloforge.errors import InputError
from caloforge.resources import check_disk, check_memory, check_threads, duration, size


def test_threads_go_with_the_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    assert [check_threads(number) for number in (1, 8)] == [1, 8]
    for number in (-1, 0, 9, 10**30):
        with pytest.raises(InputError, match=rf"{number} workers are not possible: give 1 to 8"):
            check_threads(number, "workers")


def test_what_is_free_is_enough_and_more_is_refused(tmp_path: Path) -> None:
    free = shutil.disk_usage(tmp_path).free
    check_disk(tmp_path, free / 2, "Half")
    with pytest.raises(InputError, match=rf"^Twice would take about .*B on the disk of {tmp_path}, where"):
        check_disk(tmp_path, 2 * free, "Twice")
    available = psutil.virtual_memory().available
    check_memory(available / 2, "Half")
    with pytest.raises(InputError, match=r"^Twice would take about .*B of memory, of which .*B are free"):
        check_memory(2 * available, "Twice")


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (999.6, "1 kB"),
        (2.5e9, "2.5 GB"),
        (3e24, "3e+06 EB"),
        (10**400, "1.8e+290 EB"),
    ],
)
def test_sizes(number: float, text: str) -> None:
    assert size(number) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.016, "0.016 seconds"),
        (62, "62 seconds"),
        (90, "1.5 minutes"),
        (4e7, "1.3 years"),
        (1e11, "3,169 years"),
    ],
)
def test_times(seconds: float, text: str) -> None:
    assert duration(seconds) == text


@given(st.floats(0, 1e18))
def test_a_time_is_what_it_says(seconds: float) -> None:
    number, unit = duration(seconds).split()
    length = {"seconds": 1, "minutes": 60, "hours": 3600, "days": 86_400, "years": 31_557_600}[unit]
    assert float(number.replace(",", "")) * length == pytest.approx(seconds, rel=0.05)
