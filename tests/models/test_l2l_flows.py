"""Layer-to-layer flows: what a layer may know, exact energies, and that drawing undoes the flows."""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from hypothesis import given  # noqa: E402
from hypothesis import strategies as st  # noqa: E402

import caloforge as cf  # noqa: E402
from caloforge.geometry import Calorimeter  # noqa: E402
from caloforge.incident.incident import Incident  # noqa: E402
from caloforge.inference.model import TrainedModel  # noqa: E402
from caloforge.models import checkpoint  # noqa: E402
from caloforge.models.base import Batch  # noqa: E402
from caloforge.models.l2l_base import (  # noqa: E402
    CELL_BOUND,
    CellMap,
    CellNumbers,
    L2LSampler,
    LayerNumbers,
    cells_of,
    context_sizes,
    rescaled,
)
from caloforge.models.l2l_flows import Config, L2LFlows  # noqa: E402
from tests.batches import disturb, parameters_of, stack_of  # noqa: E402
from tests.conftest import MakeShowers  # noqa: E402

N = 6
THRESHOLD = 0.1
KINDS = ("coupling", "autoregressive")
SMALL = {"blocks": 2, "hidden": 8, "embedded": 4, "energy_blocks": 2, "energy_hidden": 8, "bins": 4}
PUBLISHED = {"blocks": 6, "hidden": 256, "embedded": 128, "rate": 1e-4, "epochs": 200}


EQUAL = stack_of(2, [3] * 7)
MIXED = stack_of(2, [2, 2, 4, 4, 1, 1, 1, 1, 3])


def batch_in(geometry: Calorimeter, n: int = N) -> Batch:
    torch.manual_seed(2)
    cells = torch.rand(n, geometry.n_cells).sub(0.6).clamp(min=0).mul(30)
    upright = torch.tensor([[0.0, 0.0, 1.0]]).repeat(n, 1)
    energy = torch.linspace(1e4, 9e4, n)
    return Batch(cells, energy, upright, torch.zeros(n, 2), torch.zeros(n, dtype=torch.int64), geometry)


class Whole(NamedTuple):
    """Showers to train on that come in parts."""

    batch: Batch

    def batches(self, size: int | None = None) -> Iterator[Batch]:
        for rows in torch.arange(len(self.batch.cells)).chunk(3):
            yield self.batch._replace(
                **{name: getattr(self.batch, name)[rows] for name in self.batch._fields[:-1]}
            )


def flows_in(geometry: Calorimeter, kind: str) -> L2LFlows:
    """Flows that are not the identity, as after a training."""
    torch.manual_seed(1)
    model = L2LFlows(Config(transform=kind, **SMALL), geometry)
    disturb(model, 0.2)
    for number, flow in enumerate(model.flows):
        flow.numbers.most.fill_(20.0 + number)
        flow.numbers.mean.copy_(torch.linspace(-2, 1, flow.cells))
        flow.numbers.deviation.copy_(torch.linspace(0.5, 1.5, flow.cells))
    return model.eval()


@pytest.fixture(scope="module", params=[(g, k) for g in ("equal", "mixed") for k in KINDS], ids="-".join)
def model(request: pytest.FixtureRequest) -> L2LFlows:
    geometry, kind = request.param
    return flows_in({"equal": EQUAL, "mixed": MIXED}[geometry], kind)


def test_contexts_have_the_sizes_of_the_published_table() -> None:
    sizes = context_sizes([layer.n_cells for layer in Calorimeter.load("ild_ecal_core").layers])
    assert sizes == [2, 102, 202, 302, 402] + 25 * [502]
    assert context_sizes([1, 2, 3, 4, 5, 6, 7]) == [2, 3, 5, 8, 12, 17, 22]


layers_of_cells = st.lists(
    st.lists(st.floats(2**-13, 1e3, width=32), min_size=5, max_size=5), min_size=1, max_size=4
)


@given(cells=layers_of_cells, energy=st.floats(0, 1e4, width=32), threshold=st.sampled_from([0.1, 7.0]))
def test_layers_hold_their_energy_in_cells_that_are_empty_or_above_the_threshold(
    cells: list[list[float]], energy: float, threshold: float
) -> None:
    found = rescaled(torch.tensor(cells), torch.full((len(cells),), energy), threshold)
    expected = energy if energy >= torch.tensor(threshold) else 0.0
    np.testing.assert_allclose(found.double().sum(dim=1), expected, rtol=1e-6)
    assert ((found == 0) | (found >= threshold)).all()


