"""What every model of the catalogue keeps, on a small calorimeter and on the CaloGAN read-out."""

import copy
import warnings
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from caloforge import catalog, config  # noqa: E402
from caloforge.geometry import Calorimeter  # noqa: E402
from caloforge.models.base import Batch, GenerativeModel  # noqa: E402

N = 8

pytestmark = pytest.mark.filterwarnings("error")


@pytest.fixture(scope="module", params=catalog.names("models"))
def kind(request: pytest.FixtureRequest) -> type[GenerativeModel]:
    entry: type[GenerativeModel] = catalog.load("models", request.param)
    return entry


def build(kind: type[GenerativeModel], geometry: Calorimeter) -> GenerativeModel:
    torch.manual_seed(1)
    return kind(kind.Config(), geometry)


@pytest.fixture(params=["small", "calogan"])
def model(kind: type[GenerativeModel], request: pytest.FixtureRequest) -> GenerativeModel:
    return build(kind, request.getfixturevalue(request.param))


@pytest.fixture
def lean(kind: type[GenerativeModel], small: Calorimeter) -> GenerativeModel:
    return build(kind, small)


def requests(model: GenerativeModel, n: int = N) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(2)
    noise = torch.randn(n, model.noise_size, generator=generator)
    energy = 1000 + 99_000 * torch.rand(n, generator=generator)
    return noise, energy, torch.zeros(n, dtype=torch.int64)


def batch(model: GenerativeModel) -> Batch:
    _, energy, label = requests(model)
    share = np.random.default_rng(3).exponential(1.0, (N, model.geometry.n_cells))
    share[share < 1] = 0
    cells = torch.from_numpy(share / share.sum(axis=1, keepdims=True)).float() * energy.unsqueeze(1)
    return Batch(cells, energy, label)


def parameters(optimizer: torch.optim.Optimizer, model: GenerativeModel) -> set[str]:
    """Return the names of what an optimizer changes."""
    mine = {id(parameter) for group in optimizer.param_groups for parameter in group["params"]}
    return {name for name, parameter in model.named_parameters() if id(parameter) in mine}


def test_showers_have_the_shape_of_the_calorimeter_and_no_negative_cells(model: GenerativeModel) -> None:
    cells = model.eval()(*requests(model))
    assert cells.shape == (N, model.geometry.n_cells)
    assert cells.dtype == torch.float32
    assert torch.isfinite(cells).all()
    assert (cells >= 0).all()


def test_the_same_request_gives_the_same_showers(model: GenerativeModel) -> None:
    model.eval()
    with torch.no_grad():
        assert torch.equal(model(*requests(model)), model(*requests(model)))


def test_a_shower_does_not_depend_on_the_others_of_its_batch(lean: GenerativeModel) -> None:
    noise, energy, label = requests(lean)
    with torch.no_grad():
        together = lean.eval()(noise, energy, label)
        alone = torch.cat([lean(noise[i : i + 1], energy[i : i + 1], label[i : i + 1]) for i in range(N)])
    torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-4 * float(together.max()))


def test_a_step_changes_the_state_and_reports_finite_numbers(model: GenerativeModel) -> None:
    before = {name: value.clone() for name, value in model.state_dict().items()}
    figures = model.training_step(batch(model), model.optimizers())
    assert figures
    assert all(value.ndim == 0 and not value.requires_grad for value in figures.values())
    assert all(np.isfinite(float(value)) for value in figures.values())
    changed = {name for name, value in model.state_dict().items() if not torch.equal(value, before[name])}
    assert changed
    # parts may be learned one after the other, but then each as a whole
    parts = [parameters(optimizer, model) for optimizer in model.optimizers().values()]
    assert not parts or any(len(part & changed) > len(part) / 2 for part in parts)
    assert all(torch.isfinite(value).all() for value in model.state_dict().values())


def test_every_parameter_belongs_to_one_optimizer(lean: GenerativeModel) -> None:
    optimized = [
        id(parameter)
        for optimizer in lean.optimizers().values()
        for group in optimizer.param_groups
        for parameter in group["params"]
    ]
    assert sorted(optimized) == sorted(id(parameter) for parameter in lean.parameters())


def test_steps_follow_from_the_seed(lean: GenerativeModel) -> None:
    twin = copy.deepcopy(lean)
    for each in (lean, twin):
        torch.manual_seed(5)
        optimizers = each.optimizers()
        for _ in range(2):
            each.training_step(batch(each), optimizers)
    for (name, one), other in zip(lean.state_dict().items(), twin.state_dict().values(), strict=True):
        assert torch.equal(one, other), name


def test_the_sampler_equals_the_trained_model(model: GenerativeModel) -> None:
    model.training_step(batch(model), model.optimizers())
    before = {name: value.clone() for name, value in model.state_dict().items()}
    with torch.no_grad():
        expected = model.eval()(*requests(model))
        drawn = model.sampler()(*requests(model))
    torch.testing.assert_close(drawn, expected, rtol=1e-4, atol=1e-5 * float(expected.max()))
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_the_sampler_runs_in_onnx_for_any_batch_size(lean: GenerativeModel, tmp_path: Path) -> None:
    pytest.importorskip("onnx")
    runtime = pytest.importorskip("onnxruntime")
    path = tmp_path / "model.onnx"
    lean.training_step(batch(lean), lean.optimizers())
    names = ("noise", "energy", "label")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the exporter's own making
        torch.onnx.export(
            lean.sampler(),
            requests(lean, 2),
            path,
            input_names=names,
            dynamic_shapes=[{0: torch.export.Dim("n", min=1)}] * 3,
            dynamo=True,
            verbose=False,
        )
    session = runtime.InferenceSession(path, providers=["CPUExecutionProvider"])
    for n in (1, N):
        inputs = requests(lean, n)
        (cells,) = session.run(None, {name: value.numpy() for name, value in zip(names, inputs, strict=True)})
        expected = lean.sampler()(*inputs).numpy()
        np.testing.assert_allclose(cells, expected, rtol=1e-4, atol=1e-5 * float(expected.max()))


def test_the_state_makes_an_equal_model(lean: GenerativeModel) -> None:
    lean.training_step(batch(lean), lean.optimizers())
    torch.manual_seed(77)
    other = type(lean)(lean.config, lean.geometry)
    other.load_state_dict(lean.state_dict())
    with torch.no_grad():
        assert torch.equal(other.eval()(*requests(lean)), lean.eval()(*requests(lean)))


def test_the_configuration_survives_as_plain_values(kind: type[GenerativeModel]) -> None:
    original = kind.Config()
    assert config.load(kind.Config, config.to_dict(original)) == original
