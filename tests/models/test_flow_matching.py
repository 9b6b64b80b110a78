"""Flow matching on the copula: it begins as the copula itself, learns what is left, and resumes exactly."""

import copy
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from torch import Tensor  # noqa: E402

from caloforge import config  # noqa: E402
from caloforge.errors import ConfigError  # noqa: E402
from caloforge.formats.calogan import ENTRY  # noqa: E402
from caloforge.geometry import Calorimeter  # noqa: E402
from caloforge.models import checkpoint, copula  # noqa: E402
from caloforge.models.base import Batch, GenerativeModel  # noqa: E402
from caloforge.models.flow_matching import Config, FlowMatching  # noqa: E402
from caloforge.preprocessing import falling  # noqa: E402
from caloforge.stages.train.data import TrainingData  # noqa: E402
from caloforge.stages.train.fit import Plan, fit  # noqa: E402

COPULA_STEPS, FLOW_STEPS = 30, 300


def take(showers: Batch, rows: Tensor | slice) -> Batch:
    return Batch(*(part[rows] for part in showers))


def learn(model: FlowMatching, showers: Batch, steps: int) -> list[dict[str, Tensor]]:
    optimizers = model.optimizers()
    return [
        model.training_step(take(showers, torch.randint(len(showers.energy), (256,))), optimizers)
        for _ in range(steps)
    ]


@pytest.fixture(scope="module")
def showers() -> Batch:
    """Return showers whose second layer follows from how far the first is from its mean, up or down.

    No correlation tells that, so a copula can't draw it.
    """
    random = torch.Generator().manual_seed(7)
    n = 4000
    first = torch.randn(n, 2, 8, generator=random)
    far = first[:, :, [0, 1, 6, 7]].abs().repeat_interleave(2, dim=1)
    second = 2 * far + 0.2 * torch.randn(n, 4, 4, generator=random)
    energy = 1e3 + 9.9e4 * torch.rand(n, generator=random)
    share = 0.3 + 0.2 * torch.rand(n, 1, generator=random)
    layers = share * first.flatten(1).softmax(dim=1), (0.9 - share) * second.flatten(1).softmax(dim=1)
    cells = torch.cat(layers, dim=1) * energy.unsqueeze(1)
    return Batch(cells, energy, torch.zeros(n, dtype=torch.int64))


@pytest.fixture(scope="module")
def real(geant4_showers: Path) -> Batch:
    found = ENTRY.read(geant4_showers / "calogan_eplus.h5")
    energy = torch.from_numpy(found.energy).float()
    return Batch(torch.from_numpy(found.cells), energy, torch.zeros(len(energy), dtype=torch.int64))


def begin(showers: Batch, geometry: Calorimeter) -> FlowMatching:
    """Return a model whose copula is done and whose network has not begun."""
    torch.manual_seed(1)
    network = {"width": 128, "blocks": 1, "dropout": 0, "flow_rate": 0.01, "flow_steps": FLOW_STEPS}
    model = FlowMatching(Config(steps=COPULA_STEPS, settled=10, sweeps=1, **network), geometry)
    model.prepare(showers)
    learn(model, showers, COPULA_STEPS)
    return model


@pytest.fixture(scope="module")
def begun(showers: Batch, small: Calorimeter) -> FlowMatching:
    return begin(showers, small)


@pytest.fixture(scope="module")
def trained(begun: FlowMatching, showers: Batch) -> FlowMatching:
    torch.manual_seed(2)
    model = copy.deepcopy(begun)
    learn(model, showers, FLOW_STEPS)
    return model


@torch.no_grad()
def loss(model: FlowMatching, showers: Batch) -> float:
    """Return the loss for always the same noise and times."""
    torch.manual_seed(3)
    return float(copy.deepcopy(model).eval()._loss(showers))


def requests(model: GenerativeModel, n: int = 2000) -> tuple[Tensor, Tensor, Tensor]:
    random = torch.Generator().manual_seed(4)
    noise = torch.randn(n, model.noise_size, generator=random)
    return noise, 1e3 + 9.9e4 * torch.rand(n, generator=random), torch.zeros(n, dtype=torch.int64)


def by_the_copula(model: FlowMatching) -> Tensor:
    """Return what the copula alone draws."""
    alone = copula.Copula(copula.Config(), model.geometry)
    alone.showers.load_state_dict(model.copula.state_dict())
    cells: Tensor = alone.sampler()(*requests(model))
    return cells


def layer_energies(cells: Tensor, geometry: Calorimeter) -> Tensor:
    return torch.from_numpy(geometry.layer_energies(cells.numpy())).float()


def test_a_network_that_says_nothing_is_the_copula(begun: FlowMatching) -> None:
    expected = by_the_copula(begun)
    found = begun.sampler()(*requests(begun))
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-1)
    assert (expected > 0).any()


def test_the_network_changes_cells_but_not_the_energies_of_layers(trained: FlowMatching) -> None:
    expected, found = by_the_copula(trained), trained.sampler()(*requests(trained))
    assert (found - expected).abs().sum() > 0.01 * expected.sum()
    energies = [layer_energies(cells, trained.geometry) for cells in (found, expected)]
    torch.testing.assert_close(*energies, rtol=1e-3, atol=1e-2)