@given(cells=layers_of_cells, energy=st.floats(0.25, 1e3, width=32))
def test_as_many_cells_as_possible_are_kept_and_these_are_the_largest(
    cells: list[list[float]], energy: float
) -> None:
    whole = rescaled(torch.tensor(cells), torch.full((len(cells),), energy), THRESHOLD)
    for row, found in zip(cells, whole.tolist(), strict=True):
        kept = sum(value > 0 for value in found)
        ordered = sorted(row, reverse=True)
        # Not those that miss or reach the threshold by a rounding.
        possible = [
            n for n in range(1, 6) if ordered[n - 1] * energy / sum(ordered[:n]) > THRESHOLD * (1 + 1e-5)
        ]
        assert kept >= max(possible)
        assert ordered[kept - 1] * energy / sum(ordered[:kept]) > THRESHOLD * (1 - 1e-5)
        assert min(value for value, new in zip(row, found, strict=True) if new > 0) == ordered[kept - 1]


@given(cells=st.lists(st.one_of(st.just(0.0), st.floats(0.125, 99, width=32)), min_size=1, max_size=20))
def test_numbers_of_cells_lead_back_to_energies(cells: list[float]) -> None:
    numbers, energies = CellNumbers(len(cells), THRESHOLD), torch.tensor([cells])
    numbers.most.fill_(100.0)
    found = cells_of(numbers(energies), THRESHOLD, numbers.most)
    noise = found - energies
    rounding = 1e-4 * energies
    assert (noise > -rounding).all()
    assert (noise < 0.01 * THRESHOLD + rounding)[energies > 0].all()
    assert (found[energies == 0] <= 1.01 * THRESHOLD * 1.001).all()
    assert numbers(energies).abs().max() <= -math.log(0.01) + 1e-4


@given(layers=st.lists(st.one_of(st.just(0.0), st.floats(0.125, 199, width=32)), min_size=1, max_size=20))
def test_numbers_of_layers_lead_back_to_energies(layers: list[float]) -> None:
    numbers, energies, incident = LayerNumbers(len(layers), THRESHOLD), torch.tensor([layers]), torch.ones(1)
    numbers.most.fill_(100.0)
    numbers.mean.fill_(-3.0)
    numbers.deviation.fill_(2.0)
    found = numbers.decode(numbers(energies, incident), incident)
    # Noise of a hundredth of the threshold, and what single precision leaves of a logit.
    torch.testing.assert_close(found, energies, atol=0.05 * THRESHOLD, rtol=1e-3)
    assert (found[energies == 0] == 0).all()


@given(
    generated=st.lists(st.floats(0.125, 1e3, width=32), min_size=1, max_size=30),
    reference=st.lists(st.floats(0.125, 1e3, width=32), min_size=1, max_size=30),
)
def test_a_map_of_cells_grows_and_keeps_empty_cells_empty(
    generated: list[float], reference: list[float]
) -> None:
    cell_map = CellMap(THRESHOLD)
    cell_map.fit(torch.tensor(generated), torch.tensor(reference))
    energies = torch.logspace(-1, 4, 200)
    found = cell_map(torch.cat([torch.zeros(1), energies.clamp(min=THRESHOLD)]))
    assert found[0] == 0
    assert (found[1:] >= np.float32(THRESHOLD)).all()
    assert (found[1:].diff() >= -1e-4 * found[1:-1]).all()


def test_mapped_cells_have_the_spectrum_of_the_reference() -> None:
    torch.manual_seed(8)
    generated, reference = (THRESHOLD * (spread * torch.rand(20_000)).exp() for spread in (5.0, 7.0))
    cell_map = CellMap(THRESHOLD)
    assert torch.allclose(cell_map(generated), generated)
    cell_map.fit(generated, reference)
    shares = torch.linspace(0.01, 0.99, 50)
    found, expected = (cells.log().quantile(shares) for cells in (cell_map(generated), reference))
    torch.testing.assert_close(found, expected, atol=0.05, rtol=0)


def test_scales_are_those_of_all_showers() -> None:
    model, whole = L2LFlows(Config(**SMALL), EQUAL), batch_in(EQUAL, 500)
    torch.manual_seed(5)
    model.phases()[0].prepare(Whole(whole))
    numbers = model.layer_numbers(whole.cells.view(-1, 7, 6).sum(dim=2), whole.energy)
    torch.testing.assert_close(numbers.mean(dim=0), torch.zeros(7), atol=0.05, rtol=0)
    torch.testing.assert_close(numbers.std(dim=0), torch.ones(7), atol=0.05, rtol=0)
    for flow, cells in zip(model.flows, whole.cells.split(6, dim=1), strict=True):
        numbers = flow.numbers(cells)
        torch.testing.assert_close(numbers.mean(dim=0), torch.zeros(6), atol=0.05, rtol=0)
        torch.testing.assert_close(numbers.pow(4).mean(dim=0), torch.ones(6), atol=0.05, rtol=0)
    most = [float(flow.numbers.most) for flow in model.flows]
    assert most == pytest.approx(whole.cells.view(-1, 7, 6).amax(dim=(0, 2)).tolist())


