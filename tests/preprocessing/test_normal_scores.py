"""Showers as normal numbers: both ways, and their mirror images."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from torch import Tensor  # noqa: E402

from caloforge import catalog  # noqa: E402
from caloforge.formats.calogan import ENTRY  # noqa: E402
from caloforge.formats.native import read  # noqa: E402
from caloforge.geometry import (  # noqa: E402
    Axis,
    Calorimeter,
    Layer,
    RingLayer,
    Slab,
    Stack,
)
from caloforge.preprocessing import ShowerScaling, below  # noqa: E402

RANGE = (1e3, 1e5)
Real = tuple[Tensor, Tensor]
Scaled = tuple[ShowerScaling, Tensor, Tensor]


@pytest.fixture(scope="module")
def real(request: pytest.FixtureRequest) -> Callable[[str], Real]:
    """Return what reads simulated showers: 300 that come with the package, or many."""

    def of(particle: str) -> Real:
        if particle == "sample":
            showers = read(catalog.load("samples", "calogan_gamma"))
        else:
            folder: Path = request.getfixturevalue("geant4_showers")
            showers = ENTRY.read(folder / f"calogan_{particle}.h5")
        return torch.from_numpy(showers.cells), torch.from_numpy(showers.energy).float()

    return of


@pytest.fixture(scope="module", params=["sample", "eplus", "piplus"])
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


def layer_energies(cells: Tensor, geometry: Calorimeter) -> Tensor:
    return torch.from_numpy(geometry.layer_energies(cells.numpy())).float()


class Given(torch.nn.Module):
    """Stands for what makes layer energies from normal numbers."""

    def __init__(self, layers: Tensor) -> None:
        super().__init__()
        self.layers = layers

    def inverse(self, coordinates: Tensor, energy: Tensor) -> Tensor:
        return self.layers


def filled(scaled: Scaled, z: Tensor, layers: Tensor) -> Tensor:
    """Return the cells that numbers (N, F) mean in layers of given energies (N, L)."""
    decoder = scaled[0].decoder()
    decoder.layers = Given(layers)
    return decoder(z, scaled[2])


def test_real_cells_come_back(scaled: Scaled, calogan: Calorimeter) -> None:
    _, cells, _ = scaled
    known = scaled[0].encode(*scaled[1:])
    assert (known.z > known.bound)[~known.censored].all()
    layers = layer_energies(cells, calogan)
    found = filled(scaled, known.z.where(~known.censored, known.bound - 1e-4), layers)
    there = layers.repeat_interleave(torch.tensor(scaled[0].sizes), dim=1) > 0
    assert torch.equal((found > 0)[there], (cells > 0)[there])
    # a share that is smaller or larger than all that were seen is not resolved
    wrong = (found - cells).abs() > 1e-2 * cells + 1e-2
    assert wrong.float().mean() < 0.01


def test_real_layers_come_back(scaled: Scaled, calogan: Calorimeter) -> None:
    scaling, cells, energy = scaled
    known = scaling.encode(cells, energy)
    found = scaling(known.z.where(~known.censored, known.bound - 1), energy)
    true, layers = (layer_energies(each, calogan) for each in (cells, found))
    assert ((layers > 0) == (true > 0)).float().mean() > 0.999
    # a response or ratio that is smaller or larger than all that were seen near by is not resolved
    wrong = (layers - true).abs() > 1e-2 * true + 1e-1
    assert wrong.any(dim=1).float().mean() < 0.05


def test_layers_get_exactly_their_energy(scaled: Scaled, calogan: Calorimeter) -> None:
    scaling, cells, _ = scaled
    layers = layer_energies(cells, calogan)
    layers[:5, 2] = 0
    z = torch.randn(len(cells), scaling.size, generator=torch.Generator().manual_seed(1))
    z[5:10] = -8.0  # no cell is above its threshold
    found = filled(scaled, z, layers)
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


def test_the_room_above_the_incident_energy_is_that_of_all_showers() -> None:
    """Of a calorimeter of many cells only a sample fits into memory, and it may hold none of the highest."""
    axis = Axis.uniform(64, -320.0, 320.0)
    layers = tuple(Layer(z=z, eta=axis, phi=axis) for z in ((0.0, 6.0), (6.0, 12.0)))
    slabs = (Slab("G4_Pb", 2.0, "absorber"), Slab("G4_lAr", 4.0, "active"))
    many = Calorimeter("many", "for tests", "none", (Stack(2, slabs),), ("absorber", "active"), layers)
    random = torch.Generator().manual_seed(1)
    cells = torch.rand(200, many.n_cells, generator=random)
    cells *= torch.rand(cells.shape, generator=random) < 0.2
    energy = 1.2 * cells.sum(dim=1)
    cells[150] *= (energy[150] + 700) / cells[150].sum()  # not in the sample
    sample = cells[:100], energy[:100]

    def prepared(*others: Real) -> ShowerScaling:
        torch.manual_seed(1)
        scaling = ShowerScaling(many, RANGE, brought=2.0).requires_grad_(False)
        scaling.prepare(*sample, iter(others))
        return scaling

    alone, told = prepared(), prepared((cells[:80], energy[:80]), (cells[80:], energy[80:]))
    assert float(alone.layers.excess) == 2
    assert float(told.layers.excess) == pytest.approx(700, abs=1)
    ours, theirs = alone.state_dict(), told.state_dict()
    for scaling in (alone, told):
        known = scaling.layers(layer_energies(cells[150:151], many), energy[150:151])
        back = scaling.layers.inverse(known[0], energy[150:151]).sum() - energy[150]
        assert float(back) == pytest.approx(float(scaling.layers.excess), abs=1)
    for name in ("cells.0.threshold", "cells.1.lowest", "ramps.0.knots", "cells.1.increments"):
        assert torch.equal(ours[name], theirs[name]), name  # from the sample alone


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


def few(geometry: Calorimeter, n: int = 40) -> Real:
    """Return arbitrary showers, half of their cells empty."""
    random = torch.Generator().manual_seed(1)
    cells = torch.rand(n, geometry.n_cells, generator=random).pow(8) * 1e3
    cells *= torch.rand(n, geometry.n_cells, generator=random) < 0.5
    return cells, 1.2 * cells.sum(dim=1) + 1e3


def test_layers_and_cells_of_less_than_an_mev_are_no_empty_ones(small: Calorimeter) -> None:
    cells, energy = few(small)
    cells[0, : small.offsets[1]] = 0
    cells[0, 3] = 0.5
    scaling = ShowerScaling(small, RANGE)
    scaling.prepare(cells, energy)
    known = scaling.encode(cells, energy)
    first = slice(2, 2 + small.offsets[1])
    assert (known.bound[0, first] < 8).all()
    assert known.censored[0, first].sum() == small.offsets[1] - 1
    assert not known.censored[0, 2 + 3]


def test_knots_have_as_many_layers_between_any_two_and_ascend_even_if_all_are_alike(
    small: Calorimeter,
) -> None:
    cells, energy = few(small, 400)
    scaling = ShowerScaling(small, RANGE, layer_knots=5)
    scaling.prepare(cells, energy)
    layer = cells[:, : small.offsets[1]].sum(dim=1).log()
    knots = scaling.ramps[0].knots
    counts = torch.histogram(layer, knots.clone()).hist
    assert counts.sum() >= 395
    torch.testing.assert_close(counts, torch.full((4,), 100.0), rtol=0, atol=5)
    scaling.prepare(cells[:1].expand(20, -1), energy[:1].expand(20))
    assert (scaling.ramps[0].knots.diff() > 0).all()
    assert float(scaling.ramps[0].knots[-1]) == pytest.approx(float(layer[0]), abs=0.01)


def test_a_layer_that_is_always_empty_is_left_as_it_was(small: Calorimeter) -> None:
    cells, energy = few(small)
    cells[:, small.offsets[1] :] = 0
    scaling = ShowerScaling(small, RANGE).requires_grad_(False)
    before = scaling.ramps[1].knots.clone()
    scaling.prepare(cells, energy)
    assert torch.equal(scaling.ramps[1].knots, before)
    assert torch.stack(list(scaling.losses(cells, energy).values())).isfinite().all()
    assert (scaling.encode(cells, energy).bound[:, 2 + small.offsets[1] :] > 8).all()


def test_cells_of_which_no_mirror_images_are_known_share_nothing(small: Calorimeter) -> None:
    alone = np.arange(small.n_cells)[None]
    scaling = ShowerScaling(small, RANGE, alone)
    assert scaling.size == small.n_cells + 2
    assert [len(torch.unique(cells.pool)) for cells in scaling.cells] == [
        layer.n_cells for layer in small.layers
    ]
    cells, energy = few(small, 300)
    cells[:, 5] = 0
    scaling.prepare(cells, energy)
    share = below(scaling.cells[0].threshold.detach())[:, :9].mean(dim=1)  # at the knots of the layer
    assert share.argmax() == 5
    assert float(share[5]) > 0.9
    assert ((share > 0.35) & (share < 0.65)).sum() == small.layers[0].n_cells - 1
