import numpy as np
import pytest

from caloforge.metrics.amplification import SpaceAmplification, amplification_in_cells
from caloforge.plots.amplification import amplification, worth


def space(generated: int, seed: int = 1) -> SpaceAmplification:
    random = np.random.default_rng(seed)
    return amplification_in_cells(
        "x", f"x {seed}", *(random.integers(0, 30, n) for n in (5000, 500, generated)), repeats=3
    )


@pytest.mark.parametrize("generated", [50, 100_000])
def test_curves(generated: int) -> None:
    figure = amplification([space(generated).curves])
    (axes,) = figure.axes
    low, high = axes.get_xlim()
    assert low <= 500 <= high
    assert low <= generated <= high
    assert {"samples of the truth", "generated showers", "training sample", "their worth"} <= {
        text.get_text() for text in figure.legends[0].get_texts()
    }


def test_a_panel_for_each() -> None:
    figure = amplification([space(600, seed).curves for seed in range(4)])
    assert [axes.get_title() for axes in figure.axes if axes.axison] == [f"x {seed}" for seed in range(4)]


def test_what_it_is_worth_in_each_observable() -> None:
    figure = worth([space(600, seed).curves for seed in range(3)])
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == ["x 0", "x 1", "x 2"]
    assert "training: 500 showers" in [text.get_text() for text in figure.legends[0].get_texts()]


def test_of_very_many_the_worst() -> None:
    pictures = [space(600 if seed else 20, seed).curves for seed in range(90)]
    figure = worth(pictures)
    labels = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert len(labels) == 80
    assert labels[0] == "x 0"
    assert "80 of 90" in figure.get_supxlabel()
