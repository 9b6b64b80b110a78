"""Showers in memory that are read like a file."""

from pathlib import Path

import numpy as np
import pytest

from caloforge.errors import InputError
from caloforge.formats.memory import HeldShowers, name_of, opened
from caloforge.formats.native import write
from caloforge.formats.open import open_any
from tests.conftest import MakeShowers


def test_batches_are_the_showers(make_showers: MakeShowers) -> None:
    showers = make_showers(5)
    with opened(showers) as source:
        assert isinstance(source, HeldShowers)
        batches = list(source.batches(2))
    assert [len(batch) for batch in batches] == [2, 2, 1]
    assert np.array_equal(np.concatenate([batch.cells for batch in batches]), showers.cells)
    assert name_of(showers, "reference") == "reference"


def test_a_file_of_the_caller_stays_open(make_showers: MakeShowers, tmp_path: Path) -> None:
    write(make_showers(3), tmp_path / "a.h5")
    with open_any(tmp_path / "a.h5") as file:
        with opened(file) as source:
            assert source is file
        assert len(file.read()) == 3
        assert name_of(file, "reference") == str(tmp_path / "a.h5")


def test_what_is_not_showers_is_refused() -> None:
    assert name_of(3, "reference") == "reference"  # type: ignore[arg-type]
    with pytest.raises(InputError, match="as Showers or as an open file, not as int"):
        opened(3)  # type: ignore[arg-type]
