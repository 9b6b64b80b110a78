import h5py
import numpy as np
import pytest

from caloforge.errors import InputError, ShowerFileError
from caloforge.formats.calogan import ENTRY
from caloforge.formats.native import read, write
from caloforge.formats.open import open_any

from .conftest import contents


def publish(path, n=5, energy_type=np.float32, **changes):
    """A file as the CaloGAN authors' code writes it."""
    random = np.random.default_rng(1)
    datasets = {
        "layer_0": random.exponential(9, (n, 3, 96)).astype(np.float32),
        "layer_1": random.exponential(9, (n, 12, 12)).astype(np.float32),
        "layer_2": random.exponential(9, (n, 12, 6)).astype(np.float32),
        "energy": random.uniform(1, 100, (n, 1)).astype(energy_type),
        "overflow": random.exponential(1, (n, 3)).astype(np.float32),
    } | changes
    with h5py.File(path, "w") as file:
        for name, values in datasets.items():
            if values is not None:
                file[name] = values
    return datasets


def test_reading(tmp_path):
    path = tmp_path / "published.h5"
    given = publish(path)
    showers = ENTRY.read(path, pdg=22)
    images = showers.geometry.split(showers.cells)
    for number, image in enumerate(images):
        assert np.array_equal(image, given[f"layer_{number}"])
        assert np.array_equal(showers.columns[f"overflow_{number}"], given["overflow"][:, number])
    np.testing.assert_allclose(showers.energy, given["energy"][:, 0] * 1000.0, rtol=1e-7)
    assert set(showers.pdg) == {22}


@pytest.mark.parametrize("n", [0, 1, 5])
def test_published_files_come_back_bit_for_bit(tmp_path, n):
    given = publish(tmp_path / "published.h5", n)
    ENTRY.write(ENTRY.read(tmp_path / "published.h5", pdg=211), tmp_path / "again.h5")
    found = contents(tmp_path / "again.h5")
    assert found.keys() == given.keys()
    for name, values in given.items():
        assert np.array_equal(found[name], values)


def test_energies_in_double_precision_come_back(tmp_path):
    given = publish(tmp_path / "published.h5", 1000, np.float64)
    ENTRY.write(ENTRY.read(tmp_path / "published.h5"), tmp_path / "again.h5")
    np.testing.assert_array_max_ulp(contents(tmp_path / "again.h5")["energy"], given["energy"], 1)


def test_open_any_reads_our_own_files_too(tmp_path, make_showers):
    write(make_showers(2), tmp_path / "a.h5")
    with open_any(tmp_path / "a.h5") as file:
        assert np.array_equal(file.read().cells, make_showers(2).cells)


def test_the_particle_is_not_invented(tmp_path):
    path = tmp_path / "published.h5"
    publish(path)
    assert set(ENTRY.read(path).pdg) == {0}
    with h5py.File(path, "r+") as file:
        file.attrs["particle"] = "gamma"
    assert set(ENTRY.read(path).pdg) == {22}
    assert ENTRY.read(path).provenance["attributes"] == {"particle": "gamma"}


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"layer_1": None}, "no dataset 'layer_1'"),
        ({"energy": None}, "does not have the layout 'calogan': it has 'layer_0', 'layer_1', "),
        ({"layer_0": np.zeros((5, 96, 3))}, r"'layer_0' has shape \(5, 96, 3\) instead of \(N, 3, 96\)"),
        ({"layer_2": np.zeros((4, 12, 6))}, "'layer_2' has 4 showers, but 'energy' has 5"),
        ({"overflow": np.zeros((5, 2))}, "overflow"),
        ({"energy": np.array(b"x")}, "energy"),
        ({"energy": np.float64(1)}, "energy"),
    ],
)
def test_other_layouts_are_named(tmp_path, changes, sentence):
    path = tmp_path / "other.h5"
    publish(path, **changes)
    with pytest.raises(ShowerFileError, match=sentence):
        ENTRY.read(path)


def test_impossible_values_are_named(tmp_path):
    layer = np.zeros((5, 12, 12), np.float32)
    layer[2, 3, 4] = np.nan
    publish(tmp_path / "nan.h5", layer_1=layer)
    with pytest.raises(ShowerFileError, match="layer 1, phi 3, eta 4"):
        ENTRY.read(tmp_path / "nan.h5")


def test_a_file_without_overflow(tmp_path):
    publish(tmp_path / "a.h5", overflow=None)
    showers = ENTRY.read(tmp_path / "a.h5")
    assert showers.columns == {}
    ENTRY.write(showers, tmp_path / "b.h5")
    assert not contents(tmp_path / "b.h5")["overflow"].any()


def test_other_calorimeters_are_refused(tmp_path, make_showers, calogan_fine):
    with pytest.raises(InputError, match="caloforge rebin"):
        ENTRY.write(make_showers(1, calogan_fine), tmp_path / "a.h5")
    assert not list(tmp_path.iterdir())
    publish(tmp_path / "a.h5")
    with pytest.raises(InputError, match="this layout is that of 'calogan' alone"):
        ENTRY.read(tmp_path / "a.h5", geometry=calogan_fine)


@pytest.mark.parametrize("name", ["eplus", "gamma", "piplus"])
def test_real_files_come_back_bit_for_bit(geant4_showers, tmp_path, name):
    source = geant4_showers / f"calogan_{name}.h5"
    write(ENTRY.read(source), tmp_path / "ours.h5")
    ENTRY.write(read(tmp_path / "ours.h5"), tmp_path / "again.h5")
    found, expected = contents(tmp_path / "again.h5"), contents(source)
    assert found.keys() == expected.keys()
    assert all(np.array_equal(found[key], expected[key]) for key in expected)
