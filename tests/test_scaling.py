"""The map between showers and normal numbers: both ways, its symmetries, and what it learns."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from torch import Tensor  # noqa: E402

from caloforge.formats.calogan import ENTRY  # noqa: E402
from caloforge.geometry import Axis, Calorimeter, RingLayer  # noqa: E402
from caloforge.scaling import (  # noqa: E402
    CensoredGaussian,
    ConditionalQuantiles,
    Encoded,
    LayerEnergies,
    Ramps,
    ShowerScaling,
    below,
)

RANGE = (1e3, 1e5)
Real = tuple[Tensor, Tensor]
Scaled = tuple[ShowerScaling, Tensor, Tensor]


@pytest.fixture(scope="module")
def real(geant4_showers: Path) -> Callable[[str], Real]:
    def of(particle: str) -> Real:
        showers = ENTRY.read(geant4_showers / f"calogan_{particle}.h5")
        return torch.from_numpy(showers.cells), torch.from_numpy(showers.energy).float()

    return of


@pytest.fixture(scope="module", params=["eplus", "piplus"])
def scaled(request: pytest.FixtureRequest, real: Callable[[str], Real], calogan: Calorimeter) -> Scaled:
    """Return a map after some steps of training on real showers, and these showers."""
    torch.manual_seed(1)
    scaling, (cells, energy) = ShowerScaling(calogan, RANGE), real(request.param)
    scaling.prepare(cells, energy)
    optimizer = torch.optim.Adam(scaling.parameters(), lr=0.02)
    for _ in range(60):
        rows = torch.randint(len(cells), (256,))
        torch.stack(list(scaling.losses(cells[rows], energy[rows]).values())).sum().backward()
        optimizer.step()
        optimizer.zero_grad()
    return scaling.requires_grad_(False), cells, energy


def quantiles(columns: int = 6, seed: int = 1) -> ConditionalQuantiles:
    """Return arbitrary distributions, given one number with five knots."""
    torch.manual_seed(seed)
    distributions = ConditionalQuantiles(torch.arange(columns), [5]).requires_grad_(False)
    for parameter in distributions.parameters():
        parameter.add_(torch.randn_like(parameter))
    return distributions


def layer_energies(cells: Tensor, geometry: Calorimeter) -> Tensor:
    return torch.from_numpy(geometry.layer_energies(cells.numpy())).float()


def test_ramps_make_any_function_that_is_straight_between_knots() -> None:
    knots = torch.tensor([-2.0, -1.0, 0.5, 3.0])
    ramps, x = Ramps(knots), torch.linspace(-2, 3, 101)
    values = torch.tensor([1.0, -2.0, 5.0, 4.0])
    weights = torch.cat([values[:1], torch.zeros(1), values.diff(), torch.zeros(1)])
    expected = torch.from_numpy(np.interp(x, knots, values)).float()
    torch.testing.assert_close(ramps(x) @ weights, expected)
    torch.testing.assert_close(ramps.hats(x) @ values, expected)


def test_outside_the_knots_a_threshold_goes_on_straight_and_then_stays() -> None:
    distributions, ramps = quantiles(), Ramps(torch.arange(5.0))
    threshold = ramps(torch.tensor([4.0, 4.5, 5.0, 9.0, 90.0])) @ distributions.folded().threshold
    torch.testing.assert_close(threshold[2] - threshold[1], threshold[1] - threshold[0])
    assert torch.equal(threshold[3], threshold[4])


@pytest.mark.parametrize("condition", [-7.0, 0.0, 1.3, 4.0, 30.0])
def test_quantile_functions_ascend(condition: float) -> None:
    z = torch.linspace(-6, 6, 400).unsqueeze(1).expand(-1, 6)
    basis = Ramps(torch.arange(5.0))(torch.full((400,), condition))
    value = quantiles().decode(z, basis)
    assert (value.diff(dim=0) > 0).all()


def test_normal_numbers_come_back() -> None:
    distributions, basis = quantiles(), Ramps(torch.arange(5.0))(5 * torch.rand(300) - 0.5)
    z = torch.randn(300, 6, generator=torch.Generator().manual_seed(2))
    value = distributions.decode(z, basis)
    found = distributions.encode(value, value > -100, basis)
    filled = ~found.censored
    assert 0.2 < filled.float().mean() < 0.95
    torch.testing.assert_close(found.z[filled], z[filled], rtol=0, atol=2e-3)
    assert (z[~filled] <= found.bound[~filled]).all()


def test_training_finds_the_distribution() -> None:
    """Numbers that are missing for z < 0.3 c, and else are 2 z - c, at all c from -1 to 1."""
    torch.manual_seed(1)
    distributions, ramps = (
        ConditionalQuantiles(torch.zeros(1, dtype=torch.int64), [4]),
        Ramps(torch.linspace(-1, 1, 4)),
    )
    condition, z = 2 * torch.rand(20_000) - 1, torch.randn(20_000)
    value, filled = (2 * z - condition).unsqueeze(1), (z > 0.3 * condition).unsqueeze(1)
    distributions.start(value, filled, ramps.hats(condition))
    optimizer = torch.optim.Adam(distributions.parameters(), lr=0.02)
    for step in range(200):
        optimizer.param_groups[0]["lr"] = 0.02 * (1 - step / 200)
        rows = torch.randint(20_000, (1000,))
        sum(distributions.losses(value[rows], filled[rows], ramps(condition[rows]))).backward()
        optimizer.step()
        optimizer.zero_grad()
    c, z = torch.tensor([-0.8, 0.1, 0.9]), torch.tensor([0.5, 1.0, 1.8])
    torch.testing.assert_close(
        (ramps(c) @ distributions.folded().threshold).squeeze(1), 0.3 * c, rtol=0, atol=0.06
    )
    found = distributions.decode(z.unsqueeze(1), ramps(c)).squeeze(1)
    torch.testing.assert_close(found, 2 * z - c, rtol=0, atol=0.15)


@pytest.mark.parametrize("n_layers", [1, 2, 3, 12])
@pytest.mark.parametrize("response", [0.03, 0.5, 1.0])
def test_layer_energies_come_back(n_layers: int, response: float) -> None:
    random = torch.Generator().manual_seed(1)
    energy = 1e3 + 9.9e4 * torch.rand(200, generator=random)
    share = torch.rand(200, n_layers, generator=random) + 1e-3
    share[:, 1:] *= torch.rand(200, n_layers - 1, generator=random) < 0.7
    leak = 1 - 0.01 * torch.rand(200, 1, generator=random)
    layers = share / share.sum(dim=1, keepdim=True) * leak * response * energy.unsqueeze(1)
    coordinates = LayerEnergies(n_layers)
    coordinates.prepare(layers, energy)
    value, there = coordinates(layers, energy)
    assert torch.equal((~there).sum(dim=1), (layers == 0).sum(dim=1))
    found = coordinates.inverse(torch.where(there, value, -1e9), energy)
    torch.testing.assert_close(found, layers, rtol=1e-4, atol=1e-3)
    assert torch.equal(found > 0, layers > 0)


def test_a_shower_without_energy_comes_back_as_one() -> None:
    coordinates, energy = LayerEnergies(3), torch.tensor([1e4])
    _, there = coordinates(torch.zeros(1, 3), energy)
    assert not there.any()
    assert (coordinates.inverse(torch.full((1, 3), -1e9), energy) == 0).all()


def filled(scaled: Scaled, z: Tensor, geometry: Calorimeter) -> Tensor:
    """Return the cells that numbers (N, F) mean in layers of the energies that they had."""
    scaling, cells, energy = scaled
    layers = layer_energies(cells, geometry)
    return scaling.decoder().fill(z[:, len(scaling.sizes) :], layers, scaling.incident(energy.log()))


def test_real_cells_come_back(scaled: Scaled, calogan: Calorimeter) -> None:
    _, cells, _ = scaled
    known = scaled[0].encode(*scaled[1:])
    assert (known.z > known.bound)[~known.censored].all()
    found = filled(scaled, known.z.where(~known.censored, known.bound - 1e-4), calogan)
    there = layer_energies(cells, calogan).repeat_interleave(torch.tensor(scaled[0].sizes), dim=1) > 0
    assert torch.equal((found > 0)[there], (cells > 0)[there])
    # a share that is smaller or larger than all that were seen is not resolved
    wrong = (found - cells).abs() > 1e-2 * cells + 1e-2
    assert wrong.float().mean() < 0.01


def test_real_layers_come_back(scaled: Scaled, calogan: Calorimeter) -> None:
    scaling, cells, energy = scaled
    known = scaling.encode(cells, energy)
    found = scaling(known.z.where(~known.censored, known.bound - 1), energy)
    true, layers = (layer_energies(each, calogan) for each in (cells, found))
    assert torch.equal(layers > 0, true > 0)
    wrong = (layers - true).abs() > 1e-3 * true + 1e-1
    assert wrong.any(dim=1).float().mean() < 0.02


def test_layers_get_exactly_their_energy(scaled: Scaled, calogan: Calorimeter) -> None:
    scaling, cells, energy = scaled
    layers = layer_energies(cells, calogan)
    layers[:5, 2] = 0
    z = torch.randn(len(cells), calogan.n_cells, generator=torch.Generator().manual_seed(1))
    z[5:10] = -8.0  # no cell is above its threshold
    found = scaling.decoder().fill(z, layers, scaling.incident(energy.log()))
    torch.testing.assert_close(layer_energies(found, calogan), layers, rtol=1e-5, atol=0)
    assert (found[:5, calogan.offsets[2] :] == 0).all()
    assert (found >= 0).all()


def test_nothing_is_known_of_the_cells_of_an_empty_layer(scaled: Scaled, calogan: Calorimeter) -> None:
    scaling, cells, energy = scaled
    last = slice(calogan.offsets[2], None)
    cells = cells[:4].clone()
    cells[:, last] = 0
    known = scaling.encode(cells, energy[:4])
    assert known.censored[:, 3:][:, last].all()
    assert (known.bound[:, 3:][:, last] > 8).all()
    z = torch.cat([known.z.where(~known.censored, known.bound - 1)[:, :3], torch.randn(4, 504)], dim=1)
    assert (scaling(z, energy[:4])[:, last] == 0).all()


def test_mirror_images_have_mirrored_numbers(scaled: Scaled, calogan: Calorimeter) -> None:
    scaling, cells, energy = scaled
    cells, energy = cells[:200], energy[:200]
    known = scaling.encode(cells, energy)
    z = torch.randn(200, scaling.size, generator=torch.Generator().manual_seed(1))
    showers = scaling(z, energy)
    flips = torch.from_numpy(calogan.symmetries())
    assert len(flips) == 4
    for flip, numbers in zip(flips, scaling.symmetries, strict=True):
        mirrored = scaling.encode(cells[:, flip], energy)
        torch.testing.assert_close(mirrored.z, known.z[:, numbers], rtol=0, atol=5e-3)
        assert torch.equal(mirrored.censored, known.censored[:, numbers])
        torch.testing.assert_close(scaling(z[:, numbers], energy), showers[:, flip], rtol=1e-4, atol=1e-3)


def test_what_is_encoded_is_normal(scaled: Scaled) -> None:
    scaling, cells, energy = scaled
    known = scaling.encode(cells, energy)
    for z in (0.5, 1.0, 2.0):
        decided = known.bound < z
        above = (known.z > z) & ~known.censored & decided
        expected = float(decided.sum()) * (1 - float(below(torch.tensor(z))))
        assert float(above.sum()) == pytest.approx(expected, rel=0.2)


def test_rings_are_scaled_as_boxes_are(small: Calorimeter) -> None:
    radii = Axis(edges=np.array([0.0, 10.0, 20.0, 60.0]))
    layers = tuple(RingLayer(z=layer.z, r=radii, alpha=4) for layer in small.layers)
    rings = Calorimeter("rings", "for tests", "none", small.stack, small.visible, layers)
    random = torch.Generator().manual_seed(1)
    cells = torch.rand(500, rings.n_cells, generator=random).pow(8) * 1e3
    cells *= torch.rand(500, rings.n_cells, generator=random) < 0.5
    energy = 1.2 * cells.sum(dim=1) + 1e3
    scaling = ShowerScaling(rings, RANGE).requires_grad_(False)
    scaling.prepare(cells, energy)
    assert len(torch.unique(scaling.cells[0].pool)) < rings.layers[0].n_cells
    z = scaling.encode(cells, energy)
    found = scaling(z.z.where(~z.censored, z.bound - 1), energy)
    torch.testing.assert_close(found.mean(dim=0), cells.mean(dim=0), rtol=0.02, atol=0.1)


def gaussian() -> tuple[CensoredGaussian, Tensor]:
    """Return a learner, and a correlation that has its one symmetry."""
    random = torch.Generator().manual_seed(3)
    flips = torch.tensor([[0, 1, 2, 3, 4, 5, 6], [0, 2, 1, 4, 3, 6, 5]])
    mixing = torch.randn(7, 4, generator=random)
    covariance = mixing @ mixing.T + torch.eye(7)
    covariance = covariance + covariance[flips[1]][:, flips[1]]
    spread = covariance.diagonal().sqrt()
    return CensoredGaussian(flips), covariance / spread / spread.unsqueeze(1)


def censored(correlation: Tensor, n: int) -> Encoded:
    """Draw values, those below bounds from -2 to 1.2 censored."""
    z = torch.randn(n, 7) @ torch.linalg.cholesky(correlation).T
    bound = torch.tensor([-3.0, 0.5, 0.5, -0.5, -0.5, 1.2, 1.2]) + 0.2 * torch.randn(n, 1)
    return Encoded(z.where(z > bound, torch.tensor(9.0)), z < bound, bound.expand(n, 7))


def test_the_correlation_of_censored_values_is_found() -> None:
    torch.manual_seed(1)
    learner, correlation = gaussian()
    for _ in range(300):
        learner.update(censored(correlation, 500))
    torch.testing.assert_close(learner.correlation(), correlation, rtol=0, atol=0.04)
    torch.testing.assert_close(learner.factor() @ learner.factor().T, learner.correlation())
    flip = learner.symmetries[1]
    torch.testing.assert_close(learner.covariance[flip][:, flip], learner.covariance)


def test_only_what_is_censored_is_drawn_and_below_its_bound() -> None:
    torch.manual_seed(1)
    learner, correlation = gaussian()
    learner.covariance.copy_(correlation)
    known = censored(correlation, 400)
    drawn = learner.impute(known)
    assert torch.equal(drawn[~known.censored], known.z[~known.censored])
    assert (drawn <= known.bound)[known.censored].all()
    assert drawn.isfinite().all()
