from collections.abc import Callable

import numpy as np
import pytest

from caloforge.errors import InputError
from caloforge.geometry import Calorimeter
from caloforge.metrics.nearest_neighbours import neighbours as find
from caloforge.plots.neighbours import distances, neighbours
from caloforge.showers import Showers

Make = Callable[..., Showers]


def test_every_layer_has_showers_above_their_neighbours(make_showers: Make) -> None:
    reference, generated = make_showers(20), make_showers(20, seed=2)
    figure = neighbours(reference, generated, find(reference, generated, n=3))
    images = [axes for axes in figure.axes if axes.get_aspect() == 1 and axes.collections]
    assert len(images) == 2 * 3 * 3
    assert sum("GeV" in axes.get_title() for axes in images) == 9
    assert sum("(" in axes.get_xlabel() for axes in images) == 9


def test_rings_and_many_layers(make_showers: Make) -> None:
    geometry = Calorimeter.load("calochallenge_2")
    reference, generated = (make_showers(4, geometry=geometry, seed=seed) for seed in (1, 2))
    figure = neighbours(reference, generated, find(reference, generated, n=2))
    text = figure.get_supxlabel()
    assert "3 of 45 layers" in text


def test_a_lonely_shower_has_no_neighbour_of_its_own(make_showers: Make, small: Calorimeter) -> None:
    reference, generated = make_showers(1, geometry=small), make_showers(5, geometry=small)
    figure = neighbours(reference, generated, find(reference, generated))
    assert not any("(" in axes.get_xlabel() for axes in figure.axes)


def test_other_cells_are_refused(make_showers: Make, small: Calorimeter) -> None:
    with pytest.raises(InputError, match="different cells"):
        neighbours(make_showers(3), make_showers(3, geometry=small), ())


def test_distances_of_copies_are_drawn_too() -> None:
    figure = distances(
        {"generated to training": np.zeros(10), "held-out to training": np.linspace(0.1, 0.2, 10)}
    )
    assert [text.get_text() for text in figure.axes[0].get_legend().get_texts()] == [
        "generated to training: median 0",
        "held-out to training: median 0.15",
    ]
    assert distances({"generated to training": np.zeros(10)}).axes
    assert distances({}).axes
