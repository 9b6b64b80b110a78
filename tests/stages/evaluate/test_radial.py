"""Energy in rings around the particle's axis."""

import numpy as np
import pytest

from caloforge.geometry import Calorimeter
from caloforge.incident.incident import Incident
from caloforge.showers import Showers
from caloforge.stages.evaluate.radial import axis_distances, radial_profile


def test_distances_are_taken_from_the_particles_axis(small: Calorimeter) -> None:
    """Entering at eta -3 mm with 45 degrees, a particle is at eta 6 mm in the middle of the second layer."""
    incident = Incident(22, [1e4, 1e4], [(0.0, 0.0), (np.pi / 4, 0.0)], [(0.0, 0.0), (-3.0, 5.0)])
    eta, phi = (values.ravel() for values in small.layers[1].centres)
    cell = int(np.flatnonzero((eta == 5.0) & (phi == 5.0))[0])
    number = small.offsets[1] + cell
    found = axis_distances(small, incident, np.array([0, 1]), np.array([number, number]))
    assert found == pytest.approx([np.hypot(5, 5), 1 / np.sqrt(2)], rel=1e-6)


def test_the_profile_moves_with_the_particle(small: Calorimeter) -> None:
    """Energy in the cell that a particle enters is in the first ring, wherever that is."""
    eta, phi = (values.ravel() for values in small.layers[1].centres)
    cells = np.zeros((len(eta), small.n_cells), np.float32)
    cells[np.arange(len(eta)), small.offsets[1] + np.arange(len(eta))] = 7.0
    aimed = Showers(small, cells, Incident(22, 1e4, position=np.stack([eta, phi], axis=1)))
    radii, first, second = radial_profile(aimed, Showers(small, cells, Incident(22, 1e4)))
    np.testing.assert_array_equal(first[:, 0], 7.0)
    assert first[:, 1:].sum() == 0
    np.testing.assert_allclose(second.sum(axis=1), 7.0)
    assert (second[:, 0] == 0).any()
    assert (np.diff(radii) > 0).all()


def test_rings_of_perpendicular_particles_have_the_distances_of_the_cells(small: Calorimeter) -> None:
    showers = Showers(small, np.ones((300, small.n_cells), np.float32), Incident(22, 1e4))
    radii, rings, none = radial_profile(showers, showers[:0])
    distances = np.concatenate([np.hypot(*layer.centres).ravel() for layer in small.layers])
    different, counts = np.unique(distances.round(6), return_counts=True)
    np.testing.assert_allclose(radii, different)
    np.testing.assert_array_equal(rings[-1], counts)
    assert none.shape == (0, len(radii))


def test_many_distances_share_rings(calogan: Calorimeter) -> None:
    showers = Showers(calogan, np.ones((2, calogan.n_cells), np.float32), Incident(22, 1e4))
    radii, rings, _ = radial_profile(showers, showers)
    assert len(radii) == 16
    np.testing.assert_array_equal(rings.sum(axis=1), calogan.n_cells)
