import numpy as np
import pytest

from caloforge.incident.incident import Incident
from caloforge.showers import Showers, summary


def test_batches_give_what_the_whole_gives(make_showers, calogan):
    showers = make_showers(50)
    showers.cells[7] = 0
    samples = {}
    for start in range(0, 50, 8):
        summary.add(samples, showers[start : start + 8])
    sample = samples[-11]
    layers = showers.layer_energies()
    total = layers.sum(axis=1)
    some = total > 0
    assert list(samples) == [-11]
    assert (sample.number, sample.low, sample.high) == (50, showers.energy.min(), showers.energy.max())
    assert sample.response == pytest.approx(np.mean(total / showers.energy))
    assert sample.cells_hit == pytest.approx(np.count_nonzero(showers.cells) / 50)
    np.testing.assert_allclose(sample.layer_fractions, np.mean(layers[some] / total[some, None], axis=0))


def test_one_faint_shower_is_what_it_is(calogan):
    cells = np.zeros((1, 504))
    cells[0, [0, 504 - 1]] = 0.125, 0.375
    samples = {}
    summary.add(samples, Showers(calogan, cells, Incident(22, 0.75)))
    sample = samples[22]
    assert (sample.number, sample.low, sample.high, sample.cells_hit) == (1, 0.75, 0.75, 2)
    assert sample.response == pytest.approx(0.5 / 0.75)
    assert sample.layer_fractions.tolist() == [0.25, 0, 0.75]


def test_particles_are_kept_apart(make_showers):
    showers = make_showers(6)
    mixed = Showers(showers.geometry, showers.cells, Incident([11, 22, 22, 211, 22, 11], showers.energy))
    samples = {}
    summary.add(samples, mixed)
    assert {pdg: sample.number for pdg, sample in samples.items()} == {11: 2, 22: 3, 211: 1}


def test_showers_that_left_nothing(calogan):
    samples = {}
    summary.add(samples, Showers(calogan, np.zeros((2, 504)), Incident(22, 1.0)))
    assert samples[22].response == 0
    assert samples[22].layer_fractions.tolist() == [0, 0, 0]
