"""CaloINN: showers as numbers and back, an exact density, layer energies as drawn, and graphs."""

import csv
import math
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from hypothesis import given  # noqa: E402
from hypothesis import strategies as st  # noqa: E402
from torch import Tensor  # noqa: E402

import caloforge  # noqa: E402
from caloforge import catalog, config  # noqa: E402
from caloforge.errors import ConfigError  # noqa: E402
from caloforge.geometry import Axis, Calorimeter, Layer, Slab, Stack  # noqa: E402
from caloforge.incident.incident import Incident  # noqa: E402
from caloforge.models import checkpoint  # noqa: E402
from caloforge.models.base import Batch  # noqa: E402
from caloforge.models.caloinn import CaloINN, Config, Numbers, _one_cycle  # noqa: E402
from caloforge.stages.train.fit import Plan  # noqa: E402
from tests.batches import disturb, run, training_data, upright  # noqa: E402

N = 64
SMALL = Config(blocks=3, width=16, bins=4, dropout=0, rate=0.01)


def box() -> Calorimeter:
    """Three layers, the last of a single cell."""
    axes = (Axis.uniform(4, -20.0, 20.0), Axis.uniform(3, -20.0, 20.0), Axis.uniform(1, -20.0, 20.0))
    layers = tuple(Layer((10.0 * z, 10.0 * z + 10), axis, axis) for z, axis in enumerate(axes))
    return Calorimeter("box", "", "", (Stack(3, (Slab("G4_Si", 10.0, "active"),)),), ("active",), layers)


BOX = box()
CELLS, LAYERS = BOX.n_cells, len(BOX.layers)


def showers(n: int = N, seed: int = 3) -> Batch:
    """Sparse showers over five decades of energy, some of which end before the last layer."""
    random = torch.Generator().manual_seed(seed)
    energy = 1e3 + 9.9e4 * torch.rand(n, generator=random)
    cells = (2 * torch.randn(n, CELLS, generator=random)).exp()
    cells[torch.rand(n, CELLS, generator=random) < 0.4] = 0
    cells[:, 0] += 1
    cells[::5, BOX.offsets[2] :] = 0
    cells *= 0.9 * energy.unsqueeze(1) / cells.sum(dim=1, keepdim=True)
    return upright(cells, energy, BOX)


def layers_of(cells: Tensor) -> Tensor:
    return torch.from_numpy(BOX.layer_energies(cells.double().numpy()))


@cache
def numbers() -> Numbers:
    made = Numbers(BOX, SMALL)
    made.prepare(training_data(showers()))
    return made


@pytest.fixture
def model() -> CaloINN:
    """Return a model that is far from the identity, with which an untrained one begins."""
    torch.manual_seed(5)
    made = CaloINN(SMALL, BOX)
    made.numbers.prepare(training_data(showers()))
    disturb(made, 0.1)
    return made.eval()


def drawn(model: CaloINN, n: int = 200) -> tuple[Tensor, Tensor, Tensor]:
    """Return noise, energies, and the showers of both."""
    random = torch.Generator().manual_seed(4)
    noise = torch.randn(n, model.numbers.size, generator=random)
    energy = 1e3 + 9.9e4 * torch.rand(n, generator=random)
    with torch.no_grad():
        return noise, energy, model.sampler(BOX)(noise, energy)


energies = st.floats(1e-6, 1.0)
cells_of_one = st.lists(st.one_of(st.just(0.0), energies), min_size=CELLS, max_size=CELLS)


