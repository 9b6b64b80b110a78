"""The incident particles of showers: what simulations shoot, models are conditioned on, and files keep."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from caloforge.errors import InputError

FIELDS = ("pdg", "energy", "direction", "position")
"""Names of an incident particle's numbers, as attributes and as datasets of files."""


@dataclass(frozen=True, init=False, eq=False, repr=False)
class Incident:
    """The incident particles of n showers.

    Every argument is one value a particle, or a single one for all.

    Attributes
    ----------
    pdg
        (n,) int32: PDG ids; 0 where a foreign file did not say it.
    energy
        (n,) float64: kinetic energies in MeV, finite and above 0.
    direction
        (n, 2) float32: theta, the angle to the z axis, and phi, the azimuth from the eta axis towards the phi
        axis, in rad; (0, 0) is perpendicular to the front face.
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
            "pdg": np.asarray(pdg),
            "energy": np.asarray(energy, np.float64),
            "direction": np.asarray(direction, np.float32),
            "position": np.asarray(position, np.float32),
        }
        n = max((len(values) for name, values in given.items() if values.ndim > _TAIL[name]), default=1)
        if any(values.ndim > _TAIL[name] and not len(values) for name, values in given.items()):
            n = 0
        for name, values in given.items():
            tail = (2,) * _TAIL[name]
            object.__setattr__(self, name, _CHECKS[name](filled(name, values, (n, *tail))))

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
        """Join particles in their order."""
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

    @property
    def unit_direction(self) -> npt.NDArray[np.float64]:
        """Directions as unit vectors (n, 3) along eta, phi and z."""
        theta, phi = self.direction.astype(np.float64).T
        return np.stack([np.sin(theta) * np.cos(phi), np.sin(theta) * np.sin(phi), np.cos(theta)], axis=1)


def filled(name: str, values: npt.NDArray[Any], shape: tuple[int, ...]) -> npt.NDArray[Any]:
    """Repeat one value for all showers; refuse everything else that is not one value a shower."""
    if values.ndim == len(shape) - 1 and values.shape == shape[1:]:
        return np.broadcast_to(values, shape).copy()
    if values.shape != shape:
        raise InputError(f"The {name} has shape {values.shape}, but {shape[0]} showers need {shape}.")
    return values


def _checked_pdg(given: npt.NDArray[Any]) -> npt.NDArray[np.int32]:
    if len(given) and given.dtype.kind not in "iu":
        raise InputError(f"PDG ids are whole numbers, not {given.dtype}.")
    return given.astype(np.int32, copy=False)


def _checked_energy(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    wrong = ~(np.isfinite(values) & (values > 0))
    if wrong.any():
        shower = int(np.argmax(wrong))
        raise InputError(
            f"The energy of shower {shower} is {values[shower]:g} MeV; energies are finite and above 0."
        )
    return values


def _checked_direction(values: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    if not np.isfinite(values).all():
        raise InputError("A direction is not finite; give theta and phi in rad.")
    return values


def _checked_position(values: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    if not np.isfinite(values).all():
        raise InputError("A position is not finite; give eta and phi in mm.")
    return values


_TAIL = {"pdg": 0, "energy": 0, "direction": 1, "position": 1}
"""Axes that a value has beside that of the particles."""

_CHECKS: dict[str, Callable[[npt.NDArray[Any]], npt.NDArray[Any]]] = {
    "pdg": _checked_pdg,
    "energy": _checked_energy,
    "direction": _checked_direction,
    "position": _checked_position,
}
