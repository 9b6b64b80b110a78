"""Export: the graph draws what the model draws, and is verified when it is loaded."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from caloforge import checkpoint, config
from caloforge.errors import CheckpointError, InputError
from caloforge.export import export
from caloforge.geometry import Calorimeter
from caloforge.models.calogan import CaloGAN, Config
from caloforge.trained import TrainedModel

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
    random = np.random.default_rng(2)
    noise = random.standard_normal((N, model.noise_size), dtype=np.float32)
    energy, label = random.uniform(1e3, 1e5, N), np.zeros(N, np.int64)
    with torch.no_grad():
        cells = model(torch.tensor(noise), torch.tensor(energy, dtype=torch.float32), torch.tensor(label))
    return cells.numpy(), graph(noise, energy, label)


def test_in_single_precision_the_graph_is_the_model(trained: tuple[CaloGAN, Path], tmp_path: Path) -> None:
    model, folder = trained
    expected, found = draw(model, export(folder, tmp_path / "a.onnx", precision="float32"))
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4 * expected.max())


def test_whole_numbers_move_cells_by_a_few_percent_at_most(
    trained: tuple[CaloGAN, Path], exported: TrainedModel
) -> None:
    expected, found = draw(trained[0], exported)
    assert not np.array_equal(found, expected)
    assert np.abs(found - expected).max() < 0.05 * expected.max()
    np.testing.assert_allclose(found.sum(), expected.sum(), rtol=0.01)
    assert 0 < exported.record["deviation"]["shower_energy_rms_percent"] < 1


def test_whole_numbers_take_less_room(trained: tuple[CaloGAN, Path], exported: TrainedModel) -> None:
    assert exported.graph.stat().st_size < 0.5 * sum(p.nbytes for p in trained[0].generator.parameters())


def test_a_shower_is_the_same_in_any_company(exported: TrainedModel) -> None:
    noise = np.random.default_rng(3).standard_normal((64, exported.noise_size), dtype=np.float32)
    energy, label = np.full(64, 5e4), np.zeros(64, np.int64)
    half = exported(noise[:32], energy[:32], label[:32])
    np.testing.assert_allclose(exported(noise, energy, label)[:32], half, rtol=1e-5)


def test_a_model_of_several_particles_keeps_them_apart(small: Calorimeter, tmp_path: Path) -> None:
    torch.manual_seed(2)
    model = CaloGAN(Config(latent=8, particles=("e+", "gamma"), conditioning="acgan"), small)
    graph = export(saved(model, tmp_path), tmp_path / "a.onnx")
    assert [graph.label(pdg) for pdg in (-11, 22)] == [0, 1]
    assert graph.record["precision"] == "float32"  # no product is one of the noise alone
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
