"""Room in foreign files: what it refines, and what it leaves to the layout."""

from pathlib import Path

import h5py
import numpy as np
import pytest

from caloforge.errors import ShowerFileError
from caloforge.formats._sidecar import GROUP, Rows, Sidecar, append_to_group, create_group
from caloforge.incident.incident import Incident
from caloforge.showers import Showers


@pytest.fixture
def showers(make_showers) -> Showers:
    made = make_showers(4)
    incident = Incident(22, made.energy, (0.3, 1.0), (2.0, 3.0))
    return Showers(made.geometry, made.cells, incident, columns=made.columns)


def kept(path: Path, showers: Showers) -> Sidecar:
    file = h5py.File(path, "w")
    create_group(file, showers)
    append_to_group(file, showers)
    return Sidecar(file, path, len(showers))


@pytest.mark.parametrize(("change", "taken"), [(1e-7, "group"), (5e-6, "layout"), (1e-3, "layout")])
def test_energies_of_the_group_are_taken_but_for_rounding(
    tmp_path: Path, showers: Showers, change: float, taken: str
) -> None:
    own = showers.energy * (1 + change * np.array([0, 1, 0, 1]))
    found = kept(tmp_path / "a.h5", showers).refined(Rows(showers.cells, own), slice(None))
    np.testing.assert_array_equal(found.energy, showers.energy if taken == "group" else own)


@pytest.mark.parametrize(("change", "taken"), [(1e-7, "group"), (5e-6, "layout"), (1e-3, "layout")])
def test_directions_of_the_group_are_taken_but_for_rounding(
    tmp_path: Path, showers: Showers, change: float, taken: str
) -> None:
    own = showers.incident.direction.astype(float)
    own[1, 0] += change
    found = kept(tmp_path / "a.h5", showers).refined(
        Rows(showers.cells, showers.energy, direction=own), slice(None)
    )
    expected = showers.incident.direction.astype(float)
    expected[1] = expected[1] if taken == "group" else own[1]
    np.testing.assert_array_equal(found.direction, expected)


def test_what_the_layout_does_not_say_comes_from_the_group(tmp_path: Path, showers: Showers) -> None:
    found = kept(tmp_path / "a.h5", showers).refined(
        Rows(showers.cells[1:3], showers.energy[1:3]), slice(1, 3)
    )
    np.testing.assert_array_equal(found.pdg, [22, 22])
    np.testing.assert_array_equal(found.position, showers.incident.position[1:3])
    assert found.columns is not None
    for name, values in showers.columns.items():
        np.testing.assert_array_equal(found.columns[name], values[1:3])


def test_columns_of_the_layout_are_taken_where_they_were_changed(tmp_path: Path, showers: Showers) -> None:
    own = {name: values.astype(float) for name, values in showers.columns.items()}
    own["leaked"][0] *= 1 + 1e-7
    own["leaked"][2] *= 2
    found = kept(tmp_path / "a.h5", showers).refined(
        Rows(showers.cells, showers.energy, columns=own), slice(None)
    )
    assert found.columns is not None
    expected = showers.columns["leaked"].copy()
    expected[2] *= 2
    np.testing.assert_array_equal(found.columns["leaked"], expected)
    np.testing.assert_array_equal(found.columns["tries"], showers.columns["tries"])


def test_particles_of_the_layout_are_taken_where_they_were_changed(tmp_path: Path, showers: Showers) -> None:
    own = np.array([22, 11, 22, 22])
    found = kept(tmp_path / "a.h5", showers).refined(
        Rows(showers.cells, showers.energy, pdg=own), slice(None)
    )
    np.testing.assert_array_equal(found.pdg, own)


@pytest.mark.parametrize("value", [1.5, ["{}", "{}"], np.zeros(3), None])
@pytest.mark.parametrize("name", ["geometry", "provenance"])
def test_what_is_not_one_text_is_damage(tmp_path: Path, showers: Showers, name: str, value: object) -> None:
    kept(tmp_path / "a.h5", showers)
    with h5py.File(tmp_path / "a.h5", "r+") as file:
        del file[GROUP][name], file[GROUP].attrs["checksum"]
        if value is None:
            file[GROUP].create_group(name)
        else:
            file[GROUP][name] = value
        with pytest.raises(
            ShowerFileError, match=r"geometry or provenance can't be read \(one is missing, or"
        ):
            Sidecar(file, tmp_path / "a.h5", 4)


def test_a_group_that_is_none_is_damage(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file[GROUP] = 1.0
        with pytest.raises(ShowerFileError, match="its 'caloforge' is not a group"):
            Sidecar(file, tmp_path / "a.h5", 4)


def test_a_group_of_other_showers_is_refused(tmp_path: Path, showers: Showers) -> None:
    kept(tmp_path / "a.h5", showers)
    with h5py.File(tmp_path / "a.h5") as file:
        with pytest.raises(ShowerFileError, match=r"has 3 showers, but its group 'caloforge' describes 4"):
            Sidecar(file, tmp_path / "a.h5", 3)
        assert list(file) == [GROUP]


def test_a_group_without_geometry_is_damaged(tmp_path: Path, showers: Showers) -> None:
    kept(tmp_path / "a.h5", showers)
    with h5py.File(tmp_path / "a.h5", "r+") as file:
        del file[GROUP]["geometry"]
        with pytest.raises(
            ShowerFileError,
            match="is damaged: its geometry or provenance is not",
        ):
            Sidecar(file, tmp_path / "a.h5", 4)
