"""Flow matching on the copula: it begins as the copula itself, learns what is left, and resumes exactly."""

import copy
import math
from collections.abc import Callable
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
from caloforge.incident.incident import Incident  # noqa: E402
from caloforge.models import checkpoint, copula  # noqa: E402
from caloforge.models.base import Batch  # noqa: E402
from caloforge.models.flow_matching import Config, FlowMatching  # noqa: E402
from caloforge.stages.train.fit import Plan, fit  # noqa: E402
from tests.batches import run, take, training_data, upright  # noqa: E402

COPULA_STEPS, FLOW_STEPS = 30, 300


@pytest.fixture(scope="module")
def showers(small: Calorimeter) -> Batch:
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
    return upright(cells, energy, small)


@pytest.fixture(scope="module")
def real(geant4_showers: Path, calogan: Calorimeter) -> Batch:
    found = ENTRY.read(geant4_showers / "calogan_eplus.h5")
    return upright(torch.from_numpy(found.cells), torch.from_numpy(found.energy).float(), calogan)


def begin(showers: Batch, geometry: Calorimeter) -> FlowMatching:
    """Return a model whose copula is done and whose network has not begun."""
    torch.manual_seed(1)
    network = {"width": 128, "blocks": 1, "dropout": 0, "flow_rate": 0.01, "flow_steps": FLOW_STEPS}
    model = FlowMatching(Config(steps=COPULA_STEPS, settled=0.3, sweeps=1, **network), geometry)
    run(model, showers, COPULA_STEPS)
    return model


@pytest.fixture(scope="module")
def begun(showers: Batch, small: Calorimeter) -> FlowMatching:
    return begin(showers, small)


@pytest.fixture(scope="module")
def trained(begun: FlowMatching, showers: Batch) -> FlowMatching:
    torch.manual_seed(2)
    model = copy.deepcopy(begun)
    run(model, showers, FLOW_STEPS, phase=1)
    return model


@torch.no_grad()
def loss(model: FlowMatching, showers: Batch) -> float:
    """Return the loss for always the same noise and times."""
    torch.manual_seed(3)
    return float(copy.deepcopy(model).eval()._loss(showers))


def requests(model: FlowMatching, n: int = 2000) -> tuple[Tensor, Tensor]:
    random = torch.Generator().manual_seed(4)
    noise = torch.randn(n, model.copula.size, generator=random)
    return noise, 1e3 + 9.9e4 * torch.rand(n, generator=random)


@torch.no_grad()
def draw(model: FlowMatching) -> Tensor:
    cells: Tensor = model.sampler(model.geometry)(*requests(model))
    return cells


def by_the_copula(model: FlowMatching) -> Tensor:
    """Return what the copula alone draws."""
    alone = copula.Copula(copula.Config(), model.geometry)
    alone.showers.load_state_dict(model.copula.state_dict())
    cells: Tensor = alone.sampler(model.geometry)(*requests(model))
    return cells


def layer_energies(cells: Tensor, geometry: Calorimeter) -> Tensor:
    return torch.from_numpy(geometry.layer_energies(cells.numpy())).float()


def test_a_network_that_says_nothing_is_the_copula(begun: FlowMatching) -> None:
    expected = by_the_copula(begun)
    found = draw(begun)
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-1)
    assert (expected > 0).any()


def test_the_network_changes_cells_but_not_the_energies_of_layers(trained: FlowMatching) -> None:
    expected, found = by_the_copula(trained), draw(trained)
    assert (found - expected).abs().sum() > 0.01 * expected.sum()
    energies = [layer_energies(cells, trained.geometry) for cells in (found, expected)]
    torch.testing.assert_close(*energies, rtol=1e-3, atol=1e-2)


def test_the_copula_is_learned_first_and_then_left_alone(begun: FlowMatching, trained: FlowMatching) -> None:
    assert all(not parameter.any() for parameter in begun.velocity.outlet.parameters())
    assert any(parameter.any() for parameter in trained.velocity.outlet.parameters())
    phases = begun.phases()
    assert [(phase.name, phase.steps) for phase in phases] == [("copula", COPULA_STEPS), ("flow", FLOW_STEPS)]
    assert int(begun.copula.gaussian.updates) == 0.7 * COPULA_STEPS
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
    drawn = [follows(draw(model)) for model in (begun, trained)]
    assert abs(drawn[0]) < 0.1
    assert drawn[1] > 0.3
    assert loss(trained, take(showers, slice(0, 1000))) < 0.97 * loss(begun, take(showers, slice(0, 1000)))


def test_training_on_real_showers_lowers_the_loss(real: Batch, calogan: Calorimeter) -> None:
    """Before, it is the variance of normal numbers; a few showers are soon learned."""
    few = take(real, slice(0, 100))
    model = begin(real, calogan)
    before = loss(model, few)
    assert before == pytest.approx(1, abs=0.1)
    run(model, few, 30, phase=1)
    assert loss(model, few) < 0.95 * before


