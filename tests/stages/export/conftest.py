"""A model that learned nothing, as a training saves it and as a graph."""

from pathlib import Path

import numpy as np
import pytest
import torch

from caloforge import config
from caloforge.geometry import Calorimeter
from caloforge.inference.model import TrainedModel
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
