"""Conditional distributions of numbers that may be missing, and the basis of their conditions."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from torch import Tensor  # noqa: E402

from caloforge.preprocessing import ConditionalQuantiles, Ramps  # noqa: E402


def test_ramps_make_any_function_that_is_straight_between_knots() -> None:
    knots = torch.tensor([-2.0, -1.0, 0.5, 3.0])
    ramps, x = Ramps(knots), torch.linspace(-2, 3, 101)
    values = torch.tensor([1.0, -2.0, 5.0, 4.0])
    weights = torch.cat([values[:1], torch.zeros(1), values.diff(), torch.zeros(1)])
    expected = torch.from_numpy(np.interp(x, knots, values)).float()
    torch.testing.assert_close(ramps(x) @ weights, expected)
    torch.testing.assert_close(ramps.hats(x) @ values, expected)


def quantiles(columns: int = 6, seed: int = 1) -> ConditionalQuantiles:
    """Return arbitrary distributions, given one number with five knots."""
    torch.manual_seed(seed)
    distributions = ConditionalQuantiles(torch.arange(columns), [5]).requires_grad_(False)
    for parameter in distributions.parameters():
        parameter.add_(torch.randn_like(parameter))
    return distributions


def thresholds(distributions: ConditionalQuantiles) -> Tensor:
    """Return weights of the ramps, (ramps, columns)."""
    ramps = distributions.counts[0] + 2
    return distributions.folded(torch.eye(ramps)).get_buffer("weight0")


def test_outside_the_knots_a_threshold_goes_on_straight_and_then_stays() -> None:
    distributions, ramps = quantiles(), Ramps(torch.arange(5.0))
    threshold = ramps(torch.tensor([4.0, 4.5, 5.0, 9.0, 90.0])) @ thresholds(distributions)
    torch.testing.assert_close(threshold[2] - threshold[1], threshold[1] - threshold[0])
    assert torch.equal(threshold[3], threshold[4])


@pytest.mark.parametrize("condition", [-7.0, 0.0, 1.3, 4.0, 30.0])
def test_quantile_functions_ascend(condition: float) -> None:
    z = torch.linspace(-6, 6, 400).unsqueeze(1).expand(-1, 6)
    basis = Ramps(torch.arange(5.0))(torch.full((400,), condition))
    value, there = quantiles().decode(z, basis)
    both = there[1:] * there[:-1] > 0
    assert (value.diff(dim=0)[both] > -1e-4).all()  # straight on where none is above its threshold
    assert (there.diff(dim=0) >= 0)[there[:-1].sum(dim=1) > 1].all()
    assert (there.sum(dim=1) >= 1).all()


def test_normal_numbers_come_back() -> None:
    distributions, basis = quantiles(), Ramps(torch.arange(5.0))(5 * torch.rand(300) - 0.5)
    z = torch.randn(300, 6, generator=torch.Generator().manual_seed(2))
    value, there = distributions.decode(z, basis)
    found = distributions.encode(value, there > 0, basis)
    filled = ~found.censored & (z > found.bound)  # one of those that are all below was raised
    assert 0.2 < filled.float().mean() < 0.95
    torch.testing.assert_close(found.z[filled], z[filled], rtol=0, atol=2e-3)
    assert (z[~filled] <= found.bound[~filled] + 1e-4).all()


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
    torch.testing.assert_close((ramps(c) @ thresholds(distributions)).squeeze(1), 0.3 * c, rtol=0, atol=0.06)
    found = distributions.decode(z.unsqueeze(1), ramps(c))[0].squeeze(1)
    torch.testing.assert_close(found, 2 * z - c, rtol=0, atol=0.15)
