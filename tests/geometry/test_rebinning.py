"""Cells of a fine read-out, summed onto a coarser one."""

from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from caloforge.errors import GeometryError
from caloforge.geometry import Calorimeter
from caloforge.geometry.rebinning import crop_cells, crop_matrix, rebin_cells, rebin_matrix, shared_matrix

from .conftest import describe

EDGES = st.lists(st.integers(-1000, 1000), min_size=2, max_size=12, unique=True).map(
    lambda edges: [edge / 8 for edge in sorted(edges)]
)


@given(data=st.data(), z=EDGES, eta=EDGES, phi=EDGES)
def test_rebinning_conserves_energy_and_position(data, z, eta, phi):
    assume(len(z) > 2)
    z = [edge - z[0] for edge in z]
    fine = Calorimeter.from_dict(describe([(pair, eta, phi) for pair in pairwise(z)]))
    kept_z = thin(data, z)
    layers = [(pair, thin(data, eta), thin(data, phi)) for pair in pairwise(kept_z)]
    coarse = Calorimeter.from_dict(describe(layers))
    cells = np.random.default_rng(1).exponential(1, (3, fine.n_cells)).astype(np.float32)
    summed = rebin_cells(cells, fine, coarse)
    assert summed.shape == (3, coarse.n_cells)
    np.testing.assert_allclose(summed.sum(axis=1), cells.sum(axis=1), rtol=1e-5)
    volumes = rebin_cells(volume(fine)[None], fine, coarse)[0]
    np.testing.assert_allclose(volumes, volume(coarse), rtol=1e-5)


def thin(data, edges):
    """Some of the edges, with the outer ones."""
    inner = data.draw(st.lists(st.sampled_from(edges[1:-1]), unique=True)) if len(edges) > 2 else []
    return [edges[0], *sorted(inner), edges[-1]]


def volume(geometry):
    """Volume of each cell, a quantity that only the right map carries over."""
    return geometry.join(
        [
            np.diff(layer.z) * np.outer(np.diff(layer.phi.edges), np.diff(layer.eta.edges))
            for layer in geometry.layers
        ]
    )


def test_rebinning_steps_can_be_skipped(calogan_fine, calogan):
    one = describe([((0, 480), [-240, 240], [-240, 240])], name="one")
    one = Calorimeter.from_dict(
        one | {"stack": calogan.to_dict()["stack"], "visible": ["active", "absorber"]}
    )
    through = rebin_matrix(calogan_fine, calogan) @ rebin_matrix(calogan, one)
    assert (through != rebin_matrix(calogan_fine, one)).nnz == 0


def test_rebinning_is_the_exact_sum_rounded_once(calogan_fine, calogan, make_showers):
    cells = make_showers(2, calogan_fine).cells
    summed = rebin_cells(cells, calogan_fine, calogan)
    matrix = rebin_matrix(calogan_fine, calogan).tocsc()
    for column in (0, 100, 300, 503):
        inside = matrix.indices[matrix.indptr[column] : matrix.indptr[column + 1]]
        exact = [float(sum(Fraction(float(value)) for value in row[inside])) for row in cells]
        np.testing.assert_allclose(summed[:, column], exact, rtol=2**-24)


def test_rebinning_to_itself_changes_nothing(calogan, make_showers):
    cells = make_showers(3).cells
    assert np.array_equal(rebin_cells(cells, calogan, calogan), cells)


@pytest.mark.parametrize(
    ("layers", "sentence"),
    [
        ([((0, 2), [-1, 0, 1], [0.5, 1])], "layer 0, phi: the edges span 0.5 to 1 mm"),
        ([((0, 2), [-1, 0.25, 1], [0, 1])], "layer 0, eta: the edge at 0.25 mm"),
        ([((0, 2), [-1, 0.25, 0.75, 1], [0, 1])], "layer 0, eta: the edge at 0.25 mm"),
        ([((0, 1.5), [-1, 1], [0, 1]), ((1.5, 2), [-1, 1], [0, 1])], "z: the edge at 1.5 mm"),
        ([((0, 1), [-1, 1], [0, 1]), ((1, 2), [-1, 1], [0, 0.25, 1])], "layer 1, phi: the edge at 0.25 mm"),
    ],
)
def test_a_grid_that_does_not_fit_is_named(layers, sentence):
    fine = Calorimeter.from_dict(
        describe([((0, 1), [-1, 0, 1], [0, 0.5, 1]), ((1, 2), [-1, 0, 1], [0, 0.5, 1])])
    )
    stack = fine.to_dict()["stack"]
    with pytest.raises(GeometryError, match=sentence):
        rebin_matrix(fine, Calorimeter.from_dict(describe(layers) | {"stack": stack}))


def test_rebinning_does_not_change_the_matter(calogan_fine, calogan):
    argon_only = Calorimeter.from_dict(calogan.to_dict() | {"visible": ["active"]})
    with pytest.raises(GeometryError, match=r"absorber \+ active"):
        rebin_matrix(calogan_fine, argon_only)
    content = calogan.to_dict()
    content["stack"][0]["slabs"][0]["material"] = "G4_W"
    with pytest.raises(GeometryError, match="not made of the same slabs"):
        rebin_matrix(calogan_fine, Calorimeter.from_dict(content))


@pytest.mark.parametrize("width", [-1, 1])
def test_cells_of_another_width_are_refused(calogan_fine, calogan, width):
    cells = np.zeros((2, calogan_fine.n_cells + width), np.float32)
    with pytest.raises(GeometryError, match=str(calogan_fine.n_cells + width)):
        rebin_cells(cells, calogan_fine, calogan)


