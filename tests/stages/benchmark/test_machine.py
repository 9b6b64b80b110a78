"""What times are measured on, and the median that they are judged by."""

import json
import os

import numpy as np
import pytest

from caloforge.stages.benchmark.machine import machine, median, pinned


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="this system pins no process")
def test_one_core_while_it_lasts() -> None:
    before = os.sched_getaffinity(0)
    with pinned():
        assert len(os.sched_getaffinity(0)) == 1
    assert os.sched_getaffinity(0) == before


def test_the_machine_is_described() -> None:
    found = machine()
    assert found["processor"]
    assert found["cores"] == os.cpu_count()
    json.dumps(found)


def test_other_work_hardly_moves_the_median() -> None:
    times = np.random.default_rng(1).normal(10, 1, 400)
    value, error = median(times)
    assert value == pytest.approx(10, abs=5 * error)
    assert error == pytest.approx(1.25 / 20, rel=0.3)  # sqrt(pi / 2) / sqrt(n), for a normal distribution
    times[:40] = 1e6
    assert median(times)[0] == pytest.approx(value, abs=0.3)
