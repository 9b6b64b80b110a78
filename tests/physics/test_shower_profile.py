"""Profiles of showers: exact where showers follow the textbook by construction."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from caloforge.errors import InputError
from caloforge.geometry import Axis, Calorimeter, Layer, RingLayer
from caloforge.incident.incident import Incident
from caloforge.physics import shower_profile as profile
from caloforge.showers import Showers

ENERGY = 20e3


def stack(layers: int, *, visible: tuple[str, ...] = ("absorber", "active"), **cells: object) -> Calorimeter:
    """Lead and liquid argon in turn, a layer for each pair."""
    slabs = [
        {"material": "G4_Pb", "thickness": 2.0, "role": "absorber"},
        {"material": "G4_lAr", "thickness": 4.0, "role": "active"},
    ]
    cells = cells or {axis: {"bins": 8, "range": [-160.0, 160.0]} for axis in ("eta", "phi")}
    return Calorimeter.from_dict(
        {
            "name": "stack",
            "description": "for tests",
            "reference": "none",
            "visible": list(visible),
            "stack": [{"repeat": layers, "slabs": slabs}],
            "layers": [{"repeat": layers, "z": [0.0, 6.0], **cells}],
        }
    )


def by_the_book(geometry: Calorimeter, pdg: int, n: int = 3, theta: float = 0.0) -> Showers:
    """Showers whose layers hold what the gamma distribution says, in their first cells."""
    t_max = profile.maximum(np.full(n, ENERGY), pdg, profile.matter(geometry))
    along = profile.depths(geometry) / np.cos(theta)
    shares = np.diff(profile.contained(along, t_max), axis=1)
    cells = np.zeros((n, geometry.n_cells), np.float32)
    cells[:, list(geometry.offsets[:-1])] = ENERGY * shares * profile.visible_share(geometry)
    return Showers(geometry, cells, Incident(pdg, ENERGY, (theta, 0.0)))


@pytest.mark.parametrize(("pdg", "begin"), [(11, -0.5), (-11, -0.5), (22, 0.5)])
def test_the_maximum_grows_with_the_logarithm(pdg: int, begin: float) -> None:
    material = profile.matter(stack(80))
    energies = material.critical_energy * np.exp([3.0, 5.0, 7.0])
    np.testing.assert_allclose(profile.maximum(energies, pdg, material), np.array([3.0, 5.0, 7.0]) + begin)


@pytest.mark.parametrize("theta", [0.3, np.pi / 4, 1.0])
def test_a_tilted_shower_is_shorter_along_z(theta: float) -> None:
    showers = by_the_book(stack(80), 11, theta=theta)
    found = profile.longitudinal(showers)
    np.testing.assert_allclose(found.share, profile.textbook(showers, found.edges), rtol=1e-4)
    t_max, _ = profile.found_maximum(showers)
    expected = profile.maximum(ENERGY, 11, profile.matter(showers.geometry)) * np.cos(theta)
    assert t_max == pytest.approx(float(expected), abs=0.02)


@pytest.mark.parametrize("pdg", [11, 22])
@pytest.mark.parametrize("visible", [("absorber", "active"), ("active",), ("absorber",)])
def test_showers_by_the_book_are_found_as_such(pdg: int, visible: tuple[str, ...]) -> None:
    showers = by_the_book(stack(80, visible=visible), pdg)
    found = profile.longitudinal(showers)
    np.testing.assert_allclose(found.share, profile.textbook(showers, found.edges), rtol=1e-4)
    t_max, error = profile.found_maximum(showers)
    expected = profile.maximum(ENERGY, pdg, profile.matter(showers.geometry))
    assert t_max == pytest.approx(float(expected), abs=0.01)
    assert error == pytest.approx(0.0, abs=1e-3)


def test_plates_of_two_thicknesses_have_one_profile() -> None:
    showers = by_the_book(Calorimeter.load("ild_ecal"), 22)
    found = profile.longitudinal(showers)
    np.testing.assert_allclose(found.share, profile.textbook(showers, found.edges), rtol=1e-4)


def test_shares_sum_to_one(make_showers) -> None:
    found = profile.longitudinal(make_showers(5))
    assert (found.share * np.diff(found.edges)).sum() == pytest.approx(1.0)
    assert np.isnan(profile.longitudinal(make_showers(1)).error).all()


def test_the_depth_is_counted_through_the_slabs() -> None:
    edges = profile.depths(stack(80))
    np.testing.assert_allclose(np.diff(edges), 2 / 5.612 + 4 / 140.04, rtol=1e-3)
    # calogan's layers end inside plates.
    calogan = profile.depths(Calorimeter.load("calogan"))
    assert calogan[0] == 0
    assert calogan[1] == pytest.approx(edges[15])
    assert edges[72] < calogan[2] < edges[73]
    assert calogan[3] == pytest.approx(edges[80])


def test_too_few_layers_have_no_maximum(make_showers) -> None:
    assert np.isnan(profile.found_maximum(make_showers(5))).all()


@settings(max_examples=20)
@given(
    eta=st.floats(-40, 40, width=32),
    phi=st.floats(-40, 40, width=32),
    theta=st.floats(0, 0.4),
    azimuth=st.floats(-3, 3),
    rings=st.booleans(),
)
def test_energy_on_the_axis_is_within_the_smallest_radius(eta, phi, theta, azimuth, rings) -> None:
    cells = {"r": {"bins": 40, "range": [0.0, 160.0]}, "alpha": 60} if rings else {}
    geometry = stack(6, **cells) if rings else stack(6)
    hit = np.zeros((1, geometry.n_cells), np.float32)
    for first, layer in zip(geometry.offsets, geometry.layers, strict=False):
        way = np.tan(theta) * sum(layer.z) / 2
        hit[0, first + cell_at(layer, eta + way * np.cos(azimuth), phi + way * np.sin(azimuth))] = 1.0
    showers = Showers(geometry, hit, Incident(11, ENERGY, (theta, azimuth), (eta, phi)))
    diagonal = 60.0 / profile.matter(geometry).moliere_radius
    held = profile.containment(showers, np.array([0.0, diagonal / 2, diagonal]))
    assert held.least[-1] == pytest.approx(1.0)
    assert held.most[1] == pytest.approx(1.0)
    assert (held.least <= held.most + 1e-12).all()


def cell_at(layer: Layer | RingLayer, eta: float, phi: float) -> int:
    """Number of the cell around a point."""
    if isinstance(layer, RingLayer):
        sector = int((np.arctan2(phi, eta) + np.pi) / (2 * np.pi) * layer.n_alpha) % layer.n_alpha
        return sector * layer.n_r + inside(layer.r, np.hypot(eta, phi))
    return inside(layer.phi, phi) * layer.n_eta + inside(layer.eta, eta)


def inside(axis: Axis, value: float) -> int:
    return int(np.searchsorted(axis.edges, value, side="right")) - 1


def test_rings_around_the_axis_are_exact() -> None:
    radius = profile.matter(stack(2)).moliere_radius
    geometry = stack(2, r={"edges": [0.0, radius, 2 * radius, 4 * radius]}, alpha=5)
    cells = np.tile(np.repeat([[0.8, 0.15, 0.05]], 5, axis=0).ravel() / 10, 2)[None]
    held = profile.containment(Showers(geometry, cells, Incident(11, ENERGY)), np.array([1.0, 2.0, 3.0]))
    np.testing.assert_allclose(held.least, [0.8, 0.95, 0.95], rtol=1e-5)
    np.testing.assert_allclose(held.most, [0.95, 1.0, 1.0], rtol=1e-5)


def test_only_electromagnetic_showers_count(make_showers) -> None:
    showers = make_showers(6)
    pdg = np.array([11, -11, 22, 211, 2212, 22])
    mixed = Showers(showers.geometry, showers.cells, Incident(pdg, showers.energy))
    assert profile.electromagnetic(mixed).pdg.tolist() == [11, -11, 22, 22]
    with pytest.raises(InputError, match="applies only to e-, e"):
        profile.longitudinal(mixed[pdg > 200])


def test_what_has_no_profile_is_said(make_showers, calogan) -> None:
    bare = Calorimeter.from_dict(
        calogan.to_dict()
        | {"stack": [], "layers": [x | {"z": [n, n + 1]} for n, x in enumerate(calogan.to_dict()["layers"])]}
    )
    with pytest.raises(InputError, match="The materials of calogan are unknown"):
        profile.longitudinal(make_showers(2, bare))
    plain = calogan.to_dict()
    plain["stack"][0]["slabs"][0]["material"] = "G4_Au"
    with pytest.raises(InputError, match="'G4_Au' is not among the materials"):
        profile.longitudinal(make_showers(2, Calorimeter.from_dict(plain)))
    empty = Showers(calogan, np.zeros((2, calogan.n_cells)), Incident(22, ENERGY))
    with pytest.raises(InputError, match="left no energy"):
        profile.longitudinal(empty)
