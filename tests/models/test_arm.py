"""The autoregressive model: what a cell may know, and that drawing cell by cell is what was learned."""

import math

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from hypothesis import given  # noqa: E402
from hypothesis import strategies as st  # noqa: E402

from caloforge.geometry import Axis, Calorimeter, Layer, Slab, Stack  # noqa: E402
from caloforge.models.arm import Arm, Config, MaskedLinear, read_out, scaled_energy, steps_of, summary  # noqa: E402
from caloforge.models.base import Batch  # noqa: E402

N = 5


def box(name: str, eta: list[float], phi: list[float]) -> Calorimeter:
    layers = [Layer((z, z + 10.0), Axis(eta), Axis(phi)) for z in (0.0, 10.0)]
    stack = (Stack(2, (Slab("G4_Si", 10.0, "active"),)),)
    return Calorimeter(name, "", "", stack, ("active",), tuple(layers))


WIDE = box("wide", [-40.0, -10.0, 10.0, 40.0], [-40.0, 0.0, 40.0])
FINE = box("fine", np.linspace(-40, 40, 11).tolist(), np.linspace(-40, 40, 9).tolist())
UNSEEN = box("unseen", [-40.0, -30.0, 0.0, 8.0, 40.0], [-40.0, -20.0, 5.0, 40.0])


def small(head: str, centre: str, *geometries: Calorimeter, **changes: object) -> Arm:
    torch.manual_seed(1)
    return Arm(Config(energy_range=(0.1, 1.0), hidden=8, head=head, centre=centre, **changes), *geometries)


def cells_of(geometry: Calorimeter, layer: int) -> torch.Tensor:
    return read_out(geometry)[f"cells_{layer}"]


def condition(arm: Arm, layer: int) -> torch.Tensor:
    """What a layer knows beforehand, for N showers."""
    return torch.linspace(-1, 1, N).unsqueeze(1).repeat(1, arm.networks[layer].condition.shape[1])


@pytest.fixture(
    scope="module",
    params=[
        ("categories", "histogram", "independent"),
        ("categories", "network", "conditional"),
        ("mixture", "network", "conditional"),
    ],
)
def arm(request: pytest.FixtureRequest) -> Arm:
    head, centre, layers = request.param
    model = small(head, centre, WIDE, FINE, layers=layers)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 0.3 * torch.randn_like(parameter)
        for network in model.networks:
            if head == "categories":
                network.head.number.fill_(9)
            network.histogram[:, :9] = torch.rand(len(network.histogram), 9)
            network.histogram[:, 9:] = 0
    return model.eval()


def values(n: int, cells: int) -> torch.Tensor:
    return torch.randint(0, 9, (n, cells)).float()


