"""Open or read a file of showers of any layout."""

from pathlib import Path
from typing import SupportsIndex

from caloforge import catalog
from caloforge.errors import ShowerFileError
from caloforge.formats._opening import open_hdf5
from caloforge.formats.base import Source, recognise
from caloforge.formats.native import ShowerFile
from caloforge.geometry import Calorimeter
from caloforge.incident.particles import parse_particle, particle_name
from caloforge.showers import Showers
from caloforge.showers.showers import check_same_geometry

__all__ = ["open_any", "read"]


def read(
    path: str | Path,
    particle: str | SupportsIndex | None = None,
    geometry: str | Path | Calorimeter | None = None,
) -> Showers:
    """Read all showers of a file, caloforge's own or of any layout of the catalogue.

    For a file larger than the memory, use `open_any` and its ``batches``.

    Parameters
    ----------
    path
        The file.
    particle, geometry
        Name or PDG id of the incident particle, and name, TOML file or `Calorimeter`: for foreign files that
        do not say them.

    Returns
    -------
        The showers; cells and energies are in MeV, whatever the file has.

    Raises
    ------
    ShowerFileError
        The file is missing, damaged or of no known layout, or it holds showers of another particle or
        calorimeter than the given one.

    Examples
    --------
    >>> from caloforge import catalog
    >>> showers = read(catalog.load("samples", "calogan_gamma"))
    >>> showers.geometry
    <calorimeter calogan: 3 layers, 504 cells>
    """
    pdg = None if particle is None else parse_particle(particle)
    calorimeter = None if geometry is None else Calorimeter.of(geometry)
    with open_any(path, pdg, calorimeter) as source:
        showers = source.read()
    if calorimeter is not None:
        check_same_geometry(showers.geometry, calorimeter, f"{path} and what was asked for", ShowerFileError)
    found = set(showers.pdg.tolist())
    if pdg is not None and found - {pdg}:
        names = ", ".join(map(particle_name, sorted(found)))
        raise ShowerFileError(
            f"{path} holds showers of {names}, not of {particle_name(pdg)}: leave the particle out."
        )
    return showers


def open_any(path: str | Path, pdg: int | None = None, geometry: Calorimeter | None = None) -> Source:
    """Open a file of showers to read, caloforge's own or of any layout of the catalogue.

    ``pdg`` and ``geometry`` are for foreign files that do not say them.

    Raises
    ------
    ShowerFileError
        The file is missing, damaged, or of no known layout.
    InputError
        As `read` says.

    Examples
    --------
    >>> from caloforge import catalog
    >>> path = catalog.load("samples", "calogan_gamma")
    >>> with open_any(path) as source:
    ...     first = next(source.batches(size=10))
    >>> first
    <10 showers in calogan>
    """
    open_hdf5(Path(path)).close()  # a file that can't be opened has no layout to look for
    name = recognise(path)
    if name is None:
        return ShowerFile(path)
    source: Source = catalog.load("formats", name).open(path, pdg, geometry)
    return source
