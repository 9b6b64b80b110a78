"""Words in pictures stay apart and within the page."""

from collections.abc import Iterator
from itertools import combinations

import numpy as np
import pytest
from matplotlib.text import Text

from caloforge import observables, plots
from caloforge.incident.incident import Incident
from caloforge.plots import _style
from caloforge.plots.evaluation import Captions, Points
from caloforge.showers import Showers

CAPTIONS = Captions(("generated", "Geant4"), ("a line",))


def words(figure: plots.Figure) -> Iterator[Text]:
    """Yield what is written next to the axes: their titles, labels, and those of their ticks in view."""
    for axes in figure.axes:
        for axis in (axes.xaxis, axes.yaxis):
            low, high = sorted(axis.get_view_interval())
            margin = 1e-9 * (high - low)
            for tick in axis.get_major_ticks():
                if axes.axison and low - margin <= tick.get_loc() <= high + margin:
                    yield from (tick.label1, tick.label2)
            yield axis.label
        yield axes.title


def check(figure: plots.Figure) -> None:
    """Fail if two words lie upon each other, or one runs off the page."""
    boxes = [
        (text.get_text(), text.get_window_extent())
        for text in words(figure)
        if text.get_visible() and text.get_text()
    ]
    page = figure.bbox.padded(1)
    for name, box in boxes:
        assert page.contains(box.x0, box.y0), name
        assert page.contains(box.x1, box.y1), name
    for (name, box), (other, its) in combinations(boxes, 2):
        wide, tall = min(box.x1, its.x1) - max(box.x0, its.x0), min(box.y1, its.y1) - max(box.y0, its.y0)
        assert wide <= 0 or tall <= 0, (name, other)


def test_layers_and_averages_have_titles_and_room(make_showers) -> None:
    showers = make_showers(20)
    for figure in (plots.layers(showers, 0), plots.average(showers), plots.average(showers[:9], showers[9:])):
        check(figure)
        assert figure.get_suptitle()


def test_a_tilted_shower_has_its_direction_in_the_title(small) -> None:
    incident = Incident(22, 1e4, (0.5, 1.0), (3.0, 4.0))
    figure = plots.layers(Showers(small, np.ones((1, small.n_cells)), incident), 0)
    check(figure)
    assert "theta 28.65 degrees" in figure.get_suptitle().replace("\n", " ")
    figure.draw_without_rendering()
    assert figure._suptitle.get_window_extent().x0 >= 0  # type: ignore[attr-defined]


@pytest.mark.parametrize("count", [1, 4])
def test_long_names_of_observables_fit(calogan, count: int) -> None:
    every = observables.every(calogan)
    chosen = sorted(every, key=lambda one: -len(one.label))[:count]
    values = {one.name: np.random.default_rng(1).uniform(0, 1e-3, 200) for one in chosen}
    check(plots.distributions(chosen, values, values, "shapes", CAPTIONS))


def test_the_legend_of_distances_is_above_the_rows() -> None:
    values = Points(np.zeros(40), np.linspace(0.1, 0.2, 40), np.full(40, 0.01))
    figure = plots.distances([f"o{i}" for i in range(40)], values, values, "separation power", CAPTIONS)
    (legend,) = figure.legends
    assert legend.get_window_extent().y0 >= figure.axes[0].get_window_extent().y1
    assert figure.axes[0].get_legend() is None


def test_small_lines_are_broken_where_the_page_ends() -> None:
    part = "a part of a line"
    assert list(_style._broken([part] * 3, 40)) == [f"{part}  ·  {part}", part]
    assert list(_style._broken([part], 3)) == [part]
