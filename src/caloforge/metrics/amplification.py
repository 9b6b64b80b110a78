"""How many showers of the simulation is a generated sample worth?

A shower library that repeats its N showers passes every comparison that does not know these showers, but is
worth no more than N. Samples are therefore compared with a large truth sample, in its quantiles, and the
distance of the generated sample is converted into the number of simulated showers with the same distance.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Self

import numpy as np
from numpy.typing import NDArray
from scipy.stats import chi2, norm

from caloforge.errors import InputError
from caloforge.metrics.features import features
from caloforge.observables.base import Observable
from caloforge.progress import Progress, no_progress

__all__ = [
    "CITATION",
    "JOINT",
    "AmplificationCurves",
    "AmplificationResult",
    "Cells",
    "EffectiveSize",
    "Floats",
    "SampleDistance",
    "SampledDistances",
    "SpaceAmplification",
    "amplification",
    "amplification_in_cells",
    "joint_cells",
    "quantile_cells",
]

CITATION = "Butter, Diefenbacher, Kasieczka, Nachman, Plehn, SciPost Phys. 10 (2021) 139, arXiv:2008.06545"
JOINT = "joint"

_QUANTILES = 50
_SPLITS = 10
_LEAST_IN_CELL = 30
"""Showers of the truth per cell: few enough for small features, enough to know the cell's share well."""
_LEAST = 10 * _LEAST_IN_CELL
_KNOTS = 4096
"""Most showers of the truth that ranks are computed from: enough for fine ranks, few enough to be fast."""
_STEPS = 8
_TWO_SIGMA = 2.0
"""Standard deviations from which a difference counts as significant."""

Floats = NDArray[np.float64]
Cells = NDArray[np.intp]


@dataclass(frozen=True)
class SampledDistances:
    """Distances of samples of several sizes: their mean and its error, (k,) each."""

    sizes: Floats
    distance: Floats
    error: Floats


@dataclass(frozen=True)
class EffectiveSize:
    """Number of showers, and the bounds of one standard deviation; None if there is none."""

    value: float | None
    low: float
    high: float | None


@dataclass(frozen=True)
class AmplificationCurves:
    """Distances to the truth against the size of samples, for one observable or all together.

    Attributes
    ----------
    label
        Its name in words.
    expected
        Distances of independent samples: sizes, and the mean with the bounds of one standard deviation.
    simulated, generated
        Measured distances of samples of growing size.
    training
        Number of training showers, and their distance.
    effective
        What the generated sample is worth.
    """

    label: str
    expected: tuple[Floats, Floats, Floats, Floats]
    simulated: SampledDistances
    generated: SampledDistances
    training: tuple[int, float]
    effective: EffectiveSize


@dataclass(frozen=True)
class SampleDistance:
    """A sample's distance to the truth, and how many independent showers have it.

    Attributes
    ----------
    showers
        In the sample.
    distance
        Mean squared deviation from the truth's shares, without the truth's own statistical part.
    effective
        Showers of the simulation that have this distance.
    """

    showers: int
    distance: float
    effective: EffectiveSize


@dataclass(frozen=True)
class SpaceAmplification:
    """One observable, or all of them together.

    Attributes
    ----------
    name, label
        Identifier and words.
    cells
        Parts that the truth is divided into.
    training, generated
        The samples in question.
    two_sigma
        Bounds of what the generated sample is worth, two standard deviations away.
    better
        Whether the generated sample is nearer to the truth than the training showers are, by more than two
        standard deviations of what copies of these would be.
    curves
        The curves.
    """

    name: str
    label: str
    cells: int
    training: SampleDistance
    generated: SampleDistance
    two_sigma: EffectiveSize
    better: bool
    curves: AmplificationCurves

    @property
    def amplifies(self) -> bool:
        """Whether the sample is worth more than its training showers, beyond doubt.

        The training showers have a statistical fluctuation, which a generator may have learned. The generated
        sample must therefore also be closer to the truth than the training showers are.
        """
        return self.better and self.two_sigma.low > self.training.showers


@dataclass(frozen=True)
class AmplificationResult:
    """What a generated sample is worth.

    Attributes
    ----------
    spaces
        All observables together first, then one by one.
    truth
        Showers of the truth.
    """

    spaces: tuple[SpaceAmplification, ...]
    truth: int


