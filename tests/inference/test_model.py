"""Finding weights, and the random numbers that they take."""

import json
from pathlib import Path

import numpy as np
import pytest

from caloforge.errors import CatalogError, CheckpointError
from caloforge.geometry import Calorimeter
from caloforge.incident.particles import parse_particle
from caloforge.inference import zoo
from caloforge.inference.model import TrainedModel
from caloforge.inference.noise import LEVELS
from caloforge.inference.shipped import find
from tests import small_weights


@pytest.fixture
def shipped(tmp_path: Path, small: Calorimeter, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder that stands for that of the models that ship."""
    monkeypatch.setattr(zoo, "shipped", lambda: tmp_path)
    monkeypatch.setattr(zoo, "folders", lambda: [tmp_path])
    small_weights.write(tmp_path / "calogan_gamma.json", small)
    return tmp_path


def test_the_fast_model_is_taken_unless_another_is_asked_for(shipped: Path, small: Calorimeter) -> None:
    assert find(22, "small").name == "calogan_gamma"
    small_weights.write(shipped / "precise_gamma.json", small, quality="precise")
    assert find(22, "small").name == "precise_gamma"
    small_weights.write(shipped / "fast_gamma.json", small, quality="fast")
    assert find(22, "small").name == "fast_gamma"
    assert find(22, "small", "precise").name == "precise_gamma"
    assert find(22, "small", quality="fast", threads=1).threads == 1


def test_a_preferred_model_comes_before_a_fast_one(shipped: Path, small: Calorimeter) -> None:
    small_weights.write(shipped / "fast_gamma.json", small, quality="fast")
    preferred = shipped / "precise_gamma.json"
    small_weights.write(preferred, small, quality="precise")
    preferred.write_text(json.dumps(json.loads(preferred.read_text()) | {"preferred": True}))
    assert find(22, "small").name == "precise_gamma"
    assert find(22, "small", "fast").name == "fast_gamma"


def test_what_ships_by_default_is_what_one_should_have() -> None:
    found = {name: find(parse_particle(name), "calogan").name for name in ("e+", "gamma", "pi+")}
    assert found == {"e+": "fast_eplus", "gamma": "fast_gamma", "pi+": "precise_piplus"}


def test_records_without_a_quality_are_found(shipped: Path) -> None:
    path = shipped / "calogan_gamma.json"
    record = json.loads(path.read_text())
    del record["quality"], record["noise"]
    path.write_text(json.dumps(record))
    assert find(22, "small").name == "calogan_gamma"


def test_a_quality_that_there_is_not_is_refused(shipped: Path) -> None:
    with pytest.raises(CatalogError, match=r"gamma in small is 'fast'. There are: calogan_gamma"):
        find(22, "small", "fast")
    with pytest.raises(CatalogError, match="Did you mean 'fast'"):
        find(22, "small", "fats")


def test_an_untrained_request_is_answered_with_the_nearest_and_a_way(shipped: Path) -> None:
    with pytest.raises(CatalogError, match=r"gamma in calogan. The nearest is calogan_gamma: gamma in small"):
        find(22, "calogan")
    with pytest.raises(CatalogError, match="caloforge simulate small --particle neutron"):
        find(2112, "small")


@pytest.mark.parametrize(("noise", "dtype"), [("bytes", np.uint8), ("normal", np.float32)])
def test_noise_is_of_the_kind_that_the_graph_takes(
    tmp_path: Path, small: Calorimeter, noise: str, dtype: type
) -> None:
    model = TrainedModel.load(small_weights.write(tmp_path / "a.json", small, noise))
    found = model.noise(np.random.Generator(np.random.SFC64(1)), 1000)
    assert (found.shape, found.dtype) == ((1000, small_weights.NOISE), dtype)
    again = model.noise(np.random.Generator(np.random.SFC64(1)), 1000)
    np.testing.assert_array_equal(found, again)
    assert model(found, np.full(1000, 1e4), np.zeros(1000, np.int64)).shape == (1000, small.n_cells)


def test_bytes_are_uniform_and_independent(tmp_path: Path, small: Calorimeter) -> None:
    model = TrainedModel.load(small_weights.write(tmp_path / "a.json", small))
    noise = model.noise(np.random.Generator(np.random.SFC64(1)), 20_000).astype(float)
    counts = np.bincount(noise.astype(int).ravel(), minlength=LEVELS)
    expected, freedom = noise.size / LEVELS, LEVELS - 1
    assert len(counts) == LEVELS
    assert abs(((counts - expected) ** 2 / expected).sum() - freedom) < 5 * np.sqrt(2 * freedom)
    correlations = np.corrcoef(noise.T)[np.triu_indices(small_weights.NOISE, 1)]
    assert np.abs(correlations).max() < 5 / np.sqrt(len(noise))


def test_noise_of_a_newer_kind_is_refused(tmp_path: Path, small: Calorimeter) -> None:
    path = small_weights.write(tmp_path / "a.json", small)
    path.write_text(path.read_text().replace('"bytes"', '"quanta"'))
    with pytest.raises(CheckpointError, match=r"'quanta'.*install a newer"):
        TrainedModel.load(path)
