"""Catalogues: every file in a folder can be loaded by its name; nothing has to be registered.

Folders of data (``geometries``, ``samples``, ``weights``) give paths; folders of modules (``models``,
``formats``, ``observables``, ``metrics``, ``metrics/classifiers``) give the object that a module names
``ENTRY``. Modules without one hold code that the entries of a folder share.

Other packages add entries through entry points, whose groups are ``caloforge.models``,
``caloforge.observables``, ``caloforge.metrics``, ``caloforge.formats`` and ``caloforge.geometries``::

    [project.entry-points."caloforge.observables"]
    hottest_cell = "my_package.hottest_cell"    # a module with an ENTRY, which has the entry's name

    [project.entry-points."caloforge.geometries"]
    tower = "my_package"                        # a package that contains tower.toml

They appear with caloforge's own in lists, command lines and reports. ``tests/plugin`` is an example.
"""

import difflib
import importlib
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from importlib.resources import files
from pathlib import Path
from typing import Any

from caloforge.errors import CatalogError

__all__ = ["load", "names", "refresh", "unknown"]

_DATA = {"geometries": ".toml", "samples": ".h5", "weights": ".json"}
_OPEN = ("models", "observables", "metrics", "formats", "geometries")
"""Catalogues that take entries of other packages."""


def names(folder: str) -> list[str]:
    """Return the names of all entries of a catalogue, sorted; imports none of them.

    Parameters
    ----------
    folder
        A folder of the package: geometries, samples, weights, models, formats, observables, metrics,
        metrics/classifiers.

    Examples
    --------
    >>> names("samples")[:2]
    ['calogan_eplus', 'calogan_gamma']
    """
    return sorted({*_own(folder), *_foreign(folder)})


def load(folder: str, name: str) -> Any:
    """Return one entry of a catalogue: a path (data) or the module's ``ENTRY`` (code).

    Raises
    ------
    CatalogError
        No entry has this name (the message suggests the nearest one and lists all), several packages have
        one, or that of another package can't be used (the message names the packages).
    """
    own, foreign = name in _own(folder), _foreign(folder).get(name, [])
    if not own and not foreign:
        raise CatalogError(unknown(name, names(folder), what=folder))
    if len(foreign) + own > 1:
        raise CatalogError(_clash(folder, name, foreign))
    if foreign:
        return _load_foreign(folder, foreign[0])
    if folder in _DATA:
        return Path(str(files("caloforge").joinpath(folder, name + _DATA[folder])))
    return importlib.import_module(f"caloforge.{folder.replace('/', '.')}.{name}").ENTRY


def refresh() -> None:
    """Forget what was found; call this after packages were installed or ``sys.path`` changed."""
    for listing in (_own, _foreign, _installed):
        listing.cache_clear()


def unknown(name: str, known: list[str], what: str) -> str:
    """Return a sentence about an unknown name, with the nearest known one and a list of all.

    Examples
    --------
    >>> unknown("calogn", ["calogan", "ild_ecal"], what="geometries")
    "'calogn' is not among the geometries. Did you mean 'calogan'? There are: calogan, ild_ecal."
    """
    near = difflib.get_close_matches(name, known, n=1)
    hint = f"Did you mean '{near[0]}'? " if near else ""
    return f"'{name}' is not among the {what}. {hint}There are: {', '.join(known)}."


@cache
def _own(folder: str) -> frozenset[str]:
    """Return the names of caloforge's own entries."""
    suffix = _DATA.get(folder, ".py")
    items = (item for item in files("caloforge").joinpath(folder).iterdir() if item.name.endswith(suffix))
    return frozenset(
        item.name.removesuffix(suffix)
        for item in items
        # Found in the text, because an import would load torch and others only to list names.
        if folder in _DATA or "\nENTRY = " in item.read_text(encoding="utf-8")
    )


@cache
def _foreign(folder: str) -> dict[str, list[EntryPoint]]:
    """Return the entries of other packages by name; more than one for a name is a clash."""
    found: dict[str, list[EntryPoint]] = {}
    if folder in _OPEN:
        for point in _installed().select(group=f"caloforge.{folder}"):
            found.setdefault(point.name, []).append(point)
    return found


@cache
def _installed() -> Any:
    return entry_points()


def _load_foreign(folder: str, point: EntryPoint) -> Any:
    try:
        module = point.load()
    except Exception as error:  # an import can raise anything
        raise _unusable(folder, point, f"{point.value} can't be imported ({error})") from error
    if folder in _DATA:
        file = point.name + _DATA[folder]
        for path in (Path(place, file) for place in getattr(module, "__path__", [])):
            if path.is_file():
                return path
        raise _unusable(folder, point, f"{point.value} must be a package with a file {file}")
    if not hasattr(module, "ENTRY"):
        raise _unusable(folder, point, f"{point.value} must be a module with an ENTRY")
    if point.module.rpartition(".")[2] != point.name:  # files and checkpoints refer to it by this name
        raise _unusable(folder, point, f"{point.value} must be named like the entry: {point.name}.py")
    return module.ENTRY


def _unusable(folder: str, point: EntryPoint, why: str) -> CatalogError:
    return CatalogError(
        f"The package {_package(point)} adds '{point.name}' to the {folder}, but {why}: update or uninstall "
        "it."
    )


def _clash(folder: str, name: str, foreign: list[EntryPoint]) -> str:
    packages = [_package(point) for point in foreign]
    if name in _own(folder):
        packages.insert(0, "caloforge")
    return (
        f"'{name}' is in the {folder} of more than one package ({', '.join(packages)}): uninstall "
        f"{packages[-1]}, or let it choose another name."
    )


def _package(point: EntryPoint) -> str:
    return point.dist.name if point.dist else point.module.partition(".")[0]
