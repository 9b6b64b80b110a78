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
