"""Incident energies that are read from a file: of text, or of showers in any layout."""

from pathlib import Path

from caloforge.errors import InputError
from caloforge.formats.base import Source
from caloforge.formats.native import ShowerFile
from caloforge.formats.open import open_any
from caloforge.incident.incident import Incident
from caloforge.incident.spectrum import Spectrum, parse_energy


def parse_spectrum(text: str) -> Spectrum:
    """Read what `Spectrum.parse` does, or the energies in a file.

    A text file holds one energy in GeV a line; from a file of showers their incident energies are taken.

    Raises
    ------
    InputError
        An energy is not above 0 or not finite in single precision, or the range is empty.
    ShowerFileError
        The file of showers can't be read.
    """
    return Spectrum.named(text, _from_file(Path(text))) if names_file(text) else Spectrum.parse(text)


def names_file(text: str) -> bool:
    """Whether a text is the path of a file; a list of energies can be longer than any path may be."""
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
        raise InputError(f"{path} is no text file of energies: it needs one energy in GeV a line.") from None


def _incident(path: Path) -> list[float]:
    """Return the incident energies of a file of showers of any known layout."""
    with open_any(path) as file:
        return list(read_incident(file).energy)


def read_incident(file: Source) -> Incident:
    """Return the incident particles of all showers of an open file."""
    if isinstance(file, ShowerFile):  # which has them apart from the cells
        return file.incident()
    return Incident.concatenate([batch.incident for batch in file.batches()])
