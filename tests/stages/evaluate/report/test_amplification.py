"""The page about amplification, and its numbers in an evaluation's results."""

import numpy as np
import pytest

from caloforge.errors import InputError
from caloforge.formats.native import write
from caloforge.formats.open import open_any
from caloforge.metrics.amplification import SpaceAmplification, amplification_in_cells, quantile_cells
from caloforge.observables.base import Observable
from caloforge.observables.response import Response
from caloforge.observables.shower_depth import ShowerDepth
from caloforge.stages.evaluate.amplification import amplification, worth
from caloforge.stages.evaluate.measure import Measured, measure
from caloforge.stages.evaluate.report.amplification import section, sentence
from caloforge.stages.generate import generate
from caloforge.units import GeV

OBSERVABLES: list[Observable] = [Response(), ShowerDepth()]


@pytest.fixture(scope="module")
def samples(tmp_path_factory: pytest.TempPathFactory) -> tuple[Measured, ...]:
    """Training, generated and truth, all of one model, which stands for the simulation here."""
    path = tmp_path_factory.mktemp("amplification") / "all.h5"
    write(generate("e+", (10 * GeV, 20 * GeV), 1000, model="calogan_eplus", threads=1), path)
    with open_any(path) as file:
        numbers = np.arange(len(file))
        masks = (numbers < 200, (numbers >= 200) & (numbers < 500), numbers >= 500)
        return tuple(measure(file, OBSERVABLES, chosen=mask) for mask in masks)


def test_files_of_showers(samples: tuple[Measured, ...]) -> None:
    training, generated, truth = samples
    calls: list[tuple[float, float]] = []
    found = amplification(
        training,
        generated,
        truth,
        OBSERVABLES,
        progress=lambda done, total, note="": calls.append((done, total)),
    )
    assert calls == [(1, 3), (2, 3), (3, 3)]
    assert [space.name for space in found.spaces] == ["joint", "response", "shower_depth"]
    assert not any(space.amplifies for space in found.spaces)
    for one in worth(found):
        assert one.training == len(training)
        assert one.low is not None
        assert one.low < len(truth)
    page = section(found)
    assert f"{len(truth):,} showers not used for training" in page.text
    assert page.table is not None
    assert len(page.table.rows) == 3
    assert len(page.figures) == 2


def test_a_small_truth_is_refused(samples: tuple[Measured, ...]) -> None:
    training, generated, _ = samples
    with pytest.raises(InputError, match="too few to tell"):
        amplification(training, generated, training, OBSERVABLES)


def space(mean: float, spread: float = 1.0) -> SpaceAmplification:
    """What 10,000 showers of a normal distribution are worth, given 500 training showers."""
    random = np.random.default_rng(1)
    truth, training = random.normal(size=10_000), random.normal(size=500)
    generated = random.normal(mean, spread, 10_000)
    return amplification_in_cells("x", "x", *quantile_cells(truth, training, generated), repeats=2)


def test_the_verdict_is_a_sentence() -> None:
    assert space(0.0).amplifies
    assert "it amplifies them" in sentence(space(0.0))
    assert "fewer than the 500" in sentence(space(1.0))
