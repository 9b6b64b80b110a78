"""Batches, flips and lengths of the phases of a training."""

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch

from caloforge.errors import InputError
from caloforge.formats.native import write
from caloforge.geometry import Calorimeter
from caloforge.models.base import Phase, Symmetries
from caloforge.showers import Showers
from caloforge.stages.train.data import TrainingData, load
from caloforge.stages.train.phases import EpochBatches, OnDevice, frozen, lengths, mirrored, steps_an_epoch
from tests import toys


@pytest.fixture
def data(small_file: Path, small: Calorimeter) -> TrainingData:
    return load([small_file], [small])


def test_each_shower_becomes_one_of_its_mirror_images(data: TrainingData, small: Calorimeter) -> None:
    """A shuffle within layers would keep their energies, too; all mirror images occur."""
    plain = data.sample()
    plain = plain._replace(position=plain.position + torch.tensor([1.0, 2.0]))
    symmetries = Symmetries(small.symmetries(), small.mirror_signs())
    torch.manual_seed(1)
    flipped = mirrored(plain, symmetries)
    seen = set()
    for row, cells in enumerate(flipped.cells):
        images = [plain.cells[row][torch.from_numpy(order)] for order in symmetries[0]]
        (which,) = (number for number, image in enumerate(images) if torch.equal(cells, image))
        sign = torch.from_numpy(symmetries[1][which])
        assert torch.equal(flipped.position[row], plain.position[row] * sign)
        assert torch.equal(flipped.direction[row, :2], plain.direction[row, :2] * sign)
        assert torch.equal(flipped.direction[row, 2], plain.direction[row, 2])
        seen.add(which)
    assert seen == set(range(len(symmetries[0])))


def phase(**length: int) -> Phase:
    return Phase("a", lambda batch, progress: {}, {}, **length)


@pytest.mark.parametrize(
    ("epochs", "expected"), [(None, [6, 30, 0]), (6, [6, 30, 0]), (12, [12, 60, 0]), (0, [0, 0, 0])]
)
def test_epochs_are_shared_out_in_proportion(epochs: int | None, expected: list[int]) -> None:
    assert lengths([phase(steps=6), phase(epochs=5), phase(steps=0)], 6, epochs) == expected
    assert lengths([phase(steps=0)], 6, epochs) == [0]


def test_an_epoch_shows_each_shower_once_in_an_order_of_its_own(data: TrainingData) -> None:
    assert steps_an_epoch(data, 32) == 3
    batches = EpochBatches(data, 32, 5, range(2, 6))
    assert len(batches) == 4
    whole = list(EpochBatches(data, 32, 5, range(6)))
    assert list(batches) == whole[2:]
    assert list(EpochBatches(data, 32, 5, range(4, 6))) == whole[4:]  # from the midst of the second epoch
    first, second = np.concatenate(whole[:3]), np.concatenate(whole[3:])
    np.testing.assert_array_equal(np.sort(first), np.arange(96))
    np.testing.assert_array_equal(np.sort(second), np.arange(96))
    assert not np.array_equal(first, second)
    assert whole != list(EpochBatches(data, 32, 6, range(6)))
    assert steps_an_epoch(data, 96) == 1
    with pytest.raises(InputError, match="96 showers are left to train on, fewer than a batch of 97"):
        steps_an_epoch(data, 97)


def test_a_device_sees_all_showers(data: TrainingData) -> None:
    moved = OnDevice(data, torch.device("cpu"))
    assert len(moved) == 96
    assert [len(batch.cells) for batch in moved.batches(40)] == [40, 40, 16]
    assert len(moved.sample().cells) == 96
    assert len(moved.sample(10 * data.geometries[0].n_cells).cells) == 10


def test_what_is_frozen_is_so_for_the_phase_alone(data: TrainingData) -> None:
    model = toys.TwoPhases(toys.Config(), data.geometries[0])
    model.eval()
    part = torch.nn.Linear(2, 2)
    part.bias.requires_grad_(False)
    still = Phase("a", lambda batch, progress: {}, {}, steps=1, frozen=(part,))
    with pytest.raises(KeyError), frozen(model, still):  # noqa: PT012
        assert model.training
        assert not part.training
        assert not part.weight.requires_grad
        raise KeyError
    assert part.weight.requires_grad
    assert not part.bias.requires_grad


def test_the_order_of_an_epoch_is_made_once(data: TrainingData, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[int] = []
    order = EpochBatches._epoch

    def counted(batches: EpochBatches, epoch: int) -> list[np.ndarray]:
        made.append(epoch)
        return order(batches, epoch)

    monkeypatch.setattr(EpochBatches, "_epoch", counted)
    assert len(list(EpochBatches(data, 16, 5, range(3, 14)))) == 11
    assert made == [0, 1, 2]


def test_batches_of_several_read_outs_have_one_each_and_are_mixed(
    tmp_path: Path, make_showers: Callable[..., Showers]
) -> None:
    fine, coarse = Calorimeter.load("calogan_fine"), Calorimeter.load("calogan")
    write(make_showers(60, fine, occupancy=0.001), tmp_path / "fine.h5")
    data = load([tmp_path / "fine.h5"], [fine, coarse], seed=3)
    first = len(data.parts[0].incident)
    assert steps_an_epoch(data, 4) == first // 4 + (60 - first) // 4
    an_epoch = list(EpochBatches(data, 4, 5, range(steps_an_epoch(data, 4))))
    of = [{number >= first for number in batch} for batch in an_epoch]
    assert all(len(parts) == 1 for parts in of)
    changes = sum(one != other for one, other in pairwise(of))
    assert changes > 1, "one read-out after the other"
    assert len({number for batch in an_epoch for number in batch}) == 4 * len(an_epoch)
