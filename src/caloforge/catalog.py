"""A folder is its own catalogue: what lies in it can be named, and nothing has to be registered.

Folders of data (``geometries``, ``samples``, ``weights``) give paths; folders of modules (``models``,
``formats``, ``observables``, ``metrics``, ``metrics/classifiers``) give the object that a module names
``ENTRY``. Modules without one are what the entries of a folder share.
"""

import difflib
import importlib
from importlib.resources import files
from pathlib import Path
from typing import Any

from caloforge.errors import CatalogError

_DATA = {"geometries": ".toml", "samples": ".h5", "weights": ".json"}


def names(folder: str) -> list[str]:
    """Return the names of all entries of a catalogue, sorted.

    Parameters
    ----------
    folder
        A folder of the package: geometries, samples, weights, models, formats, observables, metrics,
        metrics/classifiers.
    """
    suffix = _DATA.get(folder, ".py")
    items = (item for item in files("caloforge").joinpath(folder).iterdir() if item.name.endswith(suffix))
    return sorted(
        item.name.removesuffix(suffix)
        for item in items
        if folder in _DATA or "\nENTRY = " in item.read_text(encoding="utf-8")
    )


def load(folder: str, name: str) -> Any:
    """Return one entry of a catalogue: a path (data) or the module's ``ENTRY`` (code).

    Raises
    ------
    CatalogError
        There is no entry of this name; the message names the nearest and all others.
    """
    known = names(folder)
    if name not in known:
        raise CatalogError(unknown(name, known, what=folder))
    if folder in _DATA:
        return Path(str(files("caloforge").joinpath(folder, name + _DATA[folder])))
    return importlib.import_module(f"caloforge.{folder.replace('/', '.')}.{name}").ENTRY


def unknown(name: str, known: list[str], what: str) -> str:
    """One sentence for a name that is not known: the nearest one, and all there are."""
    near = difflib.get_close_matches(name, known, n=1)
    hint = f"Did you mean '{near[0]}'? " if near else ""
    return f"'{name}' is not among the {what}. {hint}There are: {', '.join(known)}."
