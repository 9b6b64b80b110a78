"""Files of showers are opened whatever their layout."""

import h5py
import numpy as np
import pytest

from caloforge.errors import ShowerFileError
from caloforge.formats.calochallenge import ENTRY
from caloforge.formats.native import ShowerFile, write
from caloforge.formats.open import open_any, read


def test_caloforges_own_file_and_a_foreign_one(make_showers, tmp_path):
    showers = make_showers(3)
    write(showers, tmp_path / "ours.h5")
    ENTRY.write(showers, tmp_path / "theirs.h5")
    with open_any(tmp_path / "ours.h5") as ours, open_any(tmp_path / "theirs.h5") as theirs:
        assert isinstance(ours, ShowerFile)
        assert not isinstance(theirs, ShowerFile)
        for file in (ours, theirs):
            assert len(file) == 3
            assert np.array_equal(file.read().cells, showers.cells)


def test_what_a_foreign_file_does_not_say_is_told(make_showers, calogan, tmp_path):
    ENTRY.write(make_showers(3), tmp_path / "a.h5")
    with h5py.File(tmp_path / "a.h5", "r+") as file:
        del file["caloforge"]
    with open_any(tmp_path / "a.h5", 211, calogan) as file:
        assert file.geometry == calogan
        assert set(file.read().pdg) == {211}


def test_what_nobody_knows_is_refused(tmp_path):
    with pytest.raises(ShowerFileError, match="does not exist"):
        open_any(tmp_path / "none.h5")
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["something"] = 1.0
    with pytest.raises(ShowerFileError, match="nor of a known layout"):
        open_any(tmp_path / "a.h5")


def test_read_takes_every_layout_and_words_for_what_it_does_not_say(make_showers, calogan, tmp_path):
    showers = make_showers(3)
    write(showers, tmp_path / "ours.h5")
    ENTRY.write(showers, tmp_path / "theirs.h5")
    with h5py.File(tmp_path / "theirs.h5", "r+") as file:
        del file["caloforge"]
    assert np.array_equal(read(tmp_path / "ours.h5").cells, showers.cells)
    theirs = read(str(tmp_path / "theirs.h5"), particle="pi+", geometry="calogan")
    assert np.array_equal(theirs.cells, showers.cells)
    assert set(theirs.pdg.tolist()) == {211}
    assert theirs.geometry == calogan


def test_read_refuses_what_a_file_contradicts(make_showers, tmp_path):
    write(make_showers(3), tmp_path / "a.h5")
    assert len(read(tmp_path / "a.h5", particle=-11, geometry="calogan")) == 3
    with pytest.raises(ShowerFileError, match=r"showers of e\+, not of gamma: leave the particle out"):
        read(tmp_path / "a.h5", particle="gamma")
    with pytest.raises(ShowerFileError, match="two calorimeters, calogan and ild_ecal"):
        read(tmp_path / "a.h5", geometry="ild_ecal")
