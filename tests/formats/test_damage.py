"""Damaged files give the same showers or one clear sentence, whatever is wrong with them."""

from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import Phase, given, settings
from isal import isal_zlib

import caloforge
from caloforge import catalog, resources
from caloforge.errors import InputError, ShowerFileError
from caloforge.formats.native import ShowerFile, read, write
from caloforge.formats.open import open_any
from caloforge.formats.open import read as read_any

from .conftest import same_showers
from .damage import LAYOUTS, Case, Damage, Rebuild, check, damages, make_case


@pytest.fixture(scope="module", params=LAYOUTS)
def case(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Case:
    return make_case(request.param, tmp_path_factory.mktemp("valid"))


@pytest.fixture(scope="module")
def native(tmp_path_factory: pytest.TempPathFactory) -> Case:
    return make_case("native", tmp_path_factory.mktemp("valid"))


def test_damage_never_passes(case: Case, tmp_path: Path) -> None:
    outcomes: set[str] = set()

    # HDF5 itself can crash on the worst files, which nothing here can catch: always the same ones.
    @settings(max_examples=15, database=None, derandomize=True, phases=[Phase.generate])
    @given(damage=damages(case))
    def body(damage: Damage) -> None:
        outcomes.add(check(case, tmp_path / "a.h5", damage))

    body()
    assert "refused" in outcomes


@pytest.mark.parametrize(
    ("how", "sentence"),
    [
        ("soft link", "is a soft link"),
        ("loop", "is a soft link"),
        ("ring", "is in a loop of names"),
        ("external link", r"is a link into another file \(b.h5\)"),
        ("external storage", r"has its values in another file \(.*raw\)"),
        ("virtual", "is a virtual dataset"),
        ("endless", r"declares \d+ entries, but what is stored of it has room for at most 0"),
    ],
)
def test_what_lies_elsewhere_or_nowhere_is_refused_at_once(
    case: Case, tmp_path: Path, how: str, sentence: str
) -> None:
    path = tmp_path / "a.h5"
    for name in case.names[:: 1 + len(case.names) // 3]:
        path.write_bytes(case.content)
        Rebuild(name, how, 0)(path)
        with pytest.raises(ShowerFileError, match=sentence):
            open_any(path)


def change(case: Case, path: Path, name: str, values: object) -> Path:
    path.write_bytes(case.content)
    with h5py.File(path, "r+") as file:
        del file[name]
        file[name] = values
    return path


def sparse(case: Case, path: Path) -> dict[str, np.ndarray]:
    path.write_bytes(case.content)
    with h5py.File(path) as file:
        return {name: file[f"cells/{name}"][()].astype(np.int64) for name in ("indptr", "index")}


def test_the_cells_of_a_shower_may_lie_in_any_order_but_only_once(native: Case, tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    cells = sparse(native, path)
    first = slice(*cells["indptr"][3:5])
    twice = cells["index"].copy()
    twice[first.start + 1] = twice[first.start]
    with pytest.raises(ShowerFileError, match=f"Shower 3 has cell {twice[first.start]} twice"):
        read(change(native, path, "cells/index", twice))
    with (
        ShowerFile(path) as file,
        pytest.raises(ShowerFileError, match=r"Shower 3 has cell .* twice"),
    ):
        file.sparse(2, 5)
    path.write_bytes(native.content)
    with h5py.File(path, "r+") as file:
        for name in ("cells/index", "cells/value"):
            file[name][first] = file[name][first][::-1]
    assert same_showers(read(path), native.showers)


def test_more_entries_than_cells_are_refused_before_they_are_read(native: Case, tmp_path: Path) -> None:
    bounds = sparse(native, tmp_path / "a.h5")["indptr"]
    bounds[1:-1] = bounds[-1]
    with pytest.raises(ShowerFileError, match=r"Shower 0 has \d+ entries, more than there are cells \(24\)"):
        read(change(native, tmp_path / "a.h5", "cells/indptr", bounds))


@pytest.mark.parametrize("layout", ["native", "calochallenge"])
def test_a_thousand_times_the_incident_energy_is_named(layout: str, tmp_path: Path) -> None:
    case, path = make_case(layout, tmp_path), tmp_path / "a.h5"
    name = "cells/value" if layout == "native" else "showers"
    path.write_bytes(case.content)
    with h5py.File(path, "r+") as file:
        values = file[name][()] * 1e5
        del file[name]
        file[name] = values
    with pytest.raises(ShowerFileError, match=r"Shower \d+ has .* MeV in its cells, more than 1000 times"):
        read_any(path)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_what_read_refuses_is_not_written(layout: str, tmp_path: Path) -> None:
    showers, path = make_case(layout, tmp_path).showers[:5], tmp_path / "new.h5"
    save = write if layout == "native" else catalog.load("formats", layout).write
    kept = showers.cells[2].copy()
    for value, sentence in (
        (np.nan, "of shower 2 is nan MeV"),
        (-1, "is -1 MeV"),
        (1e8, "Shower 2 has .* 1000"),
    ):
        showers.cells[2, 1] = value
        with pytest.raises(InputError, match=sentence):
            save(showers, path)
        showers.cells[2] = kept
    showers.incident.direction[1] = 3.0
    with pytest.raises(InputError, match="direction of shower 1 is 3, 3 rad"):
        save(showers, path)
    assert not path.exists()


def test_showers_that_do_not_fit_into_memory_say_so_and_batches_work(
    case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, geometry = tmp_path / "a.h5", case.showers.geometry
    path.write_bytes(case.content)
    with open_any(path) as file:
        assert len(file) == len(case.showers)
        monkeypatch.setattr(resources, "available_memory", lambda: 12 * geometry.n_cells * 8)
        with pytest.raises(
            ShowerFileError, match=r"30 showers of .* would take about .*B of memory, of which .* in batches"
        ):
            file.read()
        assert len(file.read(3, 4)) == 1


def bomb(file: h5py.File, name: str, kind: str, entries: int) -> None:
    """Declare zeros that take a thousandth of their size in the file."""
    piece = 1 << 22
    zeros = isal_zlib.compress(bytes(np.dtype(kind).itemsize * piece), 3)
    del file[name]
    dataset = file.create_dataset(name, (entries,), kind, chunks=(piece,), compression="gzip")
    for start in range(0, entries, piece):
        dataset.id.write_direct_chunk((start,), zeros)


def test_a_bomb_of_zeros_is_never_unpacked(native: Case, tmp_path: Path) -> None:
    path, entries = tmp_path / "a.h5", 4 * 10**9
    path.write_bytes(native.content)
    with h5py.File(path, "r+") as file:
        bomb(file, "cells/index", "u1", entries)
        bomb(file, "cells/value", "f4", entries)
        file["cells/indptr"][-1] = entries
    with pytest.raises(
        ShowerFileError, match=r"would take .* of memory|Shower 29 has \d+ entries, more than"
    ):
        read(path)
    with ShowerFile(path) as file, pytest.raises(ShowerFileError, match=r"Shower 29 has \d+ entries"):
        file.sparse()


def test_pieces_larger_than_the_memory_are_refused(
    native: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.h5"
    path.write_bytes(native.content)
    monkeypatch.setattr(resources, "available_memory", lambda: 1000.0)
    with pytest.raises(ShowerFileError, match=r"The compressed pieces of .* would take about .*B of memory"):
        read(path)


def test_lists_of_texts_without_end_are_refused(native: Case, tmp_path: Path) -> None:
    content, path = bytearray(native.content), tmp_path / "a.h5"
    first = content.index(b"GCOL") + 16  # the first object's header: its number, then its size at 8
    for size in (2**64 - 16, 2**40):
        content[first + 8 : first + 16] = size.to_bytes(8, "little")
        path.write_bytes(content)
        with pytest.raises(ShowerFileError, match="truncated or damaged"):
            read(path)


def test_the_layout_of_others_is_read_by_the_same_function(case: Case, tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    path.write_bytes(case.content)
    assert same_showers(caloforge.read(path), case.showers)


def test_what_is_no_ordinary_file_is_refused_at_once() -> None:
    with pytest.raises(ShowerFileError, match="/dev/zero is not an ordinary file"):
        read("/dev/zero")


def test_a_changed_provenance_is_found(native: Case, tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    path.write_bytes(native.content.replace(b'"seed": 1', b'"seed": 2'))
    with pytest.raises(ShowerFileError, match="not what was written, as its checksum says"):
        read(path)
