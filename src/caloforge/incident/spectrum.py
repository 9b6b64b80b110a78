"""Incident energies: fixed, uniform in a range or in its logarithm, a list, or read from a file.

The energy of shower number i depends only on the seed and i. Any part of a sample can therefore be made
anywhere and in any order, and a sample that is extended keeps its showers. Simulation and generation with the
same seed and range have the same energies.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from caloforge.errors import InputError
from caloforge.units import GeV

__all__ = ["Spectrum", "check_energy", "parse_energy"]

_DOUBLES_PER_COUNTER = 4  # a Philox counter step yields four 64-bit numbers
_LOGARITHMIC = "log:"
_SMALLEST = float(np.finfo(np.float32).smallest_subnormal)  # MeV
_LARGEST = float(np.finfo(np.float32).max)
_WRITTEN_OUT = 10  # energies up to which a list is named by its values


@dataclass(frozen=True)
class Spectrum:
    """The distribution of incident kinetic energies.

    Attributes
    ----------
    text
        How it was written, with energies in GeV; part of a sample's provenance.
    values
        Energies in MeV, taken in turn; empty for a spectrum over a range.
    low, high
        Bounds in MeV.
    logarithmic
        Whether the logarithm of the energy is uniform, not the energy.

    Examples
    --------
    >>> spectrum = Spectrum.parse("1:100")
    >>> spectrum.low, spectrum.high
    (1000.0, 100000.0)
    >>> bool((spectrum.sample(1, 0, 10)[5:] == spectrum.sample(1, 5, 10)).all())
    True
    >>> Spectrum.parse("10,50").sample(1, 0, 3)
    array([10000., 50000., 10000.])
    """

    text: str
    low: float
    high: float
    values: tuple[float, ...] = ()
    logarithmic: bool = False

    @classmethod
    def parse(cls, text: str) -> "Spectrum":
        """Read ``50``, ``1:100``, ``log:1:100`` or ``10,50,100`` (GeV).

        `caloforge.formats.energies.parse_spectrum` takes the name of a file as well.

        Raises
        ------
        InputError
            An energy is not above 0 or not finite in single precision, or the range is empty.
        """
        limits = text.removeprefix(_LOGARITHMIC)
        low, colon, high = limits.partition(":")
        if colon:
            return cls.uniform(parse_energy(low), parse_energy(high), logarithmic=limits != text)
        return cls.named(text, [parse_energy(part) for part in text.split(",")])

    @classmethod
    def uniform(cls, low: float, high: float, logarithmic: bool = False) -> "Spectrum":
        """Uniform between two energies in MeV, or between their logarithms."""
        low, high = check_energy(low), check_energy(high)
        if not low < high:
            raise InputError(
                f"The energy range {low / GeV:g}:{high / GeV:g} GeV is empty: give LOW:HIGH with LOW < HIGH."
            )
        prefix = _LOGARITHMIC if logarithmic else ""
        return cls(f"{prefix}{low / GeV:.10g}:{high / GeV:.10g}", low, high, logarithmic=logarithmic)

    @classmethod
    def over(cls, low: float, high: float) -> "Spectrum":
        """Uniform over a range of energies in MeV, which may be a single energy.

        Examples
        --------
        >>> Spectrum.over(1e3, 1e5).text, Spectrum.over(65e3, 65e3).text
        ('1:100', '65')
        """
        return cls.uniform(low, high) if low < high else cls.listed(low)

    @classmethod
    def listed(cls, energies: npt.ArrayLike) -> "Spectrum":
        """One energy in MeV, or several that are taken in turn."""
        values = np.atleast_1d(np.asarray(energies, np.float64)).ravel().tolist()
        several = len(values) > _WRITTEN_OUT
        written = f"{len(values)} values" if several else ",".join(f"{value / GeV:.10g}" for value in values)
        return cls.named(written, values)

    @classmethod
    def named(cls, text: str, values: Sequence[float]) -> "Spectrum":
        """Energies in MeV, taken in turn, and their name in a sample's provenance."""
        if not values:
            raise InputError(f"{text} holds no energy: give at least one, in GeV.")
        checked = tuple(check_energy(value) for value in values)
        return cls(text, min(checked), max(checked), checked)

    def part(self, start: int, stop: int) -> "Spectrum":
        """Return a spectrum with the same energies for showers start to stop, with only the values needed."""
        length = stop - start
        if len(self.values) <= length:
            return self
        # Shower i takes value i modulo the length, and consecutive showers have different remainders. The
        # smallest number from ``start`` on with remainder r holds the value in place r.
        first = start - start % length
        numbers = (first + i + (length if first + i < start else 0) for i in range(length))
        return replace(self, values=tuple(self.values[i % len(self.values)] for i in numbers))

    def sample(self, seed: int, start: int, stop: int) -> npt.NDArray[np.float64]:
        """Return the energies of showers start to stop, (stop - start,) in MeV.

        All values are float32 numbers, so that no file format changes them.
        """
        if self.values:
            energies = np.array([self.values[i % len(self.values)] for i in range(start, stop)])
        elif self.logarithmic:
            # Uniform in the logarithm without taking one: low^(1 - u) high^u.
            energies = self.low * (self.high / self.low) ** _uniforms(seed, start, stop)
        else:
            energies = self.low + (self.high - self.low) * _uniforms(seed, start, stop)
        return energies.astype(np.float32).astype(np.float64)


def check_energy(value: float) -> float:
    """Return a kinetic energy in MeV, or raise `InputError` unless single precision can hold it above 0.

    Examples
    --------
    >>> check_energy(5e4)
    50000.0
    """
    if not _SMALLEST <= value <= _LARGEST:
        raise InputError(
            f"The energy {value / GeV:g} GeV is not possible: give a number above 0, in GeV, that single "
            f"precision can hold ({_SMALLEST / GeV:.1g} to {_LARGEST / GeV:.1g})."
        )
    return float(value)


def parse_energy(text: str) -> float:
    """Read an energy in GeV and return it in MeV; raises `InputError` unless it is a possible one.

    Examples
    --------
    >>> parse_energy("50")
    50000.0
    """
    try:
        return check_energy(float(text) * GeV)
    except ValueError as error:
        if isinstance(error, InputError):
            raise
        raise InputError(
            f"'{text}' is not an energy. Give GeV as 50 (fixed), 1:100 (uniform), log:1:100 (uniform in its "
            "logarithm), 10,50,100 (in turn), or a file that exists."
        ) from None


def _uniforms(seed: int, start: int, stop: int) -> npt.NDArray[np.float64]:
    """Numbers start to stop of one counter-based random stream, without making those before."""
    stream = np.random.Philox(key=seed)
    stream.advance(start // _DOUBLES_PER_COUNTER)
    # ``advance`` goes by whole counter steps of four numbers; those in front of ``start`` are skipped.
    skip = start % _DOUBLES_PER_COUNTER
    return np.random.Generator(stream).random(skip + stop - start)[skip:]
