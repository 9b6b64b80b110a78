"""The autoregressive model: what a cell may know, and that drawing cell by cell is what was learned."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from hypothesis import given  # noqa: E402
from hypothesis import strategies as st  # noqa: E402

from caloforge.geometry import Axis, Calorimeter, Layer, Slab, Stack  # noqa: E402
from caloforge.models.arm import Arm, Config, MaskedLinear, read_out, scaled_energy, steps_of  # noqa: E402
from caloforge.models.base import Batch  # noqa: E402

N = 5


def box(name: str, eta: list[float], phi: list[float]) -> Calorimeter:
    layers = [Layer((z, z + 10.0), Axis(eta), Axis(phi)) for z in (0.0, 10.0)]
    stack = (Stack(2, (Slab("G4_Si", 10.0, "active"),)),)
    return Calorimeter(name, "", "", stack, ("active",), tuple(layers))


WIDE = box("wide", [-40.0, -10.0, 10.0, 40.0], [-40.0, 0.0, 40.0])
FINE = box("fine", np.linspace(-40, 40, 11).tolist(), np.linspace(-40, 40, 9).tolist())
UNSEEN = box("unseen", [-40.0, -30.0, 0.0, 8.0, 40.0], [-40.0, -20.0, 5.0, 40.0])


@pytest.fixture(scope="module")
def arm() -> Arm:
    torch.manual_seed(1)
    model = Arm(Config(energy_range=(0.1, 1.0), hidden=8), WIDE, FINE)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 0.3 * torch.randn_like(parameter)
        for network in model.networks:
            network.categories.fill_(9)
            network.histogram[:, :9] = torch.rand(len(network.histogram), 9)
            network.histogram[:, 9:] = 0
    return model.eval()


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
    sizes = read_out(FINE)[f"sizes_{number}"]
    category = torch.randint(0, 9, (N, len(sizes))).float().requires_grad_(True)
    logits = arm.networks[number](category, steps_of(sizes), torch.zeros(N))
    for cell in (0, 1, 17, 63, 64, 79):
        (gradient,) = torch.autograd.grad(logits[:, cell].square().sum(), category, retain_graph=True)
        assert (gradient[:, cell:] == 0).all()
        assert cell == 0 or (gradient[:, :cell] != 0).any()


@pytest.mark.parametrize("number", [0, 1])
def test_sizes_matter_up_to_the_cells_own(arm: Arm, number: int) -> None:
    sizes = read_out(FINE)[f"sizes_{number}"].clone().requires_grad_(True)
    category = torch.randint(0, 9, (N, len(sizes))).float()
    logits = arm.networks[number](category, steps_of(sizes), torch.zeros(N))
    (gradient,) = torch.autograd.grad(logits[:, 30].square().sum(), sizes)
    assert (gradient[31:] == 0).all()
    assert (gradient[30] != 0).all()
    assert (gradient[:30] != 0).any()


@pytest.mark.parametrize("geometry", [WIDE, FINE, UNSEEN], ids=lambda one: one.name)
@pytest.mark.parametrize("centre", ["histogram", "network"])
def test_cell_by_cell_is_the_plain_pass(arm: Arm, geometry: Calorimeter, centre: str) -> None:
    """What the sampler drew has the cumulative probability, by the plain pass, that its noise has."""
    model = Arm(Config(energy_range=(0.1, 1.0), hidden=8, centre=centre), WIDE, FINE)
    model.load_state_dict(arm.state_dict())
    noise = torch.randn(N, 2 * geometry.n_cells, generator=torch.Generator().manual_seed(2))
    energy = torch.linspace(100, 1000, N)
    with torch.no_grad():
        cells = model.sampler(geometry)(noise, energy)
    chance, within = (0.5 * (1 + torch.erf(noise / 2**0.5))).chunk(2, dim=1)
    inputs, first = read_out(geometry), 0
    on_spiral = cells[:, inputs.pop("order").argsort()].sqrt()
    for network, sizes in zip(model.networks, list(inputs.values()), strict=True):
        here = slice(first, first := first + len(sizes))
        category = on_spiral[:, here].round()
        with torch.no_grad():
            logits = network(category, steps_of(sizes), scaled_energy(energy, model.bounds))
        upper = logits.softmax(dim=2).cumsum(dim=2)
        upper, own = (
            part.gather(2, category.long().unsqueeze(2)).squeeze(2)
            for part in (upper, upper.diff(dim=2, prepend=torch.zeros_like(upper[..., :1])))
        )
        drawn = slice(1 if centre == "histogram" else 0, None)
        assert (chance[:, here] <= upper + 1e-5)[:, drawn].all()
        assert (chance[:, here] >= upper - own - 1e-5)[:, drawn].all()
        filled = category > 0
        torch.testing.assert_close(on_spiral[:, here][filled], (category - 0.5 + within[:, here])[filled])


def test_a_shorter_spiral_is_the_beginning_of_a_longer_one(arm: Arm) -> None:
    sizes = read_out(FINE)["sizes_0"]
    category = torch.randint(0, 9, (N, len(sizes))).float()
    network = arm.networks[0]
    whole = network(category, steps_of(sizes), torch.zeros(N))
    part = network(category[:, :20], steps_of(sizes[:20]), torch.zeros(N))
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


def test_categories_and_centres_are_counted_in_the_training_set(arm: Arm) -> None:
    model = Arm(Config(energy_range=(0.1, 1.0), hidden=8), WIDE, FINE)
    wide, fine = torch.zeros(3, WIDE.n_cells), torch.zeros(4, FINE.n_cells)
    centre = {one.name: int(read_out(one)["order"].argsort()[0]) for one in (WIDE, FINE)}
    wide[:, centre["wide"]], wide[0, WIDE.offsets[1]] = 7.2, 5.4
    fine[:, centre["fine"]] = 3.0
    model.phases()[0].prepare(Few(showers(WIDE, wide), showers(FINE, fine)))
    first, second = model.networks
    assert int(first.categories) == 8
    assert int(second.categories) == 6
    by_size = {
        one.name: first.histogram[first.nearest_centre(read_out(one)["sizes_0"][0])] for one in (WIDE, FINE)
    }
    assert by_size["wide"].nonzero().tolist() == [[7]]
    assert by_size["fine"].nonzero().tolist() == [[3]]


def test_the_centre_of_an_unseen_read_out_comes_from_the_nearest_size(arm: Arm) -> None:
    network = arm.networks[0]
    assert torch.equal(
        network.centres[network.nearest_centre(torch.tensor([21.0, 39.0]))], read_out(WIDE)["sizes_0"][0]
    )


def test_training_learns_what_earlier_cells_tell() -> None:
    torch.manual_seed(4)
    model = Arm(Config(energy_range=(0.1, 1.0), hidden=8, rate=0.01), FINE)
    batch = showers(
        FINE, torch.randint(0, 5, (64, 1)).repeat(1, FINE.n_cells).float()
    )  # all as the centre is
    phase = model.phases()[0]
    phase.prepare(Few(batch))
    losses = [sum(float(value) for value in phase.step(batch, 0.0).values()) for _ in range(60)]
    assert losses[-1] < 0.5 * losses[0]


def test_one_incident_energy_is_no_condition() -> None:
    energy = torch.tensor([65e3, 1e3])
    assert scaled_energy(energy, (65e3, 65e3)).tolist() == [0.0, 0.0]
    torch.testing.assert_close(scaled_energy(torch.tensor([1e3, 1e5]), (1e3, 1e5)), torch.tensor([-1.0, 1.0]))
