"""The shower library: what it draws is what it was given, at another energy and mirrored."""

from collections.abc import Iterator
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

from torch import Tensor  # noqa: E402

from caloforge.geometry import Calorimeter  # noqa: E402
from caloforge.models import checkpoint  # noqa: E402
from caloforge.models.base import Batch  # noqa: E402
from caloforge.models.shower_library import Config, ShowerLibrary  # noqa: E402
from caloforge.stages.train.fit import Plan, fit  # noqa: E402
from tests.batches import run, take, training_data, upright  # noqa: E402

N = 12
ROUNDING = 2.0**-11  # of 16 bits


def showers(geometry: Calorimeter, label: int = 0, seed: int = 1) -> Batch:
    random = torch.Generator().manual_seed(seed)
    energy = 1e3 * torch.arange(1.0, N + 1)
    share = torch.rand(N, geometry.n_cells, generator=random)
    share *= torch.rand(share.shape, generator=random) < 0.5
    return upright(energy.unsqueeze(1) * share / share.sum(dim=1, keepdim=True), energy, geometry, label)


def joined(*batches: Batch) -> Batch:
    columns = {name: torch.cat([getattr(one, name) for one in batches]) for name in Batch._fields[:-1]}
    return batches[0]._replace(**columns)


def filled(geometry: Calorimeter, nearest: int = 5, labels: tuple[int, ...] = (0,)) -> ShowerLibrary:
    particles = ("e+", "gamma")[: len(labels)]
    model = ShowerLibrary(Config(particles=particles, nearest=nearest), geometry)
    run(model, joined(*(showers(geometry, label, seed=label + 1) for label in labels)), steps=0)
    return model


def draw(model: ShowerLibrary, energy: Tensor, label: int = 0) -> Tensor:
    sampler = model.sampler(model.geometry)
    noise = torch.randn(len(energy), sampler.noise_size, generator=torch.Generator().manual_seed(3))
    cells: Tensor = sampler(noise, energy, torch.full((len(energy),), label))
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
    model = filled(small)
    for _ in range(3):
        model.phases()[0].finish(training_data(showers(small)))
        assert len(model.library) == N


class InParts:
    """Showers that come a few at a time, as those of a large file do."""

    def __init__(self, batch: Batch, size: int) -> None:
        self.batch, self.size = batch, size

    def __len__(self) -> int:
        return len(self.batch.energy)

    def batches(self, size: int | None = None) -> Iterator[Batch]:
        return training_data(self.batch).batches(size or self.size)

    def sample(self, values: int = 1 << 26) -> Batch:
        return self.batch


def test_all_showers_of_one_energy_are_taken(small: Calorimeter) -> None:
    """Two of them may well have the same highest cell, in 16 bits."""
    share = torch.rand(20_000, small.n_cells, generator=torch.Generator().manual_seed(1))
    energy = torch.full((len(share),), 1e4)
    batch = upright(energy[:, None] * share / share.sum(dim=1, keepdim=True), energy, small)
    model = ShowerLibrary(Config(), small)
    model.phases()[0].finish(InParts(batch, 5000))
    assert len(model.library) == len(batch.energy)


def test_particles_are_kept_apart_even_where_one_has_few_showers(small: Calorimeter) -> None:
    model = filled(small, nearest=8, labels=(0, 1))
    few = ShowerLibrary(Config(particles=("e+", "gamma"), nearest=8), small)
    run(few, joined(showers(small, 0, seed=1), take(showers(small, 1, seed=2), slice(0, 2))), steps=0)
    energy = torch.linspace(1000, 12_000, 100)
    for library, label in ((model, 0), (model, 1), (few, 0), (few, 1)):
        origin(draw(library, energy, label), showers(small, label, seed=label + 1))


def test_a_library_takes_the_state_of_a_larger_one(small: Calorimeter) -> None:
    model, other = filled(small), ShowerLibrary(Config(), small)
    other.load_state_dict(model.state_dict())
    energy = torch.linspace(1000, 12_000, 50)
    assert torch.equal(draw(model, energy), draw(other, energy))


def test_a_training_takes_all_showers_and_averages_none(small: Calorimeter, tmp_path: Path) -> None:
    energy = torch.linspace(1000, 12_000, 50)
    for average in (0.0, 0.9):
        folder = tmp_path / str(average)
        fit(
            ShowerLibrary(Config(), small),
            training_data(showers(small)),
            Plan(batch=N, average=average),
            folder,
            validate=lambda step, model: {"separation": 1.0},
            log=lambda step, figures: None,
        )
        trained = checkpoint.load(folder)
        assert trained.record["step"] == 0
        assert torch.equal(draw(trained.build_model(), energy), draw(filled(small), energy))


def test_only_images_of_a_beam_that_are_its_own_are_drawn(small: Calorimeter) -> None:
    """From above along phi, so that eta may be flipped and phi not."""
    config = Config(nearest=1, direction_range=((20.0, 20.0), (90.0, 90.0)))
    model = ShowerLibrary(config, small)
    run(model, showers(small), steps=0)
    cells = torch.unique(draw(model, torch.full((200,), 6000.0)), dim=0)
    images = showers(small).cells[5, torch.from_numpy(small.symmetries()[:2])]
    assert len(cells) == 2
    assert (torch.cdist(images, cells).min(dim=1).values < 2 * ROUNDING * 6000).all()


def test_it_is_never_asked_for_a_step(small: Calorimeter) -> None:
    (phase,) = ShowerLibrary(Config(), small).phases()
    assert (phase.steps, dict(phase.optimizers)) == (0, {})
    with pytest.raises(AssertionError, match="no steps"):
        phase.step(showers(small), 0.0)
