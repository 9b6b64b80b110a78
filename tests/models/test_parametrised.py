"""The parametrised shower: its profiles, its spots, and that a fit finds what was put in."""

import math
from itertools import pairwise

import numpy as np
import pytest
from scipy import integrate, special, stats

torch = pytest.importorskip("torch")

from torch import Tensor  # noqa: E402

from caloforge import config  # noqa: E402
from caloforge.errors import ConfigError, InputError  # noqa: E402
from caloforge.geometry import Axis, Calorimeter, Layer, RingLayer, Slab, Stack  # noqa: E402
from caloforge.models.parametrised import WHOLE, Boxes, Config, Parametrised, Rings, gamma_share, poisson  # noqa: E402
from tests.batches import run, upright  # noqa: E402

LEAD = Slab("G4_Pb", 2.0, "absorber")
ARGON = Slab("G4_lAr", 4.0, "active")
CELLS = Axis.uniform(6, -240.0, 240.0)
RADII = Axis(edges=np.array([0.0, 20.0, 60.0, 240.0]))


def calorimeter(kind: str = "boxes", visible: tuple[str, ...] = ("absorber", "active")) -> Calorimeter:
    edges = (0.0, 60.0, 120.0, 240.0, 480.0)
    layers = [
        Layer(z=z, eta=CELLS, phi=CELLS) if kind == "boxes" else RingLayer(z=z, r=RADII, alpha=4)
        for z in pairwise(edges)
    ]
    return Calorimeter("deep", "for tests", "none", (Stack(80, (LEAD, ARGON)),), visible, tuple(layers))


def build(geometry: Calorimeter, particles: tuple[str, ...] = ("e+",), **fitted: float) -> Parametrised:
    model = Parametrised(Config(particles=particles, slice=8.0, rate=0.04), geometry)
    with torch.no_grad():
        for name, value in fitted.items():
            model.shower.corrections[name][:, 0] = value
    return model.eval()


@torch.no_grad()
def draw(model: Parametrised, energy: float | Tensor, n: int = 2000, label: int = 0) -> Tensor:
    sampler = model.sampler(model.geometry)
    noise = torch.randn(n, sampler.noise_size, generator=torch.Generator().manual_seed(4))
    cells: Tensor = sampler(noise, torch.as_tensor(energy).expand(n).float(), torch.full((n,), label))
    return cells


def layer_energies(cells: Tensor, geometry: Calorimeter) -> np.ndarray:
    return geometry.layer_energies(cells.numpy())


@pytest.mark.parametrize("alpha", [1.5, 3.0, 6.0, 20.0])
def test_the_longitudinal_share_is_that_of_a_gamma_distribution(alpha: float) -> None:
    x = torch.linspace(0, 4 * alpha, 500)
    found = gamma_share(x, torch.tensor(alpha)).numpy()
    np.testing.assert_allclose(found, special.gammainc(alpha, x.numpy()), atol=0.01)


@pytest.mark.parametrize("mean", [0.01, 0.5, 3.0, 5.99, 6.01, 80.0])
def test_normals_become_numbers_of_spots(mean: float) -> None:
    z = torch.from_numpy(special.ndtri((np.arange(100_000) + 0.5) / 100_000))
    number = poisson(torch.tensor(mean, dtype=torch.float64), z).numpy()
    truth = stats.poisson(mean)
    assert number.mean() == pytest.approx(mean, rel=0.01)
    assert number.var() == pytest.approx(mean, rel=0.02)
    assert (number < 0.5).mean() == pytest.approx(truth.pmf(0), abs=0.002)
    assert stats.skew(number) == pytest.approx(mean**-0.5, rel=0.1)


def test_boxes_hold_the_integral_of_the_radial_profile() -> None:
    layer = Layer(
        z=(0.0, 1.0), eta=Axis(edges=np.array([-30.0, -5.0, 10.0])), phi=Axis.uniform(2, -20.0, 60.0)
    )
    radius, (eta, phi) = 12.0, (3.0, -4.0)
    axis = torch.tensor([[[eta, phi]]])
    found = Boxes(layer)(torch.tensor([[radius]]), torch.tensor([[0.7]]), axis).numpy()

    def density(x: float, y: float) -> float:
        return radius**2 / (math.pi * ((x - eta) ** 2 + (y - phi) ** 2 + radius**2) ** 2)

    expected = [
        0.7 * integrate.dblquad(density, low, high, left, right)[0]
        for low, high in zip(layer.phi.edges, layer.phi.edges[1:], strict=False)
        for left, right in zip(layer.eta.edges, layer.eta.edges[1:], strict=False)
    ]
    np.testing.assert_allclose(found[0], expected, rtol=1e-4)


def test_rings_hold_the_integral_of_the_radial_profile() -> None:
    layer, radius = RingLayer(z=(0.0, 1.0), r=RADII, alpha=4), 15.0
    found = Rings(layer)(torch.tensor([[radius]]), torch.ones(1, 1), torch.zeros(1, 1, 2)).view(4, 3)
    for ring, (low, high) in enumerate(zip(RADII.edges, RADII.edges[1:], strict=False)):
        share, _ = integrate.quad(lambda r: 2 * r * radius**2 / (r**2 + radius**2) ** 2, low, high)
        np.testing.assert_allclose(found[:, ring].numpy(), share / 4, rtol=1e-5)


