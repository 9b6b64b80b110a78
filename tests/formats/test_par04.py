"""The two layouts of Geant4's example Par04, as its scripts write them."""

import h5py
import numpy as np
import pytest

from caloforge.errors import InputError, ShowerFileError
from caloforge.formats.par04 import ENTRY as PAR04
from caloforge.formats.par04_vae import ENTRY as VAE
from caloforge.geometry import Calorimeter
from caloforge.incident.incident import Incident
from caloforge.showers import Showers

from .conftest import contents, same_contents, write

MESH = (9, 16, 45)


@pytest.fixture(scope="module")
def calorimeter():
    return Calorimeter.load("calochallenge_2")


def mesh_of_showers(n, seed=1, mesh=MESH):
    random = np.random.default_rng(seed)
    hit = random.random((n, *mesh)) < 0.1
    return np.where(hit, random.lognormal(0, 3, hit.shape), 0).astype(np.float32).astype(np.float64)


def lemurs(n=3):
    random = np.random.default_rng(2)
    return {
        "showers": mesh_of_showers(n),
        "incident_energy": 10 ** random.uniform(3, 6, n),
        "incident_theta": random.uniform(0.9, 2.3, n),
        "incident_phi": random.uniform(0, 6.2, n),
    }


def test_cells_lie_where_they_were(tmp_path, calorimeter):
    given = lemurs()
    showers = PAR04.read(write(tmp_path / "a.h5", given), 22, calorimeter)
    images = calorimeter.split(showers.cells)
    for layer in (0, 7, 44):
        assert np.array_equal(images[layer], given["showers"][:, :, :, layer].swapaxes(1, 2))
    assert np.array_equal(showers.energy, given["incident_energy"])
    assert not showers.incident.direction.any()
    assert np.array_equal(showers.columns["incident_theta"], given["incident_theta"])


@pytest.mark.parametrize("angles", [True, False])
def test_files_of_the_example_come_back(tmp_path, calorimeter, angles):
    given = lemurs()
    for name in ("incident_theta", "incident_phi"):
        given[name] = given[name] if angles else None
    write(tmp_path / "a.h5", given)
    PAR04.write(PAR04.read(tmp_path / "a.h5", 22, calorimeter), tmp_path / "b.h5")
    assert same_contents(tmp_path / "a.h5", tmp_path / "b.h5")


def test_the_calorimeter_is_not_guessed(tmp_path, rings, boxes):
    path = write(tmp_path / "a.h5", lemurs())
    with pytest.raises(InputError, match=r"9 rings x 16 sectors x 45 layers .*calochallenge_2 would fit"):
        PAR04.read(path)
    with pytest.raises(InputError, match="the calorimeter 3 rings x 4 sectors x 3 layers"):
        PAR04.read(path, geometry=rings)
    with pytest.raises(InputError, match="its layers are not cut into the same rings and sectors"):
        PAR04.read(path, geometry=boxes)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"showers": np.zeros((3, 6480))}, r"shape \(3, 6480\) instead of \(N, rings, sectors, layers\)"),
        ({"incident_theta": np.zeros(2)}, "'incident_theta' has 2 showers"),
        ({"incident_energy": np.zeros((4, 1))}, "'showers' has 3 showers, but 'incident_energy' has 4"),
    ],
)
def test_other_shapes_are_named(tmp_path, calorimeter, changes, sentence):
    path = write(tmp_path / "a.h5", lemurs() | changes)
    with pytest.raises(ShowerFileError, match=f"does not have the layout 'par04': .*{sentence}"):
        PAR04.read(path, 22, calorimeter)


def test_negative_cells_are_named(tmp_path, calorimeter):
    given = lemurs()
    given["showers"][1, 3, 2, 5] = -1
    path = write(tmp_path / "a.h5", given)
    with pytest.raises(ShowerFileError, match=r"\(layer 5, alpha 2, r 3\) of shower 1 is -1 MeV"):
        PAR04.read(path, 22, calorimeter)


def fixed_energies():
    return {str(gev): mesh_of_showers(n, gev) for gev, n in ((1, 2), (2, 3), (16, 1), (1024, 2))}


