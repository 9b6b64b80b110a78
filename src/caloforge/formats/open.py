"""Open a file of showers of any layout."""

from pathlib import Path

from caloforge import catalog
from caloforge.formats.base import Source, recognise
from caloforge.formats.native import ShowerFile
from caloforge.geometry import Calorimeter


def open_any(path: str | Path, pdg: int | None = None, geometry: Calorimeter | None = None) -> Source:
    """Open a file of showers to read, caloforge's own or of any layout of the catalogue.

    ``pdg`` and ``geometry`` are for foreign files that do not say them.

    Raises
    ------
    ShowerFileError
        The file is missing, truncated, or of no known layout.
    """
    name = recognise(path)
    if name is None:
        return ShowerFile(path)
    source: Source = catalog.load("formats", name).open(path, pdg, geometry)
    return source