def amplification(
    training: Mapping[str, Floats],
    generated: Mapping[str, Floats],
    truth: Mapping[str, Floats],
    observables: Sequence[Observable],
    *,
    repeats: int = 20,
    seed: int = 1,
    progress: Progress = no_progress,
) -> AmplificationResult:
    r"""Compare samples with the truth in its quantiles (Butter et al., arXiv:2008.06545, Eq. 4).

    The truth's T showers are divided into Q cells. In each, a sample has a share x of its showers and the
    truth a share t; the distance is the mean of $(x - t)^2$. A sample of N independent showers has, on
    average, $\overline{t (1 - t)} (1/N + 1/T)$, and spreads about it like a chi-square, whose degrees of
    freedom follow from the shares (Q - 1 if these are equal). Solved for N, this is what a sample is worth,
    and chi-square gives the bounds. The same is also measured with parts of the truth.

    Cells are quantiles of one observable, with an extra one for showers where it is undefined. For all
    observables together the truth is halved repeatedly, each part at its own median, along the leading
    principal components of the observables' ranks.

    Parameters
    ----------
    training
        Observables of what the generator learned from, (N,) by name; nan where one is undefined.
    generated
        Observables of what it made; a larger sample can be worth more.
    truth
        Observables of many simulated showers that are in neither sample.
    observables
        What to compare.
    repeats
        Number of random draws of parts of the samples.
    seed
        Seed of these draws.
    progress
        Called with (spaces done, spaces).

    Raises
    ------
    InputError
        The truth holds too few showers.

    Examples
    --------
    >>> import numpy as np
    >>> random = np.random.default_rng(1)
    >>> from caloforge.observables.response import Response
    >>> truth, training, generated = ({"response": random.normal(size=n)} for n in (20_000, 1000, 5000))
    >>> result = amplification(training, generated, truth, [Response()], repeats=2)
    >>> [space.name for space in result.spaces], result.truth
    (['joint', 'response'], 20000)
    """
    size = len(truth[observables[0].name])
    if size < _LEAST:
        raise InputError(
            f"The truth holds {size} showers, too few to tell what a sample is worth: give {_LEAST}."
        )
    values = [{one.name: sample[one.name] for one in observables} for sample in (truth, training, generated)]
    cells = joint_cells(*values)
    spaces = [amplification_in_cells(JOINT, "all observables together", *cells, repeats=repeats, seed=seed)]
    progress(1, len(observables) + 1)
    for done, one in enumerate(observables, 2):
        cells = quantile_cells(*(sample[one.name] for sample in values))
        if np.ptp(cells[0]):  # a single value for all showers carries no information
            spaces.append(amplification_in_cells(one.name, one.label, *cells, repeats=repeats, seed=seed))
        progress(done, len(observables) + 1)
    return AmplificationResult(tuple(spaces), size)


def amplification_in_cells(
    name: str,
    label: str,
    truth: Cells,
    training: Cells,
    generated: Cells,
    *,
    repeats: int = 20,
    seed: int = 1,
) -> SpaceAmplification:
    """Return what a generated sample is worth, from the cells in which its showers and the others lie.

    Parameters
    ----------
    name, label
        Of what the cells divide.
    truth, training, generated
        (T,), (N,) and (M,) numbers of cells.
    repeats, seed
        As in `amplification`.

    Examples
    --------
    >>> import numpy as np
    >>> random = np.random.default_rng(1)
    >>> truth, training, generated = (random.integers(20, size=n) for n in (20_000, 1000, 5000))
    >>> space = amplification_in_cells("cells", "20 equal cells", truth, training, generated, repeats=2)
    >>> space.cells, space.training.showers, space.amplifies
    (20, 1000, True)
    """
    number = 1 + int(max(cells.max() for cells in (truth, training, generated)))
    expectation = _DistanceDistribution.of(truth, number)
    learned, made = (_sample_distance(expectation, cells) for cells in (training, generated))
    spread = expectation.spread_of_copies(learned.distance, len(generated))
    first = max(1.0, min(_LEAST / 3, made.effective.low) / 2)
    curves = AmplificationCurves(
        label,
        expectation.curve(first, max(map(len, (truth, training, generated)))),
        _distances_of_truth(truth, number, repeats, seed),
        _distances_of_parts(expectation, generated, repeats, seed),
        (len(training), learned.distance),
        made.effective,
    )
    return SpaceAmplification(
        name,
        label,
        len(np.unique(truth)),
        learned,
        made,
        expectation.effective(made.distance, _TWO_SIGMA),
        learned.distance - made.distance > _TWO_SIGMA * spread,
        curves,
    )


