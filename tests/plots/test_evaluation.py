"""Pictures of two samples from numbers that were taken before."""

import numpy as np
import pytest

from caloforge import plots
from caloforge.observables.response import Response
from caloforge.observables.shower_depth import ShowerDepth
from caloforge.plots.evaluation import Captions, Points
from caloforge.units import GeV

CAPTIONS = Captions(("generated", "Geant4"), ("a line",))


@pytest.fixture
def points() -> Points:
    return Points(np.arange(1.0, 4.0), np.array([0.9, 1.0, 1.1]), np.full(3, 0.01))


def test_each_observable_has_a_panel_with_ratio() -> None:
    random = np.random.default_rng(1)
    samples = [{"response": random.normal(size=n), "shower_depth": random.normal(size=n)} for n in (50, 60)]
    figure = plots.distributions([Response(), ShowerDepth()], samples[0], samples[1], "shapes", CAPTIONS)
    assert figure.get_label() == "shapes"
    assert [axes.get_ylabel() for axes in figure.axes] == ["fraction / bin", "ratio"] * 2


def test_response_is_drawn_at_energies_that_both_have() -> None:
    values = np.random.default_rng(1).normal(1, 0.1, 50)
    figure = plots.conditional_response({GeV: values, 25 * GeV: values}, {25 * GeV: values}, CAPTIONS)
    assert [axes.get_title() for axes in figure.axes if axes.get_title()] == ["25 GeV"]


def test_ratio_of_points_is_that_of_the_values(points: Points) -> None:
    twice = Points(points.at, 2 * points.value, points.error)
    figure = plots.against_energy((twice, points), (points, points), CAPTIONS)
    below = figure.axes[1]
    np.testing.assert_allclose(below.containers[0].lines[0].get_ydata(), 2.0)


def test_missing_points_and_other_bins_are_no_obstacle(points: Points) -> None:
    missing = Points(points.at, np.full(3, np.nan), np.full(3, np.nan))
    shorter = Points(points.at[:2], points.value[:2], points.error[:2])
    assert plots.profiles((points, shorter), (points, missing), CAPTIONS).axes


def test_spectra_of_empty_layers_can_be_drawn(calogan) -> None:
    edges = np.logspace(-3, 3, 13)
    counts = np.zeros((3, 12))
    counts[0, 4:6] = 100
    figure = plots.cell_spectra(calogan, edges, (counts, counts), (10, 10), CAPTIONS)
    assert [axes.get_title() for axes in figure.axes[::2]] == ["layer 0", "layer 1", "layer 2"]


def test_correlations_show_the_difference() -> None:
    first, second = np.eye(3), np.full((3, 3), 0.5)
    figure = plots.correlations((first, second), ["a", "b", "c"], CAPTIONS)
    np.testing.assert_array_equal(figure.axes[2].images[0].get_array(), first - second)


def test_distances_are_ordered_and_not_too_many() -> None:
    random = np.random.default_rng(1)
    values = Points(np.zeros(60), random.uniform(0.1, 1, 60), np.full(60, 0.01))
    floors = Points(np.zeros(60), np.full(60, 0.01), np.full(60, 0.001))
    figure = plots.distances([f"o{i}" for i in range(60)], values, floors, "separation power", CAPTIONS)
    names = [text.get_text() for text in figure.axes[0].get_yticklabels()]
    assert len(names) == 40
    assert names[-1] == f"o{values.value.argmax()}"
