"""How many showers of the simulation is a generated sample worth?

A library that repeats the N showers it was made of looks right in every comparison that does not know these
showers, and is worth no more than N. So samples are compared with a large truth, in its quantiles, and the
distance of the generated one is turned into the number of simulated showers that have this distance.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Self

import numpy as np
from numpy.typing import NDArray
from scipy.stats import chi2, norm

from caloforge import plots
from caloforge.errors import InputError
from caloforge.metrics.amplification import Amplified, Effective, Points
from caloforge.metrics.features import features
from caloforge.observables.base import Observable
from caloforge.plots import amplification as pictures
from caloforge.progress import Progress, no_progress
from caloforge.reports.page import Section
from caloforge.reports.tables import Table
from caloforge.stages.evaluate import results
from caloforge.stages.evaluate.checks import check_cells
from caloforge.stages.evaluate.measure import Measured

CITATION = "Butter, Diefenbacher, Kasieczka, Nachman, Plehn, SciPost Phys. 10 (2021) 139, arXiv:2008.06545"
JOINT = "joint"

_QUANTILES = 50
_SPLITS = 10
_LEAST_IN_CELL = 30
"""Showers of the truth in each cell: few enough for small features, many enough for their share."""
_LEAST = 10 * _LEAST_IN_CELL
_KNOTS = 4096
"""Showers of the truth among which ranks are told, at most: fine enough, and small enough to be fast."""
_STEPS = 8
_SURE = 2.0
"""Standard deviations from which on a difference is called one."""

_Floats = NDArray[np.float64]
_Numbers = NDArray[np.intp]


@dataclass(frozen=True)
class Sizes:
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
    effective: Effective


@dataclass(frozen=True)
class Space:
    """One observable, or all of them together.

    Attributes
    ----------
    name, label
        Identifier and words.
    cells
        Parts that the truth is divided into.
    training, generated
        The samples in question.
    sure
        Bounds of what the generated sample is worth, two standard deviations away.
    better
        Whether the generated sample is nearer to the truth than the training showers are, by more than two
        standard deviations of what copies of these would be.
    picture
        The curves.
    """

    name: str
    label: str
    cells: int
    training: Sizes
    generated: Sizes
    sure: Effective
    better: bool
    picture: Amplified

    @property
    def worth(self) -> results.Worth:
        """The outcome as it goes into the results of an evaluation."""
        found = self.generated.effective
        return results.Worth(
            self.name, self.label, found.value, found.low, found.high, self.training.showers, self._reason
        )

    @property
    def _reason(self) -> str:
        if self.generated.effective.high is not None:
            return ""
        return "The truth holds too few showers for an upper bound."

    @property
    def amplifies(self) -> bool:
        """Whether the sample is worth more than its training showers, beyond doubt.

        These are a sample with a statistical fluctuation of its own, which generated showers may share. So
        it has to be better than they are, too.
        """
        return self.better and self.sure.low > self.training.showers

    @property
    def sentence(self) -> str:
        """The verdict in plain words."""
        number, worth = self.training.showers, self.generated.effective
        value = "countless" if worth.value is None else _count(worth.value)
        high = "no upper bound" if worth.high is None else _count(worth.high)
        return (
            f"{self.label}: {self.generated.showers:,} generated showers are worth {value} showers of the "
            f"simulation ({_count(worth.low)} to {high}), {self._against(number)}"
        )

    def _against(self, number: int) -> str:
        training = f"the {number:,} that the generator learned from"
        if self.amplifies:
            return f"more than {training}: it amplifies them."
        if self.sure.high is not None and self.sure.high < number:
            return f"fewer than {training}."
        return f"which can't be told from {training}."


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

    spaces: tuple[Space, ...]
    truth: int

    @property
    def worth(self) -> tuple[results.Worth, ...]:
        """The outcome as it goes into the results of an evaluation."""
        return tuple(space.worth for space in self.spaces)

    @property
    def sentences(self) -> tuple[str, ...]:
        """The verdict in plain words: all observables together, and how many of them are amplified."""
        single = [space for space in self.spaces if space.name != JOINT]
        number = self.spaces[0].training.showers
        fewer = sum(space.sure.high is not None and space.sure.high < number for space in single)
        more = sum(space.amplifies for space in single)
        return (
            self.spaces[0].sentence,
            f"Of {len(single)} observables taken alone, the sample is worth more than its training showers "
            f"in {more}, fewer in {fewer}, and can't be told from them in {len(single) - more - fewer}.",
        )

    @property
    def table(self) -> Table:
        """What the generated sample and the training showers are worth, by observable."""
        rows = [
            [
                space.label,
                *map(_bounds, (space.generated.effective, space.training.effective)),
                f"{space.cells}",
            ]
            for space in self.spaces
        ]
        return Table(["worth in showers", "generated", "training", "quantiles"], rows)

    def figures(self) -> list[plots.Figure]:
        """Draw how the distance changes as samples grow, and what the sample is worth in each observable.

        The former for all observables together, the three in which it is worth least, and the two in which
        it is worth most.
        """
        joint, *single = [space.picture for space in self.spaces]
        ordered = sorted(single, key=lambda one: one.effective.low)
        extremes = [*ordered[:3], *ordered[3:][-2:]]
        return [pictures.amplification([joint, *extremes]), pictures.worth([joint, *single])]

    def section(self) -> Section:
        """Return the part of a report."""
        text = "\n\n".join([*self.sentences, _EXPLANATION.format(truth=self.truth), CITATION + "."])
        return Section("Amplification: how many showers is it worth?", text, self.table, self.figures())


_EXPLANATION = (
    "The truth ({truth:,} showers that nobody learned from) is divided into quantiles; a sample's distance "
    "is the mean squared deviation of its shares of showers in them. What a sample is worth is the number of "
    "independent simulated showers that have its distance, with the bounds of one standard deviation. The "
    "incident energies of generated showers are given to the generator, so observables that follow from "
    "these alone gain by their number. In fine quantiles small samples scatter more, so that a small bias "
    "weighs less: what a sample is worth belongs to the number of quantiles."
)


def amplification(
    training: Measured,
    generated: Measured,
    truth: Measured,
    observables: Sequence[Observable],
    *,
    repeats: int = 20,
    seed: int = 1,
    progress: Progress = no_progress,
) -> AmplificationResult:
    r"""Compare samples with the truth in its quantiles (Butter et al., arXiv:2008.06545, Eq. 4).

    The truth's T showers are divided into Q cells. In each, a sample has a share x of its showers and the
    truth a share t; the distance is the mean of :math:`(x - t)^2`. A sample of N independent showers has, on
    average, :math:`\overline{t (1 - t)} (1/N + 1/T)`, and spreads about it as chi-square does with as many
    degrees of freedom as follow from the shares (Q - 1 where they are equal). Solved for N this is what any
    sample is worth, and chi-square gives the bounds. The same is measured with parts of the truth.

    Cells are quantiles of one observable, with one more for showers where it is undefined; for all
    observables together the truth is halved again and again, in each half at its own median, along the
    leading principal components of the observables' ranks.

    Parameters
    ----------
    training
        What the generator learned from.
    generated
        What it made; the more showers, the more it can be worth.
    truth
        Many showers of the simulation that are in neither.
    observables
        What to compare.
    repeats
        Draws of parts of samples.
    seed
        Of these.
    progress
        Called with (spaces done, spaces).

    Raises
    ------
    InputError
        The samples have different cells, or the truth holds too few showers.
    """
    for sample in (training, generated):
        check_cells(truth.geometry, sample.geometry)
    if len(truth) < _LEAST:
        raise InputError(
            f"The truth holds {len(truth)} showers, too few to tell what a sample is worth: give {_LEAST}."
        )
    values = [
        {one.name: sample.values[one.name] for one in observables} for sample in (truth, training, generated)
    ]
    spaces = [compare(JOINT, "all observables together", *joint_cells(*values), repeats=repeats, seed=seed)]
    progress(1, len(observables) + 1)
    for done, one in enumerate(observables, 2):
        cells = quantile_cells(*(sample[one.name] for sample in values))
        if np.ptp(cells[0]):  # one value for all showers tells nothing
            spaces.append(compare(one.name, one.label, *cells, repeats=repeats, seed=seed))
        progress(done, len(observables) + 1)
    return AmplificationResult(tuple(spaces), len(truth))


def compare(
    name: str,
    label: str,
    truth: _Numbers,
    training: _Numbers,
    generated: _Numbers,
    *,
    repeats: int = 20,
    seed: int = 1,
) -> Space:
    """Return what a generated sample is worth, from the cells in which its showers and the others lie.

    Parameters
    ----------
    name, label
        Of what the cells divide.
    truth, training, generated
        (T,), (N,) and (M,) numbers of cells.
    repeats, seed
        As in `amplification`.
    """
    number = 1 + int(max(cells.max() for cells in (truth, training, generated)))
    law = _Law.of(truth, number)
    learned, made = (_sizes(law, cells) for cells in (training, generated))
    first = max(1.0, min(_LEAST / 3, made.effective.low) / 2)
    line = np.geomspace(first, 2.0 * max(map(len, (truth, training, generated))), 60)
    picture = Amplified(
        label,
        (line, law.expected(line), law.expected(line, -1.0), law.expected(line, 1.0)),
        _of_truth(truth, number, repeats, seed),
        _growing(law, generated, repeats, seed),
        (len(training), learned.distance),
        made.effective,
    )
    sure = law.effective(made.distance, _SURE)
    better = learned.distance - made.distance > _SURE * law.spread_of_copies(learned.distance, len(generated))
    return Space(name, label, len(np.unique(truth)), learned, made, sure, better, picture)


def quantile_cells(truth: _Floats, *samples: _Floats, quantiles: int = _QUANTILES) -> list[_Numbers]:
    """Return in which quantile of the truth each shower lies, for the truth and each sample.

    Values that many showers share make fewer quantiles; undefined values (nan) are a cell of their own.
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
    truth: Mapping[str, _Floats], *samples: Mapping[str, _Floats], most: int = _SPLITS
) -> list[_Numbers]:
    """Return in which cell of the space of all observables showers lie, for the truth and each sample."""
    together = {name: np.concatenate([sample[name] for sample in samples]) for name in truth}
    made = features(truth, together)
    ranks = _ranks(made.reference, made.reference), _ranks(made.reference, made.generated)
    splits = min(most, int(np.log2(len(ranks[0]) / _LEAST_IN_CELL)))
    # Each direction is cut twice at least: halves alone would not feel whether a distribution is too wide.
    axes = np.linalg.eigh(np.cov(ranks[0], rowvar=False).reshape(len(made.names), -1))[1][:, ::-1]
    first, others = (rank @ axes[:, : max(1, splits // 2)] for rank in ranks)
    cells = _halved(first, others, splits)
    sizes = [len(next(iter(sample.values()))) for sample in samples]
    return [cells[: len(first)], *np.split(cells[len(first) :], np.cumsum(sizes)[:-1])]


def _ranks(reference: _Floats, values: _Floats) -> _Floats:
    """Ranks among the reference, -1/2 to 1/2, by column: no observable's tails count more than others'."""
    places = np.unique(np.linspace(0, len(reference) - 1, _KNOTS).round().astype(np.intp))
    ordered = np.sort(reference, axis=0)[places]
    columns = [
        np.searchsorted(known, column, "left") + np.searchsorted(known, column, "right")
        for known, column in zip(ordered.T, values.T, strict=True)
    ]
    return np.stack(columns, axis=1) / (2 * len(places)) - 0.5


def _halved(truth: _Floats, others: _Floats, splits: int) -> _Numbers:
    """Halve the truth again and again, each part at its own median along the next column."""
    rows = np.concatenate([truth, others])
    cells = np.zeros(len(rows), np.intp)
    for split in range(splits):
        column, here = rows[:, split % rows.shape[1]], cells[: len(truth)]
        medians = np.zeros(2**split)
        for cell in np.unique(here):
            medians[cell] = np.median(column[: len(truth)][here == cell])
        cells = 2 * cells + (column > medians[cells])
    return cells


@dataclass(frozen=True)
class _Law:
    """How distances of independent samples are distributed, from the truth's shares in its cells.

    Attributes
    ----------
    shares
        (Q,) of the truth.
    truth
        Its showers.
    """

    shares: _Floats
    truth: int

    @classmethod
    def of(cls, cells: _Numbers, number: int) -> Self:
        return cls(np.bincount(cells, minlength=number) / len(cells), len(cells))

    @property
    def scale(self) -> float:
        """Squared distance of one shower."""
        return float(np.mean(self.shares * (1 - self.shares)))

    @property
    def freedom(self) -> float:
        """Degrees of freedom: those of a chi-square of the same mean and variance (Satterthwaite)."""
        covariance = np.diag(self.shares) - np.outer(self.shares, self.shares)
        square = float((covariance**2).sum())
        return float(np.trace(covariance)) ** 2 / square if square > 0 else 0.0

    def distance(self, cells: _Numbers) -> float:
        """Squared distance of a sample, without the truth's own part; it may be negative."""
        shares = np.bincount(cells, minlength=len(self.shares)) / len(cells)
        return float(np.mean((shares - self.shares) ** 2)) - self.scale / self.truth

    def expected(self, sizes: _Floats, sigma: float = 0.0) -> _Floats:
        """Squared distance of independent samples: the mean, or what is sigma standard deviations away."""
        mean: _Floats = self.scale / sizes
        if sigma == 0:
            return mean
        own = self.scale / self.truth
        return (mean + own) * self._factor(sigma) - own

    def effective(self, distance: float, sigma: float = 1.0) -> Effective:
        """Showers of independent samples that have a distance, with bounds."""
        own = self.scale / self.truth
        value, low, high = (
            self._solved((distance + own) / factor - own)
            for factor in (1.0, self._factor(-sigma), self._factor(sigma))
        )
        return Effective(value, float(self.truth) if low is None else low, high)

    def spread_of_copies(self, distance: float, showers: int) -> float:
        """Standard deviation of the squared distance of many copies of a sample that has one itself."""
        own = self.scale / self.truth
        return 2 * float(np.sqrt(max(distance + own, 0) * self.scale / showers / len(self.shares)))

    def _factor(self, sigma: float) -> float:
        """What is sigma standard deviations away, over the mean."""
        return float(chi2.ppf(norm.cdf(sigma), self.freedom)) / self.freedom

    def _solved(self, distance: float) -> float | None:
        return self.scale / distance if distance > 0 else None


def _sizes(law: _Law, cells: _Numbers) -> Sizes:
    distance = law.distance(cells)
    return Sizes(len(cells), distance, law.effective(distance))


def _of_truth(cells: _Numbers, number: int, repeats: int, seed: int) -> Points:
    """Measure what parts of one half of the truth give against the other half."""
    half = len(cells) // 2
    sizes = _steps(half)
    found = np.empty((repeats, len(sizes)))
    for repeat, order in enumerate(_orders(len(cells), repeats, seed)):
        law = _Law.of(cells[order[half:]], number)
        found[repeat] = [law.distance(cells[order[:size]]) for size in sizes]
    return _points(sizes, found)


def _growing(law: _Law, cells: _Numbers, repeats: int, seed: int) -> Points:
    """Measure what parts of a sample give."""
    sizes = _steps(len(cells))
    orders = _orders(len(cells), repeats, seed)
    return _points(
        sizes, np.array([[law.distance(cells[order[:size]]) for size in sizes] for order in orders])
    )


def _steps(most: int) -> _Numbers:
    return np.unique(np.geomspace(min(most, _LEAST / 3), most, _STEPS).round().astype(np.intp))


@lru_cache(maxsize=2)
def _orders(n: int, repeats: int, seed: int) -> list[_Numbers]:
    return [np.random.default_rng([seed, repeat]).permutation(n) for repeat in range(repeats)]


def _points(sizes: _Numbers, found: _Floats) -> Points:
    error = found.std(axis=0, ddof=1) / np.sqrt(len(found))
    return Points(sizes.astype(float), found.mean(axis=0), error)


def _bounds(effective: Effective) -> str:
    value = "" if effective.value is None else f"{_count(effective.value)} "
    high = "no bound" if effective.high is None else _count(effective.high)
    return f"{value}({_count(effective.low)} to {high})"


def _count(showers: float) -> str:
    """Write a number of showers to three digits."""
    return f"{float(f'{showers:.3g}'):,.0f}"
