"""Conditional distributions of numbers that may be missing, and the basis of their conditions."""

import math
from itertools import pairwise

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from torch import Tensor  # noqa: E402

from caloforge.preprocessing import ConditionalQuantiles, Ramps, below  # noqa: E402


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


def test_units_are_ramps_and_hats_within_the_knots_and_beyond() -> None:
    ramps, x = Ramps(torch.tensor([-2.0, -1.0, 0.5, 3.0])), torch.linspace(-9, 13, 200)
    units = ramps.units()(x.unsqueeze(1))
    assert (units >= 0).all()
    assert (units <= 1).all()
    torch.testing.assert_close(units @ ramps.mixing(), ramps(x), rtol=0, atol=1e-5)
    torch.testing.assert_close(units @ ramps.hat_mixing(), ramps.hats(x), rtol=0, atol=1e-5)


def test_the_probability_below_a_number() -> None:
    z = torch.tensor([-1.959964, 0.0, 1.0])
    torch.testing.assert_close(below(z), torch.tensor([0.025, 0.5, 0.841345]), rtol=1e-5, atol=0)


@pytest.mark.parametrize("spread", [1.0, 100.0])
def test_losses_are_those_of_the_formulas(spread: float) -> None:
    distributions, ramps = quantiles(2), Ramps(torch.arange(5.0))
    basis = ramps(5 * torch.rand(40) - 0.5)
    value, filled = spread * torch.randn(40, 2), torch.rand(40, 2) < 0.6
    threshold = basis @ thresholds(distributions)
    torch.manual_seed(4)
    likelihood, pinball = distributions.losses(value, filled, basis)
    torch.manual_seed(4)
    along = float(torch.rand(()))
    missing = below(threshold).clamp(1e-6, 1 - 1e-6)
    expected = -(filled * (1 - missing).log() + ~filled * missing.log()).mean()
    torch.testing.assert_close(likelihood, expected)
    lost, levels = 0.0, distributions.levels.tolist()
    for low, high in pairwise(levels):
        z = threshold + low + along * (high - low)
        quantile = torch.cat(  # each alone, since a row never stays empty
            [_alone(distributions, z, basis, column) for column in range(2)], dim=1
        )
        probability = (below(z) - missing) / (1 - missing)
        weight = (z.square() / 2).exp().clamp(max=20)
        apart = value - quantile
        lost += float((filled * weight * (probability - (apart < 0).float()) * apart).sum())
    assert float(pinball) == pytest.approx(lost / (len(levels) - 1) / 80, rel=1e-3)


def _alone(distributions: ConditionalQuantiles, z: Tensor, basis: Tensor, column: int) -> Tensor:
    z = torch.full_like(z, -20.0).index_copy(1, torch.tensor([column]), z[:, column : column + 1])
    return distributions.decode(z, basis)[0][:, column : column + 1]


def test_starting_values_are_the_quantiles_of_all_showers_near_a_knot() -> None:
    n = 2000
    distributions = ConditionalQuantiles(torch.zeros(1, dtype=torch.int64), [2]).requires_grad_(False)
    ramps, value = Ramps(torch.tensor([0.0, 1.0])), torch.arange(n).float().unsqueeze(1) / n
    value, condition = torch.cat([value, 5 + 3 * value]), torch.arange(2.0).repeat_interleave(n)
    distributions.start(value, torch.ones_like(value, dtype=torch.bool), ramps.hats(condition))
    z = torch.tensor([-2.8, 0.0, 1.0, 2.5])
    for knot, (low, width) in enumerate([(0.0, 1.0), (5.0, 3.0)]):
        basis = ramps(torch.full((len(z),), float(knot)))
        found = distributions.decode(z.unsqueeze(1), basis)[0].squeeze(1)
        torch.testing.assert_close(found, low + width * below(z), rtol=0, atol=0.15 * width)
        assert float(distributions.lowest[0, knot]) == pytest.approx(low + 0.002 * width)


def test_starting_thresholds_are_the_shares_that_are_missing() -> None:
    n = 1000
    distributions = ConditionalQuantiles(torch.arange(2), [2]).requires_grad_(False)
    hats = Ramps(torch.tensor([0.0, 1.0])).hats(torch.arange(2.0).repeat_interleave(n))
    filled = torch.ones(2 * n, 2, dtype=torch.bool)
    filled[:250, 0] = filled[n : n + 750, 0] = False  # of the first a quarter, then three; of the second none
    distributions.start(torch.randn(2 * n, 2), filled, hats)
    share = below(distributions.threshold)
    torch.testing.assert_close(share[0], torch.tensor([0.25, 0.75]), rtol=0, atol=1e-3)
    assert (share[1] < 3e-4).all()


def test_a_row_with_nothing_above_its_threshold_gets_the_nearest_and_no_other_is_moved() -> None:
    distributions = quantiles()
    basis = Ramps(torch.arange(5.0))(torch.full((2,), 2.0))
    distance = torch.tensor([[-3.0, -1.0, -2.0, -4.0, -5.0, -6.0], [0.5, -1.0, -2.0, 1.5, -0.5, 3.0]])
    value, there = distributions.decode(basis @ thresholds(distributions) + distance, basis)
    assert there.tolist() == [[0, 1, 0, 0, 0, 0], [1, 0, 0, 1, 0, 1]]
    lowest, _ = distributions.decode(basis @ thresholds(distributions), basis)
    assert float(value[0, 1]) == pytest.approx(float(lowest[0, 1]), abs=1e-2)


def test_an_encoded_number_is_never_beyond_five_standard_deviations() -> None:
    distributions, basis = quantiles(2), Ramps(torch.arange(5.0))(torch.full((3,), 1.0))
    value = torch.tensor([[1e9, 1e9], [-1e9, -1e9], [0.0, 0.0]])
    found = distributions.encode(value, torch.ones(3, 2, dtype=torch.bool), basis)
    assert (found.z[0] == 5).all()
    assert (found.z[1] - found.bound[1]).abs().max() < 1e-3
    assert (found.z > found.bound).all()
    assert not math.isnan(float(found.z.sum()))
