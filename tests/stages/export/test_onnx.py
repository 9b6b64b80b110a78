"""Export: the graph draws what the model draws."""

from pathlib import Path

import numpy as np
import pytest
import torch

import caloforge
from caloforge.errors import InputError
from caloforge.geometry import Calorimeter
from caloforge.inference.model import TrainedModel
from caloforge.models.calogan import CaloGAN, Config
from caloforge.stages.export.onnx import export

from .conftest import draw, saved


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


def test_a_record_is_no_graph(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"ends in \.onnx"):
        export(tmp_path, tmp_path / "a.json")
