"""caloforge's own file of showers."""

import gzip
import signal
import subprocess
import sys
import textwrap
from dataclasses import replace
from itertools import pairwise

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from caloforge import resources
from caloforge.errors import InputError, ShowerFileError
from caloforge.formats import native
from caloforge.formats.native import ShowerFile, ShowerWriter, read, write
from caloforge.geometry import Axis, Calorimeter, Layer
from caloforge.incident.incident import FIELDS, Incident
from caloforge.showers import Showers

from .conftest import calorimeter


def assert_equal(first, second):
    assert first.geometry == second.geometry
    assert first.provenance == second.provenance
    assert first.columns.keys() == second.columns.keys()
    fields = [(first.cells, second.cells)]
    fields += [(getattr(first.incident, name), getattr(second.incident, name)) for name in FIELDS]
    fields += [(first.columns[name], second.columns[name]) for name in first.columns]
    for one, other in fields:
        assert one.dtype == other.dtype
        assert np.array_equal(one, other, equal_nan=one.dtype.kind == "f")


@pytest.fixture(scope="module")
def tiny():
    """A calorimeter of 2 x 3 + 1 x 2 cells."""
    slab = {"material": "G4_Si", "thickness": 2.0, "role": "active"}
    return Calorimeter.from_dict(
        {
            "name": "tiny",
            "description": "",
            "reference": "",
            "visible": ["active"],
            "stack": [{"repeat": 1, "slabs": [slab]}],
            "layers": [
                {"z": [0, 1], "eta": {"edges": [0, 1, 2, 4]}, "phi": {"edges": [0, 1, 2]}},
                {"z": [1, 2], "eta": {"edges": [0, 2, 4]}, "phi": {"edges": [0, 2]}},
            ],
        }
    )


@st.composite
def samples(draw):
    n = draw(st.integers(0, 6))
    shares = st.one_of(st.just(0.0), st.floats(0, 100))
    number = st.floats(1e-6, 1e30)
    finite = st.floats(-4, 4, width=32)
    angles = st.floats(0, 1.5, width=32)
    incident = Incident(
        draw(arrays.arrays(np.int32, n, elements=st.sampled_from([11, -11, 22, 211, 1000020040]))),
        draw(arrays.arrays(np.float64, n, elements=number)),
        draw(arrays.arrays(np.float32, (n, 2), elements=angles)),
        draw(arrays.arrays(np.float32, (n, 2), elements=finite)),
    )
    cells = draw(arrays.arrays(np.float64, (n, 8), elements=shares)) * incident.energy[:, None]
    return {
        "cells": cells.astype(np.float32),
        "incident": incident,
        "columns": {"leaked": draw(arrays.arrays(np.float64, n)), "tries": np.arange(n, dtype=np.int16)},
        "provenance": draw(
            st.dictionaries(st.text(), st.one_of(st.integers(), st.text(), st.none()), max_size=3)
        ),
    }


@settings(max_examples=50)
@given(sample=samples())
def test_a_file_gives_back_what_was_saved(tiny, tmp_path_factory, sample):
    showers = Showers(tiny, **sample)
    path = tmp_path_factory.mktemp("round") / "showers.h5"
    write(showers, path)
    assert_equal(read(path), showers)


@settings(max_examples=30)
@given(parts=st.lists(st.integers(0, 5), min_size=1, max_size=6), append=st.booleans())
def test_written_in_parts_is_written_at_once(make_showers, tmp_path_factory, parts, append):
    whole = make_showers(sum(parts))
    path = tmp_path_factory.mktemp("parts") / "showers.h5"
    bounds = np.cumsum([0, *parts])
    if append:
        for a, b in pairwise(bounds):
            with ShowerWriter(path, whole.geometry, whole.provenance, append=True) as writer:
                writer.write(whole[a:b])
    else:
        with ShowerWriter(path, whole.geometry, whole.provenance) as writer:
            for a, b in pairwise(bounds):
                writer.write(whole[a:b])
                assert len(writer) == b
    assert_equal(read(path), whole)


