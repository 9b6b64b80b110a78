"""Numbers drawn one after the other."""

import math

import pytest

torch = pytest.importorskip("torch")

from torch import Tensor  # noqa: E402

from caloforge.preprocessing import Chain  # noqa: E402

RANGE = (1e3, 1e5)


def two_kinds(n: int) -> tuple[Tensor, Tensor, Tensor]:
    """Return values (n, 3) of which the second are of two kinds that the first tells apart, which are there,
    and energies in MeV."""
    random = torch.Generator().manual_seed(1)
    energy = torch.exp(math.log(1e3) + math.log(100) * torch.rand(n, generator=random))
    z = torch.randn(n, 3, generator=random)
    first = z[:, 0] + 0.3 * (energy / 1e4).log()
    second = torch.where(z[:, 0] > 0, 4 + 0.1 * z[:, 1], -z[:, 1])
    value = torch.stack([first, second, second + 0.5 * z[:, 2]], dim=1)
    return value, torch.stack([first > -9, first > -9, z[:, 2] > -1], dim=1), energy


@pytest.fixture(scope="module")
def learned() -> Chain:
    torch.manual_seed(2)
    chain = Chain(3, RANGE, 10)
    value, filled, energy = two_kinds(20_000)
    chain.start(value, filled, energy)
    optimizer = torch.optim.Adam(chain.parameters(), lr=0.02)
    for step in range(40):
        optimizer.param_groups[0]["lr"] = 0.02 * (1 - step / 40)
        rows = torch.randint(len(value), (1000,))
        sum(chain.losses(value[rows], filled[rows], energy[rows])).backward()
        optimizer.step()
        optimizer.zero_grad()
    return chain.requires_grad_(False)


def test_numbers_that_are_of_two_kinds_are_drawn_so(learned: Chain) -> None:
    value, filled, energy = two_kinds(10_000)
    drawn = learned.decode(torch.randn(len(energy), 3, generator=torch.Generator().manual_seed(5)), energy)
    there = drawn > -100
    assert torch.equal(there[:, :2], filled[:, :2])
    assert float(there[:, 2].float().mean()) == pytest.approx(float(filled[:, 2].float().mean()), abs=0.02)
    for each in (drawn, value):
        narrow = each[:, 1] > 3
        assert float(narrow.float().mean()) == pytest.approx(0.5, abs=0.03)
        assert float(each[narrow, 1].std()) == pytest.approx(0.1, abs=0.1)
        apart = each[narrow, 0].mean() - each[~narrow, 0].mean()
        assert float(apart) == pytest.approx(2 * math.sqrt(2 / math.pi), abs=0.1)


def test_encoded_numbers_come_back_and_do_not_depend_on_each_other(learned: Chain) -> None:
    torch.manual_seed(3)
    value, filled, energy = two_kinds(10_000)
    known = learned.encode(value, filled, energy)
    z = known.z.where(~known.censored, known.bound - 1)
    back = learned.decode(z, energy)
    off = (back - value).abs() > 1e-2
    assert float(off[filled].float().mean()) < 0.02
    assert (back[~filled] < -100).all()
    correlation = torch.corrcoef(torch.stack([energy.log(), known.z[:, 0], known.z[:, 1]]))
    assert (correlation - torch.eye(3)).abs().max() < 0.06


@pytest.mark.parametrize("size", [1, 2, 5])
def test_any_number_of_numbers_is_drawn(size: int) -> None:
    chain = Chain(size, RANGE, 4).requires_grad_(False)
    drawn = chain.decode(torch.randn(7, size), torch.full((7,), 5e3))
    assert drawn.shape == (7, size)
    assert not drawn.isnan().any()
