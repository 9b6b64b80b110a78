"""The random numbers that models turn into showers."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import kstest

from caloforge.inference.noise import LEVELS, NOISES, draw

SIZE = 61  # no multiple of the numbers in a random word
KINDS = {"bytes": np.uint8, "normal": np.float32}


@pytest.mark.parametrize("kind", KINDS)
def test_noise_has_the_kind_and_shape_that_are_asked_for(kind: str) -> None:
    found = draw(kind, SIZE, 1, 5, 105)
    assert (found.shape, found.dtype) == ((100, SIZE), KINDS[kind])


@given(
    kind=st.sampled_from(sorted(KINDS)),
    size=st.integers(1, 70),
    seed=st.integers(0, 2**64 - 1),
    start=st.integers(0, 2**40),
    n=st.integers(1, 40),
    cut=st.integers(0, 40),
)
def test_a_shower_has_its_numbers_wherever_it_is_drawn(
    kind: str, size: int, seed: int, start: int, n: int, cut: int
) -> None:
    whole = draw(kind, size, seed, start, start + n)
    cut = min(cut, n)
    parts = [draw(kind, size, seed, start, start + cut), draw(kind, size, seed, start + cut, start + n)]
    np.testing.assert_array_equal(np.concatenate(parts), whole)
    alone = [draw(kind, size, seed, start + i, start + i + 1) for i in range(n)]
    np.testing.assert_array_equal(np.concatenate(alone), whole)


@pytest.mark.parametrize("kind", KINDS)
def test_seeds_showers_and_attempts_have_numbers_of_their_own(kind: str) -> None:
    drawn = [
        draw(kind, 64, seed, start, start + 1, attempt).tobytes()
        for seed in (1, 2, 1 << 63)
        for start in (0, 1, 1 << 33)
        for attempt in (0, 1)
    ]
    assert len(set(drawn)) == len(drawn)


def test_bytes_are_uniform_and_independent() -> None:
    noise = draw("bytes", SIZE, 1, 0, 20_000).astype(float)
    counts = np.bincount(noise.astype(int).ravel(), minlength=LEVELS)
    expected, freedom = noise.size / LEVELS, LEVELS - 1
    assert len(counts) == LEVELS
    assert abs(((counts - expected) ** 2 / expected).sum() - freedom) < 5 * np.sqrt(2 * freedom)
    correlations = np.corrcoef(noise.T)[np.triu_indices(SIZE, 1)]
    assert np.abs(correlations).max() < 5 / np.sqrt(len(noise))


def test_normal_numbers_are_normal_and_independent() -> None:
    noise = draw("normal", SIZE, 1, 0, 20_000).astype(float)
    assert np.isfinite(noise).all()
    assert kstest(noise.ravel(), "norm").pvalue > 1e-3
    assert np.abs(noise).max() > 4.5
    columns = np.concatenate([noise, noise**2], axis=1)
    correlations = np.corrcoef(columns.T)[np.triu_indices(2 * SIZE, 1)]
    assert np.abs(correlations).max() < 6 / np.sqrt(len(noise))


def test_normal_numbers_are_those_of_philox_and_box_muller() -> None:
    """So a shower of a seed is the same in every version; worked out here in double precision."""
    (words,) = np.random.Philox(key=[3, 2], counter=[2 * 7, 0, 1, 0]).random_raw(8).reshape(1, 8)
    first, second = np.split(words.astype("<u8").view(np.uint32).astype(float), 2)
    radius = np.sqrt(-2 * np.log((first + 0.5) / 2**32))
    angle = 2 * np.pi * second / 2**32
    expected = np.concatenate([radius * np.cos(angle), radius * np.sin(angle)])
    np.testing.assert_allclose(draw("normal", 13, 3, 7, 8, attempt=1)[0], expected[:13], rtol=1e-4, atol=1e-5)


def test_bytes_are_those_of_philox() -> None:
    words = np.random.Philox(key=[3, 2], counter=[2 * 7, 0, 0, 0]).random_raw(8)
    expected = words.astype("<u8").view(np.uint8) % LEVELS
    np.testing.assert_array_equal(draw("bytes", 61, 3, 7, 8)[0], expected[:61])


def test_the_smallest_word_gives_a_finite_number() -> None:
    _, make = NOISES["normal"]
    with np.errstate(all="raise"):
        assert np.abs(make(np.zeros((1, 1), np.uint64))).max() == pytest.approx(np.sqrt(66 * np.log(2)))
