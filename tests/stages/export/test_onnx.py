"""Export: the graph draws what the model draws, and is verified when it is loaded."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

import caloforge
from caloforge import config
from caloforge.errors import CheckpointError, InputError
from caloforge.geometry import Calorimeter
from caloforge.inference.model import TrainedModel
from caloforge.inference.noise import LEVELS
from caloforge.models import checkpoint
from caloforge.models.calogan import CaloGAN, Config
from caloforge.stages.export.integer_noise import rotation
from caloforge.stages.export.onnx import export

N = 50


def saved(model: CaloGAN, folder: Path) -> Path:
    """Save a model as a training would."""
    record = {
        "model": model.name,
        "config": config.to_dict(model.config),
        "geometry": model.geometry.to_dict(),
        "plan": {},
        "data": [],
        "step": 1,
    }
    checkpoint.save(folder, record, {f"model.{name}": value for name, value in model.state_dict().items()})
    return folder


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, small: Calorimeter) -> tuple[CaloGAN, Path]:
    torch.manual_seed(1)
    model = CaloGAN(Config(latent=256), small)
    return model.eval(), saved(model, tmp_path_factory.mktemp("trained"))


@pytest.fixture(scope="module")
def exported(trained: tuple[CaloGAN, Path], tmp_path_factory: pytest.TempPathFactory) -> TrainedModel:
    return export(trained[1], tmp_path_factory.mktemp("exported") / "a.onnx")


@pytest.fixture
def own_copy(exported: TrainedModel, tmp_path: Path) -> Path:
    shutil.copytree(exported.graph.parent, tmp_path, dirs_exist_ok=True)
    return tmp_path


def draw(model: CaloGAN, graph: TrainedModel) -> tuple[np.ndarray, np.ndarray]:
    """Return what model and graph draw from the same noise; bytes are rotated to normal numbers."""
    random = np.random.default_rng(2)
    noise = graph.noise(random, N)
    rotate = graph.record["noise"] == "bytes"
    normal = noise.astype(np.float32) @ rotation(model.noise_size) if rotate else noise
    energy, label = random.uniform(1e3, 1e5, N), np.zeros(N, np.int64)
    with torch.no_grad():
        cells = model(torch.tensor(normal), torch.tensor(energy, dtype=torch.float32), torch.tensor(label))
    return cells.numpy(), graph(noise, energy, label)


def test_in_single_precision_the_graph_is_the_model(trained: tuple[CaloGAN, Path], tmp_path: Path) -> None:
    model, folder = trained
    graph = export(folder, tmp_path / "a.onnx", precision="float32", quality="fast", preferred=True)
    expected, found = draw(model, graph)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4 * expected.max())
    assert [graph.record[key] for key in ("precision", "noise", "quality")] == ["float32", "normal", "fast"]
    assert graph.record["preferred"]
    assert graph.noise_size == model.noise_size
    assert graph.record["deviation"]["shower_energy_rms_percent"] < 1e-3


def test_the_graph_does_not_tell_where_it_was_made(exported: TrainedModel) -> None:
    content = exported.graph.read_bytes()
    for module in (torch, caloforge):
        assert str(Path(module.__path__[0]).parent).encode() not in content
    assert b"stack_trace" not in content


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


def test_a_shower_is_the_same_in_any_company(exported: TrainedModel) -> None:
    noise = exported.noise(np.random.default_rng(3), 64)
    energy, label = np.full(64, 5e4), np.zeros(64, np.int64)
    half = exported(noise[:32], energy[:32], label[:32])
    np.testing.assert_allclose(exported(noise, energy, label)[:32], half, rtol=1e-5)


def test_a_model_of_several_particles_keeps_them_apart(small: Calorimeter, tmp_path: Path) -> None:
    torch.manual_seed(2)
    model = CaloGAN(Config(latent=8, particles=("e+", "gamma"), conditioning="acgan"), small)
    graph = export(saved(model, tmp_path), tmp_path / "a.onnx")
    assert [graph.label(pdg) for pdg in (-11, 22)] == [0, 1]
    # no product is one of the noise alone
    assert (graph.record["precision"], graph.record["noise"], graph.noise_size) == ("float32", "normal", 8)
    noise, energy = np.ones((4, 8), np.float32), np.full(4, 5e4)
    cells = [graph(noise, energy, np.full(4, label)) for label in (0, 1)]
    assert not np.allclose(cells[0], cells[1])
    expected = model.eval()(
        torch.tensor(noise), torch.tensor(energy).float(), torch.ones(4, dtype=torch.int64)
    )
    np.testing.assert_allclose(cells[1], expected.detach().numpy(), rtol=1e-3, atol=1e-6)


def test_an_altered_graph_is_refused(own_copy: Path) -> None:
    content = bytearray((own_copy / "a.onnx").read_bytes())
    content[len(content) // 2] ^= 1
    (own_copy / "a.onnx").write_bytes(content)
    with pytest.raises(CheckpointError, match="sha256 differs"):
        TrainedModel.load(own_copy / "a.json")


def test_a_missing_graph_and_a_foreign_record_are_named(own_copy: Path) -> None:
    (own_copy / "a.onnx").unlink()
    with pytest.raises(CheckpointError, match=r"a\.onnx is missing"):
        TrainedModel.load(own_copy / "a.json")
    for content in ("[]", "{", '{"graph": "a.onnx", "sha256": "0"}'):
        (own_copy / "a.json").write_text(content)
        with pytest.raises(CheckpointError, match="no record of a trained model"):
            TrainedModel.load(own_copy / "a.json")


def test_a_graph_is_no_record_and_a_record_no_graph(own_copy: Path, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"give the \.json"):
        TrainedModel.load(own_copy / "a.onnx")
    with pytest.raises(InputError, match=r"ends in \.onnx"):
        export(tmp_path, tmp_path / "a.json")
