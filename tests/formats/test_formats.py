"""What every layout of the catalogue must do: give showers back bit for bit, refuse what is no such file."""

from dataclasses import replace

import h5py
import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from caloforge import catalog
from caloforge.errors import InputError, ShowerFileError
from caloforge.formats.base import recognise
from caloforge.formats.native import write
from caloforge.formats.open import open_any
from caloforge.incident.incident import Incident
from caloforge.showers import Showers

from .conftest import same_showers

NAMES = catalog.names("formats")
GEOMETRIES = {
    "calochallenge": ("voxels", "boxes"),
    "calogan": ("calogan",),
    "getting_high": ("boxes",),
    "par04": ("rings",),
    "par04_vae": ("rings",),
    "showerdata": ("boxes", "voxels"),
}
CASES = [(name, geometry) for name in NAMES for geometry in GEOMETRIES[name]]


@pytest.fixture
def geometry_of(request):
    """Return a function that gives a calorimeter which a layout can hold."""
    return lambda name: request.getfixturevalue(GEOMETRIES[name][0])


def sample(geometry, n=7, seed=1):
    """Showers that have everything: several particles, directions, positions, columns of all kinds."""
    random = np.random.default_rng(seed)
    hit = random.random((n, geometry.n_cells)) < 0.3
    return Showers(
        geometry,
        np.where(hit, random.lognormal(0, 3, hit.shape), 0),
        Incident(
            random.choice([11, -11, 22, 211], n),
            random.integers(1, 4, n) * 1000.0,
            random.uniform(0, 1.5, (n, 2)),
            random.uniform(-50, 50, (n, 2)),
        ),
        columns={"leaked": random.exponential(1, n), "tries": np.arange(n), "overflow_1": random.random(n)},
        provenance={"seed": seed, "versions": {"caloforge": "1"}},
    )


ENERGIES = {
    "par04_vae": st.integers(1, 1 << 20).map(lambda gev: gev * 1000.0),
    "showerdata": st.floats(1e-30, 1e30),
}


@pytest.mark.parametrize(("name", "geometry"), CASES)
@settings(
    max_examples=10,
    phases=[Phase.generate],  # shrinking would write thousands of files
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(data=st.data())
def test_any_showers_come_back_bit_for_bit(request, tmp_path, name, geometry, data):
    geometry = request.getfixturevalue(geometry)
    n = data.draw(st.integers(1, 4))
    cells = np.zeros((n, geometry.n_cells), np.float32)
    few = min(8, geometry.n_cells)
    energies = ENERGIES.get(name, st.floats(1e-250, 1e250))
    energy = np.array(data.draw(st.lists(energies, min_size=n, max_size=n)))
    shares = data.draw(arrays.arrays(np.float64, (n, few), elements=st.floats(0, 100)))
    cells[:, -few:] = shares * np.minimum(energy, 2.0**120)[:, None]  # the largest that float32 has room for
    showers = Showers(
        geometry,
        cells,
        Incident(
            data.draw(arrays.arrays(np.int32, n, elements=st.integers(1, 2**31 - 1))),
            energy,
            data.draw(arrays.arrays(np.float32, (n, 2), elements=st.floats(0, 1.5, width=32))),
            data.draw(arrays.arrays(np.float32, (n, 2), elements=st.floats(-1e6, 1e6, width=32))),
        ),
        columns={
            "some": data.draw(arrays.arrays(np.float64, n, elements=st.floats())),
            "incident_theta": data.draw(arrays.arrays(np.float64, n, elements=st.floats(-1e300, 1e300))),
            "overflow_0": data.draw(arrays.arrays(np.float64, n, elements=st.floats(-1e30, 1e30))),
            "shower_id": data.draw(arrays.arrays(np.int64, n)),
            "flag": data.draw(arrays.arrays(np.bool_, n)),
        },
        provenance={"text": data.draw(st.text())},
    )
    entry = catalog.load("formats", name)
    entry.write(showers, tmp_path / "a.h5")
    assert same_showers(entry.read(tmp_path / "a.h5"), showers)


@pytest.mark.parametrize("name", NAMES)
def test_batches(geometry_of, tmp_path, name):
    entry, showers = catalog.load("formats", name), sample(geometry_of(name), 10)
    entry.write((showers[start : start + 3] for start in range(0, 10, 3)), tmp_path / "a.h5")
    with open_any(tmp_path / "a.h5") as file:
        assert len(file) == 10
        parts = list(file.batches(4))
        assert [len(part) for part in parts] == [4, 4, 2]
        assert same_showers(Showers.concatenate(parts), showers)
        assert same_showers(file.read(2, -1), showers[2:-1])
        assert not len(file.read(5, 3))
        with pytest.raises(InputError, match="at least 1"):
            next(file.batches(0))


@pytest.mark.parametrize("name", [name for name in NAMES if name != "par04_vae"])
def test_no_showers(geometry_of, tmp_path, name):
    entry, none = catalog.load("formats", name), sample(geometry_of(name))[:0]
    entry.write(none, tmp_path / "a.h5")
    assert same_showers(entry.read(tmp_path / "a.h5"), none)
    with pytest.raises(InputError, match="nothing to write"):
        entry.write([], tmp_path / "b.h5")
    assert not (tmp_path / "b.h5").exists()


@pytest.mark.parametrize("name", NAMES)
def test_a_file_has_one_layout(geometry_of, tmp_path, name):
    catalog.load("formats", name).write(sample(geometry_of(name)), tmp_path / "a.h5")
    assert [n for n in NAMES if catalog.load("formats", n).recognises(tmp_path / "a.h5")] == [name]
    assert recognise(tmp_path / "a.h5") == name


@pytest.mark.parametrize("name", NAMES)
def test_files_of_other_kinds(make_showers, tmp_path, name):
    entry, text, other = catalog.load("formats", name), tmp_path / "text.h5", tmp_path / "other.h5"
    text.write_text("energy")
    with h5py.File(other, "w") as file:
        file["something"] = 1.0
    write(make_showers(1), tmp_path / "ours.h5")
    for path, sentence in [
        (text, "not an HDF5 file"),
        (tmp_path, "folder"),
        (tmp_path / "none.h5", "does not exist"),
        (other, f"does not have the layout '{name}': it has 'something'"),
        (tmp_path / "ours.h5", f"does not have the layout '{name}': it has 'cells', 'columns'"),
    ]:
        assert not entry.recognises(path)
        with pytest.raises(ShowerFileError, match=sentence):
            entry.read(path)


@pytest.mark.parametrize("name", NAMES)
def test_damaged_files(geometry_of, tmp_path, name):
    entry, path = catalog.load("formats", name), tmp_path / "a.h5"
    entry.write(sample(geometry_of(name), 50), path)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) * 2 // 3])
    with pytest.raises(ShowerFileError, match="truncated"):
        entry.read(path)
    path.write_bytes(whole)
    with h5py.File(path, "r+") as file:
        del file["caloforge/geometry"]
    with pytest.raises(ShowerFileError, match="is damaged: its geometry or provenance"):
        entry.read(path)


