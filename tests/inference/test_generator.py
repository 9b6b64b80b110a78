"""Showers drawn from a model, block by block."""

import numpy as np
import pytest

from caloforge.errors import InputError
from caloforge.incident.spectrum import Spectrum
from caloforge.inference.generator import BLOCK, Conservation, Generator, OutsideTrainedRange
from caloforge.inference.model import TrainedModel
from caloforge.showers import Showers
from caloforge.units import GeV


def stream(model: TrainedModel, seed: int = 1, energy: str = "1:100") -> Generator:
    return Generator(model, 22, Spectrum.parse(energy), seed)


def joined(model: TrainedModel, n: int, size: int, seed: int = 1) -> Showers:
    return Showers.concatenate(list(stream(model, seed).batches(n, size)))


@pytest.mark.parametrize("size", [1, BLOCK, 2 * BLOCK + 7, 10_000])
def test_the_batch_size_changes_no_bit(every_noise: TrainedModel, size: int) -> None:
    n = 3 * BLOCK + 5
    expected, found = joined(every_noise, n, n), joined(every_noise, n, size)
    np.testing.assert_array_equal(found.cells, expected.cells)
    np.testing.assert_array_equal(found.energy, expected.energy)


def test_a_longer_sample_begins_with_the_shorter(every_noise: TrainedModel) -> None:
    np.testing.assert_array_equal(joined(every_noise, 300, 300).cells[:20], joined(every_noise, 20, 20).cells)


def test_seeds_and_blocks_are_independent(every_noise: TrainedModel) -> None:
    cells = joined(every_noise, 2 * BLOCK, BLOCK).cells
    assert not np.array_equal(cells[:BLOCK], cells[BLOCK:])
    assert not np.array_equal(cells, joined(every_noise, 2 * BLOCK, BLOCK, seed=2).cells)


def test_a_list_of_energies_is_taken_in_turn_across_batches(every_noise: TrainedModel) -> None:
    n = 3 * BLOCK
    showers = Showers.concatenate(list(stream(every_noise, energy="10,20,50,90,5").batches(n, BLOCK)))
    np.testing.assert_array_equal(showers.energy, GeV * np.resize([10.0, 20.0, 50.0, 90.0, 5.0], n))


def test_conserved_energy_is_conserved_and_the_price_counted(lavish: TrainedModel) -> None:
    (free,) = stream(lavish, energy="50:100").batches(BLOCK, BLOCK)
    careful = Generator(lavish, 22, Spectrum.parse("50:100"), 1, Conservation())
    (kept,) = careful.batches(BLOCK, BLOCK)
    over = free.cells.sum(axis=1, dtype=float) > free.energy
    assert over.any()
    assert (kept.cells.sum(axis=1, dtype=float) <= kept.energy).all()
    assert careful.rejected >= over.sum()
    np.testing.assert_array_equal(kept.cells[~over], free.cells[~over])


@pytest.mark.parametrize("energy", ["150", "0.5", "0.9:100", "1:101", "10,0.6"])
def test_energies_a_little_beyond_the_training_are_made_with_a_warning(
    gamma: TrainedModel, energy: str
) -> None:
    with pytest.warns(OutsideTrainedRange, match="1 to 100 GeV"):
        (showers,) = stream(gamma, energy=energy).batches(10, 10)
    assert (showers.cells.sum(axis=1) > 0).all()


@pytest.mark.parametrize(("n", "size"), [(0, 10), (-5, 10), (10, 0)])
def test_impossible_numbers_are_refused(gamma: TrainedModel, n: int, size: int) -> None:
    with pytest.raises(InputError, match="at least 1"):
        next(stream(gamma).batches(n, size))