def test_the_copula_is_learned_first_and_then_left_alone(begun: FlowMatching, trained: FlowMatching) -> None:
    assert all(not parameter.any() for parameter in begun.velocity.outlet.parameters())
    assert (int(begun.copula.steps), int(begun.flow_steps)) == (COPULA_STEPS, 0)
    assert int(trained.flow_steps) == FLOW_STEPS
    before = begun.copula.state_dict()
    assert all(torch.equal(value, before[name]) for name, value in trained.copula.state_dict().items())


def test_the_network_learns_what_the_copula_does_not_draw(
    begun: FlowMatching, trained: FlowMatching, showers: Batch
) -> None:
    def follows(cells: Tensor) -> float:
        """Return how a cell of the second layer goes with the distance of the first from its mean."""
        logs = cells.clamp(min=1e-2).log()
        first, second = (logs[:, cell] - logs[:, cell : cell + 16].mean(dim=1) for cell in (0, 16))
        return float(torch.corrcoef(torch.stack([(first - first.mean()).abs(), second]))[0, 1])

    assert follows(showers.cells) > 0.7
    drawn = [follows(model.sampler()(*requests(model))) for model in (begun, trained)]
    assert abs(drawn[0]) < 0.1
    assert drawn[1] > 0.3
    assert loss(trained, take(showers, slice(0, 1000))) < 0.97 * loss(begun, take(showers, slice(0, 1000)))


def test_training_on_real_showers_lowers_the_loss(real: Batch, calogan: Calorimeter) -> None:
    """Before, it is the variance of normal numbers; a few showers are soon learned."""
    few = take(real, slice(0, 100))
    model = begin(real, calogan)
    before = loss(model, few)
    assert before == pytest.approx(1, abs=0.1)
    learn(model, few, 30)
    assert loss(model, few) < 0.95 * before


def test_the_rate_falls_with_the_steps_of_the_network_alone(begun: FlowMatching, showers: Batch) -> None:
    model = copy.deepcopy(begun)
    optimizers = model.optimizers()
    for step in range(3):
        model.training_step(take(showers, slice(0, 32)), optimizers)
        (group,) = optimizers["flow"].param_groups
        assert group["lr"] == model.config.flow_rate * falling(step / FLOW_STEPS)


def test_finer_integration_converges(trained: FlowMatching) -> None:
    def drawn(integration: int) -> Tensor:
        model = FlowMatching(replace(trained.config, integration=integration), trained.geometry)
        model.load_state_dict(trained.state_dict())
        cells: Tensor = model.sampler()(*requests(trained))
        return cells

    exact = drawn(16)
    errors = [float((drawn(integration) - exact).abs().mean()) for integration in (1, 4)]
    assert 0 < errors[1] < 0.3 * errors[0]
    assert errors[0] < 0.6 * float((by_the_copula(trained) - exact).abs().mean())


def test_the_graph_draws_what_the_model_draws(trained: FlowMatching, tmp_path: Path) -> None:
    pytest.importorskip("onnx")
    from caloforge.stages.export.onnx import export

    record = {
        "model": trained.name,
        "config": config.to_dict(trained.config),
        "geometry": trained.geometry.to_dict(),
        "plan": {},
        "data": [],
        "step": 1,
    }
    tensors = {f"model.{name}": value for name, value in trained.state_dict().items()}
    checkpoint.save(tmp_path, record, tensors)
    graph = export(tmp_path, tmp_path / "a.onnx", quality="precise")
    assert (graph.record["noise"], graph.record["quality"]) == ("normal", "precise")
    inputs = requests(trained)
    with torch.no_grad():
        expected = copy.deepcopy(trained).eval()(*inputs).numpy()
    found = graph(*(part.numpy() for part in inputs))
    np.testing.assert_allclose(found, expected, rtol=1e-2, atol=1e-4 * expected.max())


class Killed(Exception):
    """Stands for kill -9: nothing after it runs."""


@pytest.mark.parametrize("kill_at", [1, 2, 4])
def test_a_training_killed_in_either_stage_ends_with_the_same_numbers(
    tmp_path: Path, showers: Batch, small: Calorimeter, kill_at: int
) -> None:
    data = TrainingData(small, *take(showers, slice(0, 96)), (-11,), [])
    plan = Plan(epochs=2, batch=32, average=0.9, validate_every=100)
    settings = Config(steps=2, settled=1, sweeps=1, width=16, blocks=1)

    def validate(step: int, model: GenerativeModel) -> dict[str, float]:
        return {"separation": 0.0}

    def train(folder: Path, kill_at: int = 0) -> dict[str, Tensor]:
        def log(step: int, _: dict[str, float]) -> None:
            if step == kill_at:
                raise Killed

        torch.manual_seed(6)
        fit(FlowMatching(settings, small), data, plan, folder, validate=validate, log=log, minutes=0)
        return checkpoint.load(folder).tensors

    whole = train(tmp_path / "whole")
    with pytest.raises(Killed):
        train(tmp_path / "killed", kill_at=kill_at)
    resumed = train(tmp_path / "killed")
    assert int(whole["model.flow_steps"]) == 4
    assert whole.keys() == resumed.keys()
    assert all(torch.equal(value, resumed[name]) for name, value in whole.items())


@pytest.mark.parametrize("wrong", [{"particles": ["e+", "gamma"]}, {"dropout": 1.0}, {"integration": 0}])
def test_impossible_configurations_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ConfigError):
        config.load(Config, wrong)