def test_the_rate_falls_with_the_steps_of_the_network_alone(begun: FlowMatching, showers: Batch) -> None:
    model = copy.deepcopy(begun)
    phase = model.phases()[1]
    (schedule,), (group,) = phase.schedules(FLOW_STEPS), phase.optimizers["flow"].param_groups
    for step in range(3):
        share = 0.5 * (1 + math.cos(math.pi * step / FLOW_STEPS))
        assert group["lr"] == pytest.approx(model.config.flow_rate * share, rel=1e-12)
        phase.step(take(showers, slice(0, 32)), step / FLOW_STEPS)
        schedule.step()


def test_finer_integration_converges(trained: FlowMatching) -> None:
    def drawn(integration: int) -> Tensor:
        model = FlowMatching(replace(trained.config, integration=integration), trained.geometry)
        model.load_state_dict(trained.state_dict())
        return draw(model)

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
        "geometries": [trained.geometry.to_dict()],
        "plan": {},
        "parent": None,
        "data": [],
        "step": 1,
    }
    tensors = {f"model.{name}": value for name, value in trained.state_dict().items()}
    checkpoint.save(tmp_path, record, tensors)
    graph = export(tmp_path, tmp_path / "a.onnx", quality="precise")
    assert (graph.record["noise"], graph.record["quality"]) == ("normal", "precise")
    noise, energy = requests(trained)
    expected = draw(trained).numpy()
    found = graph(noise.numpy(), Incident(-11, energy.numpy()))
    np.testing.assert_allclose(found, expected, rtol=1e-2, atol=1e-4 * expected.max())


class Killed(Exception):
    """Stands for kill -9: nothing after it runs."""


def stop_at(step: int) -> Callable[[int, object], None]:
    """Return a call that kills its process when so many steps are done."""

    def call(done: int, _: object) -> None:
        if done == step:
            raise Killed

    return call


@pytest.fixture(scope="module", params=[0.0, 0.5])
def average(request: pytest.FixtureRequest) -> float:
    found: float = request.param
    return found


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, showers: Batch, average: float) -> dict[str, Tensor]:
    """Return all numbers of a training that nobody killed."""
    folder = tmp_path_factory.mktemp("whole")
    train(folder, showers, average)
    return checkpoint.load(folder).tensors


def random_figure(step: int, model: object) -> dict[str, float]:
    """Consume random numbers, as a real validation may."""
    return {"separation": float(torch.rand(1))}


def train(folder: Path, showers: Batch, average: float, **calls: Callable[..., object]) -> None:
    """Train three steps of the copula and three of the flow, with a checkpoint after each."""
    begun = checkpoint.read_record(folder) is not None
    torch.manual_seed(7 if begun else 6)
    model = FlowMatching(
        Config(steps=3, flow_steps=3, settled=0.3, sweeps=1, width=16, blocks=1), showers.geometry
    )
    fit(
        model,
        training_data(take(showers, slice(0, 96))),
        Plan(batch=32, average=average, validate_every=3),
        folder,
        minutes=0,
        **{"validate": random_figure, "log": lambda step, figures: None, **calls},
    )


@pytest.mark.parametrize(
    ("call", "step", "phase", "done"),
    [
        ("log", 2, 0, 1),
        ("log", 3, 0, 2),  # the copula is done, but was not saved
        ("progress", 3, 1, 0),  # exactly between
        ("log", 4, 1, 0),
        ("progress", 5, 1, 2),
        ("log", 6, 1, 2),
    ],
)
def test_a_training_killed_in_any_phase_ends_with_the_same_numbers(
    tmp_path: Path,
    showers: Batch,
    average: float,
    whole: dict[str, Tensor],
    call: str,
    step: int,
    phase: int,
    done: int,
) -> None:
    with pytest.raises(Killed):
        train(tmp_path, showers, average, **{call: stop_at(step)})
    record = checkpoint.load(tmp_path).record
    assert (record["phase"], record["phase_step"]) == (phase, done)
    train(tmp_path, showers, average)
    resumed = checkpoint.load(tmp_path)
    assert resumed.record["step"] == 6
    assert any(name.startswith("average.") for name in whole) == (average > 0)
    assert whole.keys() == resumed.tensors.keys()
    assert all(torch.equal(value, resumed.tensors[name]) for name, value in whole.items())


def test_the_flow_builds_on_the_average_of_the_copula(
    tmp_path: Path, showers: Batch, whole: dict[str, Tensor], average: float
) -> None:
    seen: dict[int, dict[str, Tensor]] = {}

    def validate(step: int, model: FlowMatching) -> dict[str, float]:
        seen[step] = {name: value.clone() for name, value in model.copula.state_dict().items()}
        return {"separation": 1.0}

    train(tmp_path / "again", showers, average, validate=validate)
    train(tmp_path / "plain", showers, 0.0)
    plain = checkpoint.load(tmp_path / "plain").group("model.copula")
    for name, value in seen[3].items():
        assert torch.equal(value, whole[f"model.copula.{name}"]), name
        assert torch.equal(value, seen[6][name]), name
    same = [torch.equal(value, plain[name]) for name, value in seen[3].items()]
    assert all(same) == (average == 0)


@pytest.mark.parametrize("wrong", [{"particles": ["e+", "gamma"]}, {"dropout": 1.0}, {"integration": 0}])
def test_impossible_configurations_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ConfigError):
        config.load(Config, wrong)
