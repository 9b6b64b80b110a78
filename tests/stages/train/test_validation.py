"""What a training is judged by on the way."""

from pathlib import Path

import pytest
import torch

from caloforge.formats.native import write
from caloforge.geometry import Calorimeter
from caloforge.models.calogan import CaloGAN, Config
from caloforge.stages.train import validation
from caloforge.stages.train.data import load
from caloforge.stages.train.report import Pictures
from caloforge.stages.train.validation import Validation
from tests import toys
from tests.conftest import MakeShowers


def test_a_validation_compares_and_draws(tmp_path: Path, small_file: Path, small: Calorimeter) -> None:
    data = load([small_file], [small])
    torch.manual_seed(1)
    model = CaloGAN(Config(latent=8), small)
    figures = Validation(data, Pictures(tmp_path / "pictures"))(7, model)
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
    assert Validation(data, Pictures(tmp_path / "pictures"))(8, model) == figures


def test_a_validation_in_batches_is_that_at_once(
    small_file: Path, small: Calorimeter, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = load([small_file], [small])
    torch.manual_seed(1)
    model = CaloGAN(Config(latent=16), small)
    whole = Validation(data)(1, model)
    monkeypatch.setattr(validation, "_MOST", 32)
    parts = Validation(data)(1, model)
    assert parts == pytest.approx(whole, rel=1e-3)


def test_several_read_outs_are_validated_each(
    tmp_path: Path, small: Calorimeter, calogan: Calorimeter, make_showers: MakeShowers
) -> None:
    for geometry in (small, calogan):
        write(make_showers(12, geometry), tmp_path / f"{geometry.name}.h5")
    files = [tmp_path / f"{geometry.name}.h5" for geometry in (small, calogan)]
    data = load(files, [small, calogan])
    figures = Validation(data)(1, toys.AnyReadOut(toys.Config(), small, calogan))
    assert {"separation/small/response", "separation/calogan/response"} <= set(figures)


def test_figures_of_the_models_own_are_among_those_of_a_validation(
    small_file: Path, small: Calorimeter, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = load([small_file], [small])
    model = CaloGAN(Config(latent=8), small)
    monkeypatch.setattr(model, "measured", lambda showers: {"showers": torch.tensor(len(showers))})
    assert Validation(data)(1, model)["showers"] == len(data)
