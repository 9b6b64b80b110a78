"""Feature matrices: finite, standardised, nothing lost."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from caloforge.metrics.features import features

NAN = float("nan")


def normal(n: int, mean: float = 0.0, scale: float = 1.0, seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).normal(mean, scale, n)


def test_features_are_standard_deviations_from_the_references_mean() -> None:
    reference, generated = normal(100, 5, 3), normal(80, 6, 2, seed=2)
    made = features({"x": reference}, {"x": generated})
    assert made.names == ("x",)
    np.testing.assert_allclose(made.reference[:, 0], (reference - reference.mean()) / reference.std())
    np.testing.assert_allclose(made.generated[:, 0], (generated - reference.mean()) / reference.std())


VALUES = st.lists(st.sampled_from([0.0, 0.1, 1.0, 1e6, NAN, np.inf]), min_size=1, max_size=20).map(np.array)


@given(first=VALUES, second=VALUES)
def test_features_are_finite_whatever_the_values(first: np.ndarray, second: np.ndarray) -> None:
    made = features({"x": first}, {"x": second})
    assert made.reference.shape == (len(first), len(made.names))
    assert made.generated.shape == (len(second), len(made.names))
    assert np.isfinite(made.reference).all()
    assert np.isfinite(made.generated).all()
    both = np.concatenate([made.reference, made.generated])
    assert (both.min(axis=0, initial=np.inf) < both.max(axis=0, initial=-np.inf)).all()


def test_undefined_values_are_in_the_middle_and_named() -> None:
    made = features({"x": np.array([1.0, 3.0, NAN, NAN])}, {"x": np.array([3.0, NAN])})
    assert made.names == ("x", "undefined x")
    assert made.reference[:, 0].tolist() == [-1, 1, 0, 0]
    assert made.generated[:, 0].tolist() == [1, 0]
    assert made.reference[:, 1].tolist() == [-1, -1, 1, 1]
    assert made.generated[:, 1].tolist() == [-1, 1]


def test_what_is_undefined_only_in_the_generated_sample_is_seen() -> None:
    made = features({"x": normal(4)}, {"x": np.array([1.0, NAN, 2.0, NAN])})
    assert made.names == ("x", "undefined x")
    assert len(np.unique(made.reference[:, 1])) == 1
    assert len(np.unique(made.generated[:, 1])) == 2


def test_what_is_the_same_for_all_showers_is_left_out() -> None:
    same = np.full(5, 0.1)
    assert features({"a": same, "x": normal(5)}, {"a": same, "x": normal(5)}).names == ("x",)


def test_a_single_value_in_the_reference_alone_is_kept() -> None:
    made = features({"x": np.full(4, 2.0)}, {"x": np.array([2.0, 4.0, 2.0, 4.0])})
    assert made.names == ("x",)
    assert made.reference[0, 0] < made.generated[1, 0]


def test_observables_are_taken_by_name() -> None:
    first = {"a": normal(10), "b": normal(10, seed=2)}
    made = features(first, dict(reversed(first.items())))
    np.testing.assert_array_equal(made.reference, made.generated)
    with pytest.raises(KeyError):
        features(first, {"a": first["a"]})