@given(inputs=st.integers(1, 3), outputs=st.integers(1, 3), cells=st.integers(1, 150))
def test_a_masked_layer_is_the_lower_triangle_of_a_matrix(inputs: int, outputs: int, cells: int) -> None:
    torch.manual_seed(cells)
    layer = MaskedLinear(150, inputs, outputs, 4, weight=0.5)
    x = torch.randn(2, cells, inputs)
    matrix = torch.einsum("jar,irb->jaib", 0.5 * layer.source[:cells], layer.target[:cells])
    allowed = torch.ones(cells, cells).triu()[:, None, :, None]
    plain = torch.einsum("nja,jaib->nib", x, matrix * allowed) + layer.bias[:cells]
    torch.testing.assert_close(layer(x), plain, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("number", [0, 1])
def test_no_cell_knows_its_own_energy_or_a_later_one(arm: Arm, number: int) -> None:
    sizes = cells_of(FINE, number)[:, 2:]
    known = (values(N, len(sizes)) + 0.5).requires_grad_(True)
    outputs = arm.networks[number](known, steps_of(sizes), condition(arm, number))
    for cell in (0, 1, 17, 63, 64, 79):
        (gradient,) = torch.autograd.grad(outputs[:, cell].square().sum(), known, retain_graph=True)
        assert (gradient[:, cell:] == 0).all()
        assert cell == 0 or (gradient[:, :cell] != 0).any()


@pytest.mark.parametrize("number", [0, 1])
def test_sizes_matter_up_to_the_cells_own(arm: Arm, number: int) -> None:
    sizes = cells_of(FINE, number)[:, 2:].clone().requires_grad_(True)
    outputs = arm.networks[number](values(N, len(sizes)), steps_of(sizes), condition(arm, number))
    (gradient,) = torch.autograd.grad(outputs[:, 30].square().sum(), sizes)
    assert (gradient[31:] == 0).all()
    assert (gradient[30] != 0).all()
    assert (gradient[:30] != 0).any()


@pytest.mark.parametrize("geometry", [WIDE, FINE, UNSEEN], ids=lambda one: one.name)
def test_cell_by_cell_is_the_plain_pass(arm: Arm, geometry: Calorimeter) -> None:
    """What the sampler drew is what the head draws from the outputs of the plain pass, for the same noise."""
    noise = torch.randn(N, 2 * geometry.n_cells, generator=torch.Generator().manual_seed(2))
    chance, within = (
        0.5 * (1 + torch.erf(noise[:, : geometry.n_cells] / 2**0.5)),
        noise[:, geometry.n_cells :],
    )
    energy = torch.linspace(100, 1000, N)
    with torch.no_grad():
        cells = arm.sampler(geometry)(noise, energy)
    inputs, first = read_out(geometry), 0
    on_spiral = cells[:, inputs.pop("order").argsort()]
    known = [scaled_energy(energy, arm.bounds).unsqueeze(1)]
    for network, layer in zip(arm.networks, list(inputs.values()), strict=True):
        here = slice(first, first := first + len(layer))
        drawn, head = on_spiral[:, here], network.head
        with torch.no_grad():
            outputs = network(head.encode(drawn), steps_of(layer[:, 2:]), torch.cat(known, dim=1))
        again = head.draw(
            outputs.flatten(0, 1), chance[:, here].reshape(-1, 1), within[:, here].reshape(-1, 1)
        ).view_as(drawn)
        own = slice(1 if arm.config.centre == "histogram" else 0, None)
        expected = head.decode(again, within[:, here])[:, own]
        if arm.config.layers == "conditional":
            known.append(summary(drawn, layer, arm.config.most_energy))
        # Rounding grows from cell to cell.
        torch.testing.assert_close(drawn[:, own], expected, rtol=0.02, atol=1e-6)


def test_a_shorter_spiral_is_the_beginning_of_a_longer_one(arm: Arm) -> None:
    sizes = cells_of(FINE, 0)[:, 2:]
    network, known = arm.networks[0], values(N, len(sizes))
    whole = network(known, steps_of(sizes), condition(arm, 0))
    part = network(known[:, :20], steps_of(sizes[:20]), condition(arm, 0))
    torch.testing.assert_close(part, whole[:, :20])


def showers(geometry: Calorimeter, roots: torch.Tensor) -> Batch:
    n = len(roots)
    upright, place = torch.tensor([[0.0, 0.0, 1.0]] * n), torch.zeros(n, 2)
    return Batch(roots.square(), torch.full((n,), 500.0), upright, place, torch.zeros(n).long(), geometry)


class Few:
    """Showers of both read-outs."""

    def __init__(self, *batches: Batch) -> None:
        self.given = batches

    def __len__(self) -> int:
        return sum(len(batch.cells) for batch in self.given)

    def batches(self, size: int | None = None):
        yield from self.given

    def sample(self, values: int = 0) -> Batch:
        return self.given[0]


def test_categories_and_centres_are_counted_in_the_training_set() -> None:
    model = small("categories", "histogram", WIDE, FINE)
    wide, fine = torch.zeros(3, WIDE.n_cells), torch.zeros(4, FINE.n_cells)
    centre = {one.name: int(read_out(one)["order"].argsort()[0]) for one in (WIDE, FINE)}
    wide[:, centre["wide"]], wide[0, WIDE.offsets[1]] = 7.2, 5.4
    fine[:, centre["fine"]] = 3.0
    model.phases()[0].prepare(Few(showers(WIDE, wide), showers(FINE, fine)))
    first, second = model.networks
    assert first.head.used() == 8
    assert second.head.used() == 6
    by_size = {
        one.name: first.histogram[first.nearest_centre(cells_of(one, 0)[0, 2:])] for one in (WIDE, FINE)
    }
    assert by_size["wide"].nonzero().tolist() == [[7]]
    assert by_size["fine"].nonzero().tolist() == [[3]]


def test_the_centre_of_an_unseen_read_out_comes_from_the_nearest_size(arm: Arm) -> None:
    network = arm.networks[0]
    assert torch.equal(
        network.centres[network.nearest_centre(torch.tensor([21.0, 39.0]))], cells_of(WIDE, 0)[0, 2:]
    )


@pytest.mark.parametrize("head", ["categories", "mixture"])
def test_training_learns_what_earlier_cells_tell(head: str) -> None:
    model = small(head, "network", FINE, rate=0.01)
    batch = showers(
        FINE, torch.randint(0, 5, (64, 1)).repeat(1, FINE.n_cells).float()
    )  # all as the centre is
    phase = model.phases()[0]
    phase.prepare(Few(batch))
    losses = [sum(float(value) for value in phase.step(batch, 0.0).values()) for _ in range(60)]
    assert losses[-1] < 0.5 * losses[0]


def test_a_mixture_is_a_probability() -> None:
    """The share of empty cells and the integral of the density over ln E add up to 1."""
    head = small("mixture", "network", FINE).networks[0].head
    outputs = torch.randn(1, 1, head.used(), dtype=torch.float64)
    logs = torch.linspace(-9, 6.9, 20001, dtype=torch.float64)
    shift = 1 + head.components
    outputs[..., shift : shift + head.components] = torch.linspace(-3, 3, head.components)
    density = (-head.loss(outputs.expand(1, len(logs), -1), logs.exp().unsqueeze(0))).exp()
    empty = (-head.loss(outputs, torch.zeros(1, 1, dtype=torch.float64))).exp()
    assert float(torch.trapezoid(density[0], logs) + empty) == pytest.approx(1, abs=1e-3)


def test_a_mixture_draws_what_it_says() -> None:
    head = small("mixture", "network", FINE).networks[0].head
    n, k = 20_000, head.components
    outputs = torch.zeros(n, head.used())
    outputs[:, 0], outputs[:, 1 + k : 1 + 2 * k], outputs[:, 1 + 2 * k :] = math.log(k), 2.0, 0.5
    torch.manual_seed(1)
    drawn = head.draw(outputs, torch.rand(n, 1), torch.randn(n, 1))
    assert float((drawn == 0).float().mean()) == pytest.approx(0.5, abs=0.015)
    logs = drawn[drawn > 0].log()
    width = float(torch.nn.functional.softplus(torch.tensor(0.5)))
    assert float(logs.mean()) == pytest.approx(2, abs=0.04)
    assert float(logs.std()) == pytest.approx(width, rel=0.06)


def test_a_mixture_starts_from_the_spectrum_of_the_training_showers() -> None:
    model = small("mixture", "network", FINE)
    roots = torch.zeros(4, FINE.n_cells)
    roots[:, ::4] = torch.tensor(50.0).sqrt()
    model.phases()[0].prepare(Few(showers(FINE, roots)))
    for network in model.networks:
        head = network.head
        shares, means, _ = head.offset.detach().split([1 + head.components, *[head.components] * 2])
        assert float(shares.softmax(0)[0]) == pytest.approx(0.75, abs=0.02)
        torch.testing.assert_close(means, torch.full_like(means, math.log(50)), rtol=0, atol=0.05)


def test_a_mixture_takes_no_centre_from_a_histogram() -> None:
    with pytest.raises(ValueError, match="set centre to 'network'"):
        Config(head="mixture")


def test_a_summary_is_energy_mean_and_width() -> None:
    cells = cells_of(FINE, 0)
    one, other = 17, 40
    energies = torch.zeros(2, len(cells))
    energies[0, one], energies[0, other] = 30.0, 10.0
    found = summary(energies, cells, 160.0)
    far = (cells[one] - cells[other])[:2]
    mean = (3 * cells[one] + cells[other])[:2] / 4
    width = far.abs() * (3 / 16) ** 0.5
    torch.testing.assert_close(
        found[0], torch.cat([torch.tensor([0.5]), mean / 20, width / 20]), atol=1e-3, rtol=0
    )
    assert found[1].abs().max() < 1e-3


def test_layers_depend_on_those_in_front_only_where_they_shall() -> None:
    for layers in ("independent", "conditional"):
        model = small("mixture", "network", FINE, layers=layers)
        energies = (torch.rand(4, FINE.n_cells) * 5).requires_grad_(True)
        with torch.no_grad():
            for network in model.networks:
                network.condition += 0.1
        (gradient,) = torch.autograd.grad(model.losses(showers(FINE, energies))[1], energies)
        front = gradient[:, : FINE.offsets[1]]
        assert bool((front != 0).any()) == (layers == "conditional")


def test_one_incident_energy_is_no_condition() -> None:
    energy = torch.tensor([65e3, 1e3])
    assert scaled_energy(energy, (65e3, 65e3)).tolist() == [0.0, 0.0]
    torch.testing.assert_close(scaled_energy(torch.tensor([1e3, 1e5]), (1e3, 1e5)), torch.tensor([-1.0, 1.0]))