@given(cells_of_one, st.floats(1e3, 1e5), st.floats(0, 0.999), st.floats(0.1, 1.0))
def test_showers_come_back_from_their_numbers(
    shares: list[float], energy: float, noise: float, visible: float
) -> None:
    cells = torch.tensor([shares])
    cells *= visible * energy / cells.sum().clamp(min=1.0)
    made, incident = numbers(), torch.tensor([energy])
    x = made(cells, incident, torch.full((1, made.size), noise))
    assert torch.isfinite(x).all()
    back = made.inverse(x, incident)
    before, after = layers_of(cells), layers_of(back)
    torch.testing.assert_close(before, after, rtol=1e-4, atol=0.02)
    # What may be lost is below the noise or the threshold; it goes to the other cells of the layer.
    width = torch.repeat_interleave(before, torch.tensor(made.sizes), dim=1)
    lost = (made.sizes[0] + 1) * (2 * SMALL.noise * width + SMALL.threshold) + 1e-4 * width + 0.02
    assert ((back - cells).abs() <= lost).all()
    # A layer with energy keeps a cell, whichever: only those below the threshold come back empty.
    assert ((after == 0) | (after > SMALL.threshold)).all()


@given(st.floats(0, 0.999999))
def test_empty_cells_stay_empty_whatever_the_noise(noise: float) -> None:
    given_showers, made = showers(), numbers()
    x = made(given_showers.cells, given_showers.energy, torch.full((N, made.size), noise))
    back = made.inverse(x, given_showers.energy)
    assert (back[given_showers.cells == 0] == 0).all()


def test_numbers_are_scaled_to_those_of_the_training() -> None:
    made, given_showers = numbers(), showers(500, seed=3)
    made.prepare(training_data(given_showers))
    x = made(given_showers.cells, given_showers.energy, made.draw(given_showers.cells))
    torch.testing.assert_close(x.mean(dim=0), torch.zeros(made.size), rtol=0, atol=0.05)
    torch.testing.assert_close(x.std(dim=0), torch.ones(made.size), rtol=0, atol=0.05)


def test_a_shower_may_hold_more_than_its_kinetic_energy() -> None:
    given_showers = showers()
    over = given_showers._replace(cells=given_showers.cells * 1.2)
    made = Numbers(BOX, SMALL)
    made.prepare(training_data(over))
    x = made(over.cells, over.energy, made.draw(over.cells))
    torch.testing.assert_close(
        layers_of(made.inverse(x, over.energy)), layers_of(over.cells), rtol=1e-3, atol=0.1
    )


def test_layers_have_exactly_the_energies_that_were_drawn(model: CaloINN) -> None:
    noise, energy, cells = drawn(model)
    flow = model.numbers
    with torch.no_grad():
        x = model.flow.inverse(noise, (energy / 1e3).log().unsqueeze(1))
    expected = flow.energies.inverse((x * flow.spread + flow.mean)[:, CELLS:], energy)
    expected = torch.where(expected > SMALL.threshold, expected, 0)
    torch.testing.assert_close(layers_of(cells), expected.double(), rtol=1e-5, atol=0)
    assert (expected == 0).any()


def test_cells_below_the_threshold_are_empty_but_for_a_layer_s_hottest(model: CaloINN) -> None:
    _, _, cells = drawn(model)
    image = cells[:, : BOX.offsets[1]]
    assert ((image == 0) | (image >= 0.999 * SMALL.threshold)).all()
    assert ((image > 0).sum(dim=1) > 0).eq(image.sum(dim=1) > 0).all()


def test_the_flow_is_invertible(model: CaloINN) -> None:
    noise, energy, _ = drawn(model)
    context = (energy / 1e3).log().unsqueeze(1)
    with torch.no_grad():
        x = model.flow.inverse(noise, context)
        assert (x - noise).abs().mean() > 0.1
        torch.testing.assert_close(model.flow(x, context).values[-1], noise, rtol=0, atol=1e-4)


def test_the_density_is_that_of_the_jacobian(model: CaloINN) -> None:
    model = model.double()
    x = 2 * torch.randn(1, model.numbers.size, dtype=torch.float64)
    energy = torch.tensor([5e4], dtype=torch.float64)
    context = (energy / 1e3).log().unsqueeze(1)

    def forward(x: Tensor) -> Tensor:
        z: Tensor = model.flow(x.unsqueeze(0), context).values[-1][0]
        return z

    jacobian = torch.autograd.functional.jacobian(forward, x[0])
    z = forward(x[0])
    expected = torch.linalg.slogdet(jacobian)[1] - (z.square() + math.log(2 * math.pi)).sum() / 2
    assert model.log_density(x, energy).item() == pytest.approx(expected.item(), abs=1e-6)


