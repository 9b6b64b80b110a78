"""The autoregressive model: what a cell may know, and that drawing cell by cell is what was learned."""

import math

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from hypothesis import given  # noqa: E402
from hypothesis import strategies as st  # noqa: E402

from caloforge.errors import InputError  # noqa: E402
from caloforge.geometry import Axis, Calorimeter, Layer, Slab, Stack  # noqa: E402
from caloforge.models.arm import (  # noqa: E402
    Arm,
    Config,
    alike,
    area_of,
    masked_product,
    moments_of,
    read_out,
    scaled_energy,
    summary,
)
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


def passed(arm: Arm, layer: int, energies: torch.Tensor, cells: torch.Tensor) -> torch.Tensor:
    """The plain pass of a layer, with something to know beforehand."""
    context = 6 * layer if arm.config.layers == "conditional" else 0
    condition = torch.linspace(-1, 1, N).unsqueeze(1).repeat(1, 1 + context)
    return arm.networks[layer](energies, cells, condition, torch.full((N, 1), 1e4))


@pytest.fixture(
    scope="module",
    params=[
        ("categories", "histogram", "independent", "places"),
        ("categories", "network", "conditional", "cells"),
        ("mixture", "network", "conditional", "places"),
        ("mixture", "network", "conditional", "cells"),
    ],
    ids="-".join,
)
def arm(request: pytest.FixtureRequest) -> Arm:
    head, centre, layers, weights = request.param
    model = small(head, centre, WIDE, FINE, layers=layers, weights=weights)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += (0.3 if weights == "places" else 0.1) * torch.randn_like(parameter)
        for network in model.networks:
            if head == "categories":
                network.head.number.fill_(9)
            network.histogram[:, :9] = torch.rand(len(network.histogram), 9)
            network.histogram[:, 9:] = 0
    return model.eval()


def values(n: int, cells: int) -> torch.Tensor:
    return torch.randint(0, 9, (n, cells)).float()