def test_every_flow_is_undone(model: L2LFlows) -> None:
    torch.manual_seed(3)
    for flow in model.flows:
        numbers, context = 2 * torch.randn(N, flow.cells), torch.randn(N, flow.context)
        with torch.no_grad():
            given_context = flow.embedding(context)
            there = flow.flow(numbers, given_context).values[-1]
            back = flow.flow.inverse(there, given_context)
        torch.testing.assert_close(back, numbers, atol=1e-4, rtol=1e-4)
    layers, incident = torch.randn(N, len(model.sizes)), torch.randn(N, 1)
    with torch.no_grad():
        there = model.energy_flow(layers, incident).values[-1]
        back = model.energy_flow.inverse(there, incident)
    torch.testing.assert_close(back, layers, atol=1e-4, rtol=1e-4)


def losses(model: L2LFlows, batch: Batch) -> list[float]:
    found = []
    for layer in range(len(model.sizes)):
        torch.manual_seed(4)
        found.append(float(model.layer_loss(batch, layer).detach()))
    return found


@pytest.mark.parametrize("changed", [0, 3, 6])
def test_a_layer_sees_five_in_front_and_none_behind(changed: int) -> None:
    model, batch = flows_in(EQUAL, "coupling"), batch_in(EQUAL)
    cells = batch.cells.clone()
    first = EQUAL.offsets[changed]
    cells[:, first : first + 6] = cells[:, first : first + 6].flip(1)  # with the same energy
    same = np.equal(losses(model, batch), losses(model, batch._replace(cells=cells)))
    assert same.tolist() == [not changed <= layer <= changed + 5 for layer in range(7)]


def test_what_is_drawn_of_a_layer_never_follows_from_one_behind(model: L2LFlows) -> None:
    sampler, energy = model.sampler(model.geometry), torch.linspace(1e4, 9e4, N)
    noise = torch.randn(N, sampler.noise_size)
    layers, offsets = len(model.sizes), model.geometry.offsets
    with torch.no_grad():
        before = sampler(noise, energy)
        for layer in (1, layers - 1):
            other = noise.clone()
            other[:, layers + offsets[layer] :] += 1
            after = sampler(other, energy)
            assert torch.equal(after[:, : offsets[layer]], before[:, : offsets[layer]])
            assert not torch.equal(after[:, offsets[layer] :], before[:, offsets[layer] :])


def test_the_loop_draws_what_the_flows_of_the_layers_describe(model: L2LFlows) -> None:
    """Each layer's noise is found again by its own flow, with the context of the definition."""
    sampler, energy = model.sampler(model.geometry), torch.linspace(1e4, 9e4, N)
    noise = torch.randn(N, sampler.noise_size)
    first, *others = noise.split([len(model.sizes), *model.sizes], dim=1)
    incident = 2 * (energy / 1e3 + 1e-6).log10().unsqueeze(1) - 3
    with torch.no_grad():
        energies = model.layer_numbers.decode(model.energy_flow.inverse(first, incident), energy)
        before: list[torch.Tensor] = []
        cells = []
        for flow, own, total in zip(model.flows, others, energies.T, strict=True):
            seen = (total / 1e3 + 1e-6).log10().unsqueeze(1) + 1
            context = torch.cat([seen, incident, *before[:5]], dim=1)
            numbers = flow.flow.inverse(own, flow.embedding(context))
            before.insert(0, numbers)
            logits = numbers * flow.numbers.deviation + flow.numbers.mean
            cells.append(rescaled(cells_of(logits, THRESHOLD, flow.numbers.most), total, THRESHOLD))
        torch.testing.assert_close(
            sampler(noise, energy), torch.cat(cells, dim=1), rtol=1e-3, atol=1e-3 * float(energies.max())
        )


def test_each_layer_is_a_phase_that_trains_nothing_else() -> None:
    model = L2LFlows(Config(**SMALL), EQUAL)
    phases, batch = model.phases(), batch_in(EQUAL)
    assert [phase.name for phase in phases] == ["energies", *(f"layer_{i}" for i in range(7))]
    before = {name: value.clone() for name, value in model.state_dict().items()}
    phases[3].step(batch, 0.0)
    changed = {name for name, value in model.state_dict().items() if not torch.equal(value, before[name])}
    assert changed
    assert all(name.startswith("_flows.2.") for name in changed)


