"""Energies of layers, depths and numbers of hits, on showers computed by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from caloforge import observables
from caloforge.errors import InputError
from caloforge.geometry import Calorimeter
from caloforge.incident.incident import Incident
from caloforge.observables.deepest_layer import DeepestLayer
from caloforge.observables.depth_weighted_energy import DepthWeightedEnergy
from caloforge.observables.hits import Hits
from caloforge.observables.layer_energy import LayerEnergy
from caloforge.observables.layer_hits import LayerHits
from caloforge.observables.layer_response import LayerResponse
from caloforge.observables.shower_depth import ShowerDepth
from caloforge.observables.sparsity import Sparsity
from caloforge.observables.total_energy import TotalEnergy
from caloforge.showers import Showers
from caloforge.units import MeV, keV


def test_table_iv_by_hand(calogan: Calorimeter, one_shower) -> None:
    one = one_shower(calogan, (0, 1, 40, 100.0), (1, 5, 5, 250.0), (1, 5, 6, 50.0), (2, 0, 0, 400.0))
    assert [LayerEnergy(layer)(one)[0] for layer in range(3)] == [100.0, 300.0, 400.0]
    assert [LayerResponse(layer)(one)[0] for layer in range(3)] == pytest.approx([0.1, 0.3, 0.4])
    assert TotalEnergy()(one) == [800.0]
    assert DepthWeightedEnergy()(one) == [300.0 + 2 * 400.0]
    assert DepthWeightedEnergy()(one) / TotalEnergy()(one) == pytest.approx(ShowerDepth()(one))


def test_depth_is_the_deepest_layer_with_any_energy(calogan: Calorimeter, one_shower) -> None:
    hits = [(0, 1, 40, 1.0), (1, 5, 5, 1e-6), (2, 0, 0, 1.0)]
    depths = [DeepestLayer()(one_shower(calogan, *hits[:n]))[0] for n in range(4)]
    np.testing.assert_array_equal(depths, [np.nan, 0, 1, 2])


def test_hits_reach_their_threshold(calogan: Calorimeter, one_shower) -> None:
    one = one_shower(calogan, (0, 0, 0, 1e-6), (0, 0, 1, 15 * keV), (1, 0, 0, 16 * keV), (1, 0, 1, 1 * MeV))
    assert [hits(one)[0] for hits in Hits.every(calogan)] == [4, 2, 1]
    assert [hits(one)[0] for hits in LayerHits.every(calogan)] == [2, 2, 0, 0, 2, 0, 0, 1, 0]
    assert Sparsity(0)(one) == pytest.approx([2 / 288])


def test_names_and_labels_say_the_threshold(calogan: Calorimeter) -> None:
    every = Hits.every(calogan)
    assert [hits.name for hits in every] == ["hits", "hits_above_15_15keV", "hits_above_1000keV"]
    assert [hits.label for hits in every] == ["hits", "hits above 15.15 keV", "hits above 1 MeV"]
    assert LayerHits(2, 1 * MeV).name == "layer_hits_2_above_1000keV"
    assert LayerHits(2, 1 * MeV).label == "hits above 1 MeV in layer 2"


def test_above_a_threshold_stays_what_reaches_it(calogan: Calorimeter, make_showers) -> None:
    showers = make_showers(5)
    seen = observables.above(showers, 1 * MeV)
    assert set(np.unique(seen.cells > 0)) == {False, True}
    assert seen.cells[seen.cells > 0].min() >= 1
    np.testing.assert_array_equal(Hits()(seen), Hits(1 * MeV)(showers))
    np.testing.assert_array_equal(seen.cells[seen.cells > 0], showers.cells[showers.cells >= 1])
    assert seen.provenance == {"seed": 1, "threshold_MeV": 1.0}
    np.testing.assert_array_equal(observables.above(showers, 0).cells, showers.cells)


@pytest.mark.parametrize("kind", [LayerEnergy, LayerResponse, LayerHits])
def test_absent_layer_is_refused(kind: type[LayerEnergy], make_showers) -> None:
    for layer in (-1, 3):
        with pytest.raises(InputError, match=rf"no layer {layer} .* 0 to 2"):
            kind(layer)(make_showers(1))


@given(energies=st.lists(st.floats(2**-20, 2**20, width=32), min_size=1, max_size=20))
def test_cells_of_every_energy_are_in_one_bin_of_the_spectrum(energies: list[float]) -> None:
    geometry = Calorimeter.load("calogan")
    cells = np.zeros((2, geometry.n_cells))
    cells[0, 280 : 280 + len(energies)] = energies  # on both sides of the end of layer 0
    showers = Showers(geometry, cells, Incident(22, 1e6))
    counts = observables.cell_spectrum(showers)
    assert counts.shape == (3, len(observables.SPECTRUM_EDGES) - 1)
    np.testing.assert_array_equal(counts.sum(axis=1), [LayerHits(layer)(showers).sum() for layer in range(3)])


def test_spectrum_counts_by_energy_and_keeps_what_lies_beyond(calogan: Calorimeter, one_shower) -> None:
    one = one_shower(calogan, (0, 0, 0, 0.5), (0, 0, 1, 1.0), (0, 0, 2, 7.0), (1, 0, 0, 1e4), (1, 0, 1, 20.0))
    counts = observables.cell_spectrum(one, np.array([1.0, 5.0, 10.0, 50.0]))
    np.testing.assert_array_equal(counts, [[2, 1, 0], [0, 0, 2], [0, 0, 0]])