def test_unfitted_the_mean_shower_is_the_one_of_the_paper() -> None:
    """T = ln y - 0.812 and alpha of the homogeneous calorimeter, for a shower without fluctuations."""
    geometry = calorimeter()
    shower = build(geometry, beginning=-20.0, late_share=-20.0).shower
    y = math.log(10.0 / shower.critical_energy)
    t, alpha = y - 0.812, 0.81 + (0.458 + 2.26 / shower.z) * y
    below = special.gammainc(alpha, (alpha - 1) / t * shower.edges.numpy())
    found = shower.develop(torch.zeros(1, WHOLE), torch.tensor([[10.0]]), torch.tensor([0]))
    np.testing.assert_allclose(found.share[0].detach().numpy(), np.diff(below), atol=0.005)


@pytest.mark.parametrize("kind", ["boxes", "rings"])
def test_energy_is_conserved_but_for_what_leaks(kind: str) -> None:
    model = build(calorimeter(kind), resolution=-20.0)
    response = draw(model, 2e4).sum(dim=1) / 2e4
    assert response.max() <= 1 + 1e-5
    assert 0.97 < response.mean() < 0.999


def test_showers_fluctuate_around_their_expectation() -> None:
    model = build(calorimeter(), spot_variance=1.0, displacement=-20.0)
    whole = torch.zeros(2000, WHOLE)
    energy, label = torch.full((2000,), 5e4), torch.zeros(2000, dtype=torch.int64)
    noise = torch.randn(2000, model.shower.noise_size, generator=torch.Generator().manual_seed(1))
    noise[:, :WHOLE] = whole
    with torch.no_grad():
        share, spots = model.shower.expect(whole[:1], torch.tensor([[50.0]]), label[:1])
        cells = model.shower(noise, energy, label)
    mean, expected = cells.mean(dim=0) / 5e4, share[0]
    large = spots[0] > 1
    torch.testing.assert_close(mean[large], expected[large], rtol=0.15, atol=1e-5)
    empty = (cells == 0).float().mean(dim=0)
    torch.testing.assert_close(empty[~large], torch.exp(-spots[0])[~large], rtol=0, atol=0.05)


def test_single_showers_are_lopsided_and_their_mean_is_not() -> None:
    geometry = calorimeter()
    cells = draw(build(geometry), 2e4, n=4000)
    flipped = cells[:, geometry.symmetries()[1]]
    lopsided = ((cells - flipped).abs().sum(dim=1) / cells.sum(dim=1)).mean()
    mean = (cells.mean(dim=0) - flipped.mean(dim=0)).abs().sum() / cells.mean(dim=0).sum()
    assert lopsided > 0.05 > 3 * mean


def test_photons_begin_deeper_and_spread_more() -> None:
    geometry = calorimeter()
    model = build(geometry, ("e+", "gamma"))
    first = [layer_energies(draw(model, 3e4, label=label), geometry)[:, 0] / 3e4 for label in (0, 1)]
    assert first[1].mean() < 0.8 * first[0].mean()
    assert first[1].std() / first[1].mean() > 1.2 * first[0].std() / first[0].mean()


def test_deeper_layers_get_more_as_the_energy_grows() -> None:
    geometry = calorimeter()
    model = build(geometry)
    shares = [
        (layers := layer_energies(draw(model, energy), geometry)).sum(axis=0) / layers.sum()
        for energy in (1e3, 1e4, 1e5)
    ]
    first, last = ([share[i] for share in shares] for i in (0, -1))
    assert first[0] > first[1] > first[2]
    assert last[0] < last[1] < last[2]


def test_only_the_visible_share_is_read_out() -> None:
    active, whole = (
        draw(build(calorimeter(visible=roles)), 1e4) for roles in (("active",), ("absorber", "active"))
    )
    assert 0.05 < float(active.sum() / whole.sum()) < 0.5


def test_a_calorimeter_without_material_has_no_parametrised_shower() -> None:
    deep = calorimeter()
    bare = Calorimeter("bare", "for tests", "none", (), ("active",), deep.layers)
    with pytest.raises(InputError, match="no radiation length"):
        Parametrised(Config(), bare)


def test_a_fit_finds_what_the_showers_that_it_sees_were_made_with() -> None:
    geometry = calorimeter()
    hidden = {"maximum": 0.2, "maximum_spread": 0.4, "tail_radius": 0.4, "response": -5.0}
    truth, model = build(geometry, **hidden), build(geometry)
    torch.manual_seed(1)
    energy, label = 1e3 + 9.9e4 * torch.rand(1000), torch.zeros(1000, dtype=torch.int64)
    with torch.no_grad():
        cells = truth.shower(torch.randn(1000, truth.shower.noise_size), energy, label)
    run(model, upright(cells, energy, geometry), steps=80, size=64)
    outer = torch.from_numpy(
        np.concatenate([np.hypot(*part.centres).ravel() for part in geometry.layers]) > 60
    )
    found, true, before = (draw(each.eval(), energy, n=1000) for each in (model, truth, build(geometry)))
    assert float(found.sum()) == pytest.approx(float(true.sum()), rel=0.02)
    assert float(found[:, outer].sum()) == pytest.approx(float(true[:, outer].sum()), rel=0.1)
    shares = [layer_energies(cells, geometry) / energy.numpy()[:, None] for cells in (found, true, before)]
    for moment, left in ((np.mean, 0.3), (np.std, 0.6)):
        after, goal, start = (moment(share, axis=0) for share in shares)
        assert np.abs(after - goal).sum() < left * np.abs(start - goal).sum()


def test_showers_of_hadrons_are_refused() -> None:
    with pytest.raises(ConfigError, match="none of pi"):
        config.load(Config, {"particles": ["pi+"]})
