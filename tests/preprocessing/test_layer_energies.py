"""Energies of layers as coordinates, both ways."""

import pytest

torch = pytest.importorskip("torch")

from caloforge.preprocessing import LayerEnergies  # noqa: E402


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


@pytest.mark.parametrize("brought", [0.0, 1.022, 139.57])
def test_more_than_came_in_is_never_made(brought: float) -> None:
    coordinates, energy = LayerEnergies(3, brought), torch.tensor([1e3, 1e4, 1e5])
    values = torch.tensor([1e3, 0.0, -1.0]).expand(3, 3)
    total = coordinates.inverse(values, energy).sum(dim=1)
    torch.testing.assert_close(total, energy + brought, rtol=1e-6, atol=0)


def test_showers_that_hold_more_make_room_for_as_much() -> None:
    """As of particles whose decay or capture brings more than is known."""
    layers, energy = torch.tensor([[600.0, 450.0], [4e3, 1e3]]), torch.tensor([1e3, 1e4])
    coordinates = LayerEnergies(2, 1.0)
    coordinates.prepare(layers, energy)
    assert float(coordinates.excess) == pytest.approx(50, abs=0.01)
    value, _ = coordinates(layers, energy)
    torch.testing.assert_close(coordinates.inverse(value, energy), layers, rtol=1e-4, atol=0)


def test_ratios_refer_to_a_layer_that_is_hardly_ever_empty() -> None:
    layers = torch.tensor([[0.0, 5.0, 900.0], [300.0, 0.0, 1.0], [0.0, 0.0, 2.0]])
    coordinates = LayerEnergies(3)
    coordinates.prepare(layers, torch.full((3,), 1e3))
    assert coordinates.order.tolist() == [2, 0, 1]
    assert coordinates.order[coordinates.place].tolist() == [0, 1, 2]


def test_the_layer_that_ratios_refer_to_is_rather_often_filled_than_full() -> None:
    layers = torch.tensor([[900.0, 100.0], [900.0, 100.0], [0.0, 100.0]])
    coordinates = LayerEnergies(2)
    coordinates.prepare(layers, torch.full((3,), 2e3))
    assert coordinates.order.tolist() == [1, 0]


def test_no_room_is_made_for_more_than_came_in_unless_something_brings_it() -> None:
    coordinates = LayerEnergies(2)
    coordinates.prepare(torch.tensor([[600.0, 400.0]]), torch.tensor([1e3]))
    assert float(coordinates.excess) == 0
    coordinates = LayerEnergies(2, 5.0)
    coordinates.prepare(torch.tensor([[600.0, 401.0]]), torch.tensor([1e3]))
    assert float(coordinates.excess) == 5


def test_coordinates_resolve_showers_that_are_contained_and_go_on_to_the_most() -> None:
    energy = torch.full((5,), 1e5)
    total = torch.tensor([0.99, 0.999, 0.9999, 0.99999, 1.0]) * energy
    coordinates = LayerEnergies(1)
    value, _ = coordinates(total.unsqueeze(1), energy)
    assert (value.squeeze(1).diff() > 0.01).all()
    torch.testing.assert_close(coordinates.inverse(value, energy).squeeze(1), total, rtol=1e-6, atol=0)
