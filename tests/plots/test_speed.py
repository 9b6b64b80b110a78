import numpy as np

from caloforge.plots.speed import Times, speed


def times(label: str, simulated: bool, ms: float) -> Times:
    energies = np.array([1.0, 10.0, 100.0])
    return Times(label, simulated, energies, ms * (energies if simulated else np.ones(3)), np.full(3, 0.1))


def test_every_way_to_make_showers_has_a_line() -> None:
    figure = speed(
        [times("Geant4", True, 7.0), times("one", False, 1.0), times("two", False, 0.5)], ["a note"]
    )
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["Geant4", "one", "two"]
    assert [label.get_text() for label in figure.axes[0].get_xticklabels()] == ["1", "10", "100"]
    assert figure.get_supxlabel() == "a note"


def test_a_single_energy_of_the_simulation_alone() -> None:
    one = Times("Geant4", True, np.array([5.0]), np.array([3.0]), np.array([0.1]))
    assert speed([one]).axes