@pytest.mark.parametrize("name", NAMES)
def test_showers_that_do_not_fit_each_other_leave_nothing(geometry_of, make_showers, small, tmp_path, name):
    entry, showers = catalog.load("formats", name), sample(geometry_of(name))
    renamed = Showers(
        showers.geometry, showers.cells, Incident(11, showers.energy), columns={"other": showers.energy}
    )
    with pytest.raises(InputError, match="columns"):
        entry.write([showers, renamed], tmp_path / "a.h5")
    with pytest.raises(InputError, match="two calorimeters"):
        entry.write([showers, sample(small)], tmp_path / "a.h5")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", NAMES)
def test_what_other_programs_change_counts(geometry_of, tmp_path, name):
    entry, path, showers = catalog.load("formats", name), tmp_path / "a.h5", sample(geometry_of(name))
    entry.write(showers, path)
    with h5py.File(path, "r+") as file:
        for kept in ("energy", "pdg", "direction"):
            values = file[f"caloforge/{kept}"]
            values.resize(len(values) - 1, axis=0)
    with pytest.raises(ShowerFileError, match="has 7 showers, but its group 'caloforge' describes 6"):
        entry.read(path)
    with h5py.File(path, "r+") as file:
        del file["caloforge"]
    alone = entry.read(path, 22, showers.geometry)
    assert set(alone.pdg) <= {22, *showers.pdg}
    order = np.argsort(showers.energy, kind="stable") if name == "par04_vae" else slice(None)
    np.testing.assert_allclose(alone.cells, showers.cells[order], rtol=2e-7)
    np.testing.assert_allclose(alone.energy, showers.energy[order], rtol=1e-6)


@pytest.mark.parametrize("placed", [False, True])
@pytest.mark.parametrize("name", NAMES)
def test_groups_of_older_files_are_read(geometry_of, tmp_path, name, placed):
    """They have no position, but the columns eta and phi where particles did not come to the centre."""
    entry, path, showers = catalog.load("formats", name), tmp_path / "a.h5", sample(geometry_of(name))
    entry.write(showers, path)
    with h5py.File(path, "r+") as file:
        position = file["caloforge/position"][:]
        del file["caloforge/position"], file["caloforge"].attrs["version"]
        if placed:
            file["caloforge/columns/eta"], file["caloforge/columns/phi"] = position.T
    given = showers.incident
    expected = Incident(given.pdg, given.energy, given.direction, given.position if placed else (0.0, 0.0))
    assert same_showers(entry.read(path), replace(showers, incident=expected))
    with open_any(path) as file:
        assert same_showers(file.read(2, 4), replace(showers, incident=expected)[2:4])


@pytest.mark.parametrize("name", NAMES)
def test_a_group_of_other_positions_is_refused(geometry_of, tmp_path, name):
    entry, path = catalog.load("formats", name), tmp_path / "a.h5"
    entry.write(sample(geometry_of(name)), path)
    with h5py.File(path, "r+") as file:
        file["caloforge/position"].resize(6, axis=0)
    with pytest.raises(ShowerFileError, match="has 7 showers, but its group 'caloforge' describes 6"):
        entry.read(path)


@pytest.mark.parametrize("name", ["calochallenge", "calogan", "getting_high", "par04", "showerdata"])
def test_an_energy_that_was_changed_is_taken(geometry_of, tmp_path, name):
    entry, path, showers = catalog.load("formats", name), tmp_path / "a.h5", sample(geometry_of(name))
    entry.write(showers, path)
    where = {
        "calochallenge": "incident_energies",
        "calogan": "energy",
        "getting_high": "4x3/energy",
        "par04": "incident_energy",
        "showerdata": "energies",
    }[name]
    with h5py.File(path, "r+") as file:
        file[where][1] = file[where][1] * 2
    assert entry.read(path).energy[1] == 2 * showers.energy[1]
    assert np.array_equal(np.delete(entry.read(path).energy, 1), np.delete(showers.energy, 1))


@pytest.mark.parametrize("name", ["getting_high", "par04", "par04_vae"])
def test_cells_that_have_no_place_are_refused(calogan, small, rings, boxes, tmp_path, name):
    for geometry in (calogan, small, boxes if name.startswith("par04") else rings):
        with pytest.raises(InputError, match=f"The layout '{name}' holds .* {geometry.name} has others"):
            catalog.load("formats", name).write(sample(geometry), tmp_path / "a.h5")
    assert not list(tmp_path.iterdir())
