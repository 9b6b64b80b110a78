"""``caloforge export``: the card of a model, and what its user sees meanwhile."""

from pathlib import Path

import torch

from caloforge import config
from caloforge.formats.native import write
from caloforge.geometry import Calorimeter
from caloforge.models import checkpoint
from caloforge.models.calogan import CaloGAN, Config
from caloforge.stages.train.fit import Plan
from tests.cli.conftest import Run
from tests.conftest import MakeShowers


def test_progress_is_shown_while_the_card_is_made(
    run: Run, tmp_path: Path, small: Calorimeter, make_showers: MakeShowers
) -> None:
    torch.manual_seed(1)
    model = CaloGAN(Config(latent=8), small)
    record = {
        "model": model.name,
        "config": config.to_dict(model.config),
        "geometries": [small.to_dict()],
        "parent": None,
        "plan": config.to_dict(Plan(held_out=1)),
        "data": [],
        "step": 1,
    }
    tensors = {f"model.{name}": value for name, value in model.state_dict().items()}
    checkpoint.save(tmp_path / "training", record, tensors)
    write(make_showers(20, small), tmp_path / "reference.h5")
    code, output, errors = run(
        *("export", tmp_path / "training", "-o", tmp_path / "a.onnx"),
        *("--reference", tmp_path / "reference.h5"),
    )
    assert code == 0, errors
    assert "Generating for the card: 14,356 of 14,356 showers" in errors
    assert str(tmp_path / "a.md") in output
    assert "The response of generated showers" in (tmp_path / "a.md").read_text()
