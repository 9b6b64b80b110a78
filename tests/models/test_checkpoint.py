"""Checkpoints: whole, verified, or named as what they are."""

from pathlib import Path

import pytest
import torch

from caloforge.errors import CheckpointError
from caloforge.models import checkpoint
from tests.full_disk import files_end_at

TENSORS = {"model.a": torch.arange(6.0).reshape(2, 3), "model.b": torch.tensor(3)}


def test_what_is_saved_is_loaded(tmp_path: Path) -> None:
    checkpoint.save(tmp_path, {"step": 1}, TENSORS)
    loaded = checkpoint.load(tmp_path)
    assert loaded.record["step"] == 1
    assert all(torch.equal(value, loaded.tensors[name]) for name, value in TENSORS.items())
    assert set(loaded.group("model")) == {"a", "b"}


def test_a_newer_checkpoint_takes_the_place_of_the_older(tmp_path: Path) -> None:
    (tmp_path / ".step-00000001.safetensors.partial-7").write_bytes(b"of a process that was killed")
    for step in (1, 2):
        checkpoint.save(tmp_path, {"step": step}, TENSORS)
    assert checkpoint.load(tmp_path).record["step"] == 2
    assert len(list(tmp_path.iterdir())) == 2


def test_a_crash_before_the_record_leaves_the_older_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkpoint.save(tmp_path, {"step": 1}, TENSORS)
    monkeypatch.setattr(checkpoint, "surroundings", lambda: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        checkpoint.save(tmp_path, {"step": 2}, TENSORS)
    assert checkpoint.load(tmp_path).record["step"] == 1


def test_a_full_disk_is_an_error_of_the_operating_system_and_leaves_the_older_checkpoint(
    tmp_path: Path,
) -> None:
    checkpoint.save(tmp_path, {"step": 1}, TENSORS)
    with files_end_at(1000), pytest.raises(OSError, match="File too large") as caught:
        checkpoint.save(tmp_path, {"step": 2}, {"model.a": torch.zeros(1000)})
    assert caught.value.filename == str(tmp_path / "step-00000002.safetensors")
    assert checkpoint.load(tmp_path).record["step"] == 1
    assert len(list(tmp_path.iterdir())) == 2


def test_one_altered_bit_is_noticed(tmp_path: Path) -> None:
    checkpoint.save(tmp_path, {"step": 1}, TENSORS)
    path = tmp_path / "step-00000001.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match="sha256 differs"):
        checkpoint.load(tmp_path)


def test_missing_and_damaged_records_are_named(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="holds no whole checkpoint"):
        checkpoint.load(tmp_path)
    (tmp_path / "checkpoint.json").write_text("{")
    for content in ("{", "[]", "{}"):
        (tmp_path / "checkpoint.json").write_text(content)
        with pytest.raises(CheckpointError, match="not a checkpoint record"):
            checkpoint.load(tmp_path)