@given(inputs=st.integers(1, 3), outputs=st.integers(1, 3), cells=st.integers(1, 150))
def test_a_masked_product_is_the_lower_triangle_of_a_matrix(inputs: int, outputs: int, cells: int) -> None:
    torch.manual_seed(cells)
    source, target = torch.randn(cells, inputs, 4), torch.randn(cells, 4, outputs)
    x = torch.randn(2, cells, inputs)
    matrix = torch.einsum("jar,irb->jaib", source, target)
    allowed = torch.ones(cells, cells).triu()[:, None, :, None]
    plain = torch.einsum("nja,jaib->nib", x, matrix * allowed)
    torch.testing.assert_close(masked_product(x, source, target), plain, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("number", [0, 1])
def test_no_cell_knows_its_own_energy_or_a_later_one(arm: Arm, number: int) -> None:
    cells = cells_of(FINE, number)
    energies = values(N, len(cells)).square()
    with torch.no_grad():
        outputs = passed(arm, number, energies, cells)
        for cell in (0, 1, 17, 63, 64, 79):
            later, earlier = energies.clone(), energies.clone()
            later[:, cell:] = 25.0 - later[:, cell:].clamp(max=25)
            earlier[:, :cell] += 9.0
            torch.testing.assert_close(
                passed(arm, number, later, cells)[:, cell], outputs[:, cell], rtol=1e-3, atol=1e-4
            )
            assert cell == 0 or not torch.allclose(
                passed(arm, number, earlier, cells)[:, cell], outputs[:, cell]
            )


@pytest.mark.parametrize("number", [0, 1])
def test_sizes_matter_up_to_the_cells_own(arm: Arm, number: int) -> None:
    cells = cells_of(FINE, number).clone().requires_grad_(True)
    outputs = passed(arm, number, values(N, len(cells)).square(), cells)
    (gradient,) = torch.autograd.grad(outputs[:, 30].square().sum(), cells)
    assert (gradient[31:, 2:] == 0).all()
    assert (gradient[30, 2:] != 0).all()
    assert (gradient[:30, 2:] != 0).any()


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
    known, left = [scaled_energy(energy, arm.bounds).unsqueeze(1)], energy.unsqueeze(1)
    for network, layer in zip(arm.networks, list(inputs.values()), strict=True):
        here = slice(first, first := first + len(layer))
        drawn, head = on_spiral[:, here], network.head
        with torch.no_grad():
            outputs = network(drawn, layer, torch.cat(known, dim=1), left)
        before = (left - drawn.cumsum(dim=1) + drawn).clamp(min=0)
        chances, noises, lefts = (each.reshape(1, -1) for each in (chance[:, here], within[:, here], before))
        outputs = outputs.flatten(0, 1).T
        number = head.choose(outputs, chances)
        own = slice(1 if arm.config.centre == "histogram" else 0, None)
        expected = head.energy(number, outputs, noises, lefts).view_as(drawn)[:, own]
        if arm.config.layers == "conditional":
            known.append(summary(drawn @ moments_of(layer), arm.config.most_energy))
            left = left - drawn.sum(dim=1, keepdim=True)
        # Rounding grows from cell to cell.
        torch.testing.assert_close(drawn[:, own], expected, rtol=0.02, atol=1e-3)


@pytest.mark.parametrize("geometry", [FINE, UNSEEN], ids=lambda one: one.name)
def test_no_shower_holds_more_than_the_incident_energy(arm: Arm, geometry: Calorimeter) -> None:
    energy = torch.linspace(100, 1000, N)
    noise = 3 * torch.randn(N, 2 * geometry.n_cells, generator=torch.Generator().manual_seed(3))
    with torch.no_grad():
        cells = arm.sampler(geometry)(noise, energy)
    layers = cells.split([layer.n_cells for layer in geometry.layers], dim=1)
    together = [cells] if arm.config.layers == "conditional" else layers
    for some in together:
        assert (some >= 0).all()
        assert (some.sum(dim=1) <= energy * (1 + 1e-5)).all()


def test_a_shorter_spiral_is_the_beginning_of_a_longer_one(arm: Arm) -> None:
    sizes = cells_of(FINE, 0)
    energies = values(N, len(sizes)).square()
    whole, part = passed(arm, 0, energies, sizes), passed(arm, 0, energies[:, :20], sizes[:20])
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
@pytest.mark.parametrize("weights", ["places", "cells"])
def test_training_learns_what_earlier_cells_tell(head: str, weights: str) -> None:
    model = small(head, "network", FINE, rate=0.01, weights=weights)
    batch = showers(
        FINE, torch.randint(0, 5, (64, 1)).repeat(1, FINE.n_cells).float()
    )  # all as the centre is
    phase = model.phases()[0]
    phase.prepare(Few(batch))
    losses = [sum(float(value) for value in phase.step(batch, 0.0).values()) for _ in range(60)]
    assert losses[-1] < 0.5 * losses[0]


@pytest.mark.parametrize(("head", "weights"), [("mixture", "cells"), ("categories", "places")])
def test_a_training_goes_on_from_another(head: str, weights: str) -> None:
    first = small(head, "network", WIDE, FINE, weights=weights)
    batch = showers(FINE, torch.randint(0, 5, (8, FINE.n_cells)).float())
    phase = first.phases()[0]
    phase.prepare(Few(batch))
    phase.step(batch, 0.0)
    tuned = small(head, "network", FINE, weights=weights)
    tuned.inherit(first)
    tuned.phases()[0].prepare(Few(showers(FINE, torch.zeros(4, FINE.n_cells))))  # another spectrum
    for mine, parents in zip(tuned.losses(batch), first.losses(batch), strict=True):
        torch.testing.assert_close(mine, parents)


def test_a_training_goes_on_from_the_same_networks_only() -> None:
    model = small("mixture", "network", FINE)
    with pytest.raises(InputError, match=r"has channels=2: set the same here"):
        model.inherit(small("mixture", "network", FINE, channels=2))
    with pytest.raises(
        InputError, match=r"weights for \[6, 6\] places, but these read-outs have up to \[80, 80\]"
    ):
        model.inherit(small("mixture", "network", WIDE))


def test_a_mixture_is_a_probability() -> None:
    """The share of empty cells and the integral of the density over the logit add up to 1."""
    head = small("mixture", "network", FINE).networks[0].head
    outputs = torch.randn(1, 1, head.used(), dtype=torch.float64)
    logits = torch.linspace(-12, 12, 20001, dtype=torch.float64)
    shift = 1 + head.components
    outputs[..., shift : shift + head.components] = torch.linspace(-3, 3, head.components)
    left = torch.full((1, len(logits)), 500.0, dtype=torch.float64)
    density = (-head.loss(outputs.expand(1, len(logits), -1), left * logits.sigmoid(), left)).exp()
    empty = (-head.loss(outputs, torch.zeros(1, 1, dtype=torch.float64), left[:, :1])).exp()
    assert float(torch.trapezoid(density[0], logits) + empty) == pytest.approx(1, abs=1e-3)


def test_a_mixture_draws_what_it_says() -> None:
    head = small("mixture", "network", FINE).networks[0].head
    n, k = 20_000, head.components
    outputs = torch.zeros(n, head.used())
    outputs[:, 0], outputs[:, 1 + k : 1 + 2 * k], outputs[:, 1 + 2 * k :] = math.log(k), -2.0, 0.5
    torch.manual_seed(1)
    left, outputs = torch.full((1, n), 500.0), outputs.T
    drawn = head.energy(head.choose(outputs, torch.rand(1, n)), outputs, torch.randn(1, n), left)
    assert float((drawn == 0).float().mean()) == pytest.approx(0.5, abs=0.015)
    logits = (drawn[drawn > 0] / 500).logit()
    width = float(torch.nn.functional.softplus(torch.tensor(0.5)))
    assert float(logits.mean()) == pytest.approx(-2, abs=0.04)
    assert float(logits.std()) == pytest.approx(width, rel=0.06)


def test_a_mixture_starts_from_the_spectrum_of_the_training_showers() -> None:
    model = small("mixture", "network", FINE)
    roots = torch.zeros(4, FINE.n_cells)
    roots[:, ::4] = torch.tensor(50.0).sqrt()
    model.phases()[0].prepare(Few(showers(FINE, roots)))
    for network in model.networks:
        head = network.head
        shares, means, _ = head.offset.detach().split([1 + head.components, *[head.components] * 2])
        assert float(shares.softmax(0)[0]) == pytest.approx(0.75, abs=0.02)
        torch.testing.assert_close(means, torch.full_like(means, math.log(50 / 950)), rtol=0, atol=0.05)


def test_a_mixture_takes_no_centre_from_a_histogram() -> None:
    with pytest.raises(ValueError, match="set centre to 'network'"):
        Config(head="mixture")


def test_a_summary_is_energy_mean_and_width() -> None:
    cells = cells_of(FINE, 0)
    one, other = 17, 40
    energies = torch.zeros(2, len(cells))
    energies[0, one], energies[0, other] = 30.0, 10.0
    found = summary(energies @ moments_of(cells), 160.0)
    far = (cells[one] - cells[other])[:2]
    mean = (3 * cells[one] + cells[other])[:2] / 4
    width = far.abs() * (3 / 16) ** 0.5
    energy = torch.tensor([1.0, (math.log(0.25 + 1e-4) + 4) / 2])
    expected = torch.cat([energy, torch.cat([mean / 3, width / 3]).asinh()])
    torch.testing.assert_close(found[0], expected, atol=1e-3, rtol=0)
    assert found[1, 2:].abs().max() < 1e-3


def test_layers_depend_on_those_in_front_only_where_they_shall() -> None:
    for layers in ("independent", "conditional"):
        model = small("mixture", "network", FINE, layers=layers)
        energies = (torch.rand(4, FINE.n_cells) * 5).requires_grad_(True)
        with torch.no_grad():
            for network in model.networks:
                network.weights.condition += 0.1
        (gradient,) = torch.autograd.grad(model.losses(showers(FINE, energies))[1], energies)
        front = gradient[:, : FINE.offsets[1]]
        assert bool((front != 0).any()) == (layers == "conditional")


def test_one_incident_energy_is_no_condition() -> None:
    energy = torch.tensor([65e3, 1e3])
    assert scaled_energy(energy, (65e3, 65e3)).tolist() == [0.0, 0.0]
    torch.testing.assert_close(scaled_energy(torch.tensor([1e3, 1e5]), (1e3, 1e5)), torch.tensor([-1.0, 1.0]))


def test_a_blind_network_sees_a_square_spiral_of_equal_cells() -> None:
    edges = np.linspace(-55, 55, 12).tolist()
    cells = cells_of(box("square", edges, edges), 0)
    torch.testing.assert_close(alike(torch.rand(len(cells), 4)), cells, rtol=0, atol=1e-4)


@pytest.mark.parametrize("weights", ["places", "cells"])
@pytest.mark.parametrize("sizes", [True, False])
def test_without_sizes_all_read_outs_of_a_shape_are_one(weights: str, sizes: bool) -> None:
    other = box("other", [-40.0, -2.0, 2.0, 30.0, 40.0], [-40.0, -1.0, 15.0, 40.0])
    model = small("mixture", "network", WIDE, FINE, weights=weights, sizes=sizes, layers="conditional")
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 0.1 * torch.randn_like(parameter)
        noise = torch.randn(N, 2 * other.n_cells)
        one, same = (model.sampler(each)(noise, torch.full((N,), 500.0)) for each in (UNSEEN, other))
    # Cells are the same on the spiral; the read-outs have different central cells.
    one, same = (
        cells[:, read_out(each)["order"].argsort()] for cells, each in ((one, UNSEEN), (same, other))
    )
    assert torch.equal(one, same) != sizes


def test_a_cell_has_the_same_weights_in_every_read_out() -> None:
    network = small("mixture", "network", WIDE, weights="cells", depths=(2, 2)).networks[0].weights
    cells = cells_of(FINE, 0)
    # Sums over earlier cells are left out: what they add depends on where the sequence begins.
    whole, part = network(cells), network(cells[20:30])
    torch.testing.assert_close(part.sources[0][1:], whole.sources[0][21:30])
    torch.testing.assert_close(part.sources[1], whole.sources[1][20:30])
    torch.testing.assert_close(part.targets, [each[20:30] for each in whole.targets])
    torch.testing.assert_close(part.trend, whole.trend[20:30])
    assert network.most_cells > 10 * len(cells)


def test_sums_over_cells_are_integrals() -> None:
    """The same area counts alike, however finely it is cut, as long as cells are small."""
    coarse, fine = (
        box("any", np.linspace(-40, 40, n).tolist(), np.linspace(-40, 40, n).tolist()) for n in (81, 161)
    )
    assert float(area_of(cells_of(coarse, 0)).sum()) == pytest.approx(
        float(area_of(cells_of(fine, 0)).sum()), rel=0.01
    )


def test_the_rate_falls_where_weights_are_functions_of_cells() -> None:
    for weights in ("places", "cells"):
        phase = small("mixture", "network", WIDE, weights=weights).phases()[0]
        schedules, (optimizer,) = phase.schedules(200), phase.optimizers.values()
        rates = []
        for _ in range(200):
            rates.append(optimizer.param_groups[0]["lr"])
            optimizer.step()
            for schedule in schedules:
                schedule.step()
        if weights == "places":
            assert set(rates) == {2e-3}
        else:
            assert max(rates) < 2e-3
            assert rates[0] < 1e-4
            assert rates[-1] < 1e-6
