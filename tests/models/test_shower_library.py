"""The shower library: what it draws is what it was given, at another energy and mirrored."""

import pytest

torch = pytest.importorskip("torch")

from torch import Tensor  # noqa: E402

from caloforge.geometry import Calorimeter  # noqa: E402
from caloforge.models.base import Batch  # noqa: E402
from caloforge.models.shower_library import Config, ShowerLibrary  # noqa: E402

N = 12
ROUNDING = 2.0**-11  # of 16 bits


def showers(geometry: Calorimeter, label: int = 0, seed: int = 1) -> Batch:
    random = torch.Generator().manual_seed(seed)
    energy = 1e3 * torch.arange(1.0, N + 1)
    share = torch.rand(N, geometry.n_cells, generator=random)
    share *= torch.rand(share.shape, generator=random) < 0.5
    return Batch(
        energy.unsqueeze(1) * share / share.sum(dim=1, keepdim=True), energy, torch.full((N,), label)
    )


def filled(geometry: Calorimeter, nearest: int = 5, labels: tuple[int, ...] = (0,)) -> ShowerLibrary:
    particles = ("e+", "gamma")[: len(labels)]
    model = ShowerLibrary(Config(particles=particles, nearest=nearest), geometry)
    for label in labels:
        model.training_step(showers(geometry, label, seed=label + 1), {})
    return model


def draw(model: ShowerLibrary, energy: Tensor, label: int = 0) -> Tensor:
    noise = torch.randn(len(energy), 2, generator=torch.Generator().manual_seed(3))
    cells: Tensor = model(noise, energy, torch.full((len(energy),), label))
    return cells


def origin(cells: Tensor, batch: Batch) -> Tensor:
    """Return which shower of a batch each of some showers is, by the shares of its cells in order."""
    ours, theirs = (
        (each / each.sum(dim=1, keepdim=True)).sort(dim=1).values for each in (cells, batch.cells)
    )
    distance, number = torch.cdist(ours, theirs).min(dim=1)
    assert (distance < 2 * ROUNDING).all()
    return number


def test_with_one_neighbour_a_known_energy_gives_its_shower_back(small: Calorimeter) -> None:
    batch = showers(small)
    cells = draw(filled(small, nearest=1), batch.energy)
    images = torch.stack([batch.cells[:, row] for row in small.symmetries()])
    difference = (images - cells).abs() / batch.energy.unsqueeze(1)
    assert (difference.amax(dim=2).min(dim=0).values < ROUNDING).all()


def test_showers_are_rescaled_to_the_energy(small: Calorimeter) -> None:
    energy = torch.linspace(500, 20_000, 200)
    torch.testing.assert_close(draw(filled(small), energy).sum(dim=1), energy, rtol=ROUNDING, atol=0)


def test_any_of_the_nearest_is_drawn_and_no_other(small: Calorimeter) -> None:
    batch = showers(small)
    found = origin(draw(filled(small, nearest=3), torch.full((400,), 6400.0)), batch)
    distance = (batch.energy.log() - torch.tensor(6400.0).log()).abs()
    assert set(found.tolist()) == set(distance.argsort()[:3].tolist())
    counts = torch.bincount(found)
    assert (counts[counts > 0] > 90).all()


def test_every_mirror_image_is_drawn(small: Calorimeter) -> None:
    cells = draw(filled(small, nearest=1), torch.full((200,), 6000.0))
    assert len(torch.unique(cells, dim=0)) == len(small.symmetries()) == 4


def test_what_is_there_already_is_not_taken_again(small: Calorimeter) -> None:
    model, batch = filled(small), showers(small)
    for row in small.symmetries():
        figures = model.training_step(batch._replace(cells=batch.cells[:, row]), {})
        assert figures["showers"] == N
    assert model.training_step(showers(small, seed=2), {})["showers"] == 2 * N


def test_particles_are_kept_apart_even_where_one_has_few_showers(small: Calorimeter) -> None:
    model = filled(small, nearest=8, labels=(0, 1))
    few = ShowerLibrary(Config(particles=("e+", "gamma"), nearest=8), small)
    few.training_step(showers(small, 0, seed=1), {})
    few.training_step(Batch(*(part[:2] for part in showers(small, 1, seed=2))), {})
    energy = torch.linspace(1000, 12_000, 100)
    for library, label in ((model, 0), (model, 1), (few, 0), (few, 1)):
        origin(draw(library, energy, label), showers(small, label, seed=label + 1))


def test_a_library_takes_the_state_of_a_larger_one(small: Calorimeter) -> None:
    model, other = filled(small), ShowerLibrary(Config(), small)
    other.load_state_dict(model.state_dict())
    energy = torch.linspace(1000, 12_000, 50)
    assert torch.equal(draw(model, energy), draw(other, energy))


def test_of_showers_there_is_no_running_average(small: Calorimeter) -> None:
    assert not filled(small).sampled.state_dict()
