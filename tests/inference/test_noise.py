"""The random numbers that models turn into showers."""

from pathlib import Path

import numpy as np
import pytest

from caloforge.geometry import Calorimeter
from caloforge.inference.model import TrainedModel
from caloforge.inference.noise import LEVELS
from tests import small_weights


@pytest.mark.parametrize(("noise", "dtype"), [("bytes", np.uint8), ("normal", np.float32)])
def test_noise_is_of_the_kind_that_the_graph_takes(
    tmp_path: Path, small: Calorimeter, noise: str, dtype: type
) -> None:
    model = TrainedModel.load(small_weights.write(tmp_path / "a.json", small, noise))
    found = model.noise(np.random.Generator(np.random.SFC64(1)), 1000)
    assert (found.shape, found.dtype) == ((1000, small_weights.NOISE), dtype)
    again = model.noise(np.random.Generator(np.random.SFC64(1)), 1000)
    np.testing.assert_array_equal(found, again)
    assert model(found, np.full(1000, 1e4), np.zeros(1000, np.int64)).shape == (1000, small.n_cells)


def test_bytes_are_uniform_and_independent(tmp_path: Path, small: Calorimeter) -> None:
    model = TrainedModel.load(small_weights.write(tmp_path / "a.json", small))
    noise = model.noise(np.random.Generator(np.random.SFC64(1)), 20_000).astype(float)
    counts = np.bincount(noise.astype(int).ravel(), minlength=LEVELS)
    expected, freedom = noise.size / LEVELS, LEVELS - 1
    assert len(counts) == LEVELS
    assert abs(((counts - expected) ** 2 / expected).sum() - freedom) < 5 * np.sqrt(2 * freedom)
    correlations = np.corrcoef(noise.T)[np.triu_indices(small_weights.NOISE, 1)]
    assert np.abs(correlations).max() < 5 / np.sqrt(len(noise))
