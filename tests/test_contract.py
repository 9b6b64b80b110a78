"""What every model keeps: those of the catalogue, and toys that use what no shipped model needs yet."""

import copy
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from caloforge import catalog, config  # noqa: E402
from caloforge.geometry import Calorimeter  # noqa: E402
from caloforge.incident.incident import Incident  # noqa: E402
from caloforge.models import checkpoint  # noqa: E402
from caloforge.models.base import CONDITIONS, Batch, GenerativeModel, ModelConfig  # noqa: E402
from caloforge.stages.export.onnx import example, export  # noqa: E402
from caloforge.stages.train.data import SparseShowers, TrainingData  # noqa: E402
from caloforge.stages.train.fit import Plan, fit  # noqa: E402
from tests import batches, toys  # noqa: E402

N = 8
# Of models whose own size would take long.
SMALLER = {
    "conv_l2l_flows": {"blocks": 1, "channels": [4, 4], "energy_blocks": 2, "energy_hidden": 8},
    "caloinn": {"blocks": 2, "width": 16},
    "l2l_flows": {"blocks": 2, "hidden": 16, "energy_blocks": 2, "energy_hidden": 8},
    "caloflow_teacher": {"blocks": 2, "hidden": 16, "energy_blocks": 1, "energy_hidden": 8},
    "caloflow": {"blocks": 2, "hidden": 16, "energy_blocks": 1, "energy_hidden": 8},
}
TOYS = {kind.__name__: kind for kind in (toys.TwoPhases, toys.AnyReadOut, toys.CellByCell)}

pytestmark = pytest.mark.filterwarnings("error")


@pytest.fixture(scope="module", params=[*catalog.names("models"), *TOYS])
def kind(request: pytest.FixtureRequest) -> type[GenerativeModel]:
    entry: type[GenerativeModel] = TOYS.get(request.param) or catalog.load("models", request.param)
    return entry


def build(kind: type[GenerativeModel], geometry: Calorimeter) -> GenerativeModel:
    if kind.__name__ in TOYS:
        torch.manual_seed(1)
        return kind(kind.Config(), geometry)
    return batches.build(kind.__module__.rpartition(".")[2], geometry, SMALLER)


@pytest.fixture(params=["small", "calogan"])
def model(kind: type[GenerativeModel], request: pytest.FixtureRequest) -> GenerativeModel:
    return build(kind, request.getfixturevalue(request.param))


@pytest.fixture
def lean(kind: type[GenerativeModel], small: Calorimeter) -> GenerativeModel:
    return build(kind, small)


def requests(model: GenerativeModel, n: int = N) -> tuple[torch.Tensor, ...]:
    generator = torch.Generator().manual_seed(2)
    noise = torch.randn(n, model.sampler(model.geometry).noise_size, generator=generator)
    energy = 1000 + 99_000 * torch.rand(n, generator=generator)
    given = dict(zip(model.inputs, example(model.inputs, n), strict=True)) | {"energy": energy}
    return noise, *(given[name] for name in model.inputs)


def batch(model: GenerativeModel, geometry: Calorimeter | None = None) -> Batch:
    random = np.random.default_rng(3)
    geometry = geometry or model.geometry
    share = random.exponential(1.0, (N, geometry.n_cells))
    share[share < 1] = 0
    energy = torch.from_numpy(random.uniform(1e3, 1e5, N)).float()
    cells = torch.from_numpy(share / share.sum(axis=1, keepdims=True)).float() * energy.unsqueeze(1)
    direction, position, label = example(("direction", "position", "label"), N)
    return Batch(cells, energy, direction, position, label, geometry)


