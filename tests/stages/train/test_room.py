"""What a training takes is asked before it begins."""

import shutil
from collections import namedtuple
from pathlib import Path

import numpy as np
import psutil
import pytest
import torch

from caloforge.errors import InputError
from caloforge.geometry import Calorimeter
from caloforge.showers import Showers
from caloforge.stages.train import room

Usage = namedtuple("Usage", "free")
Memory = namedtuple("Memory", "available")


def test_the_disk_takes_eight_bytes_for_each_cell_that_is_hit(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    small_file: Path,
    small: Calorimeter,
    small_showers: Showers,
) -> None:
    needed = 8 * np.count_nonzero(small_showers.cells[:64]) / 64 * len(small_showers)
    for free, fits in ((needed + 1, True), (needed - 1, False)):
        monkeypatch.setattr(shutil, "disk_usage", lambda _, free=free: Usage(free))
        if fits:
            room.check([small_file], [small], 16, tmp_path)
            continue
        with pytest.raises(
            InputError, match=rf"^Training on 96 showers would take about .* disk of {tmp_path}"
        ):
            room.check([small_file], [small], 16, tmp_path)


def test_a_batch_must_fit_into_the_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, small_file: Path, small: Calorimeter
) -> None:
    looked_into = room._looked_into(small_file)  # opening a file has a check of its own, of its pieces
    monkeypatch.setattr(room, "_looked_into", lambda _: looked_into)
    monkeypatch.setattr(psutil, "virtual_memory", lambda: Memory(20_000))
    room.check([small_file], [small], 8, tmp_path)
    with pytest.raises(
        InputError, match=r"96 showers of 32 cells in batches of 1,000 would take about 60\.7 kB"
    ):
        room.check([small_file], [small], 1000, tmp_path)


@pytest.mark.parametrize("size", [1 << 50, 1 << 61])
def test_what_torch_cannot_get_is_a_sentence(size: int) -> None:
    with pytest.raises(InputError, match="do not fit into the memory"), room.enough_memory():
        torch.empty(size)


def test_other_faults_stay_what_they_are() -> None:
    with pytest.raises(RuntimeError, match="shape"), room.enough_memory():
        torch.zeros(3).reshape(2, 2)
