"""Shower shapes of two samples, and responses at several energies."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from caloforge import plots
from caloforge.errors import InputError
from caloforge.incident.incident import Incident
from caloforge.observables.response import Response
from caloforge.observables.sparsity import Sparsity
from caloforge.plots.histograms import Histogram, common_edges
from caloforge.showers import Showers
from caloforge.units import GeV


def test_page_has_a_panel_and_a_ratio_for_each_shape(make_showers) -> None:
    figure = plots.shapes(make_showers(50), make_showers(60, seed=2))
    labels = [axes.get_xlabel() for axes in figure.axes if axes.get_ylabel() == "ratio"]
    assert len(figure.axes) == 24
    assert labels[0] == r"response, $E_\mathrm{tot}/E$"
    assert labels[5] == r"width in η, layer 0, $\sigma_{0,\eta}$ [cells]"
    assert labels[4] == r"shower depth, $s_d$ [layers]"


def test_legend_names_both_samples_outside_of_all_panels(make_showers, calogan) -> None:
    first, second = make_showers(20), make_showers(20, seed=2)
    named = Showers(calogan, first.cells, Incident(22, first.energy), provenance={"model": "a model"})
    figure = plots.shapes(named, second)
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["a model", "unknown source"]
    plots.png([figure])
    legend = figure.legends[0].get_window_extent()
    assert not any(legend.overlaps(axes.get_window_extent()) for axes in figure.axes)


def test_observables_can_be_chosen(make_showers) -> None:
    figure = plots.shapes(make_showers(9), make_showers(9), [Response()])
    assert len(figure.axes) == 2


@pytest.mark.parametrize("occupancy", [0.0, 0.2])
def test_single_and_empty_showers_can_be_compared(make_showers, occupancy: float) -> None:
    assert plots.png([plots.shapes(make_showers(1, occupancy=occupancy), make_showers(1))])


def test_samples_that_can_not_be_compared_are_refused(make_showers, calogan_fine) -> None:
    with pytest.raises(InputError, match="different cells"):
        plots.shapes(make_showers(1), make_showers(1, calogan_fine))
    with pytest.raises(InputError, match="no showers"):
        plots.shapes(make_showers(1), make_showers(1)[:0])


values = st.lists(st.floats(-1e6, 1e6, allow_subnormal=False), min_size=1, max_size=50).map(np.array)


@given(first=values, second=values)
@settings(max_examples=60)
def test_no_shower_is_lost_between_the_bins(first: np.ndarray, second: np.ndarray) -> None:
    edges = common_edges(first, second)
    assert (np.diff(edges) > 0).all()
    for sample in (first, second):
        assert Histogram.of(sample, edges).share.sum() == pytest.approx(1.0)


@given(hits=st.lists(st.integers(0, 72), min_size=150, max_size=200))
@settings(max_examples=30)
def test_values_on_a_lattice_lie_in_the_middle_of_bins(hits: list[int]) -> None:
    fractions = np.array([0, 1, *hits]) / 72
    distances = np.abs(fractions[:, np.newaxis] - common_edges(fractions))
    assert distances.min() > 0.4 / 72


def test_lattice_of_the_sparsity_gives_no_empty_bins(calogan) -> None:
    random = np.random.default_rng(1)
    cells = (random.random((2000, calogan.n_cells)) < random.uniform(0, 1, (2000, 1))).astype(float)
    fractions = Sparsity(2)(Showers(calogan, cells, Incident(22, 1e4)))
    counts = np.histogram(fractions, common_edges(fractions))[0][:-1]
    assert counts.min() > 0.7 * counts.mean()


def test_response_marks_the_incident_energies(make_showers, calogan) -> None:
    showers = make_showers(30)
    energies = np.tile([10 * GeV, 50 * GeV, 100 * GeV], 10)
    figure = plots.response(Showers(calogan, showers.cells, Incident(11, energies)), [100 * GeV, 10 * GeV])
    left, right = figure.axes
    assert left.get_xlabel() == r"$E_\mathrm{tot}$ [GeV]"
    assert right.get_xlabel() == r"response $E_\mathrm{tot}/E$"
    assert [line.get_xdata()[0] for line in left.lines] == [10.0, 100.0]
    texts = [text.get_text() for text in figure.legends[0].get_texts()]
    assert [text.partition(":")[0] for text in texts] == ["10 GeV", "100 GeV"]


def test_response_needs_showers_of_the_energies(make_showers) -> None:
    with pytest.raises(InputError, match="within 5 % of 500 GeV"):
        plots.response(make_showers(5), [500 * GeV])
    with pytest.raises(InputError, match="0 GeV is not possible"):
        plots.response(make_showers(5), [0.0])
