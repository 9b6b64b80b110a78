"""The cascade: what splits conserve, and that drawing turn by turn is what was learned."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from caloforge.geometry import Axis, Calorimeter, Layer, Slab, Stack  # noqa: E402
from caloforge.models import cascade  # noqa: E402
from caloforge.models.base import Batch  # noqa: E402
from caloforge.models.cascade import Cascade, Config, Mean  # noqa: E402

N = 40


def box(*shapes: tuple[int, int]) -> Calorimeter:
    layers = tuple(
        Layer((10.0 * z, 10.0 * (z + 1)), Axis.uniform(eta, -40.0, 40.0), Axis.uniform(phi, -40.0, 40.0))
        for z, (eta, phi) in enumerate(shapes)
    )
    stack = (Stack(len(shapes), (Slab("G4_Si", 10.0, "active"),)),)
    return Calorimeter("box", "", "", stack, ("active",), layers)


BOX = box((6, 5), (24, 8), (3, 1))


@pytest.fixture(params=["picked", "all"])
def model(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Cascade:
    """With parts that hold energy picked out of all in every turn, or in none."""
    monkeypatch.setattr(cascade, "_DENSE", {"picked": 0, "all": 1000}[request.param])
    torch.manual_seed(2)
    made = Cascade(Config(particles=("e+",), width=16, energy_range=(0.1, 1.0)), BOX)
    made.phases()[0].prepare(Few(showers()))
    with torch.no_grad():
        for parameter in made.parameters():
            parameter += 0.1 * torch.randn_like(parameter)
    return made


class Few:
    """Showers as a training has them."""

    def __init__(self, *batches: Batch) -> None:
        self.given = batches

    def batches(self, size: int | None = None):
        yield from self.given


def showers(n: int = N) -> Batch:
    """Sparse showers that are larger on one side."""
    random = torch.Generator().manual_seed(3)
    energy = 100 + 900 * torch.rand(n, generator=random)
    cells = torch.rand(n, BOX.n_cells, generator=random) ** 4
    cells[cells < 0.2] = 0
    cells[:, ::2] *= 3
    cells *= 0.9 * energy.unsqueeze(1) / cells.sum(dim=1, keepdim=True)
    upright, place = torch.tensor([[0.0, 0.0, 1.0]] * n), torch.zeros(n, 2)
    return Batch(cells, energy, upright, place, torch.zeros(n, dtype=torch.int64), BOX)


def drawn(model: Cascade, n: int = N) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Noise, energies and the showers that they give."""
    sampler = model.sampler(BOX)
    noise = torch.randn(n, sampler.noise_size, generator=torch.Generator().manual_seed(4))
    energy = torch.linspace(100, 1000, n)
    with torch.no_grad():
        return noise, energy, sampler(noise, energy)


def test_no_shower_holds_more_than_its_particle_brought(model: Cascade) -> None:
    _, energy, cells = drawn(model)
    assert (cells >= 0).all()
    assert (cells.sum(dim=1) <= (energy + 1.022) * 1.00001).all()
    assert (cells == 0).any()


def test_every_round_keeps_the_energy_of_each_part(model: Cascade) -> None:
    energies = torch.rand(N, 1) * 500
    for split in model.rounds[1:]:
        noise = torch.randn(N, 2 * len(split.parts))
        with torch.no_grad():
            after = split(energies, torch.full((N,), 1e3), noise)
        back, first, second = split.before(after)
        torch.testing.assert_close(back, energies, rtol=1e-5, atol=1e-4)
        torch.testing.assert_close(first + second, energies[:, split.parts], rtol=1e-5, atol=1e-4)
        energies = after


