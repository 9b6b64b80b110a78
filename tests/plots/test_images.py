"""Showers as images: true geometry, one colour scale, empty cells that look empty."""

import threading

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.collections import QuadMesh

from caloforge import plots
from caloforge.errors import InputError
from caloforge.geometry import Calorimeter
from caloforge.incident.incident import Incident
from caloforge.plots import images
from caloforge.showers import Showers


def meshes(figure: plots.Figure) -> list[QuadMesh]:
    """The images of a figure, without those that colour bars are made of."""
    found = [(axes, artist) for axes in figure.axes for artist in axes.collections]
    return [mesh for axes, mesh in found if isinstance(mesh, QuadMesh) and axes.get_label() != "<colorbar>"]


def bars(figure: plots.Figure) -> list[Axes]:
    return [axes for axes in figure.axes if axes.get_label() == "<colorbar>"]


def test_layers_are_drawn_between_their_true_edges(make_showers, calogan) -> None:
    figure = plots.layers(make_showers(3), 1)
    for mesh, layer in zip(meshes(figure), calogan.layers, strict=True):
        corners = mesh.get_coordinates()
        np.testing.assert_array_equal(corners[0, :, 0], layer.eta.edges)
        np.testing.assert_array_equal(corners[:, 0, 1], layer.phi.edges)
        assert mesh.axes is not None
        assert mesh.axes.get_aspect() == 1.0


def test_layers_show_the_shower_and_leave_empty_cells_blank(make_showers, calogan) -> None:
    showers = make_showers(3)
    figure = plots.layers(showers, 1)
    for mesh, image in zip(meshes(figure), calogan.split(showers.cells[1]), strict=True):
        shown = np.ma.masked_array(mesh.get_array())
        np.testing.assert_allclose(shown.filled(0).ravel(), image.ravel())
        colours = mesh.to_rgba(shown).reshape(-1, 4)
        np.testing.assert_array_equal(colours[:, 3] > 0, image.ravel() > 0)


def test_one_colour_scale_covers_all_layers(make_showers) -> None:
    showers = make_showers(2)
    first, *others = meshes(plots.layers(showers, 0))
    scale, cells = first.norm, showers.cells[0]
    assert all(mesh.norm is scale for mesh in others)
    assert scale.vmax == pytest.approx(cells.max())
    assert scale.vmin <= max(cells[cells > 0].min(), cells.max() / 1e6) * 1.0001


def test_axes_have_units(make_showers) -> None:
    figure = plots.layers(make_showers(1), 0)
    images = [mesh.axes for mesh in meshes(figure)]
    assert images[0].get_ylabel() == r"$\phi$ [mm]"
    assert {axes.get_xlabel() for axes in images} == {r"$\eta$ [mm]"}
    assert [axes.get_ylabel() for axes in bars(figure)] == ["energy per cell [MeV]"]
    assert "e^{+}" in figure.get_suptitle()
    assert "geometry calogan" in figure.get_supxlabel()


def test_average_is_the_mean_of_all_showers(make_showers, calogan) -> None:
    showers = make_showers(40)
    for mesh, image in zip(
        meshes(plots.average(showers)), calogan.split(showers.cells.mean(axis=0)), strict=True
    ):
        np.testing.assert_allclose(np.ma.filled(mesh.get_array(), 0).ravel(), image.ravel(), rtol=1e-4)


def test_ratio_of_averages(make_showers, calogan) -> None:
    showers = make_showers(60)
    twice = Showers(calogan, showers.cells * 2, Incident(22, showers.energy), provenance={"model": "twice"})
    figure = plots.average(twice, showers)
    ratios = meshes(figure)[6:]
    assert len(ratios) == 3
    for mesh in ratios:
        np.testing.assert_allclose(np.ma.compressed(mesh.get_array()), 2.0, rtol=1e-5)
        assert mesh.norm.vmin * mesh.norm.vmax == pytest.approx(1.0)
    assert [axes.get_ylabel() for axes in bars(figure)][1].startswith("ratio")
    assert figure.get_supxlabel().count("geometry calogan") == 2


def test_cells_without_statistics_are_grey_and_one_sided_ones_are_not(calogan) -> None:
    cells = np.zeros((20, calogan.n_cells))
    cells[:, 0] = 1.0
    cells[:3, 1] = 1.0
    first = Showers(calogan, cells, Incident(11, 1e4))
    cells[:, 2] = 1.0
    second = Showers(calogan, cells, Incident(11, 1e4))
    ratio = np.ma.masked_array(meshes(plots.average(first, second))[6].get_array()).ravel()
    np.testing.assert_array_equal(np.ma.getmaskarray(ratio)[:4], [False, True, False, True])
    assert ratio[2] < meshes(plots.average(first, second))[6].norm.vmin