def test_fixed_energies_come_back(tmp_path, calorimeter):
    path = write(tmp_path / "SiW_angle_90.h5", fixed_energies())
    showers = VAE.read(path, 22, calorimeter)
    assert showers.energy.tolist() == [1e3, 1e3, 2e3, 2e3, 2e3, 16e3, 1024e3, 1024e3]
    assert np.array_equal(
        calorimeter.split(showers.cells)[3][5], contents(path)["16"][0, :, :, 3].swapaxes(0, 1)
    )
    with VAE.open(path, 22, calorimeter) as file:
        assert np.array_equal(file.read(1, 7).cells, showers.cells[1:7])
    VAE.write(showers, tmp_path / "b.h5")
    assert same_contents(path, tmp_path / "b.h5")


def test_fixed_energies_keep_the_order_of_the_showers(tmp_path, rings):
    energy = np.array([5.0, 1.0, 5.0, 20.0, 1.0, 5.0]) * 1000
    showers = Showers(rings, np.arange(6 * 36, dtype=np.float32).reshape(6, 36), Incident(11, energy))
    VAE.write((showers[i : i + 2] for i in (0, 2, 4)), tmp_path / "a.h5")
    assert {name: len(values) for name, values in contents(tmp_path / "a.h5").items()} == {
        "1": 2,
        "5": 3,
        "20": 1,
    }
    with VAE.open(tmp_path / "a.h5") as file:
        assert np.array_equal(file.read().cells, showers.cells)
        assert np.array_equal(file.read(1, 4).cells, showers.cells[1:4])
        assert np.array_equal(file.read(1, 4).energy, energy[1:4])


def test_fixed_energies_that_were_changed(tmp_path, rings):
    showers = Showers(rings, np.ones((3, 36)), Incident(11, [1e3, 1e3, 2e3]))
    VAE.write(showers, tmp_path / "a.h5")
    with h5py.File(tmp_path / "a.h5", "r+") as file:
        file.move("2", "4")
    with pytest.raises(ShowerFileError, match="not those that its group 'caloforge' describes"):
        VAE.read(tmp_path / "a.h5")


@pytest.mark.parametrize(
    ("energies", "sentence"),
    [
        ([1e3, 1500.0], "whole GeV, and here is one of 1.5 GeV; the layout 'par04' holds any"),
        ([], "no showers"),
    ],
)
def test_what_fixed_energies_can_not_hold(tmp_path, rings, energies, sentence):
    with pytest.raises(InputError, match=sentence):
        VAE.write(Showers(rings, np.ones((len(energies), 36)), Incident(11, energies)), tmp_path / "a.h5")
    assert not list(tmp_path.iterdir())


def test_meshes_of_one_file_are_alike(tmp_path, rings):
    path = write(tmp_path / "a.h5", {"1": np.ones((2, 3, 4, 3)), "2": np.ones((2, 3, 4, 2))})
    with pytest.raises(ShowerFileError, match=r"'2' has shape \(2, 3, 4, 2\) instead of \(N, 3, 4, 3\)"):
        VAE.read(path, geometry=rings)
    write(path, {"1": np.ones((2, 5))})
    assert not VAE.recognises(path)
    with pytest.raises(InputError, match="2 rings x 2 sectors x 2 layers and does not say"):
        VAE.read(write(path, {"1": np.ones((1, 2, 2, 2))}))


def test_energies_and_angles_may_have_a_second_axis(tmp_path, calorimeter):
    given = lemurs()
    column = {name: values[:, None] for name, values in given.items() if name != "showers"}
    found = PAR04.read(write(tmp_path / "a.h5", given | column), 22, calorimeter)
    assert np.array_equal(found.energy, given["incident_energy"])
    for name in ("incident_theta", "incident_phi"):
        assert np.array_equal(found.columns[name], given[name])


@pytest.mark.parametrize("name", ["0", "01", "1.5", "-1", "one"])
def test_fixed_energies_are_named_by_whole_gev_above_0(tmp_path, name):
    assert VAE.recognises(write(tmp_path / "a.h5", {"1": np.ones((2, 3, 4, 3))}))
    assert not VAE.recognises(
        write(tmp_path / "b.h5", {"1": np.ones((2, 3, 4, 3)), name: np.ones((2, 3, 4, 3))})
    )


@pytest.mark.parametrize("shape", [(), (2, 3, 4), (2, 3, 4, 3, 1)])
def test_fixed_energies_have_four_axes(tmp_path, shape):
    assert not VAE.recognises(write(tmp_path / "a.h5", {"1": np.ones(shape)}))


def test_a_file_without_datasets_has_no_layout_of_fixed_energies(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_group("1")
    assert not VAE.recognises(tmp_path / "a.h5")
    assert not VAE.recognises(write(tmp_path / "b.h5", {}))
