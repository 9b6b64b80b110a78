import numpy as np

from caloforge.plots.speed import Times, speed


def times(name: str, batch: int | None, ms: float, particle: str = "e+") -> Times:
    energies = np.array([1.0, 10.0, 100.0])
    values = ms * (energies if batch is None else np.ones(3))
    return Times(name, particle, batch, energies, values, np.full(3, 0.1))


def test_a_panel_for_each_particle_and_a_look_for_each_model() -> None:
    every = [
        times(name, batch, 1.0, particle)
        for particle in ("e+", "gamma")
        for name, batch in (("Geant4", None), ("one", 1), ("one", 128), ("two", 1), ("two", 128))
    ]
    figure = speed(every, ["a note"])
    assert [axes.get_title() for axes in figure.axes] == ["e+", "gamma"]
    assert [label.get_text() for label in figure.axes[0].get_xticklabels()] == ["1", "10", "100"]
    assert figure.get_supxlabel() == "a note"
    assert [text.get_text() for text in figure.legends[0].get_texts()] == [
        "Geant4", "one", "two", "batch 1", "batch 128"
    ]  # fmt: skip
    looks = [
        [(line.get_color(), line.get_linestyle()) for line in axes.get_lines() if len(line.get_xdata()) == 3]
        for axes in figure.axes
    ]
    assert looks[0] == looks[1]
    assert len({colour for colour, _ in looks[0]}) == 3
    assert len(set(looks[0])) == 5


def test_a_single_energy_of_the_simulation_alone() -> None:
    one = Times("Geant4", "e+", None, np.array([5.0]), np.array([3.0]), np.array([0.1]))
    assert len(speed([one]).axes) == 1