def quantile_cells(truth: Floats, *samples: Floats, quantiles: int = _QUANTILES) -> list[Cells]:
    """Return in which quantile of the truth each shower lies, for the truth and each sample.

    Values that many showers share make fewer quantiles; undefined values (nan) have a separate cell.

    Examples
    --------
    >>> import numpy as np
    >>> truth, sample = quantile_cells(np.arange(300.0), np.array([-1.0, 150.0, np.nan]))
    >>> np.bincount(truth)  # ten quantiles
    array([30, 30, 30, 30, 30, 30, 30, 30, 30, 30])
    >>> sample
    array([ 0,  5, 10])
    """
    known = truth[np.isfinite(truth)]
    number = max(1, min(quantiles, len(known) // _LEAST_IN_CELL))
    shares = np.linspace(0, 1, number + 1)[1:-1]
    edges = np.unique(np.quantile(known, shares)) if len(known) else np.zeros(0)
    last = len(edges) + 1
    return [
        np.where(np.isfinite(values), np.searchsorted(edges, values, side="left"), last)
        for values in (truth, *samples)
    ]


def joint_cells(
    truth: Mapping[str, Floats], *samples: Mapping[str, Floats], most: int = _SPLITS
) -> list[Cells]:
    """Return in which cell of the space of all observables showers lie, for the truth and each sample.

    Examples
    --------
    >>> import numpy as np
    >>> random = np.random.default_rng(1)
    >>> truth, sample = ({"a": random.normal(size=n), "b": random.normal(size=n)} for n in (2000, 100))
    >>> cells, others = joint_cells(truth, sample)
    >>> len(np.unique(cells)), others.shape
    (64, (100,))
    """
    together = {name: np.concatenate([sample[name] for sample in samples]) for name in truth}
    made = features(truth, together)
    # Ranks are the same for any monotonic function of an observable, such as its logarithm.
    ranks = _ranks(made.reference, made.reference), _ranks(made.reference, made.generated)
    splits = min(most, int(np.log2(len(ranks[0]) / _LEAST_IN_CELL)))
    # Each direction is cut at least twice: a single cut at the median would not notice a distribution that is
    # too wide. eigh sorts in ascending order, so the leading components come last. The covariance of a single
    # feature is a number, hence the reshape.
    axes = np.linalg.eigh(np.cov(ranks[0], rowvar=False).reshape(len(made.names), -1))[1][:, ::-1]
    first, others = (rank @ axes[:, : max(1, splits // 2)] for rank in ranks)
    cells = _halving_cells(first, others, splits)
    sizes = [len(next(iter(sample.values()))) for sample in samples]
    return [cells[: len(first)], *np.split(cells[len(first) :], np.cumsum(sizes)[:-1])]


def _ranks(reference: Floats, values: Floats) -> Floats:
    """Ranks among the reference by column, -1/2 to 1/2: the tails of all observables count alike."""
    places = np.unique(np.linspace(0, len(reference) - 1, _KNOTS).round().astype(np.intp))
    ordered = np.sort(reference, axis=0)[places]
    # The mean of both sides is the middle rank of equal values, which are common for counts of cells.
    columns = [
        np.searchsorted(known, column, "left") + np.searchsorted(known, column, "right")
        for known, column in zip(ordered.T, values.T, strict=True)
    ]
    return np.stack(columns, axis=1) / (2 * len(places)) - 0.5


def _halving_cells(truth: Floats, others: Floats, splits: int) -> Cells:
    """Halve the truth again and again, each part at its own median along the next column."""
    rows = np.concatenate([truth, others])
    cells = np.zeros(len(rows), np.intp)
    for split in range(splits):
        column, here = rows[:, split % rows.shape[1]], cells[: len(truth)]
        medians = np.zeros(2**split)
        for cell in np.unique(here):
            # Of the truth alone: samples must not move the cells in which they are judged.
            medians[cell] = np.median(column[: len(truth)][here == cell])
        cells = 2 * cells + (column > medians[cells])
    return cells


@dataclass(frozen=True)
class _DistanceDistribution:
    """How distances of independent samples are distributed, from the truth's shares in its cells.

    Attributes
    ----------
    shares
        (Q,) of the truth.
    truth
        Its showers.
    """

    shares: Floats
    truth: int

    @classmethod
    def of(cls, cells: Cells, number: int) -> Self:
        return cls(np.bincount(cells, minlength=number) / len(cells), len(cells))

    @property
    def scale(self) -> float:
        """Squared distance of one shower."""
        return float(np.mean(self.shares * (1 - self.shares)))

    @property
    def freedom(self) -> float:
        """Degrees of freedom: those of a chi-square of the same mean and variance (Satterthwaite)."""
        # Counts are multinomial: the distance is a sum of chi-squares, weighted by the eigenvalues of their
        # covariance.
        covariance = np.diag(self.shares) - np.outer(self.shares, self.shares)
        square = float((covariance**2).sum())
        return float(np.trace(covariance)) ** 2 / square if square > 0 else 0.0

    def distance(self, cells: Cells) -> float:
        """Squared distance of a sample, without the truth's own part; it may be negative."""
        shares = np.bincount(cells, minlength=len(self.shares)) / len(cells)
        return float(np.mean((shares - self.shares) ** 2)) - self.scale / self.truth

    def expected(self, sizes: Floats, sigma: float = 0.0) -> Floats:
        """Squared distance of independent samples: the mean, or what is sigma standard deviations away."""
        mean: Floats = self.scale / sizes
        if sigma == 0:
            return mean
        own = self.scale / self.truth
        return (mean + own) * self._factor(sigma) - own

    def curve(self, first: float, last: int) -> tuple[Floats, Floats, Floats, Floats]:
        """Return sizes to twice the last, the mean distance, and what is one standard deviation off."""
        sizes = np.geomspace(first, 2.0 * last, 60)
        return sizes, self.expected(sizes), self.expected(sizes, -1.0), self.expected(sizes, 1.0)

    def effective(self, distance: float, sigma: float = 1.0) -> EffectiveSize:
        """Showers of independent samples that have a distance, with bounds."""
        own = self.scale / self.truth
        value, low, high = (
            self._solved((distance + own) / factor - own)
            for factor in (1.0, self._factor(-sigma), self._factor(sigma))
        )
        # No lower bound: even the largest plausible distance is within the truth's own fluctuation, so the
        # sample is worth at least as much as the truth.
        return EffectiveSize(value, float(self.truth) if low is None else low, high)

    def spread_of_copies(self, distance: float, showers: int) -> float:
        """Standard deviation of the squared distance of many copies of a sample that has one itself."""
        # With a bias b and a smaller fluctuation e, the mean of (b + e)^2 over Q cells has the variance
        # 4 <b^2> <e^2> / Q, where <e^2> is that of a sample of this size.
        own = self.scale / self.truth
        return 2 * float(np.sqrt(max(distance + own, 0) * self.scale / showers / len(self.shares)))

    def _factor(self, sigma: float) -> float:
        """What is sigma standard deviations away, over the mean."""
        return float(chi2.ppf(norm.cdf(sigma), self.freedom)) / self.freedom

    def _solved(self, distance: float) -> float | None:
        return self.scale / distance if distance > 0 else None


def _sample_distance(expectation: _DistanceDistribution, cells: Cells) -> SampleDistance:
    distance = expectation.distance(cells)
    return SampleDistance(len(cells), distance, expectation.effective(distance))


def _distances_of_truth(cells: Cells, number: int, repeats: int, seed: int) -> SampledDistances:
    """Measure what parts of one half of the truth give against the other half."""
    # Halves that have no shower in common: against a truth that contains it, a part would look too close.
    half = len(cells) // 2
    sizes = _sample_sizes(half)
    found = np.empty((repeats, len(sizes)))
    for repeat, order in enumerate(_permutations(len(cells), repeats, seed)):
        expectation = _DistanceDistribution.of(cells[order[half:]], number)
        found[repeat] = [expectation.distance(cells[order[:size]]) for size in sizes]
    return _sampled_distances(sizes, found)


def _distances_of_parts(
    expectation: _DistanceDistribution, cells: Cells, repeats: int, seed: int
) -> SampledDistances:
    """Measure what parts of a sample give."""
    sizes = _sample_sizes(len(cells))
    orders = _permutations(len(cells), repeats, seed)
    return _sampled_distances(
        sizes, np.array([[expectation.distance(cells[order[:size]]) for size in sizes] for order in orders])
    )


def _sample_sizes(most: int) -> Cells:
    return np.unique(np.geomspace(min(most, _LEAST / 3), most, _STEPS).round().astype(np.intp))


# The same for all observables, and expensive for a large truth.
@lru_cache(maxsize=2)
def _permutations(n: int, repeats: int, seed: int) -> list[Cells]:
    return [np.random.default_rng([seed, repeat]).permutation(n) for repeat in range(repeats)]


def _sampled_distances(sizes: Cells, found: Floats) -> SampledDistances:
    error = found.std(axis=0, ddof=1) / np.sqrt(len(found))
    return SampledDistances(sizes.astype(float), found.mean(axis=0), error)
