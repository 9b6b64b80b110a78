"""Shares of what is left, and their logits, both ways."""

import pytest

torch = pytest.importorskip("torch")

from hypothesis import given  # noqa: E402
from hypothesis import strategies as st  # noqa: E402

from caloforge.preprocessing.recursive_shares import (  # noqa: E402
    from_logits,
    from_shares,
    to_logits,
    to_shares,
)

energies = st.one_of(st.just(0.0), st.floats(1e-3, 1e5))


@given(layers=st.lists(energies, min_size=1, max_size=30), more=st.floats(0, 1e5))
def test_energies_come_back(layers: list[float], more: float) -> None:
    given_layers = torch.tensor([layers], dtype=torch.float64)
    available = given_layers.sum(dim=1) + more + 1e-3
    shares = to_shares(given_layers, available)
    assert ((shares >= 0) & (shares <= 1)).all()
    back = from_shares(shares, available)
    torch.testing.assert_close(back, given_layers, rtol=1e-9, atol=1e-9 * float(available))


@given(layers=st.lists(st.floats(0.1, 1e5), min_size=2, max_size=5))
def test_energies_come_back_in_single_precision(layers: list[float]) -> None:
    given_layers = torch.tensor([layers])
    available = given_layers.sum(dim=1) * 1.1
    back = from_shares(from_logits(to_logits(to_shares(given_layers, available))), available)
    # What is rounded is the energy that is left, of all layers behind.
    torch.testing.assert_close(back, given_layers, rtol=1e-5, atol=3e-6 * float(available))


@given(u=st.lists(st.floats(0, 1), min_size=1, max_size=5), energy=st.floats(1.0, 1e5))
def test_any_shares_are_energies_that_add_up(u: list[float], energy: float) -> None:
    shares, available = torch.tensor([u], dtype=torch.float64), torch.tensor([energy], dtype=torch.float64)
    layers = from_shares(shares, available)
    assert (layers >= 0).all()
    torch.testing.assert_close(layers.sum(dim=1), shares[:, 0] * available)


def test_shares_are_those_of_the_paper() -> None:
    layers = torch.tensor([[20.0, 60.0, 10.0]])
    shares = to_shares(layers, torch.tensor([100.0]))
    torch.testing.assert_close(shares, torch.tensor([[90 / 100, 20 / 90, 60 / 70]]))


def test_what_is_above_the_available_energy_is_cut_to_it() -> None:
    layers, available = torch.tensor([[60.0, 60.0]]), torch.tensor([100.0])
    shares = to_shares(layers, available)
    assert shares[0, 0] == 1
    assert from_shares(shares, available).tolist() == [[50.0, 50.0]]


@given(share=st.floats(0, 1))
def test_logits_come_back(share: float) -> None:
    one = torch.tensor([share])
    assert float(from_logits(to_logits(one)) - one) == pytest.approx(0, abs=1e-6)
    assert to_logits(one).abs() < 14


@given(logit=st.floats(-100, 100))
def test_any_logit_is_a_share(logit: float) -> None:
    assert 0 <= float(from_logits(torch.tensor(logit))) <= 1
