"""Catalogues are folders."""

from pathlib import Path

import pytest

from caloforge import catalog
from caloforge.errors import CatalogError

FOLDERS = ["geometries", "models", "formats", "observables", "weights"]


@pytest.mark.parametrize("folder", FOLDERS)
def test_every_entry_loads(folder: str) -> None:
    names = catalog.names(folder)
    assert names == sorted(names)
    assert names
    for name in names:
        entry = catalog.load(folder, name)
        assert entry.is_file() if isinstance(entry, Path) else entry is not None


@pytest.mark.parametrize("folder", FOLDERS)
def test_an_unknown_name_is_answered_with_all_names(folder: str) -> None:
    known = catalog.names(folder)
    with pytest.raises(CatalogError, match=known[0]):
        catalog.load(folder, "nothing_like_it")


def test_a_slip_of_the_pen_is_answered_with_the_nearest_name() -> None:
    with pytest.raises(CatalogError, match="Did you mean 'calogan'"):
        catalog.load("models", "calogna")
