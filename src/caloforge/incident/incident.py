"""The incident particles of showers, as simulations, models and files use them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from caloforge.errors import InputError

__all__ = ["FIELDS", "Incident", "filled", "numbers", "unit_vectors"]

FIELDS = ("pdg", "energy", "direction", "position")
"""Names of an incident particle's numbers, as attributes and as datasets of files."""


@dataclass(frozen=True, init=False, eq=False, repr=False)
class Incident:
    """The incident particles of n showers.

    Every argument has one value per particle, or a single one for all.

    Attributes
    ----------
    pdg
        (n,) int32: PDG ids; 0 where a foreign file does not give it.
    energy
        (n,) float64: kinetic energies in MeV, finite and above 0.
    direction
        (n, 2) float32: theta, the angle to the z axis, and phi, the azimuth from the eta axis towards the phi
        axis, in rad; (0, 0) is perpendicular to the front face. Theta is from 0 to below pi / 2, phi from
        -2 pi to 2 pi.
    position
        (n, 2) float32: eta and phi in mm, where the particle meets the front face; (0, 0) is its centre.

    Raises
    ------
    InputError
        Lengths differ, or a value is not possible; the message names the first.

    Examples
    --------
    >>> Incident(22, [1e4, 2e4])
    <2 incident particles>
    """

    pdg: npt.NDArray[np.int32]
    energy: npt.NDArray[np.float64]
    direction: npt.NDArray[np.float32]
    position: npt.NDArray[np.float32]

    def __init__(
        self,
        pdg: npt.ArrayLike,
        energy: npt.ArrayLike,
        direction: npt.ArrayLike = (0.0, 0.0),
        position: npt.ArrayLike = (0.0, 0.0),
    ) -> None:
        given = {
            "pdg": numbers("pdg", pdg),
            "energy": numbers("energy", energy, np.float64),
            "direction": numbers("direction", direction, np.float32),
            "position": numbers("position", position, np.float32),
        }
        n = _number(given)
        for name, values in given.items():  # a frozen dataclass can only be filled in this way
            object.__setattr__(self, name, _CHECKS[name](filled(name, values, (n, *_TAILS[name]))))

    def __len__(self) -> int:
        return len(self.energy)

    def __repr__(self) -> str:
        return f"<{len(self)} incident particles>"

    def __getitem__(self, which: slice | int | npt.NDArray[Any] | Sequence[int]) -> "Incident":
        """Return the particles that a slice, a mask, a number or numbers select."""
        index = which if isinstance(which, slice) else np.atleast_1d(np.arange(len(self))[which])
        return Incident(self.pdg[index], self.energy[index], self.direction[index], self.position[index])

    @staticmethod
    def concatenate(parts: Sequence["Incident"]) -> "Incident":
        """Join particles in their order; raises `InputError` if there are none."""
        if not parts:
            raise InputError("There are no incident particles to join: give at least one sample.")
        return Incident(*(np.concatenate([getattr(part, name) for part in parts]) for name in FIELDS))

    def repeated(self, n: int) -> "Incident":
        """Return n particles like the only one of this sample, or this sample if it has n already.

        Raises
        ------
        InputError
            It has another number of particles.
        """
        if len(self) == n:
            return self
        if len(self) != 1:
            raise InputError(f"{len(self)} incident particles do not fit {n} showers: give one for each.")
        return Incident(*(np.repeat(getattr(self, name), n, axis=0) for name in FIELDS))

    def bounds(self, name: str, degrees: bool = False) -> list[list[float]]:
        """Return the lowest and highest value of each coordinate of ``direction`` or ``position``.

        In rad and mm; angles in degrees on request.
        """
        values = getattr(self, name).astype(np.float64)
        ends = np.stack([values.min(axis=0), values.max(axis=0)], axis=1)
        bounds: list[list[float]] = (np.rad2deg(ends) if degrees else ends).tolist()
        return bounds

    @property
    def unit_direction(self) -> npt.NDArray[np.float64]:
        """Directions as unit vectors (n, 3) along eta, phi and z."""
        return unit_vectors(self.direction)


