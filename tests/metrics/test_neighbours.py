"""Precision, recall, density and coverage on cases that can be counted or calculated."""

import numpy as np
import pytest

from caloforge.metrics._neighbours import NEIGHBOURS, overlap
from caloforge.metrics.coverage import coverage
from caloforge.metrics.density import density
from caloforge.metrics.precision import precision
from caloforge.metrics.recall import recall


def normal(n: int, seed: int = 1, d: int = 3) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(n, d))


def by_hand(reference: np.ndarray, sample: np.ndarray) -> tuple[float, float, float, float]:
    """The definitions, one distance at a time."""

    def reaches(rows: np.ndarray) -> list[float]:
        return [sorted(np.linalg.norm(rows - row, axis=1))[NEIGHBOURS] for row in rows]

    inside = np.linalg.norm(reference[:, None] - sample, axis=2)
    of_reference = inside <= np.array(reaches(reference))[:, None]
    of_sample = inside <= np.array(reaches(sample))
    return (
        of_reference.any(axis=0).mean(),
        of_sample.any(axis=1).mean(),
        of_reference.sum(axis=0).mean() / NEIGHBOURS,
        of_reference.any(axis=1).mean(),
    )


@pytest.mark.parametrize(("n", "m"), [(60, 60), (40, 90)])
def test_the_four_numbers_are_what_is_counted(n: int, m: int) -> None:
    first, second = normal(n), 0.5 + normal(m, seed=2)
    found = (f(first, second) for f in (precision, recall, density, coverage))
    assert tuple(found) == pytest.approx(by_hand(first, second))


def test_equal_distributions_have_the_analytic_density_and_coverage() -> None:
    n, k, repeats = 500, NEIGHBOURS, 10
    found = np.array([overlap(normal(n, i), normal(n, i + 100)) for i in range(repeats)])
    error = 5 * found.std(axis=0, ddof=1) / np.sqrt(repeats)
    # None of the other sample's n is among the k nearest of all 2 n - 1 others.
    missed = np.prod([(n - i) / (2 * n - i) for i in range(1, k + 1)])
    assert found[:, 3].mean() == pytest.approx(1 - missed, abs=error[3])
    assert found[:, 2].mean() == pytest.approx(n / (n - 1), abs=error[2])
    # Precision and recall are the same question with the samples exchanged.
    assert found[:, 0].mean() == pytest.approx(found[:, 1].mean(), abs=np.hypot(error[0], error[1]))


def test_a_copy_is_all_inside() -> None:
    rows = normal(200)
    found = overlap(rows, rows.copy())
    assert (found.precision, found.recall, found.coverage) == (1, 1, 1)
    # A shower lies in its own ball and on average in five of the others.
    assert found.density == pytest.approx(1 + 1 / NEIGHBOURS)


def test_samples_without_overlap_have_none() -> None:
    assert overlap(normal(100), 100 + normal(100, seed=2)) == (0, 0, 0, 0)


def test_a_lost_mode_is_seen_in_recall_and_coverage_alone() -> None:
    reference, sample = normal(400), normal(400, seed=2)
    reference[::2] += 100
    found = overlap(reference, sample)
    assert found.precision > 0.5
    assert found.recall < 0.5
    assert found.coverage < 0.5 + 5 * np.sqrt(0.25 / 400)
    assert overlap(sample, reference).recall > 0.5


def test_equal_showers_are_inside_each_others_balls_of_no_size() -> None:
    same = np.full((50, 3), 0.1)
    assert overlap(same, same)[:2] == (1, 1)
