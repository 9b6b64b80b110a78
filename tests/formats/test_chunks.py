"""Datasets that grow: what any HDF5 library reads from them, and what the file holds."""

from itertools import pairwise
from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from caloforge.formats._chunks import Growing

DTYPES = ["u1", "u2", "<f4", ">f4", "<f8", "i8", "?", "<f2", "g"]


def create(
    path: Path, dtype: str, tail: tuple[int, ...] = (), chunk: int = 64, **filters: object
) -> h5py.File:
    file = h5py.File(path, "w")
    options = filters or {"compression": "gzip", "compression_opts": 1, "shuffle": True}
    file.create_dataset("a", (0, *tail), dtype, maxshape=(None, *tail), chunks=(chunk, *tail), **options)
    return file


def grow(file: h5py.File, values: np.ndarray, bounds: list[int]) -> None:
    first, growing = len(file["a"]), Growing(file["a"])
    for start, stop in pairwise(bounds):
        growing.extend(values[start:stop])
        assert len(growing) == first + stop
    growing.finish()


@settings(max_examples=60)
@given(
    dtype=st.sampled_from(DTYPES),
    tail=st.sampled_from([(), (2,), (2, 3)]),
    parts=st.lists(st.integers(0, 200), max_size=5),
)
def test_hdf5_reads_what_was_appended(
    tmp_path_factory: pytest.TempPathFactory, dtype: str, tail: tuple[int, ...], parts: list[int]
) -> None:
    path = tmp_path_factory.mktemp("grown") / "a.h5"
    bounds = np.cumsum([0, *parts]).tolist()
    values = np.random.default_rng(1).integers(0, 200, (bounds[-1], *tail)).astype(dtype)
    with create(path, dtype, tail) as file:
        grow(file, values, bounds)
    with h5py.File(path) as file:
        assert file["a"].dtype == values.dtype
        np.testing.assert_array_equal(file["a"][:], values)


@pytest.mark.parametrize("bounds", [[0, 300], [0, 1, 63, 64, 129, 300], [0, 256, 300], [0, 299, 300]])
def test_the_file_does_not_depend_on_the_parts(tmp_path: Path, bounds: list[int]) -> None:
    values = np.random.default_rng(1).normal(size=300).astype(np.float32)
    for path, steps in ((tmp_path / "once.h5", [0, 300]), (tmp_path / "parts.h5", bounds)):
        with create(path, "<f4") as file:
            grow(file, values, steps)
    assert (tmp_path / "once.h5").read_bytes() == (tmp_path / "parts.h5").read_bytes()


@pytest.mark.parametrize(
    "filters",
    [{"shuffle": False}, {"compression": "gzip"}, {"compression": "lzf"}, {"fletcher32": True}],
)
@pytest.mark.parametrize("first", [0, 10, 64, 100])
def test_datasets_of_others_keep_their_filters(
    tmp_path: Path, filters: dict[str, object], first: int
) -> None:
    values = np.arange(200, dtype=np.float32)
    with create(tmp_path / "a.h5", "<f4", **filters) as file:
        file["a"].resize(first, axis=0)
        file["a"][:] = values[:first]
        grow(file, values[first:], [0, 7, 200 - first])
    with h5py.File(tmp_path / "a.h5") as file:
        np.testing.assert_array_equal(file["a"][:], values)


@pytest.mark.parametrize("first", [1, 63, 64, 65, 130])
def test_what_the_library_wrote_is_kept(tmp_path: Path, first: int) -> None:
    values = np.arange(200, dtype=np.float32)
    with create(tmp_path / "a.h5", "<f4") as file:
        file["a"].resize(first, axis=0)
        file["a"][:] = values[:first]
    with h5py.File(tmp_path / "a.h5", "r+") as file:
        grow(file, values[first:], [0, 200 - first])
    with h5py.File(tmp_path / "a.h5") as file:
        np.testing.assert_array_equal(file["a"][:], values)


@pytest.mark.parametrize("dtype", ["<f4", "<f8", "<u2"])
@pytest.mark.parametrize("n", [10, 4000, 90_000, 300_000])
def test_chunks_of_measured_numbers_come_back_and_are_compressed(tmp_path: Path, dtype: str, n: int) -> None:
    chunk = 100_000  # longer than a block of noise can be
    values = np.random.default_rng(1).lognormal(5, 1, n).astype(dtype)
    with create(tmp_path / "a.h5", dtype, chunk=chunk) as file:
        grow(file, values, [0, n // 3, n])
        assert file["a"].id.get_storage_size() < 0.96 * values.nbytes + 5000
    with h5py.File(tmp_path / "a.h5") as file:
        np.testing.assert_array_equal(file["a"][:], values)


def test_values_that_repeat_take_no_room(tmp_path: Path) -> None:
    for dtype in ("<u2", "<f4"):
        with create(tmp_path / "a.h5", dtype, chunk=10_000) as file:
            grow(file, np.ones(40_000, dtype), [0, 40_000])
            assert file["a"].id.get_storage_size() < 4000