def test_many_showers_are_summed_as_few_are(calogan_fine, calogan):
    """The rows are taken in blocks of 1,024."""
    cells = np.zeros((2050, calogan_fine.n_cells), np.float32)
    cells[:, 0] = np.arange(2050)
    summed = rebin_cells(cells, calogan_fine, calogan)
    assert (summed.shape, summed.dtype) == ((2050, calogan.n_cells), np.float32)
    np.testing.assert_array_equal(summed.sum(axis=1), np.arange(2050))
    np.testing.assert_array_equal(summed[[0, 1023, 1024, 2049], 0], [0, 1023, 1024, 2049])


@given(data=st.data(), eta=EDGES, phi=EDGES)
def test_shared_cells_conserve_energy_and_are_shared_by_area(data, eta, phi):
    """An even density stays one, whatever edges the coarser grid has."""
    fine = Calorimeter.from_dict(describe([((0, 1), eta, phi)]))
    ends = [[edges[0], edges[-1]] for edges in (eta, phi)]
    widest = [max(np.diff(edges)) for edges in (eta, phi)]
    counts = [
        data.draw(st.integers(1, max(1, int((high - low) / width))))
        for (low, high), width in zip(ends, widest, strict=True)
    ]
    edges = [np.linspace(low, high, n + 1).tolist() for (low, high), n in zip(ends, counts, strict=True)]
    coarse = Calorimeter.from_dict(describe([((0, 1), *edges)]))
    matrix = shared_matrix(fine, coarse)
    np.testing.assert_allclose(matrix.sum(axis=1), 1, rtol=1e-9)
    np.testing.assert_allclose(volume(fine) @ matrix, volume(coarse), rtol=1e-6)


@pytest.mark.parametrize("name", ["calogan", "arm_48x4_36x48", "arm_192x48_48x48"])
def test_nothing_is_shared_where_all_edges_are_on_the_grid(calogan_fine, name):
    coarse = Calorimeter.load(name)
    assert (shared_matrix(calogan_fine, coarse) != rebin_matrix(calogan_fine, coarse)).nnz == 0


@pytest.mark.parametrize(
    ("coarse", "sentence"),
    [
        (
            "calogan_fine",
            r"layer 0, phi: the cell from -240 to -230 mm is smaller than those of calogan there",
        ),
        ("ild_ecal", "not made of the same slabs"),
        ("calochallenge_2", "not made of the same slabs"),
    ],
)
def test_cells_that_can_not_be_divided_are_named(calogan, coarse, sentence):
    with pytest.raises(GeometryError, match=sentence):
        shared_matrix(calogan, Calorimeter.load(coarse))


@given(data=st.data(), eta=EDGES, phi=EDGES)
def test_a_core_has_the_cells_inside_of_its_edges_and_no_others(data, eta, phi):
    def inner(edges):
        low = data.draw(st.integers(0, len(edges) - 2))
        high = data.draw(st.integers(low + 1, len(edges) - 1))
        return thin(data, edges[low : high + 1])

    layers = [(0, 1), (1, 3)]
    whole = Calorimeter.from_dict(describe([(z, eta, phi) for z in layers]))
    core = Calorimeter.from_dict(describe([(z, inner(eta), inner(phi)) for z in layers]))
    np.testing.assert_allclose(crop_cells(volume(whole)[None], whole, core)[0], volume(core), rtol=1e-5)
    assert set(np.diff(crop_matrix(whole, core).indptr)) <= {0, 1}


def test_a_core_of_everything_is_the_rebinned_read_out(calogan_fine, calogan):
    assert (crop_matrix(calogan_fine, calogan) != rebin_matrix(calogan_fine, calogan)).nnz == 0


def test_a_core_of_rings_has_the_inner_ones():
    whole, core = (
        Calorimeter.from_dict(
            describe([((0, 1), [0, 1], [0, 1])])
            | {"stack": [], "layers": [{"z": [0.0, 1.0], "r": {"edges": edges}, "alpha": 4}]}
        )
        for edges in ([0.0, 5.0, 10.0, 20.0], [0.0, 10.0])
    )
    cells = np.arange(12.0)[None]
    assert crop_cells(cells, whole, core).tolist() == [[1.0, 7.0, 13.0, 19.0]]


@pytest.mark.parametrize(
    ("eta", "z", "sentence"),
    [
        ([-7.0, 10.0], (0, 3), "not an edge of box"),
        ([-30.0, 30.0], (0, 3), "the edge at -30 mm"),
        ([-10.0, 10.0], (0, 2), "not made of the same slabs"),
    ],
)
def test_cores_that_do_not_fit_are_refused(eta, z, sentence):
    edges = [-20.0, -10.0, 0.0, 10.0, 20.0]
    whole = Calorimeter.from_dict(describe([((0, 3), edges, edges)]))
    core = Calorimeter.from_dict(describe([(z, eta, [-10.0, 10.0])]))
    with pytest.raises(GeometryError, match=sentence):
        crop_matrix(whole, core)


def test_showers_keep_what_is_outside_of_their_core(make_showers):
    whole = make_showers(3, Calorimeter.load("ild_ecal"), occupancy=0.01)
    core = whole.crop(Calorimeter.load("ild_ecal_core"))
    images = whole.cells.reshape(3, 30, 30, 30)[:, :, 10:20, 10:20]
    assert np.array_equal(core.cells, images.reshape(3, -1))
    total = whole.cells.sum(axis=1, dtype=float)
    np.testing.assert_allclose(core.cells.sum(axis=1) + core.columns["outside"], total, rtol=1e-6)
    assert np.array_equal(core.crop(core.geometry).columns["outside"], core.columns["outside"])
