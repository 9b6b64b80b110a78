"""Incident energies from files."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from caloforge.errors import InputError, ShowerFileError
from caloforge.formats.calogan import ENTRY
from caloforge.formats.energies import Energies, as_spectrum, parse_spectrum, read_incident
from caloforge.formats.native import ShowerFile, write
from caloforge.formats.open import open_any
from caloforge.incident.spectrum import Spectrum


def test_a_text_file_gives_one_energy_a_line(tmp_path: Path) -> None:
    (tmp_path / "energies.txt").write_text("1.5\n20\n")
    spectrum = parse_spectrum(str(tmp_path / "energies.txt"))
    np.testing.assert_array_equal(spectrum.sample(1, 0, 2), [1500, 20000])
    assert spectrum.text == str(tmp_path / "energies.txt")


@pytest.mark.parametrize("save", [write, ENTRY.write])
def test_a_file_of_showers_gives_its_energies(tmp_path: Path, make_showers, save) -> None:
    showers = make_showers(9)
    save(showers, tmp_path / "a.h5")
    spectrum = parse_spectrum(str(tmp_path / "a.h5"))
    np.testing.assert_array_equal(spectrum.sample(1, 0, 9), showers.energy)


def test_energies_of_any_source(tmp_path: Path, make_showers) -> None:
    showers = make_showers(9)
    write(showers, tmp_path / "ours.h5")
    ENTRY.write(showers, tmp_path / "theirs.h5")
    for name in ("ours.h5", "theirs.h5"):
        with open_any(tmp_path / name) as source:
            np.testing.assert_array_equal(read_incident(source).energy, showers.energy)
    ENTRY.write(showers[:0], tmp_path / "none.h5")
    with open_any(tmp_path / "none.h5") as source:
        assert read_incident(source).energy.shape == (0,)


def test_energies_of_our_own_file_are_read_without_its_cells(
    tmp_path: Path, make_showers, monkeypatch
) -> None:
    write(make_showers(9), tmp_path / "a.h5")
    monkeypatch.setattr(ShowerFile, "_entries", None)
    with ShowerFile(tmp_path / "a.h5") as source:
        assert len(read_incident(source)) == 9


@pytest.mark.parametrize("text", ["50", "1:100", "log:1:100", "10,50,100", ",".join(["12.5"] * 2000)])
def test_what_is_no_file_is_read_as_ever(text: str) -> None:
    assert parse_spectrum(text) == Spectrum.parse(text)


@pytest.mark.parametrize(
    ("name", "content", "kind", "sentence"),
    [
        ("a.txt", b"", InputError, r"a\.txt holds no energy"),
        ("a.txt", b"1.5\n-2\n", InputError, "energy -2 GeV is not possible"),
        ("a.txt", b"1.5\nten\n", InputError, "'ten' is not an energy"),
        ("a.png", b"\x89PNG\xff", InputError, "not a text file of energies"),
        ("a.h5", b"1.5\n", ShowerFileError, "not an HDF5 file"),
    ],
)
def test_a_file_without_energies_is_refused(
    tmp_path: Path, name: str, content: bytes, kind: type[Exception], sentence: str
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(kind, match=sentence):
        parse_spectrum(str(tmp_path / name))


def test_a_file_that_is_not_there_is_no_energy() -> None:
    with pytest.raises(InputError, match="or a file that exists"):
        parse_spectrum("no/file.txt")


@pytest.mark.parametrize(
    ("energy", "same"),
    [
        (5e4, "50"),
        (np.float32(5e4), "50"),
        ((1e3, 1e5), "1:100"),
        ([1e4, 5e4], "10,50"),
        (np.array([1e4, 5e4]), "10,50"),
        ((1e4, 5e4, 1e5), "10,50,100"),
        ("log:1:100", "log:1:100"),
        (Spectrum.listed(5e4), "50"),
    ],
)
def test_energies_are_mev_as_numbers_and_gev_as_text(energy: Energies, same: str) -> None:
    assert as_spectrum(energy) == parse_spectrum(same)


def test_energies_may_be_those_of_a_file(tmp_path: Path) -> None:
    (tmp_path / "energies.txt").write_text("1\n2\n")
    for name in (tmp_path / "energies.txt", str(tmp_path / "energies.txt")):
        assert as_spectrum(name).values == (1e3, 2e3)
    with pytest.raises(InputError, match="There is no file"):
        as_spectrum(tmp_path / "nothing.txt")


@pytest.mark.parametrize(
    "wrong", [None, [], [[1e4]], [[1], [2, 3]], 1 + 2j, True, {"a": 1}, b"50", np.array(["50"]), ("1", "2")]
)
def test_what_is_not_an_energy_is_refused_with_the_ways_to_write_one(wrong: Any) -> None:
    with pytest.raises(InputError, match="can't be incident energies: give MeV as a number"):
        as_spectrum(wrong)


@pytest.mark.parametrize(
    ("wrong", "named"),
    [(0, "0"), (-5.0, "-5"), (np.nan, "nan"), (np.inf, "inf"), ([1e4, -1.0], "-1"), ((0, 1e4), "0")],
)
def test_impossible_energies_are_refused_in_the_unit_in_which_they_were_given(wrong: Any, named: str) -> None:
    with pytest.raises(
        InputError, match=f"The energy {named} MeV is not possible: give finite numbers above"
    ):
        as_spectrum(wrong)


def test_an_empty_range_of_energies_is_refused() -> None:
    with pytest.raises(InputError, match="is empty"):
        as_spectrum((2e4, 1e4))
