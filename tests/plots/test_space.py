"""One shower in space: as many rectangles as cells are hit, right-handed, headless."""

import numpy as np
import pytest
from mpl_toolkits.mplot3d.art3d import Poly3DCollection

from caloforge import plots
from caloforge.errors import InputError
from caloforge.geometry import Calorimeter
from caloforge.incident.incident import Incident
from caloforge.showers import Showers


def test_every_hit_cell_is_a_rectangle(make_showers, calogan) -> None:
    showers = make_showers(2)
    figure = plots.shower_3d(showers, 1)
    polygons = [c for c in figure.axes[0].collections if isinstance(c, Poly3DCollection)]
    hits = [int((image > 0).sum()) for image in calogan.split(showers.cells[1])]
    # A frame and its cells for each layer, and the head of the arrow.
    assert [len(c.get_facecolor()) for c in polygons] == [1, hits[0], 1, hits[1], 1, hits[2], 1]


def test_axes_have_names_and_units(make_showers) -> None:
    axes, bar = plots.shower_3d(make_showers(1), 0).axes
    assert (axes.get_ylabel(), axes.get_zlabel()) == (r"$\eta$ [mm]", r"$\phi$ [mm]")
    assert [label.get_text() for label in axes.get_xticklabels()] == [
        "layer 0\n0–90 mm",
        "layer 1\n90–437 mm",
        "layer 2\n437–480 mm",
    ]
    assert bar.get_ylabel() == "energy per cell [MeV]"


def test_phi_eta_and_z_are_right_handed(make_showers) -> None:
    axes = plots.shower_3d(make_showers(1), 0).axes[0]
    depth, eta, phi = (
        np.sign(np.diff(limits())[0]) for limits in (axes.get_xlim, axes.get_ylim, axes.get_zlim)
    )
    # The picture's axes (depth, eta, phi) are a right-handed system; phi x eta = z needs one flip.
    assert depth * eta * phi == -1


@pytest.mark.parametrize("name", ["calochallenge_2", "ild_ecal"])
def test_many_layers_show_every_hit_cell_in_its_place(name: str, make_showers) -> None:
    geometry = Calorimeter.load(name)
    showers = make_showers(1, geometry, occupancy=0.01)
    axes = plots.shower_3d(showers, 0).axes[0]
    polygons = [c for c in axes.collections if isinstance(c, Poly3DCollection)]
    hits = [int((image > 0).sum()) for image in geometry.split(showers.cells[0])]
    assert sum(len(c.get_facecolor()) for c in polygons[:-1]) == sum(hits)  # outlines have no colour
    assert all("mm" not in label.get_text() for label in axes.get_xticklabels())


def test_the_arrow_comes_from_the_particles_direction_to_its_place(make_showers, calogan) -> None:
    straight = make_showers(1)
    incident = Incident(-11, straight.energy, (0.1, np.pi / 2), (20.0, -30.0))
    tilted = Showers(calogan, straight.cells, incident)
    ends = []
    for showers in (straight, tilted):
        (text,) = plots.shower_3d(showers, 0).axes[0].texts
        depth, eta, phi = text.get_position_3d()
        ends.append((depth, eta, phi))
    (depth, *centre), (_, eta, phi) = ends
    assert centre == [0, 0]
    assert eta == pytest.approx(20)
    thickness = calogan.layers[0].z[1] - calogan.layers[0].z[0]
    assert phi == pytest.approx(-30 + depth * thickness * np.tan(0.1), rel=1e-5)


def test_empty_shower_shows_empty_planes(calogan) -> None:
    empty = Showers(calogan, np.zeros((1, calogan.n_cells)), Incident(0, 1e4))
    figure = plots.shower_3d(empty, 0)
    assert "nothing deposited" in figure.get_suptitle()
    assert "unknown particle" in figure.get_suptitle()
    assert plots.png([figure])


def test_absent_shower_is_refused(make_showers) -> None:
    with pytest.raises(InputError, match="there are none"):
        plots.shower_3d(make_showers(1)[:0], 0)
