"""The distance of a sample from the reference in one word. Only this module decides it."""

from typing import Literal

__all__ = ["FAR", "NEAR", "WORDS", "Level", "level"]

NEAR, FAR = 2.0, 5.0
"""Standard deviations above the floor from which samples are distinguishable, and clearly different."""

Level = Literal["unknown", "same", "unsure", "near", "far"]

WORDS: dict[Level, str] = {
    "same": "like two samples of the reference",
    "unsure": "larger than the floor, but it scatters",
    "near": "distinguishable",
    "far": "clearly different",
    "unknown": "no number",
}


def level(sigma: float | None, scattered: bool = False) -> Level:
    """Return the level of a distance above the floor.

    Parameters
    ----------
    sigma
        Distance in standard deviations; None if there is no number.
    scattered
        Whether the value is far above any value of the floor, but uncertain itself: the distance in standard
        deviations is then small because of limited statistics, and the samples are not called the same.

    Examples
    --------
    >>> [level(sigma) for sigma in (-3.0, 1.9, 2.0, 5.0, None)]
    ['same', 'same', 'near', 'far', 'unknown']
    >>> level(1.4, scattered=True)
    'unsure'
    """
    if sigma is None:
        return "unknown"
    if sigma >= NEAR:
        return "far" if sigma >= FAR else "near"
    return "unsure" if scattered and sigma > 0 else "same"
