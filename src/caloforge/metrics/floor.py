"""A metric and its floor: its value for two samples of the reference itself."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Self

import numpy as np
from numpy.typing import NDArray

from caloforge.metrics.base import Floats, Metric

__all__ = ["Score", "against_floor", "scores"]

_Rows = NDArray[np.int64]


@dataclass(frozen=True)
class Score:
    """A metric between reference and generated sample, and between two samples of the reference.

    Both compare samples of the same size. Numbers that cannot be given are None, and `reason` says why.

    Parameters
    ----------
    value, error
        Mean over the repeats and its standard error.
    floor, floor_error
        The same for two disjoint samples of the reference.
    sigma
        How far the value is on the bad side of the floor, in standard errors of the difference.
    n
        Showers in each of the compared samples.
    repeats
        Number of repeats.
    reason
        Why numbers are missing, in a sentence; empty if none are.

    Examples
    --------
    >>> score = Score.of(values=[0.2, 0.3], floors=[0.1, 0.2], n=1000)
    >>> round(score.value, 3), round(score.floor, 3), round(score.sigma, 2)
    (0.25, 0.15, 1.41)
    >>> Score.missing("It needs more showers.").value is None
    True
    """

    value: float | None
    error: float | None
    floor: float | None
    floor_error: float | None
    sigma: float | None
    n: int
    repeats: int
    reason: str = ""

    @classmethod
    def missing(cls, reason: str, n: int = 0) -> Self:
        """Return a score that has no numbers, for a reason."""
        return cls(None, None, None, None, None, n, 0, reason)

    @classmethod
    def of(
        cls,
        values: Sequence[float],
        floors: Sequence[float],
        n: int,
        share: float = 0.0,
        higher: bool = False,
    ) -> Self:
        """Return the score of repeated measurements.

        Parameters
        ----------
        values, floors
            Number of each repeat, at least two.
        n
            Showers in each of the compared samples.
        share
            Part of the available showers that each repeat draws, below 1; 0 if repeats share no showers.
        higher
            Whether the higher number is the better one.

        Notes
        -----
        Repeats that draw the same showers again differ less than independent samples would, and their mean
        remains as uncertain as all available showers make it. For draws without replacement of a share f
        of the showers, whose numbers spread with s, the variance of the mean of k repeats is
        s^2 [f / (1 - f) + 1 / k]: the first term is the delete-d jackknife's (Shao and Wu, Ann. Statist. 17
        (1989) 1176), which is 1 for halves, the second the finite number of repeats. The floor is a mean over
        random divisions of one sample, and so only the second term is in its error.
        """
        if not np.isfinite([*values, *floors]).all():
            return cls.missing("It is not finite for these samples.", n)
        k = len(values)
        value, floor = float(np.mean(values)), float(np.mean(floors))
        error = float(np.std(values, ddof=1) * np.sqrt(share / (1 - share) + 1 / k))
        floor_error = float(np.std(floors, ddof=1) / np.sqrt(k))
        sigma, reason = _distance(floor - value if higher else value - floor, np.hypot(error, floor_error))
        return cls(value, error, floor, floor_error, sigma, n, k, reason)


def _distance(difference: float, error: float) -> tuple[float | None, str]:
    """The difference in units of its error, and why there is none."""
    if error > 0:
        return float(difference / error), ""
    if difference == 0:
        return 0.0, ""
    return None, "Neither the value nor its floor varies: they differ without any statistical doubt."


def against_floor(
    metric: Metric, reference: Floats, generated: Floats, repeats: int = 10, seed: int = 0
) -> Score:
    """Return a metric with its uncertainty and its floor.

    Parameters
    ----------
    metric
        Of the catalogue ``metrics``.
    reference, generated
        (N,) and (M,) of one observable; (N, d) and (M, d) for a joint metric.
    repeats
        Number of random divisions, at least two.
    seed
        Of the random divisions.

    See Also
    --------
    scores : the procedure; faster for several metrics of the same samples.

    Examples
    --------
    >>> import numpy as np
    >>> from caloforge.metrics.wasserstein import ENTRY as wasserstein
    >>> reference, generated = np.random.default_rng(1).normal(size=(2, 1000))
    >>> score = against_floor(wasserstein, reference, generated + 1.0)
    >>> round(score.value, 1), round(score.floor, 1), score.n, score.sigma > 5
    (1.4, 0.1, 500, True)
    """
    return scores((metric,), reference, generated, repeats, seed)[metric.name]


def scores(
    metrics: Sequence[Metric], reference: Floats, generated: Floats, repeats: int = 10, seed: int = 0
) -> dict[str, Score]:
    """Return several metrics of the same samples with their uncertainties and floors, by name.

    Each repeat divides the reference at random in two disjoint samples A and B, and draws a sample G of the
    generated showers, all of n = min(N, M) // 2 (or the most that the metric uses). The value is
    metric(A, G), the floor metric(A, B). All samples have the same size, so the bias of a metric for finite
    samples is the same in both. Halves drawn without replacement spread like samples of the full size, so
    the spread of the repeats is the uncertainty (see `Score.of` for other shares).

    Parameters
    ----------
    metrics
        All of one observable, or all joint.
    reference, generated, repeats, seed
        As in `against_floor`.

    Examples
    --------
    >>> import numpy as np
    >>> from caloforge.metrics.wasserstein import ENTRY as wasserstein
    >>> reference, generated = np.random.default_rng(1).normal(size=(2, 1000))
    >>> from caloforge.metrics.separation import ENTRY as separation
    >>> found = scores((wasserstein, separation), reference, generated)
    >>> {name: score.sigma < 2 for name, score in found.items()}
    {'wasserstein': True, 'separation': True}
    """
    available = (len(reference), len(generated))
    # Halves, so that A and B are disjoint; G has the same size, because most metrics depend on it.
    sizes = {metric: min(available) // 2 for metric in metrics}
    sizes = {metric: min(n, metric.most or n) for metric, n in sizes.items()}
    result = {m.name: Score.missing(_too_few(m, n), n) for m, n in sizes.items() if n < m.least}
    # Metrics that use the same number of showers share their divisions.
    for n in {size for metric, size in sizes.items() if metric.name not in result}:
        chosen = [m for m, size in sizes.items() if size == n and m.name not in result]
        result |= _measured(chosen, reference, generated, n, repeats, seed)
    return {metric.name: result[metric.name] for metric in metrics}


def _too_few(metric: Metric, n: int) -> str:
    return f"It needs samples of at least {metric.least} showers; halves of these files hold {n}."


def _measured(
    metrics: Sequence[Metric], reference: Floats, generated: Floats, n: int, repeats: int, seed: int
) -> dict[str, Score]:
    """All metrics on the same divisions."""
    values: dict[str, list[float]] = {metric.name: [] for metric in metrics}
    floors: dict[str, list[float]] = {metric.name: [] for metric in metrics}
    # What overflows is not finite, and the score then has a reason instead of numbers.
    with np.errstate(over="ignore", invalid="ignore"):
        for first, second, drawn in _subsets(reference, generated, n, repeats, seed):
            for metric in metrics:
                values[metric.name].append(metric(first, drawn))
                floors[metric.name].append(metric(first, second))
    # The two samples are drawn with different shares if they differ in size; their mean is used for both.
    share = (n / len(reference) + n / len(generated)) / 2
    return {m.name: Score.of(values[m.name], floors[m.name], n, share, m.higher) for m in metrics}


def _subsets(
    reference: Floats, generated: Floats, n: int, repeats: int, seed: int
) -> Iterator[tuple[Floats, ...]]:
    """The samples A, B and G of each division; values of one observable are sorted, which is faster later."""
    arrange = np.sort if reference.ndim == 1 else np.asarray
    for first, second, drawn in _divisions(len(reference), len(generated), n, repeats, seed):
        yield arrange(reference[first]), arrange(reference[second]), arrange(generated[drawn])


@lru_cache(maxsize=2)
def _divisions(
    n_reference: int, n_generated: int, n: int, repeats: int, seed: int
) -> list[tuple[_Rows, _Rows, _Rows]]:
    """Rows of A, B (reference) and G (generated) of each repeat, each (n,) and in random order."""
    # One stream per repeat, so that more repeats leave the earlier ones as they are.
    streams = (np.random.default_rng([seed, repeat]) for repeat in range(repeats))
    mixed = [(stream.permutation(n_reference), stream.permutation(n_generated)) for stream in streams]
    return [(rows[:n], rows[n : 2 * n], drawn[:n]) for rows, drawn in mixed]