def test_hits_of_rarely_hit_cells_are_where_splines_bend() -> None:
    torch.manual_seed(3)
    batch = batch_in(EQUAL, 400)
    cells = torch.where(torch.rand(batch.cells.shape) < 0.01, batch.cells + 1, 0.0)
    cells[:, 0] = 20 * torch.rand(len(cells)) + 1  # and the numbers of one that always is keep their size
    model = L2LFlows(Config(**SMALL), EQUAL)
    prepare = model.phases()[0].prepare
    assert prepare is not None
    prepare(Whole(batch._replace(cells=cells)))
    first = model.flows[0].numbers(cells[:, : model.sizes[0]])
    assert first.mean(dim=0).abs().max() < 0.1
    torch.testing.assert_close(first.pow(4).mean(dim=0), torch.ones(model.sizes[0]), rtol=0.2, atol=0)
    for flow, part in zip(model.flows, cells.split(model.sizes, dim=1), strict=True):
        assert flow.numbers(part).abs().quantile(0.999) < CELL_BOUND


def test_the_published_size_makes_a_step() -> None:
    core = Calorimeter.load("ild_ecal_core")
    with torch.device("meta"):
        whole = L2LFlows(Config(transform="autoregressive", **PUBLISHED), core)
    assert parameters_of(whole) > 1e8
    small = Calorimeter("first", "", "", (), ("active",), core.layers[:2])
    model = L2LFlows(Config(transform="autoregressive", **PUBLISHED), small)
    assert math.isfinite(model.phases()[2].step(batch_in(small), 0.0)["loss"])


def test_a_correction_is_fitted_last_and_changes_what_is_drawn(
    make_showers: MakeShowers, tmp_path: Path
) -> None:
    cf.write(make_showers(80, EQUAL), tmp_path / "showers.h5")
    settings = {**SMALL, "corrected": True, "energy_range": (1.0, 100.0)}
    plan = cf.Plan(epochs=9, batch=16, held_out=16)
    cf.train("l2l_flows", tmp_path / "showers.h5", tmp_path / "run", plan, geometry=EQUAL, settings=settings)
    model = checkpoint.load(tmp_path / "run").build_model()
    assert isinstance(model, L2LFlows)
    assert model.phases()[-1].name == "map"
    noise, energy = torch.randn(50, 7 + EQUAL.n_cells), torch.full((50,), 5e4)
    with torch.no_grad():
        plain, mapped = (L2LSampler(model, corrected)(noise, energy) for corrected in (False, True))
        assert torch.equal(model.sampler(EQUAL)(noise, energy), mapped)
    assert not torch.equal(plain, mapped)
    assert torch.equal(plain == 0, mapped == 0)


@pytest.fixture(scope="module", params=KINDS)
def trained(
    request: pytest.FixtureRequest, make_showers: MakeShowers, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, TrainedModel]:
    folder = tmp_path_factory.mktemp(request.param)
    cf.write(make_showers(80, EQUAL), folder / "showers.h5")
    settings = {**SMALL, "transform": request.param, "energy_range": (1.0, 100.0)}
    plan = cf.Plan(epochs=9, batch=16, held_out=16)
    best = cf.train(
        "l2l_flows", folder / "showers.h5", folder / "run", plan, geometry=EQUAL, settings=settings
    )
    return best, cf.export(best, folder / "flows.onnx")


def test_the_graph_draws_what_the_model_draws(trained: tuple[Path, TrainedModel]) -> None:
    folder, graph = trained
    incident = Incident(-11, np.linspace(1e3, 9e4, 20))
    noise = graph.noise(5, 0, 20)
    sampler = checkpoint.load(folder).build_model().sampler(EQUAL)
    with torch.no_grad():
        expected = sampler(torch.from_numpy(noise), torch.from_numpy(incident.energy).float()).numpy()
    found = graph(noise, incident)
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-4 * expected.max())
    assert ((found == 0) | (found >= np.float32(THRESHOLD))).all()
    alone = np.concatenate([graph(noise[i : i + 1], incident[i : i + 1]) for i in range(20)])
    assert np.array_equal(found, alone)


def test_showers_are_generated_by_the_record_alone(trained: tuple[Path, TrainedModel]) -> None:
    _, graph = trained
    showers = cf.generate("e+", energy="10:50", n=5, model=graph.graph.with_suffix(".json"))
    assert showers.cells.shape == (5, EQUAL.n_cells)
    assert showers.cells.sum() > 0
