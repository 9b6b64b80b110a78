"""Bytes of noise, and products of whole numbers."""

from pathlib import Path

import numpy as np
import pytest

from caloforge.inference.model import TrainedModel
from caloforge.inference.noise import LEVELS
from caloforge.models.calogan import CaloGAN
from caloforge.stages.export.integer_noise import rotation

from .conftest import draw


def test_whole_numbers_move_cells_by_a_few_percent_at_most(
    trained: tuple[CaloGAN, Path], exported: TrainedModel
) -> None:
    expected, found = draw(trained[0], exported)
    assert (exported.record["precision"], exported.record["noise"]) == ("int8", "bytes")
    assert not np.array_equal(found, expected)
    assert np.abs(found - expected).max() < 0.05 * expected.max()
    np.testing.assert_allclose(found.sum(), expected.sum(), rtol=0.01)
    assert 0 < exported.record["deviation"]["shower_energy_rms_percent"] < 1


@pytest.mark.parametrize("size", [5, 63, 256])
def test_rotated_bytes_are_independent_normal_numbers(size: int) -> None:
    matrix, random = rotation(size), np.random.default_rng(1)
    assert len(matrix) % 64 == 0
    assert len(matrix) > size
    noise = random.integers(LEVELS, size=(20_000, len(matrix)), dtype=np.uint8).astype(np.float32)
    normal = noise @ matrix
    covariance = np.cov(normal.T)
    np.testing.assert_allclose(covariance, np.eye(size), atol=0.06)
    np.testing.assert_allclose(normal.mean(axis=0), 0, atol=0.04)
    excess = float((normal**4).mean()) - 3
    assert excess == pytest.approx(-3.6 / len(matrix), abs=0.03)  # of uniform numbers it is -1.2
    np.testing.assert_allclose(np.mean(np.abs(normal) > 3), 0.0027, rtol=0.25)
    # what all bytes have in common does not count, so that no mean is subtracted
    np.testing.assert_allclose(matrix.sum(axis=0), 0, atol=1e-4)


def test_whole_numbers_take_less_room(trained: tuple[CaloGAN, Path], exported: TrainedModel) -> None:
    assert exported.graph.stat().st_size < 0.5 * sum(p.nbytes for p in trained[0].generator.parameters())