def unit_vectors(direction: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """Return directions (n, 2), theta and phi in rad, as unit vectors (n, 3) along eta, phi and z.

    Examples
    --------
    >>> unit_vectors(np.array([[0.0, 0.0], [np.pi / 2, 0.0]])).round(3)
    array([[0., 0., 1.],
           [1., 0., 0.]])
    """
    theta, phi = direction.astype(np.float64).T
    return np.stack([np.sin(theta) * np.cos(phi), np.sin(theta) * np.sin(phi), np.cos(theta)], axis=1)


def numbers(name: str, values: npt.ArrayLike, dtype: npt.DTypeLike | None = None) -> npt.NDArray[Any]:
    """Return values as an array of real numbers; raises `InputError` for anything else."""
    try:
        found = np.asarray(values)
    except ValueError:
        raise InputError(f"The {name} has parts of different lengths; give one array of numbers.") from None
    if found.dtype.kind not in "biuf":
        kind = "other than plain numbers" if found.dtype.kind == "O" else f"of type {found.dtype}"
        raise InputError(f"The {name} can't hold values {kind}; give real numbers.")
    with np.errstate(over="ignore"):  # what overflows becomes infinite, which the checks refuse
        return found if dtype is None else found.astype(dtype, copy=False)


def filled(name: str, values: npt.NDArray[Any], shape: tuple[int, ...]) -> npt.NDArray[Any]:
    """Repeat one value for all showers; refuse everything else that is not one value a shower."""
    if values.shape == shape[1:]:
        # A copy, because broadcast_to gives a read-only view of the single value.
        return np.broadcast_to(values, shape).copy()
    if values.shape != shape:
        raise InputError(
            f"The {name} has shape {values.shape}; one for each shower has {shape}, one for all {shape[1:]}."
        )
    return values


def _number(given: dict[str, npt.NDArray[Any]]) -> int:
    """Return how many particles are given; one if there is a single value of everything."""
    several = {name: len(values) for name, values in given.items() if values.ndim > len(_TAILS[name])}
    if len(set(several.values())) > 1:
        counts = ", ".join(f"{count} of {name}" for name, count in several.items())
        raise InputError(
            f"Incident particles have one value each, or a single one for all, but here are {counts}."
        )
    return next(iter(several.values()), 1)


def _checked_pdg(given: npt.NDArray[Any]) -> npt.NDArray[np.int32]:
    if len(given) and given.dtype.kind not in "iu":
        raise InputError(f"PDG ids are whole numbers, not {given.dtype}.")
    # As floats, because the absolute value of the lowest int64 overflows.
    _refuse(np.abs(given.astype(np.float64)) > _LARGEST_PDG, given, "pdg", f"PDG ids end at {_LARGEST_PDG}")
    return given.astype(np.int32, copy=False)


def _checked_energy(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    possible = np.isfinite(values) & (values > 0)
    _refuse(~possible, values, "energy", "energies are finite and above 0", " MeV")
    return values


def _checked_direction(values: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    _refuse(_not_finite(values), values, "direction", "give finite theta and phi in rad")
    theta, phi = values.T
    possible = (theta >= 0) & (theta < _LARGEST_THETA) & (np.abs(phi) <= _LARGEST_PHI)
    rule = "theta is from 0 (perpendicular) to below pi / 2 and phi from -2 pi to 2 pi"
    _refuse(~possible, values, "direction", rule, " rad")
    return values


def _checked_position(values: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    _refuse(_not_finite(values), values, "position", "give finite eta and phi in mm")
    return values


def _not_finite(pairs: npt.NDArray[np.float32]) -> npt.NDArray[np.bool_]:
    return np.asarray(~np.isfinite(pairs).all(axis=1))


def _refuse(
    wrong: npt.NDArray[np.bool_], values: npt.NDArray[Any], name: str, rule: str, unit: str = ""
) -> None:
    """Raise `InputError` for the first shower whose value is wrong, if there is one."""
    if wrong.any():
        shower = int(np.argmax(wrong))
        found = ", ".join(f"{value:.12g}" for value in np.atleast_1d(values[shower]))
        raise InputError(f"The {name} of shower {shower} is {found}{unit}; {rule}.")


_TAILS: dict[str, tuple[int, ...]] = {"pdg": (), "energy": (), "direction": (2,), "position": (2,)}
"""Shape of one particle's value."""

_LARGEST_PDG = np.iinfo(np.int32).max
_LARGEST_THETA = np.float32(np.pi / 2)  # rounded up, so it is beyond a right angle itself
_LARGEST_PHI = np.float32(2 * np.pi)

_CHECKS: dict[str, Callable[[npt.NDArray[Any]], npt.NDArray[Any]]] = {
    "pdg": _checked_pdg,
    "energy": _checked_energy,
    "direction": _checked_direction,
    "position": _checked_position,
}
