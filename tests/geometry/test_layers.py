"""Cells of a layer: boxes and rings."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from caloforge.errors import GeometryError
from caloforge.geometry import Axis, Calorimeter, Layer, RingLayer
from caloforge.geometry.limits import LONGEST

ONE = Axis(edges=[-1, 1])
RINGS = st.lists(st.integers(1, 400), min_size=1, max_size=8, unique=True).map(
    lambda edges: Axis(edges=[0.0, *(edge / 4 for edge in sorted(edges))])
)


@given(r=RINGS, alpha=st.integers(1, 20))
def test_the_middle_of_a_ring_cell_lies_in_its_ring_and_sector(r, alpha):
    layer = RingLayer(z=(0.0, 1.0), r=r, alpha=alpha)
    eta, phi = layer.centres
    radius, angle = np.hypot(eta, phi), np.arctan2(phi, eta)
    assert eta.shape == phi.shape == layer.shape == (alpha, r.n)
    assert ((radius > r.edges[:-1]) & (radius < r.edges[1:])).all()
    # One sector has its middle at alpha = 0, whatever arctan2 says next to a cut at -pi.
    edges = layer.alpha_edges
    assert ((angle > edges[:-1, None]) & (angle < edges[1:, None])).all()
    assert edges[0] == -np.pi
    assert edges[-1] == np.pi


@given(r=RINGS, alpha=st.integers(1, 20))
def test_mirror_images_of_ring_cells_are_where_the_mirror_says(r, alpha):
    layer = RingLayer(z=(0.0, 1.0), r=r, alpha=alpha)
    eta, phi = (coordinate.ravel() for coordinate in layer.centres)
    upside_down, reversed_ = layer.mirrored("phi"), layer.mirrored("eta")
    np.testing.assert_allclose(phi[upside_down.ravel()], -phi, atol=1e-9)
    np.testing.assert_allclose(eta[upside_down.ravel()], eta, atol=1e-9)
    if alpha == 1:  # the middle of a full ring is its point at alpha = 0 and says nothing
        np.testing.assert_array_equal(reversed_, np.arange(r.n)[None])
    elif alpha % 2:
        assert reversed_ is None
    else:
        np.testing.assert_allclose(eta[reversed_.ravel()], -eta, atol=1e-9)
        np.testing.assert_allclose(phi[reversed_.ravel()], phi, atol=1e-9)


@given(r=RINGS, alpha=st.integers(1, 6), factor=st.integers(1, 4), data=st.data())
def test_finer_ring_cells_lie_in_the_cell_that_contains_them(r, alpha, factor, data):
    kept = data.draw(st.sets(st.sampled_from(range(1, r.n + 1)))) | {0, r.n}
    coarse = RingLayer(z=(0.0, 1.0), r=Axis(edges=r.edges[sorted(kept)]), alpha=alpha)
    fine = RingLayer(z=(0.0, 1.0), r=r, alpha=alpha * factor)
    number = coarse.containing(fine, "coarse", "fine")
    assert number.shape == fine.shape
    row, ring = np.divmod(number, coarse.n_r)
    assert (row == np.arange(fine.n_alpha)[:, None] // factor).all()
    inside = (coarse.r.edges[ring] <= r.edges[:-1]) & (r.edges[1:] <= coarse.r.edges[ring + 1])
    assert inside.all()


def test_rings_and_boxes_can_not_be_rebinned_into_each_other():
    rings = RingLayer(z=(0.0, 1.0), r=Axis(edges=[0, 1]), alpha=1)
    boxes = Layer(z=(0.0, 1.0), eta=Axis.uniform(2, -1, 1), phi=Axis.uniform(2, -1, 1))
    for coarse, fine in ((rings, boxes), (boxes, rings)):
        with pytest.raises(GeometryError, match="one has boxes and the other has rings"):
            coarse.containing(fine, "here", "there")


def test_sectors_that_would_have_to_be_divided_are_named():
    fine, coarse = (RingLayer(z=(0.0, 1.0), r=Axis(edges=[0, 1]), alpha=n) for n in (6, 4))
    with pytest.raises(GeometryError, match="4 sectors can't be put together from the 6 of fine"):
        coarse.containing(fine, "coarse", "fine")


def test_rings_begin_on_the_axis():
    with pytest.raises(ValueError, match="at r = 0, but the first edge is 2 mm"):
        RingLayer(z=(0.0, 1.0), r=Axis(edges=[2, 3]), alpha=1)


def test_the_middle_of_a_box_lies_in_it():
    layer = Layer(z=(0.0, 1.0), eta=Axis(edges=[-1, 0, 3]), phi=Axis(edges=[2, 3, 5, 6]))
    eta, phi = layer.centres
    assert eta.shape == phi.shape == layer.shape == (layer.n_phi, layer.n_eta) == (3, 2)
    assert eta.tolist() == [[-0.5, 1.5]] * 3
    assert phi.T.tolist() == [[2.5, 4, 5.5]] * 2


def test_a_layer_reaches_to_its_farthest_edge():
    near = Axis(edges=[-1, 0, 2])
    for far in (Axis(edges=[-7, 0, 3]), Axis(edges=[-3, 0, 7])):
        assert Layer(z=(0.0, 1.0), eta=far, phi=near).reach == 7
        assert Layer(z=(0.0, 1.0), eta=near, phi=far).reach == 7
    assert RingLayer(z=(0.0, 1.0), r=Axis(edges=[0, 2, 3, 7]), alpha=4).reach == 7


def test_a_layer_ends_behind_its_start():
    assert Layer(z=(0.5, np.nextafter(0.5, 1)), eta=ONE, phi=ONE).z[0] == 0.5
    for z in ((2.0, 1.0), (1.0, 1.0), (float("nan"), 1.0)):
        with pytest.raises(ValueError, match=f"z goes from {z[0]:g} to {z[1]:g} mm"):
            Layer(z=z, eta=ONE, phi=ONE)


def test_layers_are_as_deep_as_allowed_and_no_deeper():
    assert Layer(z=(-LONGEST, LONGEST), eta=ONE, phi=ONE).z == (-LONGEST, LONGEST)
    beyond = np.nextafter(LONGEST, np.inf)
    for z in ((-beyond, 0.0), (0.0, beyond), (0.0, np.inf)):
        with pytest.raises(ValueError, match="z must be at most"):
            Layer(z=z, eta=ONE, phi=ONE)


def test_where_a_cell_is_in_words():
    assert RingLayer(z=(0.0, 1.0), r=Axis(edges=[0, 1, 2]), alpha=4).cell_name(5) == "alpha 2, r 1"
    grid = Axis.uniform(3, 0, 3)
    assert Layer(z=(0.0, 1.0), eta=grid, phi=grid).cell_name(5) == "phi 1, eta 2"


def test_a_calorimeter_of_boxes_and_rings_has_the_flips_of_both(small):
    rings = {"z": [0.0, 6.0], "r": {"edges": [0, 5, 20]}, "alpha": 6}
    content = small.to_dict()
    both = Calorimeter.from_dict({**content, "layers": [rings, content["layers"][1]]})
    odd = Calorimeter.from_dict({**content, "layers": [{**rings, "alpha": 3}, content["layers"][1]]})
    assert len(both.symmetries()) == 4
    assert len(odd.symmetries()) == 2
    for row in both.symmetries():
        np.testing.assert_array_equal(row[row], np.arange(both.n_cells))