def data(model: GenerativeModel, n: int = 4 * N) -> TrainingData:
    """Showers as a training has them: the same few over and over."""
    one = batch(model)
    cells = one.cells.repeat(n // N, 1).numpy()
    filled = [np.flatnonzero(row) for row in cells]
    bounds = np.concatenate([[0], np.cumsum([len(row) for row in filled])])
    index, value = np.concatenate(filled).astype(np.uint32), cells[cells > 0]
    incident = Incident(-11, one.energy.repeat(n // N).numpy())
    part = SparseShowers(model.geometry, bounds, index, value, incident)
    return TrainingData((part,), np.arange(n), (-11,), [])


def one_step(model: GenerativeModel) -> dict[str, torch.Tensor]:
    """Prepare the first phase and make a step of it, or all that there is of one without steps."""
    phase = model.phases()[0]
    showers = data(model)
    if phase.prepare is not None:
        phase.prepare(showers)
    model.train()
    figures = phase.step(batch(model), 0.5) if phase.steps != 0 else {}
    if phase.finish is not None:
        phase.finish(showers)
    return figures


def test_it_is_conditioned_on_the_energy_and_on_what_there_is(kind: type[GenerativeModel]) -> None:
    assert "energy" in kind.conditions
    assert set(kind.conditions) <= set(CONDITIONS)


def test_its_configuration_is_one_of_a_model(kind: type[GenerativeModel]) -> None:
    assert issubclass(kind.Config, ModelConfig)
    with pytest.raises(ValueError, match="energy_range"):
        kind.Config(energy_range=(5.0, 1.0))


def test_showers_have_the_shape_of_the_calorimeter_and_no_negative_cells(model: GenerativeModel) -> None:
    with torch.no_grad():
        cells = model.sampler(model.geometry)(*requests(model))
    assert cells.shape == (N, model.geometry.n_cells)
    assert cells.dtype == torch.float32
    assert torch.isfinite(cells).all()
    assert (cells >= 0).all()


def test_the_same_request_gives_the_same_showers(model: GenerativeModel) -> None:
    sampler = model.sampler(model.geometry)
    with torch.no_grad():
        assert torch.equal(sampler(*requests(model)), sampler(*requests(model)))


def test_a_shower_does_not_depend_on_the_others_of_its_batch(lean: GenerativeModel) -> None:
    sampler, inputs = lean.sampler(lean.geometry), requests(lean)
    with torch.no_grad():
        together = sampler(*inputs)
        alone = torch.cat([sampler(*(values[i : i + 1] for values in inputs)) for i in range(N)])
    torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-4 * float(together.max()))


def test_phases_have_names_and_lengths(model: GenerativeModel) -> None:
    phases = model.phases()
    assert phases
    assert len({phase.name for phase in phases}) == len(phases)
    assert all((phase.steps is None) != (phase.epochs is None) for phase in phases)


def test_a_step_changes_the_state_and_reports_finite_numbers(model: GenerativeModel) -> None:
    before = {name: value.clone() for name, value in model.state_dict().items()}
    figures = one_step(model)
    assert all(value.ndim == 0 and not value.requires_grad for value in figures.values())
    assert all(np.isfinite(float(value)) for value in figures.values())
    after = model.state_dict()
    assert any(
        value.shape != before[name].shape or not torch.equal(value, before[name])
        for name, value in after.items()
    )
    assert all(torch.isfinite(value).all() for value in after.values())


def test_every_parameter_belongs_to_one_optimizer(lean: GenerativeModel) -> None:
    optimized = [
        id(parameter)
        for phase in lean.phases()
        for optimizer in phase.optimizers.values()
        for group in optimizer.param_groups
        for parameter in group["params"]
    ]
    # Others are inherited from another training, and stay as they are.
    learned = [parameter for parameter in lean.parameters() if parameter.requires_grad]
    assert sorted(optimized) == sorted(map(id, learned))


def test_schedules_are_of_the_optimizers_of_the_phase(lean: GenerativeModel) -> None:
    for phase in lean.phases():
        scheduled = {id(schedule.optimizer) for schedule in phase.schedules(10)}
        assert scheduled <= {id(optimizer) for optimizer in phase.optimizers.values()}


def test_steps_follow_from_the_seed(lean: GenerativeModel) -> None:
    twin = copy.deepcopy(lean)
    for each in (lean, twin):
        torch.manual_seed(5)
        one_step(each)
    for (name, one), other in zip(lean.state_dict().items(), twin.state_dict().values(), strict=True):
        assert torch.equal(one, other), name


def test_sampling_leaves_the_model_as_it_is(lean: GenerativeModel) -> None:
    one_step(lean)
    before = {name: value.clone() for name, value in lean.state_dict().items()}
    with torch.no_grad():
        lean.sampler(lean.geometry)(*requests(lean))
    assert all(torch.equal(value, before[name]) for name, value in lean.state_dict().items())


def test_the_state_makes_an_equal_model(lean: GenerativeModel) -> None:
    one_step(lean)
    torch.manual_seed(77)
    other = type(lean)(lean.config, lean.geometry)
    other.load_state_dict(lean.state_dict())
    with torch.no_grad():
        drawn = [each.sampler(each.geometry)(*requests(lean)) for each in (lean, other)]
    assert torch.equal(*drawn)


def test_a_whole_training_is_exported_and_drawn_for_any_batch(
    lean: GenerativeModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkpoint.catalog, "load", lambda folder, name: type(lean))
    plan = Plan(epochs=2, batch=N, held_out=1, average=0.5)
    fit(
        lean,
        data(lean),
        plan,
        tmp_path / "run",
        validate=lambda step, model: {"separation": 1.0, model.chosen_by: 1.0},
        log=lambda step, figures: None,
    )
    trained = export(tmp_path / "run", tmp_path / "model.onnx")
    sampler = checkpoint.load(tmp_path / "run").build_model().sampler(lean.geometry)
    assert abs(trained.record["deviation"]["mean_energy_percent"]) < 1
    if trained.record["noise"] == "normal":
        incident = Incident(-11, np.random.default_rng(1).uniform(1e3, 1e5, 3 * N))
        noise = trained.noise(7, 0, len(incident))
        inputs = dict(zip(lean.inputs, example(lean.inputs, len(incident)), strict=True))
        inputs |= {"energy": torch.from_numpy(incident.energy.astype(np.float32))}
        with torch.no_grad():
            expected = sampler(torch.from_numpy(noise), *(inputs[name] for name in lean.inputs)).numpy()
        found = trained(noise, incident)
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5 * float(expected.max()))


def test_the_configuration_survives_as_plain_values(kind: type[GenerativeModel]) -> None:
    original = kind.Config()
    assert config.load(kind.Config, config.to_dict(original)) == original


def test_a_loop_stays_a_loop_in_the_graph(
    calogan: Calorimeter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    onnx = pytest.importorskip("onnx")
    monkeypatch.setattr(checkpoint.catalog, "load", lambda folder, name: toys.CellByCell)
    model = build(toys.CellByCell, calogan)
    record = {"model": model.name, "config": config.to_dict(model.config), "plan": {}, "data": []}
    record |= {"geometries": [calogan.to_dict()], "parent": None, "step": 1}
    checkpoint.save(
        tmp_path / "run", record, {f"model.{name}": value for name, value in model.state_dict().items()}
    )
    export(tmp_path / "run", tmp_path / "model.onnx")
    nodes = onnx.load(tmp_path / "model.onnx").graph.node
    assert "Scan" in {node.op_type for node in nodes}
    assert len(nodes) < calogan.n_cells / 10


def test_one_model_draws_several_read_outs(small: Calorimeter, calogan: Calorimeter) -> None:
    model = toys.AnyReadOut(toys.AnyReadOut.Config(), small, calogan)
    for geometry in (small, calogan):
        with torch.no_grad():
            assert model.sampler(geometry)(*requests(model)[:1], torch.full((N,), 1e4)).shape == (
                N,
                geometry.n_cells,
            )
    phase = model.phases()[0]
    for geometry in (small, calogan):
        assert np.isfinite(float(phase.step(batch(model, geometry), 0.0)["loss"]))
