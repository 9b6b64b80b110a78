"""Samples whose worth is known: fresh ones, copies, and those of a model that knows the family."""

import numpy as np
import numpy.typing as npt
import pytest

from caloforge.errors import InputError
from caloforge.metrics.amplification import (
    SpaceAmplification,
    amplification,
    amplification_in_cells,
    joint_cells,
    quantile_cells,
)
from caloforge.observables.response import Response

Floats = npt.NDArray[np.float64]

TRUTH, LEARNED, MANY, TRIALS = 10_000, 500, 10_000, 30


def gauss(n: int, random: np.random.Generator, mean: float = 0.0, spread: float = 1.0) -> Floats:
    return random.normal(mean, spread, (n, 3))


def worth(kind: str, joint: bool, seed: int) -> SpaceAmplification:
    random = np.random.default_rng(seed)
    truth, training = gauss(TRUTH, random), gauss(LEARNED, random)
    generated = {
        "fresh": lambda: gauss(2000, random),
        "copies": lambda: training[random.integers(0, LEARNED, MANY)],
        "fitted": lambda: random.normal(training.mean(axis=0), training.std(axis=0), (MANY, 3)),
        "wrong": lambda: gauss(MANY, random, mean=1.0),
    }[kind]()
    samples = (truth, training, generated)
    if joint:
        cells = joint_cells(*({f"{i}": sample[:, i] for i in range(3)} for sample in samples))
    else:
        cells = quantile_cells(*(sample[:, 0] for sample in samples))
    return amplification_in_cells("x", "x", *cells, repeats=2)


def trials(kind: str, joint: bool) -> list[SpaceAmplification]:
    return [worth(kind, joint, seed) for seed in range(TRIALS)]


def covered(space: SpaceAmplification, number: float) -> bool:
    found = space.generated.effective
    return found.low <= number and (found.high is None or number <= found.high)


def median(spaces: list[SpaceAmplification]) -> float:
    values = [space.generated.effective.value for space in spaces]
    return float(np.median([np.inf if value is None else value for value in values]))


@pytest.mark.parametrize("joint", [False, True])
def test_fresh_showers_are_worth_their_number(joint: bool) -> None:
    spaces = trials("fresh", joint)
    assert median(spaces) == pytest.approx(2000, rel=0.2)
    assert 0.45 < np.mean([covered(space, 2000) for space in spaces]) < 0.9
    assert 0.45 < np.mean([_holds(space) for space in spaces]) < 0.9


def _holds(space: SpaceAmplification) -> bool:
    """Whether the training showers' own bounds hold their number."""
    found = space.training.effective
    return found.low <= LEARNED and (found.high is None or found.high >= LEARNED)


@pytest.mark.parametrize("joint", [False, True])
def test_copies_are_worth_what_was_copied(joint: bool) -> None:
    spaces = trials("copies", joint)
    assert median(spaces) == pytest.approx(1 / (1 / LEARNED + 1 / MANY), rel=0.15)
    assert not any(space.amplifies for space in spaces)


@pytest.mark.parametrize("joint", [False, True])
def test_a_fitted_model_of_the_right_family_amplifies(joint: bool) -> None:
    spaces = trials("fitted", joint)
    assert median(spaces) > 4 * LEARNED
    assert np.mean([space.amplifies for space in spaces]) > 0.9


@pytest.mark.parametrize("joint", [False, True])
def test_a_wrong_model_is_worth_few_however_many_it_makes(joint: bool) -> None:
    for space in trials("wrong", joint)[:3]:
        assert space.generated.effective.high is not None
        assert space.generated.effective.high < LEARNED / 2


def test_parts_of_the_truth_follow_the_expectation() -> None:
    random = np.random.default_rng(1)
    truth = random.integers(0, 40, 20_000)
    space = amplification_in_cells("x", "x", truth, truth[:500], truth[:600], repeats=200)
    points = space.curves.simulated
    expected = np.mean(np.full(40, 1 / 40 * 39 / 40)) / points.sizes
    assert points.distance[:-1] == pytest.approx(expected[:-1], rel=0.1)
    sizes, mean, low, high = space.curves.expected
    assert (low < mean).all()
    assert (mean < high).all()
    assert mean * sizes == pytest.approx(mean[0] * sizes[0])


def test_quantiles_hold_equally_many_and_undefined_ones_are_apart() -> None:
    truth = np.random.default_rng(1).normal(size=3000)
    truth[::10] = np.nan
    sample = np.array([np.nan, -9.0, 9.0, np.inf])
    cells, found = quantile_cells(truth, sample, quantiles=20)
    assert np.bincount(cells).tolist() == [135] * 20 + [300]
    assert found.tolist() == [20, 0, 19, 20]


def test_few_values_make_few_quantiles() -> None:
    truth = np.random.default_rng(1).integers(0, 3, 3000).astype(float)
    cells, same = quantile_cells(truth, truth)
    assert sorted(set(cells.tolist())) == [0, 1, 2]
    assert same.tolist() == cells.tolist()


def test_cells_of_many_observables_hold_equally_many() -> None:
    random = np.random.default_rng(1)
    table = {"x": random.normal(size=3200), "y": random.exponential(size=3200)}
    table["z"] = table["x"] + table["y"]
    cells, part = joint_cells(table, {name: values[:50] for name, values in table.items()}, most=5)
    assert np.bincount(cells).tolist() == [100] * 32
    assert part.tolist() == cells[:50].tolist()


def test_observables_are_compared_together_and_one_by_one() -> None:
    random = np.random.default_rng(1)
    truth, training, generated = ({"response": random.normal(size=n)} for n in (600, 200, 300))
    calls: list[tuple[float, float]] = []
    found = amplification(
        training,
        generated,
        truth,
        [Response()],
        progress=lambda done, total, note="": calls.append((done, total)),
    )
    assert calls == [(1, 2), (2, 2)]
    assert [space.name for space in found.spaces] == ["joint", "response"]
    assert found.truth == 600
    with pytest.raises(InputError, match="too few to tell"):
        amplification(training, generated, training, [Response()])
