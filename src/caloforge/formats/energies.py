"""Incident energies that are read from a file: of text, or of showers in any layout."""

import reprlib
from pathlib import Path

import numpy as np
import numpy.typing as npt

from caloforge.errors import InputError
from caloforge.formats.base import Source
from caloforge.formats.native import ShowerFile
from caloforge.formats.open import open_any
from caloforge.incident.incident import Incident
from caloforge.incident.spectrum import Spectrum, parse_energy

__all__ = ["Energies", "as_spectrum", "names_file", "parse_spectrum", "read_incident"]

_NONE = np.zeros(0, np.int32)


def parse_spectrum(text: str) -> Spectrum:
    """Read what `Spectrum.parse` does, or the energies in a file.

    A text file holds one energy in GeV a line; from a file of showers their incident energies are taken.

    Raises
    ------
    InputError
        An energy is not above 0 or not finite in single precision, or the range is empty.
    ShowerFileError
        The file of showers can't be read.

    Examples
    --------
    >>> parse_spectrum("10,50").values
    (10000.0, 50000.0)
    """
    return Spectrum.named(text, _from_file(Path(text))) if names_file(text) else Spectrum.parse(text)


Energies = float | tuple[float, float] | npt.ArrayLike | str | Path | Spectrum
"""Incident energies as callers give them: numbers in MeV, text as on the command line in GeV."""


def as_spectrum(energy: Energies) -> Spectrum:
    """Return the spectrum that a caller asks for.

    Parameters
    ----------
    energy
        Kinetic energies: a number in MeV; a pair (low, high) in MeV, uniform between both; a list or an array
        in MeV, taken in turn; text as the command line takes it, in GeV (``"50"``, ``"1:100"``,
        ``"log:1:100"``, ``"10,50,100"``); or the name of a file of energies or showers.

    Raises
    ------
    InputError
        It is none of these, or an energy is not above 0 or not finite in single precision.
    ShowerFileError
        The file of showers can't be read.

    Examples
    --------
    >>> as_spectrum((1e3, 1e5)) == as_spectrum("1:100")
    True
    >>> as_spectrum([1e4, 2e4]).values
    (10000.0, 20000.0)
    """
    if isinstance(energy, Spectrum):
        return energy
    if isinstance(energy, Path) and not names_file(str(energy)):
        raise InputError(f"There is no file {energy}: give one of energies in GeV, or of showers.")
    if isinstance(energy, str | Path):
        return parse_spectrum(str(energy))
    values = _in_mev(energy)
    if isinstance(energy, tuple) and len(values) == 2:
        low, high = values
        return Spectrum.uniform(low, high)
    return Spectrum.listed(values)


def _in_mev(energy: npt.ArrayLike) -> list[float]:
    try:
        given = np.asarray(energy)
    except ValueError:  # a list of lists of several lengths
        given = np.asarray(None)
    if given.dtype.kind not in "iuf" or given.ndim > 1 or given.size == 0:
        raise InputError(
            f"{reprlib.repr(energy)} can't be incident energies: give MeV as a number, a pair (low, high) or "
            "a list; or text in GeV, such as '50' or '1:100'."
        )
    values: list[float] = np.atleast_1d(given).astype(np.float64).tolist()
    for value in values:
        if not 0 < value < np.inf:
            raise InputError(f"The energy {value:g} MeV is not possible: give finite numbers above 0.")
    return values


def names_file(text: str) -> bool:
    """Whether a text is the path of a file; a list of energies can be longer than any path may be.

    Examples
    --------
    >>> names_file("1:100")
    False
    """
    try:
        return Path(text).is_file()
    except OSError:
        return False


def _from_file(path: Path) -> list[float]:
    if path.suffix in (".h5", ".hdf5"):
        return _incident(path)
    try:
        return [parse_energy(line) for line in path.read_text(encoding="utf-8").split()]
    except UnicodeDecodeError:
        raise InputError(
            f"{path} is not a text file of energies: it needs one energy in GeV per line."
        ) from None


def _incident(path: Path) -> list[float]:
    """Return the incident energies of a file of showers of any known layout."""
    with open_any(path) as file:
        return list(read_incident(file).energy)


def read_incident(file: Source) -> Incident:
    """Return the incident particles of all showers of an open file."""
    if isinstance(file, ShowerFile):  # which stores them apart from the cells
        return file.incident()
    return Incident.concatenate([Incident(_NONE, _NONE), *(batch.incident for batch in file.batches())])