def test_empty_and_single_showers_can_be_drawn(calogan) -> None:
    empty = Showers(calogan, np.zeros((1, calogan.n_cells)), Incident(211, 1e4))
    for figure in (plots.layers(empty, 0), plots.average(empty), plots.average(empty, empty)):
        assert plots.png([figure])
    assert "nothing deposited" in plots.layers(empty, 0).get_suptitle()


def test_absent_showers_are_refused(make_showers) -> None:
    for i in (-1, 3):
        with pytest.raises(
            InputError, match=f"no shower {i} among these 3 showers: they are numbered 0 to 2"
        ):
            plots.layers(make_showers(3), i)
    with pytest.raises(InputError, match="no showers to draw"):
        plots.average(make_showers(3)[:0])


def test_different_cells_are_refused(make_showers, calogan_fine) -> None:
    with pytest.raises(InputError, match=r"different cells \('calogan' and 'calogan_fine'\).*rebin"):
        plots.average(make_showers(1), make_showers(1, calogan_fine))


def test_large_images_are_pixels_in_vector_files(make_showers, calogan_fine) -> None:
    fine = plots.layers(make_showers(1, calogan_fine), 0)
    assert [mesh.get_rasterized() for mesh in meshes(fine)] == [True, True, False]
    assert plots.svg([fine]).count(b"<image") >= 2


def test_many_layers_get_several_rows(make_showers, calogan) -> None:
    plain = calogan.to_dict()
    middle = plain["layers"][1]
    plain["layers"] = [{**middle, "z": [48.0 * n, 48.0 * (n + 1)]} for n in range(10)]
    showers = make_showers(2, Calorimeter.from_dict({**plain, "name": "ten"}))
    assert len(meshes(plots.layers(showers, 0))) == 10
    both = plots.average(showers, showers)
    assert len(meshes(both)) == 12
    assert "the 4 of 10 layers with most energy" in both.get_supxlabel()


@pytest.mark.parametrize(("n", "columns"), [(1, 1), (4, 4), (7, 4), (10, 5), (30, 6), (45, 9), (48, 8)])
def test_pages_of_many_layers_are_full(n: int, columns: int) -> None:
    assert images._columns(n) == columns


def test_only_outer_images_have_numbers_on_a_crowded_page(make_showers, calogan) -> None:
    plain = calogan.to_dict()
    layers = [{**plain["layers"][2], "z": [40 * k, 40 * (k + 1)]} for k in range(12)]
    drawn = meshes(plots.layers(make_showers(1, Calorimeter.from_dict({**plain, "layers": layers})), 0))
    assert len(drawn) == 12
    assert [n for n, mesh in enumerate(drawn) if mesh.axes.get_ylabel()] == [0, 4, 8]
    assert [n for n, mesh in enumerate(drawn) if mesh.axes.get_xlabel()] == [8, 9, 10, 11]


def test_rings_are_drawn_as_rings(make_showers) -> None:
    plain = Calorimeter.load("calochallenge_2").to_dict()
    plain |= {
        "stack": [],
        "layers": [layer | {"z": [n, n + 1]} for n, layer in enumerate(plain["layers"][:2])],
    }
    rings = Calorimeter.from_dict(plain)
    showers = make_showers(2, rings)
    drawn = meshes(plots.layers(showers, 1))
    for mesh, layer, image in zip(drawn, rings.layers, rings.split(showers.cells[1]), strict=True):
        corners = mesh.get_coordinates()
        chords = (len(corners) - 1) // layer.n_alpha
        radius = np.hypot(corners[..., 0], corners[..., 1])
        np.testing.assert_allclose(radius, np.broadcast_to(layer.r.edges, radius.shape), atol=1e-9)
        angle = np.arctan2(corners[chords:-1:chords, 1, 1], corners[chords:-1:chords, 1, 0])
        np.testing.assert_allclose(angle, layer.alpha_edges[1:-1], atol=1e-9)
        shown = np.ma.filled(mesh.get_array(), 0).reshape(layer.n_alpha, chords, layer.n_r)
        for chord in range(chords):
            np.testing.assert_allclose(shown[:, chord], image)
    assert plots.png([plots.average(showers, showers), plots.shapes(showers, showers)])


def test_settings_of_matplotlib_stay_as_they_were(make_showers) -> None:
    before = dict(mpl.rcParams)
    plots.png([plots.average(make_showers(2))])
    assert dict(mpl.rcParams) == before


def test_threads_do_not_disturb_each_other(make_showers) -> None:
    before, alone, made = dict(mpl.rcParams), plots.png([plots.shower_3d(make_showers(1), 0)]), []

    def draw() -> None:
        made.append(plots.png([plots.shower_3d(make_showers(1), 0)]))

    threads = [threading.Thread(target=draw) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert made == [alone] * 4
    assert dict(mpl.rcParams) == before
