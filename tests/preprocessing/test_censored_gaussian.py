"""Correlations of numbers of which some are only known to be below a bound."""

import pytest

torch = pytest.importorskip("torch")

from torch import Tensor  # noqa: E402

from caloforge.preprocessing import CensoredGaussian, Encoded  # noqa: E402


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


def test_each_update_moves_the_covariance_by_four_parts_in_twenty_four_and_those_before() -> None:
    z = torch.randn(50, 3, generator=torch.Generator().manual_seed(1))
    known = Encoded(z, torch.zeros(50, 3, dtype=torch.bool), torch.full((50, 3), -9.0))
    learner, expected = CensoredGaussian(torch.arange(3).unsqueeze(0)), torch.eye(3)
    for before in range(3):
        assert int(learner.updates) == before
        learner.update(known)
        expected = expected.lerp(z.T @ z / 50, 4 / (24 + before))
        torch.testing.assert_close(learner.covariance, expected)


def test_what_is_drawn_goes_with_the_others_as_the_correlation_says() -> None:
    """Of one number far below its bound, given two: its mean and spread are those of the regression."""
    torch.manual_seed(1)
    learner, n = CensoredGaussian(torch.arange(3).unsqueeze(0)), 20_000
    learner.covariance.copy_(torch.tensor([[1.0, 0.6, 0.5], [0.6, 1.0, 0.2], [0.5, 0.2, 1.0]]))
    correlation = learner.correlation()
    z = torch.randn(n, 3) @ torch.linalg.cholesky(correlation).T
    hidden = torch.tensor([True, False, False]).expand(n, 3)
    drawn = learner.impute(Encoded(z.where(~hidden, torch.tensor(7.0)), hidden, torch.full((n, 3), 9.0)))
    torch.testing.assert_close(torch.corrcoef(drawn.T), correlation, rtol=0, atol=0.03)
    assert float(drawn[:, 0].mean()) == pytest.approx(0, abs=0.03)
    assert float(drawn[:, 0].var()) == pytest.approx(1, abs=0.04)
