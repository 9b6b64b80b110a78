"""What a training is judged by on the way."""

from pathlib import Path

import torch

from caloforge.geometry import Calorimeter
from caloforge.models.calogan import CaloGAN, Config
from caloforge.stages.train.data import load
from caloforge.stages.train.validation import Validation


def test_a_validation_compares_and_draws(tmp_path: Path, small_file: Path, small: Calorimeter) -> None:
    data = load([small_file], small)
    torch.manual_seed(1)
    model = CaloGAN(Config(latent=8), small)
    figures = Validation(data, tmp_path)(7, model)
    assert 0 < figures["separation"] <= 1
    shapes = {"separation/response", "separation/shower_depth", "separation/depth_width"}
    of_layers = (
        "e_ratio_{}",
        "lateral_width_{}_eta",
        "lateral_width_{}_phi",
        "layer_fraction_{}",
        "sparsity_{}",
    )
    shapes |= {f"separation/{name.format(layer)}" for name in of_layers for layer in (0, 1)}
    assert set(figures) == {"separation", *shapes}  # whatever else the catalogue may hold
    assert (tmp_path / "pictures" / "step-000007.png").read_bytes().startswith(b"\x89PNG")
    assert Validation(data, tmp_path)(8, model) == figures