@settings(max_examples=60)
@given(start=st.integers(-15, 15), stop=st.none() | st.integers(-15, 15), size=st.integers(1, 12))
def test_ranges_and_batches(range_file, start, stop, size):
    with ShowerFile(range_file) as file:
        whole = file.read()
        assert_equal(file.read(start, stop), whole[start:stop])
        batches = list(file.batches(size))
        assert [len(batch) for batch in batches[:-1]] == [size] * (len(batches) - 1)
        assert_equal(Showers.concatenate(batches), whole)


@pytest.fixture(scope="module")
def range_file(make_showers, tmp_path_factory):
    """Ten showers, of which some are empty, the last two included."""
    showers = make_showers(10)
    showers.cells[[0, 4, 5, 8, 9]] = 0
    path = tmp_path_factory.mktemp("ranges") / "showers.h5"
    write(showers, path)
    return path


def test_a_file_is_read_without_loading_it(range_file):
    with ShowerFile(range_file) as file:
        assert len(file) == 10
        assert file.geometry == Calorimeter.load("calogan")
        assert file.provenance == {"seed": 1}
        assert file.column_names == ["leaked", "tries"]
        for name in FIELDS:
            assert np.array_equal(getattr(file.incident(), name), getattr(file.read().incident, name))
            assert np.array_equal(getattr(file.incident(3, 5), name), getattr(file.read(3, 5).incident, name))
        assert len(file.incident(5, 3)) == 0
        assert file.sparse(5, 3).shape == (0, 504)
        assert np.array_equal(file.sparse(3, 5).toarray(), file.read(3, 5).cells)
        with pytest.raises(InputError, match="at least 1"):
            next(file.batches(0))


def test_sparse_cells_are_those_of_all_showers_unless_some_are_asked_for(range_file):
    with ShowerFile(range_file) as file:
        assert np.array_equal(file.sparse().toarray(), file.read().cells)
        assert np.array_equal(file.sparse(-3).toarray(), file.read().cells[-3:])
        assert len(file.incident()) == 10


def test_every_energy_but_zero_is_kept(tiny, tmp_path):
    energies = [0.0, 1.0, 1e-45, 1e-3, 2.0, 0.5, float(np.finfo(np.float32).max), 0.0]
    write(Showers(tiny, [energies], Incident(22, 1e38)), tmp_path / "a.h5")
    assert read(tmp_path / "a.h5").cells.tolist() == np.array([energies], np.float32).tolist()
    with h5py.File(tmp_path / "a.h5") as file:
        assert file["cells/index"][:].tolist() == [1, 2, 3, 4, 5, 6]


def test_a_wrong_shower_is_named_by_its_number_in_the_file(tiny, tmp_path):
    good, wrong = (Showers(tiny, np.full((3, 8), 1.0), Incident(22, energy)) for energy in (1.0, 1e-3))
    with pytest.raises(InputError, match="Shower 3 has 8 MeV"), ShowerWriter(tmp_path / "a.h5", tiny) as file:  # noqa: PT012
        file.write(good)
        file.write(wrong)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("cells", "dtype"), [(256, np.uint8), (257, np.uint16)])
def test_numbers_of_cells_take_as_few_bytes_as_they_can(tmp_path, cells, dtype):
    layer = Layer((0, 1), Axis.uniform(cells, -1.0, 1.0), Axis.uniform(1, -1.0, 1.0))
    showers = Showers(calorimeter("row", layer), np.eye(1, cells, cells - 1), Incident(22, 1.0))
    write(showers, tmp_path / "a.h5")
    assert_equal(read(tmp_path / "a.h5"), showers)
    with h5py.File(tmp_path / "a.h5") as file:
        assert file["cells/index"].dtype == dtype


def test_showers_are_read_if_the_memory_just_has_room(saved, monkeypatch):
    with ShowerFile(saved) as file:
        entries = file.sparse(2, 5).nnz
        monkeypatch.setattr(resources, "available_memory", lambda: 4.0 * 3 * 504 + 32 * entries)
        assert len(file.read(2, 5)) == 3
        monkeypatch.setattr(resources, "available_memory", lambda: 4.0 * 3 * 504 + 32 * entries - 1)
        with pytest.raises(ShowerFileError, match=r"The 3 showers of 504 cells .* in batches"):
            file.read(2, 5)


