"""Incident energies from files."""

from pathlib import Path

import numpy as np
import pytest

from caloforge.errors import InputError, ShowerFileError
from caloforge.formats.calogan import ENTRY
from caloforge.formats.energies import parse_spectrum
from caloforge.formats.native import write
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


@pytest.mark.parametrize("text", ["50", "1:100", "log:1:100", "10,50,100", ",".join(["12.5"] * 2000)])
def test_what_is_no_file_is_read_as_ever(text: str) -> None:
    assert parse_spectrum(text) == Spectrum.parse(text)


@pytest.mark.parametrize(
    ("name", "content", "kind", "sentence"),
    [
        ("a.txt", b"", InputError, r"a\.txt holds no energy"),
        ("a.txt", b"1.5\n-2\n", InputError, "energy -2 GeV is not possible"),
        ("a.txt", b"1.5\nten\n", InputError, "'ten' is no energy"),
        ("a.png", b"\x89PNG\xff", InputError, "no text file of energies"),
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
