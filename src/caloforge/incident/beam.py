"""The beam: which particles meet the calorimeter, and with what energy, direction and position.

Shower number i depends only on the seed and i, like its energy (`caloforge.incident.spectrum`). Directions
and positions use separate random numbers, so a tilted beam has the same energies as a perpendicular one.
"""

import math
import reprlib
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from caloforge.errors import InputError
from caloforge.geometry import Calorimeter, Layer
from caloforge.incident.incident import Incident
from caloforge.incident.particles import particle_name
from caloforge.incident.spectrum import Spectrum

__all__ = [
    "CENTRE",
    "PERPENDICULAR",
    "Beam",
    "Coordinate",
    "Coordinates",
    "Particles",
    "Range",
    "Ranges",
    "RecordedParticles",
    "as_direction",
    "as_position",
    "parse_direction",
    "parse_position",
]

_STREAM = 1 << 64  # added to the seed: the upper word of Philox's key, which is 0 for energies
_COORDINATES = 4  # theta, phi, eta, phi: one counter step of Philox per shower


@dataclass(frozen=True)
class Range:
    """Numbers that are uniform between two bounds, or a single number if the bounds are equal.

    Examples
    --------
    >>> Range.parse("0:60", "theta (degrees)").covers(Range(10.0, 20.0))
    True
    >>> str(Range(20.0, 20.0))
    '20'
    """

    low: float
    high: float

    @classmethod
    def parse(cls, text: str, what: str) -> "Range":
        """Read ``20`` or ``0:60``.

        Parameters
        ----------
        text
            What was written.
        what
            Name and unit of the quantity, for messages.

        Raises
        ------
        InputError
            A bound is not finite, or the bounds do not ascend.
        """
        low, colon, high = text.partition(":")
        try:
            bounds = cls(float(low), float(high if colon else low))
        except ValueError:
            bounds = cls(math.nan, math.nan)
        finite = math.isfinite(bounds.low) and math.isfinite(bounds.high)
        if not finite or (colon and bounds.low >= bounds.high):
            raise InputError(
                f"'{text}' is not possible for {what}: give a number, or LOW:HIGH with LOW < HIGH."
            )
        return bounds

    def scaled(self, factor: float) -> "Range":
        """Return the same range in another unit."""
        return Range(self.low * factor, self.high * factor)

    def at(self, uniforms: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Map uniform numbers between 0 and 1 to this range."""
        return self.low + (self.high - self.low) * uniforms

    def covers(self, other: "Range", slack: float = 0.0) -> bool:
        """Whether another range lies within this one, apart from a slack at each end."""
        return self.low - slack <= other.low and other.high <= self.high + slack

    @property
    def extreme(self) -> float:
        """Largest absolute value."""
        return max(abs(self.low), abs(self.high))

    def __str__(self) -> str:
        return f"{self.low:.10g}" if self.low == self.high else f"{self.low:.10g}:{self.high:.10g}"


Ranges = tuple[Range, Range]

Coordinate = float | tuple[float, float] | Range
"""A number, or a range: uniform between two bounds."""
Coordinates = tuple[Coordinate, Coordinate]
"""A direction (theta and phi in rad) or a position (eta and phi in mm), as callers give it."""


def as_direction(given: Coordinates) -> Ranges:
    """Return theta and phi (rad), each a number or a range, as ranges; raises `InputError` if they are not.

    Examples
    --------
    >>> as_direction((0.1, (0, 3.14)))
    (Range(low=0.1, high=0.1), Range(low=0.0, high=3.14))
    """
    return _as_ranges(given, "direction (theta and phi in rad)")


def as_position(given: Coordinates) -> Ranges:
    """Return eta and phi (mm), each a number or a range, as ranges; raises `InputError` if they are not.

    Examples
    --------
    >>> as_position((5.0, (-10.0, 10.0)))
    (Range(low=5.0, high=5.0), Range(low=-10.0, high=10.0))
    """
    return _as_ranges(given, "position (eta and phi in mm)")


def _as_ranges(given: Coordinates, what: str) -> Ranges:
    try:
        first, second = given
        return _as_range(first), _as_range(second)
    except (TypeError, ValueError):
        raise InputError(
            f"The {what} can't be {reprlib.repr(given)}: give two coordinates, each a finite number or a "
            "pair (low, high) with low < high."
        ) from None


def _as_range(one: Coordinate) -> Range:
    if isinstance(one, Range):
        return one
    if isinstance(one, str):  # which float() would read
        raise TypeError
    low, high = one if isinstance(one, tuple) else (one, one)
    bounds = Range(float(low), float(high))
    # One chain of comparisons, which nan fails as well.
    if not -math.inf < bounds.low <= bounds.high < math.inf:
        raise ValueError
    return bounds


PERPENDICULAR: Ranges = (Range(0.0, 0.0), Range(0.0, 0.0))
"""The direction at a right angle to the front face."""
CENTRE: Ranges = (Range(0.0, 0.0), Range(0.0, 0.0))
"""The middle of the front face."""


@dataclass(frozen=True)
class Beam:
    """Particles of one kind.

    Attributes
    ----------
    pdg
        PDG id of the particle.
    spectrum
        Its kinetic energies.
    direction
        Ranges in rad of theta, the angle to the z axis, and phi, the azimuth from the eta axis towards the
        phi axis: the particle flies along (eta, phi, z) = (sin theta cos phi, sin theta sin phi, cos theta).
    position
        Ranges in mm of eta and phi, where it meets the front face; None for the centre.

    Raises
    ------
    InputError
        Theta is not from 0 to below 90 degrees, or phi is more than a full turn.

    Examples
    --------
    >>> beam = Beam(22, Spectrum.parse("1:100"), position=(Range(-10.0, 10.0), Range(0.0, 0.0)))
    >>> beam.sample(seed=1, start=0, stop=5)
    <5 incident particles>
    >>> beam.provenance()["position_mm"]
    '-10:10 0'
    """

    pdg: int
    spectrum: Spectrum
    direction: Ranges = PERPENDICULAR
    position: Ranges | None = None

    def __post_init__(self) -> None:
        theta, phi = self.direction
        # In the single precision of files: rounded up to 90 degrees, the particle would never enter.
        if theta.low < 0 or not float(np.float32(theta.high)) < math.pi / 2:
            raise InputError(
                f"The angle theta = {theta.scaled(180 / math.pi)} degrees is not possible: particles come "
                "from in front, so give 0 (perpendicular) to less than 90."
            )
        if not phi.extreme <= 2 * math.pi:
            raise InputError(
                f"The azimuth phi = {phi.scaled(180 / math.pi)} degrees is more than a turn: give -360 to "
                "360."
            )

    def sample(self, seed: int, start: int, stop: int) -> Incident:
        """Return the particles of showers start to stop (exclusive).

        Directions and positions are float32 numbers, as the files of showers hold them.
        """
        ranges = (*self.direction, *self.place)
        if all(bounds.low == bounds.high for bounds in ranges):
            placed = np.tile(np.array([bounds.low for bounds in ranges], np.float32), (stop - start, 1))
        else:
            # A counter-based generator can start at any shower without making the numbers before it.
            random = np.random.Philox(key=seed + _STREAM)
            random.advance(start)
            uniforms = np.random.Generator(random).random((stop - start, _COORDINATES))
            columns = [bounds.at(column) for bounds, column in zip(ranges, uniforms.T, strict=True)]
            placed = np.stack(columns, 1).astype(np.float32)
        return Incident(self.pdg, self.spectrum.sample(seed, start, stop), placed[:, :2], placed[:, 2:])

    @property
    def place(self) -> Ranges:
        """Ranges in mm of eta and phi on the front face."""
        return self.position or CENTRE

    def check(self, calorimeter: Calorimeter) -> None:
        """Refuse a beam that misses the front face of a calorimeter.

        Raises
        ------
        InputError
            The message says how far the front face reaches.
        """
        eta, phi = self.place
        first = calorimeter.layers[0]
        if isinstance(first, Layer):
            inside = _within(eta, first.eta.edges) and _within(phi, first.phi.edges)
            face = f"eta {_span(first.eta.edges)} mm, phi {_span(first.phi.edges)} mm"
        else:
            # The corner of the ranges that is farthest from the axis.
            inside = math.hypot(eta.extreme, phi.extreme) <= first.reach
            face = f"a disc with a radius of {first.reach:g} mm"
        if not inside:
            raise InputError(
                f"The position eta = {eta}, phi = {phi} mm is not on the front face of {calorimeter.name} "
                f"({face})."
            )

    def to_dict(self) -> dict[str, Any]:
        """Return everything as a dictionary of JSON's types, in MeV, rad and mm."""
        energy = {**asdict(self.spectrum), "values": list(self.spectrum.values)}
        return {
            "particle": self.pdg,
            "energy": energy,
            "direction": _bounds(self.direction),
            "position": self.position and _bounds(self.position),
        }

    def provenance(self) -> dict[str, str]:
        """Return what a file of showers says about these particles, in the units of the command line."""
        theta, phi = (bounds.scaled(180 / math.pi) for bounds in self.direction)
        words = {
            "particle": particle_name(self.pdg),
            "energy_GeV": self.spectrum.text,
            "direction_deg": f"{theta} {phi}",
        }
        return words | ({"position_mm": "{} {}".format(*self.position)} if self.position else {})

    @classmethod
    def from_dict(cls, content: dict[str, Any]) -> "Beam":
        """Build a beam from what `to_dict` returned; other keys are ignored."""
        energy = {**content["energy"], "values": tuple(content["energy"]["values"])}
        position = content["position"]
        return cls(
            content["particle"],
            Spectrum(**energy),
            _ranges(content["direction"]),
            position and _ranges(position),
        )


@dataclass(frozen=True)
class RecordedParticles:
    """Given particles, taken in turn: those of a file or of the caller.

    Attributes
    ----------
    incident
        The particles, all of one kind.
    name
        Their name in a sample's provenance.

    Raises
    ------
    InputError
        There are none, or they are of several kinds.

    Examples
    --------
    >>> particles = RecordedParticles(Incident(22, [1e4, 2e4]), "two photons")
    >>> particles.sample(seed=1, start=0, stop=3).energy
    array([10000., 20000., 10000.])
    """

    incident: Incident
    name: str

    def __post_init__(self) -> None:
        kinds = np.unique(self.incident.pdg)
        if len(kinds) != 1:
            found = ", ".join(map(particle_name, kinds.tolist())) or "none"
            raise InputError(f"{self.name} must hold particles of one kind; found: {found}.")

    @property
    def pdg(self) -> int:
        """PDG id of the particles."""
        return int(self.incident.pdg[0])

    @property
    def spectrum(self) -> Spectrum:
        """Their kinetic energies."""
        return Spectrum.named(self.name, self.incident.energy.tolist())

    @property
    def direction(self) -> Ranges:
        """Ranges of theta and phi in rad."""
        return _spans(self.incident.direction)

    @property
    def place(self) -> Ranges:
        """Ranges in mm of eta and phi on the front face."""
        return _spans(self.incident.position)

    def sample(self, seed: int, start: int, stop: int) -> Incident:
        """Return the particles of showers start to stop (exclusive), whatever the seed."""
        # Modulo, so that shower i has the same particle in any part of the sample.
        return self.incident[np.arange(start, stop) % len(self.incident)]

    def provenance(self) -> dict[str, str]:
        """Return what a file of showers says about these particles."""
        return {"particle": particle_name(self.pdg), "incident": self.name}


Particles = Beam | RecordedParticles
"""Where the incident particles of a sample come from."""


def parse_direction(theta: str, phi: str) -> Ranges:
    """Read a direction in degrees, each angle a number or ``LOW:HIGH``; returns ranges in rad.

    Raises
    ------
    InputError
        An angle is neither a number nor a range.

    Examples
    --------
    >>> parse_direction("0", "0:180")
    (Range(low=0.0, high=0.0), Range(low=0.0, high=3.141592653589793))
    """
    degrees = Range.parse(theta, "theta (degrees)"), Range.parse(phi, "phi (degrees)")
    return degrees[0].scaled(math.pi / 180), degrees[1].scaled(math.pi / 180)


def parse_position(eta: str, phi: str) -> Ranges:
    """Read a position in mm, each coordinate a number or ``LOW:HIGH``.

    Raises
    ------
    InputError
        A coordinate is neither a number nor a range.

    Examples
    --------
    >>> parse_position("-10:10", "5")
    (Range(low=-10.0, high=10.0), Range(low=5.0, high=5.0))
    """
    return Range.parse(eta, "eta (mm)"), Range.parse(phi, "phi (mm)")


def _bounds(ranges: Ranges) -> list[list[float]]:
    return [[bounds.low, bounds.high] for bounds in ranges]


def _ranges(bounds: list[list[float]]) -> Ranges:
    (first_low, first_high), (second_low, second_high) = bounds
    return Range(first_low, first_high), Range(second_low, second_high)


def _spans(values: npt.NDArray[np.float32]) -> Ranges:
    low, high = values.min(axis=0).tolist(), values.max(axis=0).tolist()
    return Range(low[0], high[0]), Range(low[1], high[1])


def _within(bounds: Range, edges: npt.NDArray[np.float64]) -> bool:
    return bool(edges[0] <= bounds.low and bounds.high <= edges[-1])


def _span(edges: npt.NDArray[np.float64]) -> str:
    return f"{edges[0]:g} to {edges[-1]:g}"