def test_an_untrained_flow_only_changes_the_order() -> None:
    untrained = CaloINN(SMALL, BOX)
    x = torch.randn(3, untrained.numbers.size)
    z = untrained.flow(x, torch.zeros(3, 1)).values[-1]
    torch.testing.assert_close(z.sort(dim=1).values, x.sort(dim=1).values)


def test_the_published_sizes(calogan: Calorimeter) -> None:
    published = CaloINN(Config(), calogan)
    (first, *_), couplings = published.flow.transforms, published.flow.transforms[::2]
    assert len(couplings) == 10
    shapes = [tuple(value.shape) for name, value in first.named_parameters() if name.endswith("weight")]
    assert shapes == [(256, 254 + 1), (256, 256), (29 * 253, 256)]


def test_the_rate_is_that_of_torch_s_one_cycle() -> None:
    def rates(make: Callable[[torch.optim.Optimizer], torch.optim.lr_scheduler.LRScheduler]) -> list[float]:
        adam = torch.optim.Adam([torch.nn.Parameter(torch.zeros(()))], lr=3e-4)
        schedule, found = make(adam), []
        for _ in range(1000):
            found.append(adam.param_groups[0]["lr"])
            adam.step()
            schedule.step()
        return found

    def torch_s(adam: torch.optim.Optimizer) -> torch.optim.lr_scheduler.LRScheduler:
        return torch.optim.lr_scheduler.OneCycleLR(adam, 3e-4, total_steps=1001, cycle_momentum=False)

    ours = rates(lambda adam: _one_cycle(adam, 1000))
    np.testing.assert_allclose(ours, rates(torch_s), rtol=0, atol=3e-4 * 0.01)
    assert max(ours) == pytest.approx(3e-4, rel=1e-4)


def test_training_lowers_the_loss_of_new_showers() -> None:
    torch.manual_seed(6)
    trained, new = CaloINN(replace(SMALL, dropout=0.5), BOX), training_data(showers(500, seed=8))
    trained.numbers.prepare(training_data(showers(500)))
    before = trained.measured(new)
    assert trained.measured(new) == before
    assert trained.training
    run(trained, showers(500), 60)
    assert trained.measured(new)["nll/held_out"] < before["nll/held_out"] - 3


def test_from_showers_to_showers_by_the_public_interface(tmp_path: Path) -> None:
    pytest.importorskip("onnx")
    best = caloforge.train(
        "caloinn",
        catalog.load("samples", "calogan_eplus"),
        tmp_path / "run",
        Plan(epochs=5, batch=50, held_out=50, validate_every=100),
        settings={"blocks": 2, "width": 8, "bins": 4, "rate": 0.03},
    )
    with (tmp_path / "run" / "log.csv").open() as file:
        losses = [float(value) for _, name, value in csv.reader(file) if name == "nll"]
    assert losses[-1] < losses[0] - 20
    graph = caloforge.export(best, tmp_path / "tiny.onnx")
    noise, incident = graph.noise(3, 0, 64), Incident(-11, np.linspace(1e3, 1e5, 64))
    model = checkpoint.load(best).build_model()
    with torch.no_grad():
        expected = model.sampler(model.geometry)(*map(torch.from_numpy, (noise, np.float32(incident.energy))))
    np.testing.assert_allclose(graph(noise, incident), expected, rtol=1e-3, atol=1e-6 * float(expected.max()))
    many, few = (caloforge.generate("e+", "10:50", n, model=tmp_path / "tiny.json") for n in (20, 7))
    assert np.array_equal(few.cells, many.cells[:7])
    assert (many.cells.sum(axis=1) <= many.energy + 1.1).all()


@pytest.mark.parametrize(
    "wrong", [{"particles": ["e+", "gamma"]}, {"layers": 1}, {"alpha": 0.5}, {"noise": 0.0}, {"bins": 1}]
)
def test_impossible_configurations_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ConfigError):
        config.load(Config, wrong)
