"""Trained models are verified when they are loaded."""

from pathlib import Path

import pytest

from caloforge.errors import CheckpointError
from caloforge.geometry import Calorimeter
from caloforge.inference.model import TrainedModel
from tests import small_weights


def test_noise_of_a_newer_kind_is_refused(tmp_path: Path, small: Calorimeter) -> None:
    path = small_weights.write(tmp_path / "a.json", small)
    path.write_text(path.read_text().replace('"bytes"', '"quanta"'))
    with pytest.raises(CheckpointError, match=r"'quanta'.*install a newer"):
        TrainedModel.load(path)


@pytest.fixture
def written(tmp_path: Path, small: Calorimeter) -> Path:
    """Return the folder of a model's record and graph, ``a.json`` and ``a.onnx``."""
    return small_weights.write(tmp_path / "a.json", small).parent


def test_an_altered_graph_is_refused(written: Path) -> None:
    content = bytearray((written / "a.onnx").read_bytes())
    content[len(content) // 2] ^= 1
    (written / "a.onnx").write_bytes(content)
    with pytest.raises(CheckpointError, match="sha256 differs"):
        TrainedModel.load(written / "a.json")


def test_a_missing_graph_and_a_foreign_record_are_named(written: Path) -> None:
    (written / "a.onnx").unlink()
    with pytest.raises(CheckpointError, match=r"a\.onnx is missing"):
        TrainedModel.load(written / "a.json")
    for content in ("[]", "{", '{"graph": "a.onnx", "sha256": "0"}'):
        (written / "a.json").write_text(content)
        with pytest.raises(CheckpointError, match="record of a trained model"):
            TrainedModel.load(written / "a.json")


def test_a_graph_is_no_record(written: Path) -> None:
    with pytest.raises(CheckpointError, match=r"give the \.json"):
        TrainedModel.load(written / "a.onnx")
