"""Has a generator learned showers by heart? Copies, and distances to its training set and to other showers.

A shower is described by the shares of its energy in the cells, so the incident energy plays no role. Mirror
images count as the same shower.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import KDTree

from caloforge.errors import InputError
from caloforge.geometry import Calorimeter
from caloforge.metrics.base import Floats
from caloforge.metrics.floor import Score
from caloforge.metrics.levels import level
from caloforge.showers import Showers

__all__ = [
    "CITATION",
    "LABEL",
    "LEAST",
    "NAME",
    "Copies",
    "MemorisationScore",
    "copies",
    "memorisation",
    "repeated",
]

NAME = "memorisation"
LABEL = "generated showers nearer to the training set than to held-out showers"
CITATION = "Meehan, Chaudhuri, Dasgupta, AISTATS 2020, arXiv:2004.05675 (data-copying test)"

LEAST = 100
_COPY = 2e-3
"""Largest sum of differences in energy shares between a shower and its copy, which may have been rounded to
half precision. Two different showers of Geant4 differ by at least ten times as much."""
_FINGERPRINTS = 16
"""Numbers that a shower shares with its copies, by which copies are searched."""
_REACH = _COPY * _FINGERPRINTS**0.5
"""Largest distance of these numbers between a copy and its original: each is a sum of shares with factors
from -1 to 1, so it changes by at most ``_COPY``."""
_OPERATIONS = 1e11
"""Limit of operations for all distances; with very many cells, fewer showers are compared."""
_BLOCK = 1024

_Rows = NDArray[np.intp]
_SquareRoots = NDArray[np.float32]


@dataclass(frozen=True)
class Copies:
    """Showers that are copies of others, apart from flips and a factor in energy.

    Attributes
    ----------
    generated
        Numbers of the showers that are copies, ascending.
    original
        For each of them, the number of the shower that it is a copy of.
    of
        Number of showers that were checked.
    """

    generated: _Rows
    original: _Rows
    of: int

    @property
    def share(self) -> float:
        """Part of the showers that are copies."""
        return len(self.generated) / self.of

    def sentence(self, originals: str) -> str:
        """Return this in words; ``originals`` names what they are copies of, in the plural."""
        if not len(self.generated):
            return f"No generated showers are copies of {originals}."
        share = f"{100 * self.share:.3g} % of the generated showers are copies of {originals}"
        return f"{share} ({len(self.generated):,} of {self.of:,}), but for flips and a factor in energy."


@dataclass(frozen=True)
class MemorisationScore:
    """Whether generated showers were learned by heart.

    Attributes
    ----------
    score
        Share of the generated showers that are nearer to the training set than to as many held-out ones. Its
        floor is 1/2, the value for further showers of the reference; lower values are as bad as higher ones.
    training, held_out
        Generated showers that are copies of a training shower, or of a held-out one.
    repeated
        Generated showers that have a copy among the other generated ones.
    known
        Held-out showers that are copies of a training shower; they are left out of the comparison.
    distances
        Distance of each shower to its nearest neighbour, by the name of the comparison.
    """

    score: Score
    training: Copies
    held_out: Copies
    repeated: Copies
    known: Copies
    distances: Mapping[str, Floats]

    @property
    def ratio(self) -> float:
        """Median distance to the training set, of generated showers over that of held-out ones."""
        generated, held_out = (self.distances[f"{name} to training"] for name in ("generated", "held-out"))
        return float(np.median(generated) / np.median(held_out))

    @property
    def found(self) -> bool:
        """Whether there are copies, or generated showers are too near to either set."""
        copied = any(len(one.generated) for one in (self.training, self.held_out, self.repeated))
        return copied or level(self.score.sigma) == "far"

    @property
    def sentences(self) -> tuple[str, ...]:
        """The verdict in plain words."""
        more = {"held-out showers": self.held_out, "other generated showers": self.repeated}
        return (
            self.training.sentence("training showers"),
            *(copies.sentence(name) for name, copies in more.items() if len(copies.generated)),
            *self._overlap(),
            *self._nearness(),
        )

    @property
    def warnings(self) -> tuple[str, ...]:
        """The sentences about training showers that were copied or clearly remembered."""
        copied = (self.training.sentence("training showers"),) if len(self.training.generated) else ()
        return (*copied, *(self._nearness()[:1] if level(self.score.sigma) == "far" else ()))

    def _overlap(self) -> tuple[str, ...]:
        number = len(self.known.generated)
        if not number:
            return ()
        return (
            f"{number:,} of {self.known.of:,} held-out showers are training showers, or copies of them, and "
            "left out of what follows.",
        )

    def _nearness(self) -> tuple[str, ...]:
        score = self.score
        if score.value is None or score.error is None:
            return (score.reason,)
        remembered = "training set is" if score.value > 0.5 else "held-out showers are"
        verdict = {
            "far": f"The {remembered} remembered",
            "near": f"The {remembered} perhaps remembered",
        }.get(level(score.sigma), "No sign of memorisation")
        return (
            f"{verdict}: {100 * score.value:.3g} ± {100 * score.error:.2g} % of the generated showers are "
            "nearer to the training set than to as many held-out showers; 50 % is what showers that were not "
            "learned give.",
            f"The median distance of generated showers to the training set is {self.ratio:.3g} times that of "
            "held-out showers.",
        )


def memorisation(
    training: Showers,
    held_out: Showers,
    generated: Showers,
    *,
    seed: int = 1,
    most: int = 4000,
) -> MemorisationScore:
    r"""Compare the distances of generated showers to the training set and to showers that were held out.

    The distance of two showers is $\min_f |\sqrt{p} - \sqrt{f(q)}|$ (Hellinger's) with the shares p and
    q of their energies in the cells and the flips f of the calorimeter: 0 for a copy, however it is flipped
    or rescaled, and $\sqrt 2$ for showers that have no cell in common. If a generator has learned the
    distribution, its showers are as often nearer to the training set as to the same number of other showers;
    if it has learned the showers themselves, more of them are nearer to the training set. Showers that are
    near to both, as from a generator whose fluctuations are too small, do not count as memorised.

    Take equal numbers of training and held-out showers, N in all, and find the nearest of them for each
    generated shower. If nothing was memorised, all divisions of the N showers into two halves are equally
    likely. The expected share of neighbours that are training showers is then 1/2, and its variance is
    $\sum_j (w_j - 1/N)^2 / 4 \cdot N / (N - 1)$ if shower j is the neighbour of a part $w_j$ of the
    generated ones. Neither is an approximation.

    Parameters
    ----------
    training
        What the generator learned from.
    held_out
        Showers of the same distribution that it never saw.
    generated
        What it made.
    seed
        Decides which showers are compared, if there are too many.
    most
        Most showers of a sample that are compared. Copies are searched among all showers.

    Raises
    ------
    InputError
        The samples have different cells, or one is empty.

    Examples
    --------
    >>> from caloforge import generate
    >>> training, held_out, generated = (generate("gamma", energy="1:100", n=200, seed=i) for i in (1, 2, 3))
    >>> result = memorisation(training, held_out, generated)
    >>> result.found, len(result.training.generated)
    (False, 0)
    """
    _check(training, held_out, generated)
    known = copies(training, held_out)
    # A shower in both sets is equally near in both, which would make the choice between them arbitrary.
    fresh = held_out[np.setdiff1d(np.arange(len(held_out)), known.generated)]
    score, distances = _scored(training, fresh, generated, seed, most)
    return MemorisationScore(
        score,
        copies(training, generated),
        copies(held_out, generated),
        repeated(generated),
        known,
        distances,
    )


def _scored(
    training: Showers, held_out: Showers, generated: Showers, seed: int, most: int
) -> tuple[Score, dict[str, Floats]]:
    geometry = generated.geometry
    n = min(len(training), len(held_out), most, _most_comparable(geometry))
    if n < LEAST:
        reason = f"It needs samples of at least {LEAST} showers; {n} can be compared."
        return Score.missing(reason, n), {}
    # Drawn at random: files may be in the order of energies.
    random = np.random.default_rng(seed)
    learned, held, drawn = (
        _square_roots(sample.cells[random.permutation(len(sample))[:n]])
        for sample in (training, held_out, generated)
    )
    flips = geometry.symmetries()
    to_training = _distances(drawn, learned, flips)
    nearest = np.hstack([to_training, _distances(drawn, held, flips)]).argmin(axis=1)
    return _score(nearest, n), {
        "generated to training": to_training.min(axis=1).astype(float),
        "held-out to training": _distances(held, learned, flips).min(axis=1).astype(float),
    }


def copies(showers: Showers, generated: Showers) -> Copies:
    """Find generated showers that are copies of others: the same, flipped, or with all energies rescaled.

    Showers with a single hit cell do not count, because they are alike anyway.

    Raises
    ------
    InputError
        The samples have different cells, or one is empty.

    Examples
    --------
    >>> from caloforge import generate
    >>> showers, others = (generate("gamma", energy="1:100", n=20, seed=seed) for seed in (1, 2))
    >>> copies(showers, others.concatenate([others, showers[5:7]])).original
    array([5, 6])
    """
    _check(showers, generated)
    distance, nearest = KDTree(_fingerprints(showers)).query(
        _fingerprints(generated), distance_upper_bound=_REACH
    )
    return _copies(showers, generated, distance, nearest)


def repeated(generated: Showers) -> Copies:
    """Find showers that have a copy among the others of their own sample.

    Raises
    ------
    InputError
        The sample is empty.

    Examples
    --------
    >>> from caloforge import generate
    >>> showers = generate("gamma", energy="1:100", n=20, seed=1)
    >>> repeated(showers).share, repeated(showers.concatenate([showers, showers])).share
    (0.0, 1.0)
    """
    _check(generated)
    fingerprints = _fingerprints(generated)
    distances, neighbours = KDTree(fingerprints).query(fingerprints, k=2, distance_upper_bound=_REACH)
    # The nearest is usually the shower itself; of two exact copies, it may be the other one.
    other = (neighbours[:, 0] == np.arange(len(generated))).astype(np.intp)
    rows = np.arange(len(generated))
    return _copies(generated, generated, distances[rows, other], neighbours[rows, other])


def _copies(showers: Showers, generated: Showers, distance: Floats, nearest: _Rows) -> Copies:
    """Compare all cells of the showers whose fingerprints are close."""
    several = np.count_nonzero(generated.cells, axis=1) > 1  # one hit cell has the share 1 in any shower
    rows = np.flatnonzero(np.isfinite(distance) & several)
    same = _are_copies(generated.cells, rows, showers.cells, nearest[rows], generated.geometry)
    return Copies(rows[same], nearest[rows][same], len(generated))


def _check(*samples: Showers) -> None:
    for sample in samples:
        if not len(sample):
            raise InputError("A sample holds no showers: give files with some.")
        if sample.geometry.layers != samples[0].geometry.layers:
            raise InputError(
                f"The showers have different cells ('{samples[0].geometry.name}' and "
                f"'{sample.geometry.name}'); bring the finer ones onto the other read-out with: "
                "caloforge rebin."
            )


def _most_comparable(geometry: Calorimeter) -> int:
    """Showers of a sample, for three matrices of distances, and for each flip."""
    # A multiplication and an addition for each cell, in three matrices of n^2 products for each flip.
    operations = 2 * 3 * len(geometry.symmetries()) * geometry.n_cells
    return max(1, int(np.sqrt(_OPERATIONS / operations)))


def _shares(cells: NDArray[np.float32]) -> Floats:
    """Shares of the energy, (N, n_cells); 0 for an empty shower."""
    total = cells.sum(axis=1, dtype=float, keepdims=True)
    return cells / np.where(total > 0, total, 1.0)


def _square_roots(cells: NDArray[np.float32]) -> _SquareRoots:
    return np.sqrt(_shares(cells)).astype(np.float32)


def _fingerprints(showers: Showers) -> Floats:
    """Random sums over the cells that are the same for a shower and its mirror images, (N, fingerprints)."""
    geometry = showers.geometry
    random = np.random.default_rng(0).choice([-1.0, 1.0], (geometry.n_cells, _FINGERPRINTS))
    # Averaged over the flips, so that a shower and its mirror images have the same sums.
    symmetric = random[geometry.symmetries()].mean(axis=0)
    starts = range(0, len(showers), _BLOCK)
    return np.concatenate([_shares(showers.cells[start : start + _BLOCK]) @ symmetric for start in starts])


def _are_copies(
    first: NDArray[np.float32], rows: _Rows, second: NDArray[np.float32], others: _Rows, geometry: Calorimeter
) -> NDArray[np.bool_]:
    """Whether showers are copies of the showers with similar fingerprints, (n,)."""
    flips = geometry.symmetries()
    same = np.zeros(len(rows), bool)
    for start in range(0, len(rows), _BLOCK):
        block = slice(start, start + _BLOCK)
        one, other = _shares(first[rows[block]]), _shares(second[others[block]])
        least = [np.abs(one[:, flip] - other).sum(axis=1) for flip in flips]
        same[block] = np.min(least, axis=0) <= _COPY
    return same


def _distances(first: _SquareRoots, second: _SquareRoots, flips: NDArray[np.int64]) -> _SquareRoots:
    """Distances of all pairs, (n, m)."""
    # Square roots of shares are unit vectors, so the squared distance is 2 - 2 times their product, and the
    # smallest distance over the flips is that of the largest product.
    overlap = np.zeros((len(first), len(second)), np.float32)
    for flip in flips:
        np.maximum(overlap, first[:, flip] @ second.T, out=overlap)
    distance: _SquareRoots = np.sqrt(np.maximum(2 - 2 * overlap, 0))  # rounding can make it negative
    return distance


def _score(nearest: _Rows, n: int) -> Score:
    """Score the share of nearest neighbours that are among the first n showers instead of the n others."""
    parts = np.bincount(nearest, minlength=2 * n) / len(nearest)
    value = float(parts[:n].sum())
    error = float(np.sqrt(((parts - parts.mean()) ** 2).sum() / 4 * 2 * n / (2 * n - 1)))
    # A generator that knows the held-out showers is as suspicious as one that knows the training set.
    return Score(value, error, 0.5, 0.0, abs(value - 0.5) / error, n, 1)
