"""Folders of trained models, and the model that a name means.

A model is its record, ``NAME.json``, with the graph that it names and the card ``NAME.md`` next to it.
It may ship with caloforge (``weights``), be in ``zoo/`` of the repository that caloforge runs from, in a
folder that the environment variable ``CALOFORGE_MODELS`` lists, or in the user's own folder, which `home`
names. If two folders have the same name, the first one counts: models that ship are the same for all users.
"""

import os
from importlib.resources import files
from pathlib import Path

from caloforge.catalog import unknown
from caloforge.errors import CatalogError
from caloforge.inference.record import read_json

__all__ = ["VARIABLE", "describes_a_graph", "folders", "home", "locate", "names", "records", "shipped"]

VARIABLE = "CALOFORGE_MODELS"


def home() -> Path:
    """Return the user's own folder of models, which need not exist."""
    from platformdirs import user_data_path

    return user_data_path("caloforge", appauthor=False) / "models"


def shipped() -> Path:
    """Return the folder of models in the package.

    Examples
    --------
    >>> shipped().name
    'weights'
    """
    return Path(str(files("caloforge").joinpath("weights")))


def folders() -> list[Path]:
    """Return every folder in which models are looked for, the first one first; they need not exist.

    Examples
    --------
    >>> folders()[0] == shipped()
    True
    """
    source = shipped().parents[1]
    # An installed package is in site-packages, a checkout in src.
    checkout = [source.with_name("zoo")] if source.name == "src" else []
    listed = [Path(folder) for folder in os.environ.get(VARIABLE, "").split(os.pathsep) if folder]
    return [shipped(), *checkout, *listed, home()]


def records() -> dict[str, Path]:
    """Return the path of every record that is found, by name.

    Examples
    --------
    >>> records()["fast_eplus"].name
    'fast_eplus.json'
    """
    found: dict[str, Path] = {}
    for folder in folders():
        for path in sorted(folder.glob("*.json")):
            if path.stem not in found and describes_a_graph(path):
                found[path.stem] = path
    return found


def names() -> list[str]:
    """Return the names of all models that are found: those that ship, then those of the other folders.

    Examples
    --------
    >>> names()[:2]
    ['cascade_gamma', 'fast_eplus']
    """
    return list(records())


def locate(name: str) -> Path:
    """Return the path of a model's record.

    Raises
    ------
    CatalogError
        No model of this name is found; the message names the nearest, all others, and where to get more.

    Examples
    --------
    >>> locate("fast_eplus").name
    'fast_eplus.json'
    """
    found = records()
    if name not in found:
        raise CatalogError(
            f"{unknown(name, list(found), what='models')} The zoo/ of caloforge's repository has more: "
            f"'caloforge models add FOLDER' (or the URL of a record) takes them over, or {VARIABLE} lists "
            "the folder."
        )
    return found[name]


def describes_a_graph(path: Path) -> bool:
    """Tell records from other JSON files in the same folder; shipped records are not checked.

    Examples
    --------
    >>> describes_a_graph(locate("fast_eplus"))
    True
    """
    if path.parent == shipped():
        return True
    try:
        content = read_json(path)
    except OSError:
        return False
    return isinstance(content, dict) and "graph" in content
