"""The copula: what it draws after a short training on real showers, and exact resume."""

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from torch import Tensor  # noqa: E402

from caloforge import config  # noqa: E402
from caloforge.errors import ConfigError  # noqa: E402
from caloforge.formats.calogan import ENTRY  # noqa: E402
from caloforge.geometry import Calorimeter  # noqa: E402
from caloforge.models import checkpoint  # noqa: E402
from caloforge.models.base import Batch, GenerativeModel  # noqa: E402
from caloforge.models.copula import Config, Copula  # noqa: E402
from caloforge.stages.train.fit import Plan, fit  # noqa: E402
from tests.batches import run, take, training_data, upright  # noqa: E402


@pytest.fixture(scope="module")
def showers(geant4_showers: Path, calogan: Calorimeter) -> Batch:
    found = ENTRY.read(geant4_showers / "calogan_eplus.h5")
    return upright(torch.from_numpy(found.cells), torch.from_numpy(found.energy).float(), calogan)


@pytest.fixture(scope="module")
def trained(showers: Batch, calogan: Calorimeter) -> Copula:
    torch.manual_seed(1)
    model = Copula(Config(settled=0.4), calogan)
    run(model, showers, steps=50)
    return model


@torch.no_grad()
def draw(model: Copula, energy: Tensor) -> Tensor:
    sampler = model.sampler(model.geometry)
    noise = torch.randn(len(energy), sampler.noise_size, generator=torch.Generator().manual_seed(4))
    cells: Tensor = sampler(noise, energy)
    return cells


def figures(cells: Tensor, energy: Tensor, geometry: Calorimeter) -> dict[str, Tensor]:
    """Return quantities whose means and spreads are compared, each (N,)."""
    layers = torch.from_numpy(geometry.layer_energies(cells.numpy())).float()
    share = layers / layers.sum(dim=1, keepdim=True)
    first = cells[:, : geometry.offsets[1]]
    return {
        "response": layers.sum(dim=1) / energy,
        "depth": share[:, 1] + 2 * share[:, 2],
        "filled": (cells > 0).float().mean(dim=1),
        "filled in the first layer": (first > 0).float().mean(dim=1),
        "largest": cells.amax(dim=1) / energy,
    }


def width(values: Tensor) -> Tensor:
    """Return half of where the central 68 % are: rare outliers do not count."""
    return values.quantile(torch.tensor([0.16, 0.84])).diff() / 2


@pytest.mark.parametrize("gev", [(1, 20), (20, 60), (60, 100)])
def test_showers_resemble_those_of_the_training(
    trained: Copula, showers: Batch, calogan: Calorimeter, gev: tuple[float, float]
) -> None:
    rows = (showers.energy > 1e3 * gev[0]) & (showers.energy < 1e3 * gev[1])
    cells, energy = showers.cells[rows], showers.energy[rows]
    true = figures(cells, energy, calogan)
    found = figures(draw(trained, energy), energy, calogan)
    for name, values in true.items():
        error = values.std() / len(values) ** 0.5
        assert abs(found[name].mean() - values.mean()) < 5 * error + 0.01 * values.mean(), name
        assert float(width(found[name]) / width(values)) == pytest.approx(1, abs=0.25), name


def test_neighbouring_cells_go_together_as_they_do_in_geant4(trained: Copula, showers: Batch) -> None:
    """The sign of how the shares of a layer's central cells are correlated, which comes from the matrix."""
    drawn = draw(trained, showers.energy)
    centre = slice(96 + 44, 96 + 52)
    true, found = (torch.corrcoef((each[:, centre] + 0.1).log().T) for each in (showers.cells, drawn))
    independent = torch.eye(8)
    assert (found - true).abs().mean() < 0.3 * (independent - true).abs().mean()


def test_knots_and_starting_values_are_those_of_the_showers(showers: Batch, calogan: Calorimeter) -> None:
    model = Copula(Config(), calogan)
    before = model.showers.scaling.losses(showers.cells, showers.energy)
    model.phases()[0].prepare(training_data(showers))
    after = model.showers.scaling.losses(showers.cells, showers.energy)
    assert all(after[name] < 0.9 * before[name] for name in before)


def test_correlations_are_learned_from_the_share_of_the_steps_that_is_given(
    showers: Batch, calogan: Calorimeter
) -> None:
    model = Copula(Config(settled=0.5, sweeps=0), calogan)
    phase, few, independent = model.phases()[0], take(showers, slice(0, 32)), torch.eye(calogan.n_cells + 3)
    phase.prepare(training_data(showers))
    for step in range(3):
        assert torch.equal(model.showers.gaussian.covariance, independent), step
        phase.step(few, step / 4)
    assert not torch.equal(model.showers.gaussian.covariance, independent)


