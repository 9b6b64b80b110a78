"""The read-outs that ship: as their papers describe them, and one campaign for all of a kind."""

from itertools import pairwise
from pathlib import Path

import h5py
import numpy as np
import pytest

from caloforge import catalog
from caloforge.geometry import Calorimeter
from caloforge.geometry.rebinning import crop_matrix, rebin_cells
from caloforge.incident.incident import Incident
from caloforge.physics import materials
from caloforge.showers import Showers
from tests.conftest import MakeShowers

ARM = [name for name in catalog.names("geometries") if name.startswith("arm_")]
MIDDLE = {"12x12": (12, 12), "48x24": (24, 48), "48x48": (48, 48), "36x48": (48, 36)}


@pytest.fixture(scope="module")
def geant4_on_the_fine_grid(geant4_showers: Path) -> list[Showers]:
    """Real showers, some of each particle."""
    fine = Calorimeter.load("calogan_fine")

    def read(name: str, pdg: int) -> Showers:
        with h5py.File(geant4_showers / f"fine_{name}.h5") as file:
            rows = file["indptr"][:21]
            index, value = file["index"][: rows[-1]], file["value"][: rows[-1]]
            cells = np.zeros((20, fine.n_cells), np.float32)
            cells[np.repeat(np.arange(20), np.diff(rows)), index] = value
            return Showers(fine, cells, Incident(pdg, file["energy"][:20]))

    return [read(name, pdg) for name, pdg in (("eplus", -11), ("gamma", 22), ("piplus", 211))]


@pytest.fixture(scope="module")
def made_up(make_showers: MakeShowers) -> list[Showers]:
    return [make_showers(20, Calorimeter.load("calogan_fine"), occupancy=0.05)]


@pytest.fixture(params=["made_up", "geant4_on_the_fine_grid"])
def fine_showers(request: pytest.FixtureRequest) -> list[Showers]:
    samples: list[Showers] = request.getfixturevalue(request.param)
    return samples


def test_the_paper_has_eight_inner_and_four_middle_layers() -> None:
    shapes = [Calorimeter.load(name).shapes for name in ARM]
    inner, middle, outer = zip(*shapes, strict=True)
    assert set(inner) == {(phi, eta) for phi in (4, 12, 24, 48) for eta in (48, 192)}
    assert sorted(middle) == sorted(2 * list(MIDDLE.values()))
    assert set(outer) == {(24, 24)}
    assert len(ARM) == 8


@pytest.mark.parametrize("name", ARM)
def test_the_name_tells_the_cells(name: str) -> None:
    inner, middle = (tuple(map(int, part.split("x"))) for part in name.removeprefix("arm_").split("_"))
    assert Calorimeter.load(name).shapes[:2] == (inner[::-1], middle[::-1])


def test_the_transition_region_has_larger_cells_on_the_left() -> None:
    for name in ARM:
        edges = Calorimeter.load(name).layers[1].eta.edges
        if name.endswith("36x48"):
            assert (np.diff(edges[edges <= 0]) == 20).all()
            assert (np.diff(edges[edges >= 0]) == 10).all()


@pytest.mark.parametrize("name", [*ARM, "calogan"])
def test_all_are_read_out_of_one_file_without_loss(name: str, fine_showers: list[Showers]) -> None:
    geometry = Calorimeter.load(name)
    for fine in fine_showers:
        coarse = fine.rebin(geometry)
        assert coarse.geometry == geometry
        np.testing.assert_allclose(
            coarse.cells.sum(1, dtype=float), fine.cells.sum(1, dtype=float), rtol=1e-6
        )
        np.testing.assert_allclose(coarse.layer_energies(), fine.layer_energies(), rtol=1e-6)
        np.testing.assert_array_equal(coarse.energy, fine.energy)


def test_a_read_out_of_a_read_out_is_the_same(fine_showers: list[Showers]) -> None:
    fine, middle = Calorimeter.load("calogan_fine"), Calorimeter.load("arm_192x12_36x48")
    plain = Calorimeter.load("calogan").to_dict()
    plain["layers"][0]["phi"]["bins"] = 6
    coarse = Calorimeter.from_dict(plain)
    for showers in fine_showers:
        twice = rebin_cells(rebin_cells(showers.cells, fine, middle), middle, coarse)
        np.testing.assert_allclose(twice, rebin_cells(showers.cells, fine, coarse), rtol=1e-6)


def test_ild_ecal_has_two_kinds_of_tungsten() -> None:
    ecal = Calorimeter.load("ild_ecal")
    tungsten = [slab.thickness for slab in ecal.slabs if slab.material == "G4_W"]
    assert tungsten == [2.1] * 20 + [4.2] * 10
    assert ecal.shapes == ((30, 30),) * 30
    assert all(
        set(np.diff(layer.eta.edges)) == set(np.diff(layer.phi.edges)) == {5.0} for layer in ecal.layers
    )


def test_ild_hcal_is_steel_and_scintillator() -> None:
    hcal = Calorimeter.load("ild_hcal")
    assert hcal.shapes == ((25, 25),) * 48
    assert {slab.material for slab in hcal.slabs if slab.role == "active"} == {"G4_POLYSTYRENE"}
    assert all(set(np.diff(layer.eta.edges)) == {30.0} for layer in hcal.layers)


@pytest.mark.parametrize("name", ["ild_ecal", "ild_hcal", "calochallenge_2", "calochallenge_3"])
def test_each_layer_ends_behind_whole_plates_and_holds_sensors(name: str) -> None:
    geometry = Calorimeter.load(name)
    behind = np.cumsum([0.0, *(slab.thickness for slab in geometry.slabs)])
    active = [slab.role == "active" for slab in geometry.slabs]
    edges = [0.0, *(layer.z[1] for layer in geometry.layers)]
    at = [int(np.argmin(abs(behind - edge))) for edge in edges]
    np.testing.assert_allclose(behind[at], edges, rtol=1e-12, atol=1e-9)
    assert all(any(active[first:last]) for first, last in pairwise(at))
    assert geometry.visible == ("active",)


@pytest.mark.parametrize(("number", "rings", "alpha"), [(2, 9, 16), (3, 18, 50)])
def test_the_challenge_has_rings_of_par04(number: int, rings: int, alpha: int) -> None:
    geometry = Calorimeter.load(f"calochallenge_{number}")
    assert geometry.shapes == ((alpha, rings),) * 45
    assert geometry.depth == 153.0
    assert all(layer.reach == 41.85 for layer in geometry.layers)
    assert {slab.material: slab.thickness for slab in geometry.slabs} == {"G4_W": 1.4, "G4_Si": 0.3}


@pytest.mark.parametrize("name", catalog.names("geometries"))
def test_all_materials_are_known(name: str) -> None:
    assert {slab.material for slab in Calorimeter.load(name).slabs} <= set(materials.known())


def test_the_core_of_the_ild_is_a_part_of_the_whole() -> None:
    whole, core = Calorimeter.load("ild_ecal"), Calorimeter.load("ild_ecal_core")
    assert core.shapes == ((10, 10),) * 30
    assert core.stack == whole.stack
    cut = crop_matrix(whole, core)
    assert cut.sum() == core.n_cells
    assert (cut.sum(axis=0) == 1).all()
