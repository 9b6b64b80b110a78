"""What an HDF5 file must be before anything is read from it, to the very limits."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from caloforge import resources
from caloforge.errors import ShowerFileError
from caloforge.formats._opening import Wanted, checked_dataset, open_hdf5, printable, reason

CHUNK = 10_000  # bytes
SHRINKS = 1032  # times at most, by deflation


def chunked(path: Path, length: int, *stored: int, **filters: Any) -> Path:
    """Write a dataset of so many bytes, with pieces of it of which so many bytes are stored."""
    with h5py.File(path, "w", libver="v110") as file:
        dataset = file.create_dataset("a", (length,), "u1", maxshape=(None,), chunks=(CHUNK,), **filters)
        for number, size in enumerate(stored):
            dataset.id.write_direct_chunk((number * CHUNK,), bytes(size))
    return path


GZIP = {"compression": "gzip"}
BOUNDED: list[tuple[Mapping[str, Any], int]] = [  # filters, and the fewest bytes that become a whole piece
    (GZIP, 10),
    (GZIP | {"shuffle": True}, 10),
    (GZIP | {"shuffle": True, "fletcher32": True}, 10),
    ({"shuffle": True}, CHUNK),
    ({"fletcher32": True}, CHUNK),
]


@pytest.mark.parametrize(("filters", "fewest"), BOUNDED)
def test_a_piece_may_grow_by_what_its_filters_allow_and_no_byte_more(
    tmp_path: Path, filters: Mapping[str, Any], fewest: int
) -> None:
    open_hdf5(chunked(tmp_path / "a.h5", CHUNK, fewest, **filters)).close()
    room = (fewest - 1) * (SHRINKS if "compression" in filters else 1)
    with pytest.raises(
        ShowerFileError, match=f"'a' declares {CHUNK} entries, but .* room for at most {room}\\."
    ):
        open_hdf5(chunked(tmp_path / "b.h5", CHUNK, fewest - 1, **filters))


@pytest.mark.parametrize("filters", [GZIP, {"compression": "lzf"}, {}])
def test_no_more_is_declared_than_the_pieces_hold(tmp_path: Path, filters: dict[str, Any]) -> None:
    open_hdf5(chunked(tmp_path / "a.h5", 2 * CHUNK, CHUNK, CHUNK, **filters)).close()
    with pytest.raises(ShowerFileError, match=f"declares {2 * CHUNK + 1} entries, .* at most {2 * CHUNK}\\."):
        open_hdf5(chunked(tmp_path / "b.h5", 2 * CHUNK + 1, CHUNK, CHUNK, **filters))


def test_what_filters_of_others_make_of_a_piece_is_not_known(tmp_path: Path) -> None:
    open_hdf5(chunked(tmp_path / "a.h5", CHUNK, 1, compression="lzf")).close()


def test_a_single_number_may_be_a_zero_that_was_never_written(tmp_path: Path) -> None:
    open_hdf5(chunked(tmp_path / "a.h5", 1)).close()
    with pytest.raises(ShowerFileError, match=r"declares 2 entries, .* at most 0"):
        open_hdf5(chunked(tmp_path / "b.h5", 2))


def test_a_dataset_without_values_is_none_of_numbers(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w", libver="v110") as file:
        file["a"] = h5py.Empty("f4")
    with open_hdf5(tmp_path / "a.h5") as file, pytest.raises(ShowerFileError, match="has shape None"):
        checked_dataset(file, "a", Wanted("f"), tmp_path / "a.h5")


def test_a_piece_must_fit_into_the_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.h5"
    with h5py.File(path, "w", libver="v110") as file:
        file.create_dataset("a", data=np.ones(5), maxshape=(None,), chunks=(1000,))
    monkeypatch.setattr(resources, "available_memory", lambda: 8000.0)
    open_hdf5(path).close()
    monkeypatch.setattr(resources, "available_memory", lambda: 7999.0)
    with pytest.raises(ShowerFileError, match=r"The compressed pieces of 'a' .* would take about 8 kB"):
        open_hdf5(path)


@pytest.fixture
def numbers(tmp_path: Path) -> Path:
    with h5py.File(tmp_path / "numbers.h5", "w", libver="v110") as file:
        for kind in ("?", "i4", "u2", "f4", "c8", "S3"):
            file[f"deep/{np.dtype(kind).kind}"] = np.zeros(3, kind)
        file["pairs"] = np.zeros((3, 2), "f4")
        file["one"] = np.float32(1)
        file["none"] = np.zeros(0, "f4")
        file["again"] = file["pairs"]
    return tmp_path / "numbers.h5"


def test_a_dataset_is_of_one_of_the_wanted_kinds(numbers: Path) -> None:
    with open_hdf5(numbers) as file:
        for wanted, word in (("iu", "whole numbers"), ("fiu", "numbers"), ("biuf", "truth values")):
            for kind in "biufcS":
                if kind in wanted:
                    assert checked_dataset(file, f"deep/{kind}", Wanted(wanted), numbers).dtype.kind == kind
                else:
                    with pytest.raises(ShowerFileError, match=rf"'deep/{kind}' holds \S+ instead of {word}"):
                        checked_dataset(file, f"deep/{kind}", Wanted(wanted), numbers)


@pytest.mark.parametrize(
    ("name", "tail", "sentence"),
    [
        ("pairs", (), r"has shape \(3, 2\) instead of \(N\)"),
        ("pairs", (3,), r"has shape \(3, 2\) instead of \(N, 3\)"),
        ("deep/f", (2,), r"has shape \(3,\) instead of \(N, 2\)"),
        ("one", (), r"has shape \(\) instead of \(N\)"),
        ("missing", (), "no dataset 'missing'"),
        ("deep", (), "no dataset 'deep'"),
        ("deep/missing", (), "no dataset 'deep/missing'"),
        ("pairs/missing", (), "no dataset 'pairs/missing'"),
    ],
)
def test_a_dataset_of_another_shape_or_none_is_named(
    numbers: Path, name: str, tail: tuple[int, ...], sentence: str
) -> None:
    with open_hdf5(numbers) as file, pytest.raises(ShowerFileError, match=f"is damaged: .*{sentence}"):
        checked_dataset(file, name, Wanted("f", tail), numbers)


def test_a_dataset_of_the_wanted_shape_may_be_empty_and_have_two_names(numbers: Path) -> None:
    with open_hdf5(numbers) as file:
        for name, tail in (("pairs", (2,)), ("again", (2,)), ("none", ())):
            assert checked_dataset(file, name, Wanted("f", tail), numbers) == file[name]


def test_the_first_sentence_of_an_exception_is_its_reason() -> None:
    assert reason(ValueError("it is  so.\nAnd more. ")) == "it is so"
    assert reason(ValueError("x" * 300)) == "x" * 200
    assert reason(KeyError()) == "KeyError"
    assert printable("a\udc80").isprintable()


def test_a_pointer_to_another_file_is_refused_by_its_name(tmp_path: Path) -> None:
    for name, link in (("soft", h5py.SoftLink("/a")), ("external", h5py.ExternalLink("other.h5", "/a"))):
        with h5py.File(tmp_path / f"{name}.h5", "w", libver="v110") as file:
            file["a"] = np.ones(3)
            file["deep/b"] = link
        with pytest.raises(ShowerFileError, match=r"'deep/b' is a (soft )?link .*\((/a|other\.h5)\)"):
            open_hdf5(tmp_path / f"{name}.h5")