def test_cells_are_stored_sparsely(make_showers, calogan, calogan_fine, tmp_path):
    for geometry, dtype in ((calogan, np.uint16), (calogan_fine, np.uint16)):
        showers = make_showers(4, geometry)
        write(showers, tmp_path / "a.h5")
        with h5py.File(tmp_path / "a.h5") as file:
            assert file["cells/index"].dtype == dtype
            assert len(file["cells/value"]) == np.count_nonzero(showers.cells)
            assert (file.attrs["format"], file.attrs["version"]) == ("caloforge-showers", 2)


def test_long_provenance_fits(make_showers, tmp_path):
    showers = make_showers(1)
    long = Showers(
        showers.geometry, showers.cells, Incident(22, 1e4), provenance={"seeds": list(range(50_000))}
    )
    write(long, tmp_path / "a.h5")
    assert read(tmp_path / "a.h5").provenance == long.provenance


def test_an_exception_while_appending_keeps_the_old_file(make_showers, tmp_path):
    path = tmp_path / "showers.h5"
    showers = make_showers(3)
    write(showers, path)
    before = path.read_bytes()
    with pytest.raises(RuntimeError), ShowerWriter(path, showers.geometry, append=True) as writer:  # noqa: PT012
        writer.write(showers)
        raise RuntimeError
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_a_failure_before_the_first_shower_leaves_no_file_open(make_showers, tmp_path, monkeypatch):
    showers = make_showers(1)
    opened = []

    def fail(file, _):
        opened.append(file)
        raise RuntimeError

    monkeypatch.setattr(native, "_create_layout", fail)
    with pytest.raises(RuntimeError), ShowerWriter(tmp_path / "a.h5", showers.geometry):
        pass
    assert not any(opened)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("append", [False, True])
