"""The cell edges along one direction of a layer."""

from collections.abc import Mapping
from fractions import Fraction
from functools import lru_cache
from typing import Annotated, Any

import numpy as np
import numpy.typing as npt
from pydantic import PlainSerializer, PlainValidator, model_validator

from caloforge.config import strict_dataclass
from caloforge.errors import GeometryError
from caloforge.geometry.limits import LONGEST, MOST_BINS, check_size

__all__ = ["Axis", "Float64s", "Integers", "check_subset", "exact"]

Float64s = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]


def exact(value: float) -> Fraction:
    """Return the decimal number that was meant: 0.1 is one tenth, not its nearest double.

    Examples
    --------
    >>> exact(0.1), exact(0.1) * 3 == exact(0.3)
    (Fraction(1, 10), True)
    """
    # repr is the shortest decimal that rounds to this double, so the one that was written in the file.
    return Fraction(repr(float(value)))


def _ascending(values: object) -> npt.NDArray[np.float64]:
    try:
        edges = np.array(values, np.float64)
    except (TypeError, ValueError, OverflowError):
        raise ValueError("edges are numbers of mm.") from None
    if edges.ndim != 1 or len(edges) < 2:
        raise ValueError("an axis needs a list of at least two edges in mm.")
    check_size("bins", len(edges) - 1, MOST_BINS)
    if not (np.abs(edges) <= LONGEST).all():  # so written, nan is refused too
        raise ValueError(f"edges must be finite numbers of mm, from -{LONGEST:g} to {LONGEST:g}.")
    if not (np.diff(edges) > 0).all():
        at = int(np.argmin(np.diff(edges) > 0))
        raise ValueError(f"edges must ascend, but {edges[at]:g} mm is followed by {edges[at + 1]:g} mm.")
    edges.flags.writeable = False  # axes are hashed by their edges, and cached results depend on them
    return edges


@lru_cache(maxsize=64)
def _uniform_edges(bins: int, low: float, high: float) -> npt.NDArray[np.float64]:
    """Return the doubles nearest to the true edges.

    Rational numbers make the edges of two grids equal bit for bit wherever they are equal on paper.
    """
    check_size("bins", bins, MOST_BINS)
    start, width = exact(low), exact(high) - exact(low)
    return _ascending([float(start + width * i / bins) for i in range(bins + 1)])


def check_subset(
    fine: npt.NDArray[np.float64], coarse: npt.NDArray[np.float64], where: str, grid: str
) -> None:
    """Refuse coarse edges that are not all among the fine ones, or that end elsewhere (`GeometryError`)."""
    # Equal bit for bit, without a tolerance: `_uniform_edges` makes equal edges equal doubles.
    strangers = coarse[~np.isin(coarse, fine)]
    if len(strangers):
        raise GeometryError(
            f"{where}: the edge at {strangers[0]:g} mm is not an edge of {grid}, so cells would have to be "
            "divided; rebinning needs edges that are a subset."
        )
    if fine[0] != coarse[0] or fine[-1] != coarse[-1]:
        raise GeometryError(
            f"{where}: the edges span {coarse[0]:g} to {coarse[-1]:g} mm, those of {grid} {fine[0]:g} to "
            f"{fine[-1]:g} mm, so energy would be lost; the outer edges must agree, unless a part is cut out "
            "on purpose (caloforge rebin --crop)."
        )


@strict_dataclass
class Axis:
    """The cell edges along one direction of a layer.

    In TOML either uniform, ``{ bins = 96, range = [-240.0, 240.0] }``, or explicit, ``{ edges = [...] }``.

    Attributes
    ----------
    edges
        (n + 1,) ascending, in mm.

    Examples
    --------
    >>> axis = Axis.uniform(4, -20.0, 20.0)
    >>> axis.edges, axis.n, axis.symmetric
    (array([-20., -10.,   0.,  10.,  20.]), 4, True)
    >>> Axis(edges=[0.0, 5.0, 20.0]).middles
    array([ 2.5, 12.5])
    """

    edges: Annotated[
        npt.NDArray[np.float64],
        PlainValidator(_ascending),
        PlainSerializer(lambda edges: edges.tolist(), return_type=list[float]),
    ]

    @model_validator(mode="before")
    @classmethod
    def _from_bins(cls, given: Any) -> Any:
        if not isinstance(given, Mapping) or set(given) == {"edges"}:
            return given
        if set(given) != {"bins", "range"}:
            found = ", ".join(sorted(map(str, given))) or "nothing"
            raise ValueError(f"an axis has either bins and range = [low, high], or edges; found: {found}.")
        bins, limits = given["bins"], _ascending(given["range"])
        if type(bins) is not int or bins < 1 or len(limits) != 2:
            raise ValueError("an axis needs bins of at least 1 and range = [low, high] in mm.")
        return {"edges": _uniform_edges(bins, limits[0], limits[1])}

    @classmethod
    def uniform(cls, bins: int, low: float, high: float) -> "Axis":
        """Divide the range from low to high (mm) into equal bins."""
        return cls(edges=_uniform_edges(bins, low, high))

    @property
    def n(self) -> int:
        """Number of cells."""
        return len(self.edges) - 1

    @property
    def middles(self) -> Float64s:
        """Middle of each cell in mm, (n,)."""
        return (self.edges[:-1] + self.edges[1:]) / 2

    @property
    def symmetric(self) -> bool:
        """Whether the edges stay the same when the sign of the coordinate flips."""
        return np.array_equal(self.edges, -self.edges[::-1])

    def containing(self, fine: "Axis", where: str, grid: str) -> Integers:
        """Return for each bin of a finer axis the number of this axis's bin around it.

        Raises
        ------
        GeometryError
            An edge is not on the finer axis, or the outer edges differ.
        """
        check_subset(fine.edges, self.edges, where, grid)
        # All edges are on the finer axis, so a fine bin lies inside the bin that holds its lower edge.
        return np.searchsorted(self.edges, fine.edges[:-1], side="right") - 1

    def inside(self, other: "Axis") -> tuple["Axis", slice]:
        """Return the bins within the outer edges of another axis, and which of all bins these are.

        All bins where none lies within.

        Examples
        --------
        >>> Axis.uniform(6, -30.0, 30.0).inside(Axis.uniform(1, -10.0, 10.0))
        (Axis(edges=array([-10.,   0.,  10.])), slice(2, 4, None))
        """
        within = np.flatnonzero((self.edges >= other.edges[0]) & (self.edges <= other.edges[-1]))
        if len(within) < 2:
            return self, slice(0, self.n)
        first, last = int(within[0]), int(within[-1])
        return Axis(edges=self.edges[first : last + 1]), slice(first, last)

    def to_dict(self) -> dict[str, Any]:
        """Return these edges in the shorter of the two ways to write them."""
        low, high = float(self.edges[0]), float(self.edges[-1])
        if np.array_equal(_uniform_edges(self.n, low, high), self.edges):
            return {"bins": self.n, "range": [low, high]}
        return {"edges": self.edges.tolist()}

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Axis) and np.array_equal(self.edges, other.edges)

    def __hash__(self) -> int:
        return hash((self.edges + 0.0).tobytes())  # -0.0 equals 0.0, but has other bytes