def test_turn_by_turn_is_what_training_sees(model: Cascade) -> None:
    """The shares that were drawn are those of the true inputs of the showers that came of it."""
    noise, energy, cells = drawn(model)
    batch = showers()._replace(cells=cells, energy=energy)
    parts = dict(
        zip(model.rounds, noise.split([2 * len(split.parts) for split in model.rounds], dim=1), strict=True)
    )
    with torch.no_grad():
        for split, shares in model.true(batch):
            if split is model.rounds[0]:
                continue  # what is not deposited is not known from the cells alone
            first = 0
            for turn, inputs, part, one, other, _ in split.true(shares, 10**9):
                here = parts[split][:, first : first + 2 * len(turn.parts)]
                chance, within = here.chunk(2, dim=1)
                energies = shares.energies[:, turn.parts]
                chosen = torch.nonzero(energies.reshape(-1) > 0).squeeze(1)
                drawn_again = turn.share(
                    turn.outputs(inputs, part), part, chance.reshape(-1)[chosen], within.reshape(-1)[chosen]
                )
                torch.testing.assert_close(one / (one + other), drawn_again, rtol=0, atol=5e-3)
                first += 2 * len(turn.parts)


def test_splits_have_a_probability(model: Cascade) -> None:
    """The shares of empty halves and the integral over the logarithm of the odds add up to 1."""
    turn = model.rounds[4].turns[0]
    odds = torch.linspace(-60, 60, 40001, dtype=torch.float64)
    part = torch.zeros(len(odds), dtype=torch.int64)
    outputs = torch.randn(1, 2 + 3 * turn.components, dtype=torch.float64)
    second = torch.ones_like(odds)
    inside = (-turn.loss(outputs.expand(len(odds), -1), part, odds.exp(), second)).exp()
    nothing, some = torch.zeros(1), torch.ones(1)
    empty = [(-turn.loss(outputs, part[:1], *pair)).exp() for pair in ((some, nothing), (nothing, some))]
    assert float(torch.trapezoid(inside, odds) + empty[0] + empty[1]) == pytest.approx(1, abs=1e-3)


def test_shares_are_drawn_as_the_loss_expects_them(model: Cascade) -> None:
    """Minus the mean log-likelihood of drawn shares is lowest for the parameters they were drawn with."""
    turn, n = model.rounds[4].turns[0], 20_000
    part = torch.zeros(n, dtype=torch.int64)
    outputs = torch.randn(1, 2 + 3 * turn.components, generator=torch.Generator().manual_seed(5)).repeat(n, 1)
    torch.manual_seed(6)
    share = turn.share(outputs, part, torch.randn(n), torch.randn(n))
    own = float(turn.loss(outputs, part, share, 1 - share).mean())
    for number in range(outputs.shape[1]):
        for change in (-0.5, 0.5):
            other = outputs.clone()
            other[:, number] += change
            assert float(turn.loss(other, part, share, 1 - share).mean()) > own - 0.02


def test_training_learns(model: Cascade) -> None:
    phase, batch = model.phases()[0], showers()
    losses = [float(phase.step(batch, 0.0)["all"]) for _ in range(30)]
    assert np.mean(losses[-3:]) < 0.9 * losses[0]


def test_subsets_of_splits_estimate_the_loss_of_all(model: Cascade) -> None:
    batch = showers()
    with torch.no_grad():
        whole = sum(model.losses(batch))
        object.__setattr__(model.config, "sampled", 20)
        torch.manual_seed(7)
        parts = torch.stack([sum(model.losses(batch)) for _ in range(60)])
    assert float(parts.mean()) == pytest.approx(float(whole), abs=4 * float(parts.std()) / 60**0.5)


def test_means_of_rows_that_are_rarely_filled_are_those_of_all() -> None:
    one = Mean(3, 1)
    one.add(torch.zeros(4000, dtype=torch.int64), torch.full((4000, 1), 2.0))
    one.add(torch.ones(1, dtype=torch.int64), torch.full((1, 1), 50.0))
    assert one.mean[0] == pytest.approx(2.0, abs=0.01)
    assert one.mean[1] < 6
    assert one.mean[2] == pytest.approx(2.0, abs=0.05)
    assert (one.deviation > 0).all()
