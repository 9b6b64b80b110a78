"""Every classifier of the catalogue, on showers that differ in a way that is known."""

import numpy as np
import pytest

from caloforge.geometry import Axis, Calorimeter, Layer, RingLayer
from caloforge.incident.incident import Incident
from caloforge.metrics import classifiers
from caloforge.metrics.classifiers.grid import common_grid
from caloforge.showers import Showers

NAMES = classifiers.names()


def blobs(geometry: Calorimeter, n: int, shift: float, seed: int) -> Showers:
    """Showers of a round profile about the axis, 30 mm wide, whose middle lies apart in eta."""
    random = np.random.default_rng(seed)
    energy = random.uniform(1e3, 1e5, n)
    middle = random.normal(shift, 2.0, n)[:, None, None]
    images = []
    for layer in geometry.layers:
        eta, phi = layer.centres
        profile = np.exp(-((eta - middle) ** 2 + phi**2) / 200) * random.lognormal(0, 0.3, (n, *layer.shape))
        images.append(profile / profile.sum(axis=(1, 2), keepdims=True) / len(geometry.layers))
    cells = geometry.join(images) * energy[:, None]
    return Showers(geometry, cells, Incident(-11, energy))


@pytest.fixture(autouse=True)
def _short_trainings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("caloforge.metrics.classifiers.networks.EPOCHS", 5)
    monkeypatch.setattr("caloforge.metrics.classifiers.boosted.TREES", 15)


@pytest.fixture(scope="session")
def rings() -> Calorimeter:
    """Return two layers of different rings."""
    layers = (
        RingLayer(z=(0.0, 1.0), r=Axis(edges=[0.0, 5.0, 20.0]), alpha=4),
        RingLayer(z=(1.0, 2.0), r=Axis(edges=[0.0, 10.0, 20.0, 30.0]), alpha=8),
    )
    return Calorimeter("rings", "for tests", "none", (), ("active",), layers)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("which", ["small", "rings"])
def test_a_shift_is_seen_and_none_is_not(name: str, which: str, request: pytest.FixtureRequest) -> None:
    geometry: Calorimeter = request.getfixturevalue(which)
    test = classifiers.load(name)
    reference, alike, shifted = (
        test.features(blobs(geometry, 500, shift, seed)) for shift, seed in ((0, 1), (0, 2), (8, 3))
    )
    assert test.compare(reference, shifted, geometry).auc > 0.8
    assert test.compare(reference, alike, geometry).auc == pytest.approx(0.5, abs=0.15)


@pytest.mark.parametrize("name", NAMES)
def test_the_same_seed_trains_the_same_classifier(name: str, small: Calorimeter) -> None:
    test = classifiers.load(name)
    one, other = (test.features(blobs(small, 200, shift, 1)) for shift in (0, 1))
    assert test.compare(one, other, small, seed=5) == test.compare(one, other, small, seed=5)


@pytest.mark.parametrize("name", NAMES)
def test_empty_layers_and_showers_are_no_obstacle(name: str, small: Calorimeter) -> None:
    showers = blobs(small, 200, 0, 1)
    cells = showers.cells.copy()
    cells[::3] = 0
    cells[1::3, small.offsets[1] :] = 0
    empty = Showers(small, cells, Incident(-11, showers.energy))
    test = classifiers.load(name)
    assert test.compare(test.features(showers), test.features(empty), small).auc > 0.6


def test_a_training_leaves_random_numbers_alone(small: Calorimeter) -> None:
    import torch

    test = classifiers.load("low_level")
    features = test.features(blobs(small, 100, 0, 1))
    torch.manual_seed(1)
    wanted = torch.rand(3)
    torch.manual_seed(1)
    test.compare(features, features, small)
    assert torch.equal(torch.rand(3), wanted)


@pytest.mark.parametrize("which", ["small", "rings", "calogan"])
def test_the_common_grid_keeps_the_energy_of_every_cell(which: str, request: pytest.FixtureRequest) -> None:
    geometry: Calorimeter = request.getfixturevalue(which)
    grid = common_grid(geometry)
    spread = np.bincount(grid.cell.ravel(), weights=grid.share.ravel(), minlength=geometry.n_cells)
    np.testing.assert_allclose(spread, 1, rtol=1e-5)
    assert grid.round == (which == "rings")


def test_layers_that_are_alike_are_taken_as_they_are(calogan: Calorimeter) -> None:
    first = calogan.layers[0]
    alone = Layer(z=(0.0, 1.0), eta=first.eta, phi=first.phi)
    one = Calorimeter("one", "for tests", "none", (), ("active",), (alone,))
    grid = common_grid(one)
    np.testing.assert_array_equal(grid.cell[0], np.arange(one.n_cells).reshape(one.shapes[0]))
    np.testing.assert_allclose(grid.share, 1)
