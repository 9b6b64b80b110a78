"""Trained models are verified when they are loaded."""

import json
from dataclasses import FrozenInstanceError
from pathlib import Path

import numpy as np
import pytest

from caloforge.errors import CatalogError, CheckpointError, InputError
from caloforge.geometry import Calorimeter
from caloforge.incident.beam import Range
from caloforge.incident.incident import Incident
from caloforge.inference.model import TrainedModel
from caloforge.inference.noise import draw
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


def edited(folder: Path, **values: object) -> TrainedModel:
    path = folder / "a.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | values))
    return TrainedModel.load(path)


def test_ranges_are_those_of_the_record_in_mev_rad_and_mm(written: Path) -> None:
    model = edited(
        written,
        energy_range_GeV=[0.5, 100],
        direction_range_deg=[[0, 90], [-180, 360]],
        position_range_mm=[[-1, 2], [-3, 4]],
    )
    assert model.energy_range == (500, 100_000)
    theta, phi = model.direction_range
    assert (theta.low, theta.high) == (0, pytest.approx(np.pi / 2, rel=1e-12))
    assert (phi.low, phi.high) == pytest.approx((-np.pi, 2 * np.pi), rel=1e-12)
    assert model.position_range == (Range(-1, 2), Range(-3, 4))


def test_without_ranges_particles_come_straight_to_the_centre(written: Path) -> None:
    model = TrainedModel.load(written / "a.json")
    assert model.direction_range == model.position_range == (Range(0, 0), Range(0, 0))


def test_particles_have_the_labels_of_their_places(written: Path) -> None:
    model = edited(written, pdg=[22, -11, 211])
    assert [model.label(pdg) for pdg in (22, -11, 211)] == [0, 1, 2]
    with pytest.raises(CatalogError, match=r"a was trained for gamma, e\+, pi\+, not for e-"):
        model.label(11)


def test_the_noise_is_that_of_the_first_attempt_unless_another_is_named(written: Path) -> None:
    model = TrainedModel.load(written / "a.json")
    np.testing.assert_array_equal(model.noise(5, 3, 6), draw("bytes", small_weights.NOISE, 5, 3, 6, 0))
    np.testing.assert_array_equal(model.noise(5, 3, 6, 2), draw("bytes", small_weights.NOISE, 5, 3, 6, 2))


@pytest.mark.parametrize("n", [1, 15, 16, 17, 128, 129, 300])
def test_cells_are_written_where_they_are_wanted(written: Path, n: int) -> None:
    model = TrainedModel.load(written / "a.json", threads=1)
    noise, incident = model.noise(1, 0, n), Incident(22, np.linspace(1e3, 1e4, n))
    made = model(noise, incident)
    assert (made.shape, made.dtype) == ((n, 32), np.float32)
    for i in {0, n // 2, n - 1}:
        np.testing.assert_array_equal(model(noise[i : i + 1], incident[i])[0], made[i])
    out = np.full((n, 32), np.nan, np.float32)
    assert model(noise, incident, out) is out
    np.testing.assert_array_equal(out, made)


def test_a_model_stays_what_it_is(written: Path) -> None:
    model = TrainedModel.load(written / "a.json", threads=2)
    assert (model.name, model.threads) == ("a", 2)
    with pytest.raises(FrozenInstanceError):
        model.threads = 1  # type: ignore[misc]
    with pytest.raises(InputError, match="threads"):
        TrainedModel.load(written / "a.json", threads=0)
