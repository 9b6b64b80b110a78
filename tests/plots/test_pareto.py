"""Fidelity against speed: everything is named, and no name hides anything."""

import numpy as np
import pytest
from matplotlib.figure import Figure

from caloforge import plots
from caloforge.plots import Fidelity, NamedSpeed

NONE = np.nan
GEANT4 = NamedSpeed("Geant4", 320.0)


def picture(
    ms: list[float], values: list[float], others: list[float], simulation: NamedSpeed | None
) -> Figure:
    n = len(ms)
    rated = [NamedSpeed(f"generator {i}", one) for i, one in enumerate(ms)]
    metrics = [
        Fidelity(label, np.array(one), np.full(n, 0.01), np.full(n, 0.5))
        for label, one in (("cells", values), ("shapes", others))
    ]
    return plots.pareto(rated, metrics, simulation, ylabel="AUC")


@pytest.mark.parametrize(
    ("ms", "values", "others"),
    [
        ([0.012, 0.3], [0.52, 0.9], [0.55, 0.99]),
        ([0.012, 0.013, 0.0125, 0.25], [0.515, 0.54, 0.5, 0.505], [0.55, 0.63, 0.56, 0.52]),
        ([1.0] * 4, [0.6, 0.6, 0.61, 0.6], [0.6, 0.6, 0.62, 0.6]),
        ([0.1, 300.0], [0.99, 0.99], [1.0, 1.0]),
    ],
)
def test_names_overlap_nothing(ms: list[float], values: list[float], others: list[float]) -> None:
    figure = picture(ms, values, others, GEANT4)
    axes = figure.axes[0]
    assert [text.get_text() for text in axes.texts] == [*(f"generator {i}" for i in range(len(ms))), "Geant4"]
    boxes = [text.get_window_extent() for text in axes.texts]
    boxes.append(axes.get_legend().get_window_extent())
    assert not any(box.overlaps(other) for i, box in enumerate(boxes) for other in boxes[:i])
    marks = axes.transData.transform(np.column_stack([1e3 * np.tile(ms, 2), [*values, *others]]))
    assert not any(box.contains(*mark) for box in boxes[:-1] for mark in marks)
    assert all(axes.bbox.x0 <= box.x0 and box.x1 <= axes.bbox.x1 for box in boxes)


def test_the_axis_above_says_how_much_faster() -> None:
    axes, above = picture([0.32, 3.2], [0.6, 0.7], [0.6, 0.7], GEANT4).axes
    np.testing.assert_allclose(np.multiply(axes.get_xlim(), above.get_xlim()), 320e3)
    assert above.get_xlabel() == "times faster than Geant4"


def test_without_the_simulation_there_is_one_axis() -> None:
    figure = picture([0.32], [0.6], [0.7], None)
    assert len(figure.axes) == 1
    assert len(figure.axes[0].texts) == 1


def test_a_generator_may_lack_a_metric() -> None:
    texts = picture([0.3, 0.3], [NONE, 0.6], [0.7, NONE], GEANT4).axes[0].texts
    assert [text.get_text() for text in texts] == ["generator 0", "generator 1", "Geant4"]
    assert [text.xy[1] for text in texts] == [0.7, 0.6, 0.5]
