"""One function says how far samples are from each other."""

import pytest

from caloforge.metrics.levels import FAR, NEAR, WORDS, level


@pytest.mark.parametrize(
    ("sigma", "expected"),
    [(None, "unknown"), (-9.0, "same"), (1.99, "same"), (NEAR, "near"), (4.99, "near"), (FAR, "far")],
)
def test_levels_begin_at_two_and_five_standard_deviations(sigma: float | None, expected: str) -> None:
    assert level(sigma) == expected


@pytest.mark.parametrize(
    ("sigma", "expected"), [(-1.0, "same"), (0.0, "same"), (1.4, "unsure"), (3.0, "near")]
)
def test_only_what_is_above_the_floor_can_be_unsure(sigma: float, expected: str) -> None:
    assert level(sigma, scattered=True) == expected


def test_every_level_has_its_words() -> None:
    assert WORDS["near"] == "distinguishable"
    assert set(WORDS) == {"unknown", "same", "unsure", "near", "far"}
