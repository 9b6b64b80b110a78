"""Open or read a file of showers of any layout."""

from pathlib import Path

from caloforge import catalog
from caloforge.formats._opening import open_hdf5
from caloforge.formats.base import Source, recognise
from caloforge.formats.native import ShowerFile
from caloforge.geometry import Calorimeter
from caloforge.showers import Showers


def read(path: str | Path, pdg: int | None = None, geometry: Calorimeter | None = None) -> Showers:
    """Read all showers of a file, caloforge's own or of any layout of the catalogue.

    A file that is larger than the memory can be read in batches: ``open_any(path).batches()``.

    Parameters
    ----------
    path
        The file.
    pdg, geometry
        PDG id of the incident particle and calorimeter, for foreign files that do not say them.

    Raises
    ------
    ShowerFileError
        The file is missing, damaged, of no known layout, or needs more memory than there is.
    InputError
        The calorimeter is not known, or the cells in the file are not its.

    Examples
    --------
    >>> read(catalog.load("samples", catalog.names("samples")[0]))
    <300 showers in calogan>
    """
    with open_any(path, pdg, geometry) as file:
        return file.read()


def open_any(path: str | Path, pdg: int | None = None, geometry: Calorimeter | None = None) -> Source:
    """Open a file of showers to read, caloforge's own or of any layout of the catalogue.

    ``pdg`` and ``geometry`` are for foreign files that do not say them.

    Raises
    ------
    ShowerFileError
        The file is missing, damaged, or of no known layout.
    InputError
        As `read` says.
    """
    open_hdf5(Path(path)).close()  # what can't be opened needs no look at each layout
    name = recognise(path)
    if name is None:
        return ShowerFile(path)
    source: Source = catalog.load("formats", name).open(path, pdg, geometry)
    return source