def test_the_room_above_the_incident_energy_is_that_of_all_showers(
    small: Calorimeter, monkeypatch: pytest.MonkeyPatch
) -> None:
    cells = torch.rand(300, small.n_cells, generator=torch.Generator().manual_seed(1))
    energy = 1.2 * cells.sum(dim=1)
    cells[250] *= (energy[250] + 70) / cells[250].sum()
    data, model = training_data(upright(cells, energy, small)), Copula(Config(), small)
    monkeypatch.setattr(type(data), "sample", lambda self: next(self.batches(100)))
    model.phases()[0].prepare(data)
    assert float(model.showers.scaling.layers.excess) == pytest.approx(70, abs=1e-2)


def test_cells_that_a_tilted_beam_tells_apart_share_no_function(calogan: Calorimeter) -> None:
    model = Copula(Config(direction_range=((30.0, 30.0), (0.0, 0.0))), calogan)
    for cells, shape in zip(model.showers.scaling.cells, calogan.shapes, strict=True):
        phi, eta = shape
        image = cells.pool.view(shape)
        assert torch.equal(image, image.flip(0))
        assert len(torch.unique(image)) == eta * ((phi + 1) // 2)
        different = image != image.flip(1)
        assert different.all(dim=0)[torch.arange(eta) != eta // 2 if eta % 2 else slice(None)].all()
    assert len(model.showers.gaussian.symmetries) == 2
    assert len(Copula(Config(), calogan).showers.gaussian.symmetries) == 4


@pytest.mark.parametrize(("theta", "lopsided"), [(30.0, True), (0.0, False)])
def test_a_tilted_beam_makes_lopsided_showers(small: Calorimeter, theta: float, lopsided: bool) -> None:
    """All that a model draws is symmetric but for the side that a fixed direction tells."""
    torch.manual_seed(1)
    eta, phi = (
        torch.from_numpy(np.concatenate([layer.centres[axis].ravel() for layer in small.layers])).float()
        for axis in (0, 1)
    )
    share = (torch.randn(2000, small.n_cells) + eta / 10 + phi / 10).softmax(dim=1)
    energy = 1e3 + 9.9e4 * torch.rand(2000)
    model = Copula(Config(direction_range=((theta, theta), (0.0, 0.0))), small)
    run(model, upright(0.9 * energy[:, None] * share, energy, small), steps=5)
    drawn = draw(model, energy)
    mean = drawn.sum(dim=0) / drawn.sum()
    assert (float(mean @ eta) > 4) == lopsided
    assert abs(float(mean @ phi)) < 1
    assert float(share.mean(dim=0) @ phi) > 4


def test_showers_far_outside_the_range_are_still_showers(trained: Copula) -> None:
    energy = torch.tensor([300.0, 500.0, 1.5e5, 4e5]).repeat(50)
    cells = draw(trained, energy)
    response = cells.sum(dim=1) / energy
    assert cells.isfinite().all()
    assert (response < 1.01).all()
    assert (response > 0.5).all()


class Killed(Exception):
    """Stands for kill -9: nothing after it runs."""


def test_a_killed_training_ends_with_the_same_numbers(
    tmp_path: Path, showers: Batch, calogan: Calorimeter
) -> None:
    data = training_data(take(showers, slice(0, 96)))
    plan = Plan(epochs=2, batch=32, validate_every=100)

    def validate(step: int, model: GenerativeModel) -> dict[str, float]:
        return {"separation": 0.0}

    def train(folder: Path, kill_at: int = 0) -> dict[str, Tensor]:
        def log(step: int, _: dict[str, float]) -> None:
            if step == kill_at:
                raise Killed

        model = Copula(Config(settled=0.1, sweeps=1), calogan)
        fit(model, data, plan, folder, validate=validate, log=log, minutes=0)
        return checkpoint.load(folder).tensors

    whole = train(tmp_path / "whole")
    with pytest.raises(Killed):
        train(tmp_path / "killed", kill_at=4)
    resumed = train(tmp_path / "killed")
    assert whole.keys() == resumed.keys()
    assert all(torch.equal(value, resumed[name]) for name, value in whole.items())


@pytest.mark.parametrize(
    "wrong",
    [
        {"particles": ["e+", "gamma"]},
        {"energy_range": [5.0, 1.0]},
        {"levels": [0.1, 1.0, 2.0]},
        {"levels": [0.0, 2.0, 1.0]},
    ],
)
def test_impossible_configurations_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ConfigError):
        config.load(Config, wrong)