def test_killed_while_writing_keeps_the_old_file(make_showers, tmp_path, append):
    path = tmp_path / "showers.h5"
    write(make_showers(3), path)
    before = path.read_bytes()
    script = f"""
        import os, signal
        from caloforge.formats.native import ShowerWriter, read
        showers = read({str(path)!r})
        with ShowerWriter({str(path)!r}, showers.geometry, append={append}) as writer:
            for _ in range(50):
                writer.write(showers)
            writer._file.flush()
            os.kill(os.getpid(), signal.SIGKILL)
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(script)], check=False)
    assert done.returncode == -signal.SIGKILL
    assert path.read_bytes() == before


def test_the_first_shower_decides_the_columns_and_not_an_empty_sample(make_showers, tmp_path):
    showers = make_showers(3)
    bare = Showers(showers.geometry, showers.cells, Incident(22, 1e4))
    with ShowerWriter(tmp_path / "a.h5", showers.geometry) as writer:
        writer.write(showers[:0])
        writer.write(bare)
    assert_equal(read(tmp_path / "a.h5"), bare)


def test_only_fitting_showers_are_appended(make_showers, calogan_fine, tmp_path):
    path = tmp_path / "showers.h5"
    showers = make_showers(3)
    write(showers, path)
    with pytest.raises(ShowerFileError, match="calogan and calogan_fine"):
        ShowerWriter(path, calogan_fine, append=True)
    with pytest.raises(ShowerFileError, match="differ in"), ShowerWriter(path, showers.geometry) as writer:
        writer.write(make_showers(1, calogan_fine))
    bare = Showers(showers.geometry, showers.cells, Incident(22, 1e4))
    with (
        pytest.raises(InputError, match="columns none"),
        ShowerWriter(path, showers.geometry, append=True) as writer,
    ):
        writer.write(bare)
    floats = Showers(
        showers.geometry, showers.cells, Incident(22, 1e4), columns={"leaked": [0] * 3, "tries": [1.5] * 3}
    )
    with (
        pytest.raises(InputError, match="'tries'"),
        ShowerWriter(path, showers.geometry, append=True) as writer,
    ):
        writer.write(floats)
    with pytest.raises(InputError, match="JSON"):
        ShowerWriter(path, showers.geometry, {"path": object()})
    with pytest.raises(InputError, match="JSON"):
        ShowerWriter(path, showers.geometry, {"mean": float("nan")})
    assert_equal(read(path), showers)


@pytest.fixture
def saved(make_showers, tmp_path):
    path = tmp_path / "showers.h5"
    write(make_showers(40), path)
    return path


@pytest.mark.parametrize("share", [1e-4, 0.01, 0.3, 0.9, 0.999])
def test_a_truncated_file_is_recognised(saved, share):
    whole = saved.read_bytes()
    saved.write_bytes(whole[: max(1, int(share * len(whole)))])
    with pytest.raises(ShowerFileError, match="truncated"):
        read(saved)


def test_a_damaged_file_never_gives_showers_silently(saved):
    good, whole = read(saved), bytearray(saved.read_bytes())
    for place in np.linspace(len(whole) // 4, len(whole) - 1, 40).astype(int):
        damaged = bytearray(whole)
        damaged[place : place + 16] = bytes(byte ^ 0xFF for byte in damaged[place : place + 16])
        saved.write_bytes(damaged)
        try:
            found = read(saved)
        except ShowerFileError:
            continue
        assert_equal(found, good)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "empty"),
        (b"energy,cell\n1,2\n", "not an HDF5 file"),
        (gzip.compress(b"x", mtime=0), "not an HDF5 file"),
    ],
)
def test_a_file_of_another_kind_is_named(tmp_path, content, sentence):
    path = tmp_path / "showers.h5"
    path.write_bytes(content)
    with pytest.raises(ShowerFileError, match=sentence):
        read(path)


def test_no_file(tmp_path):
    with pytest.raises(ShowerFileError, match="does not exist"):
        read(tmp_path / "none.h5")
    with pytest.raises(ShowerFileError, match="folder"):
        read(tmp_path)


def test_a_foreign_hdf5_file(tmp_path, calogan):
    path = tmp_path / "foreign.h5"
    with h5py.File(path, "w") as file:
        file["showers"] = np.zeros(3)
    with pytest.raises(ShowerFileError, match="nor of a known layout"):
        read(path)
    with h5py.File(path, "w") as file:
        file["energy"] = np.ones((3, 1))
        for number, shape in enumerate(calogan.shapes):
            file[f"layer_{number}"] = np.zeros((3, *shape))
    with pytest.raises(ShowerFileError, match=r"layout 'calogan'.*caloforge convert .* showers.h5"):
        read(path)


def test_a_newer_version(saved):
    with h5py.File(saved, "r+") as file:
        file.attrs["version"] = 3
    with pytest.raises(ShowerFileError, match=r"version 3 .* only up to version 2; install a newer"):
        read(saved)


def overwrite(name, value):
    def change(file):
        file[name][-1] = value

    return change


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda file: file.attrs.__delitem__("geometry"), "geometry"),
        (lambda file: file.attrs.__setitem__("geometry", "{}"), "geometry"),
        (lambda file: file.attrs.__setitem__("version", "one"), "version is 'one'"),
        (lambda file: file.attrs.__setitem__("version", 0), "its version is .*0"),
        (lambda file: file.attrs.__setitem__("version", 1), "version 1, which has no 'position'"),
        (lambda file: file["cells/indptr"].__setitem__(0, 1), "do not ascend from 0"),
        (lambda file: file["cells/value"].resize(7, axis=0), "'cells/value' has 7 entries instead of"),
        (lambda file: file["cells/indptr"].resize(42, axis=0), "'cells/indptr' has 42 entries instead of 41"),
        (lambda file: file.__delitem__("energy"), "no dataset 'energy'"),
        (lambda file: file.__delitem__("position"), "no dataset 'position'"),
        (lambda file: file["pdg"].resize(39, axis=0), "'pdg' has 39 entries instead of 40"),
        (lambda file: file["columns/tries"].resize(41, axis=0), "'columns/tries' has 41"),
        (overwrite("cells/index", 504), "Shower 39 names cell 504"),
        (overwrite("cells/indptr", 10**9), "do not ascend"),
        (overwrite("cells/indptr", 0), "do not ascend"),
        (overwrite("cells/value", np.nan), r"of shower 39 is nan MeV"),
        (overwrite("energy", -5.0), "energy of shower 39 is -5 MeV"),
        (overwrite("position", np.inf), "position of shower 39 is inf, inf"),
    ],
)
def test_a_file_that_contradicts_itself(saved, change, sentence):
    with h5py.File(saved, "r+") as file:
        change(file)
    with pytest.raises(ShowerFileError, match=sentence):
        read(saved)


def test_an_impossible_particle_is_a_fault_of_the_file_whoever_asks(saved):
    with h5py.File(saved, "r+") as file:
        file["energy"][-1] = 0.0
    with ShowerFile(saved) as file, pytest.raises(ShowerFileError, match=r"showers\.h5, .*is 0 MeV"):
        file.incident()


def test_real_showers_come_back(geant4_showers, tmp_path):
    from caloforge.formats.calogan import ENTRY

    showers = ENTRY.read(geant4_showers / "calogan_piplus.h5")
    write(showers, tmp_path / "pions.h5")
    assert_equal(read(tmp_path / "pions.h5"), showers)


def first_version(path, **position):
    """Turn a file into one of version 1, which has eta and phi as columns if it has them at all."""
    with h5py.File(path, "r+") as file:
        del file["position"]
        file.attrs["version"] = 1
        for name, values in position.items():
            file.create_dataset(f"columns/{name}", data=values, maxshape=(None,), chunks=(16,))


@pytest.fixture(params=["centre", "eta and phi"])
def old(request, saved):
    """A file of version 1, and the showers in it."""
    showers, position = read(saved), np.zeros((40, 2), np.float32)
    if request.param == "centre":
        first_version(saved)
    else:
        position = np.random.default_rng(1).uniform(-50, 50, (40, 2)).astype(np.float32)
        first_version(saved, eta=position[:, 0], phi=position[:, 1])
    incident = Incident(showers.pdg, showers.energy, showers.incident.direction, position)
    return saved, replace(showers, incident=incident)


def test_version_1_is_read_with_its_position(old):
    path, showers = old
    assert_equal(read(path), showers)
    with ShowerFile(path) as file:
        assert file.column_names == ["leaked", "tries"]
        assert np.array_equal(file.incident(3, 9).position, showers.incident.position[3:9])
        assert len(file.incident(9, 3)) == 0
        assert_equal(Showers.concatenate(list(file.batches(7))), showers)


def test_what_is_appended_to_version_1_makes_it_version_2_and_nothing_is_lost(old, make_showers):
    path, showers = old
    more = make_showers(3, seed=2)
    more = replace(more, incident=Incident(22, more.energy, (0.1, 0.2), (3.0, -4.0)))
    with ShowerWriter(path, showers.geometry, more.provenance, append=True) as writer:
        writer.write(more)
    assert_equal(read(path), Showers.concatenate([showers, more]))
    with h5py.File(path) as file:
        assert file.attrs["version"] == 2
        assert set(file["columns"]) == {"leaked", "tries"}
        assert file["position"].attrs["unit"] == "mm"


def test_a_failure_while_appending_to_version_1_leaves_it_as_it_was(old):
    path, showers = old
    before = path.read_bytes()
    with pytest.raises(RuntimeError), ShowerWriter(path, showers.geometry, append=True):
        raise RuntimeError
    assert path.read_bytes() == before


def test_version_1_without_one_coordinate_has_columns_and_comes_to_the_centre(saved):
    first_version(saved, eta=np.arange(40.0))
    found = read(saved)
    assert np.array_equal(found.columns["eta"], np.arange(40.0))
    assert not found.incident.position.any()


def test_columns_of_version_2_may_be_called_eta_and_phi(make_showers, tmp_path):
    showers = make_showers(3)
    named = Showers(showers.geometry, showers.cells, Incident(22, 1e4), {"eta": [1, 2, 3], "phi": [4, 5, 6]})
    write(named, tmp_path / "a.h5")
    assert_equal(read(tmp_path / "a.h5"), named)
