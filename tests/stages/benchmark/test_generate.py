import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from caloforge.errors import InputError
from caloforge.geometry import Calorimeter
from caloforge.incident.incident import Incident
from caloforge.inference.generator import Generator
from caloforge.inference.model import TrainedModel
from caloforge.stages.benchmark import MeasuringEffort, Record, Setting, time_generation
from caloforge.stages.benchmark.report import make_report, markdown, write
from caloforge.units import GeV

EFFORT = MeasuringEffort(seconds=0.0, energy=0.0)
ENERGIES = (10 * GeV, 30 * GeV)
SETTING = Setting("usual")


class Model(TrainedModel):
    """Stands for a trained model and counts the showers it is asked for."""

    def __call__(self, noise: Any, incident: Incident, out: Any = None) -> Any:
        energy = incident.energy
        assert noise.shape == (len(energy), self.record["noise_size"])
        assert {self.label(pdg) for pdg in incident.pdg.tolist()} == {0}
        asked.append((self.name, len(energy), energy.min() / GeV, energy.max() / GeV))
        return np.zeros((len(energy), self.geometry.n_cells), np.float32)


asked: list[tuple[str, int, float, float]] = []


@pytest.fixture
def model(small: Calorimeter) -> Callable[..., Model]:
    asked.clear()

    def make(name: str = "fast", pdg: int = -11, low: float = 1.0, high: float = 100.0) -> Model:
        record = {
            "sha256": "f" * 64, "geometry": small.to_dict(), "noise_size": 3,
            "energy_range_GeV": [low, high], "pdg": [pdg],
        }  # fmt: skip
        return Model(name, record, Path("none"), 1)

    return make


def run(*models: Model, simulation: Any = None, **more: Any) -> Record:
    simulate = None if simulation is None else lambda geometry: simulation
    return time_generation(models, simulate, SETTING, more.pop("energies", ENERGIES), EFFORT, **more)


def test_table_three(model: Callable[..., Model], simulation: Any) -> None:
    record = run(model(), simulation=simulation)
    simulated, *rows = record["speeds"]
    assert [row["batch"] for row in rows] == [1, 10, 128, 1024]
    assert all(row["ms"] > 0 and row["error"] >= 0 and row["weights_sha256"] == "f" * 64 for row in rows)
    assert simulated["model"] == "Geant4"
    assert simulated["batch"] is None
    # The stand-in takes 1 ms for each GeV that it deposits.
    assert simulated["ms"] == pytest.approx(20, rel=0.1)
    assert 0 < simulated["error"] < 2
    text = markdown(make_report(record))
    assert "| Geant4 | e+ | small |  | 20." in text or "| Geant4 | e+ | small |  | 19." in text
    assert "| fast | e+ | small | 1024 | " in text
    assert "geant4: geant4-1" in text
    assert "processor time with 1 thread, of Geant4" in text


def test_the_simulation_grows_with_energy(model: Callable[..., Model], simulation: Any) -> None:
    points = run(model(), simulation=simulation)["energies"]
    times = {point["energy_GeV"]: point["ms"] for point in points if point["model"] == "Geant4"}
    assert times[10] == pytest.approx(10, rel=0.2)
    assert times[30] == pytest.approx(30, rel=0.2)
    drawn = [(point["batch"], point["energy_GeV"]) for point in points if point["model"] == "fast"]
    assert drawn == [(1, 10), (1, 30), (128, 10), (128, 30)]


def test_one_simulation_for_models_of_one_particle(model: Callable[..., Model], simulation: Any) -> None:
    run(model("one"), model("two"), model("three", pdg=22), simulation=simulation, batches=[1])
    assert [shot for shot, _, _ in simulation.calls] == [
        "e+ 10 GeV", "e+ 30 GeV", "gamma 10 GeV", "gamma 30 GeV"
    ]  # fmt: skip
    assert {n for _, _, n in simulation.calls} == {21}


def test_showers_are_asked_for_as_stated(model: Callable[..., Model]) -> None:
    run(model(), batches=[1, 7])
    spectrum = [low for _, n, low, high in asked if n == 7 and low != high]
    assert {n for _, n, _, _ in asked} == {1, 7}
    assert len(spectrum) == 6, "the first call loads the model"
    assert all(low >= 10 and high <= 30 for _, _, low, high in asked)
    assert sum(low == high == 30 for _, n, low, high in asked if n == 1) == 6


def test_without_a_simulation_there_is_no_gain(model: Callable[..., Model], tmp_path: Path) -> None:
    record = run(model(), batches=[1])
    assert [path.name for path in write(make_report(record), tmp_path)] == [
        "generate.md", "generate.json", "generate.svg", "generate.png"
    ]  # fmt: skip
    kept = json.loads((tmp_path / "generate.json").read_text())
    assert kept == json.loads(json.dumps(record))
    assert markdown(make_report(kept)) == (tmp_path / "generate.md").read_text()
    assert record["simulation"] == {}
    assert [row["model"] for row in record["speeds"]] == ["fast"]
    assert "(generate.svg)" in (tmp_path / "generate.md").read_text()
    assert "of Geant4 processor time" not in make_report(record).text


def test_several_threads_are_timed_by_the_clock(model: Callable[..., Model]) -> None:
    record = run(model(), batches=[1], threads=2)
    assert record["clock"] == "wall-clock time"
    assert record["speeds"][0]["conditions"].startswith("batch 1, 2 threads, ")


def test_energies_stay_in_the_range_of_the_training(model: Callable[..., Model]) -> None:
    record = run(model(high=20.0), batches=[1])
    assert {point["energy_GeV"] for point in record["energies"]} == {10}
    with pytest.raises(InputError, match="trained from 1 to 5 GeV"):
        run(model(high=5.0))
    with pytest.raises(InputError, match="No model was given"):
        run()


def test_a_batch_that_does_not_fit_into_the_memory_is_refused_before_any_is_made(
    model: Callable[..., Model],
) -> None:
    for batch in (10**12, 10**400):
        with pytest.raises(InputError, match=r"A batch of 10*,0.* showers of .* cells would take about"):
            run(model(), batches=[1, batch])
    assert asked == []


def test_writing_is_beside_the_network_alone(model: Callable[..., Model], simulation: Any) -> None:
    files: list[tuple[str, int, tuple[float, float], int, str]] = []

    def write(one: Generator, n: int, path: Path) -> None:
        energies = (one.beam.spectrum.low, one.beam.spectrum.high)
        files.append((one.model.name, one.beam.pdg, energies, n, path.name))
        path.write_bytes(b"")

    record = run(model(), model("other", pdg=22), simulation=simulation, batches=[1, 7], write=write)
    assert {file[:3] for file in files} == {("fast", -11, ENERGIES), ("other", 22, ENERGIES)}
    assert {file[3] for file in files} == {1024}
    first, second = record["written"]
    assert (first["model"], first["particle"], second["model"]) == ("fast", "e+", "other")
    own = {row["batch"]: row["ms"] for row in record["speeds"] if row["model"] == "fast"}
    assert first["network_ms"] == own[first["batch"]] == min(own.values())
    assert first["network_share"] == pytest.approx(first["network_ms"] / first["ms"])
    text = markdown(make_report(record))
    assert "## written to a file" in text
    assert "| showers/s of the network | at batch | showers/s, written |" in text
    assert "written to a file" not in markdown(make_report(run(model(), batches=[1])))


def test_rows_of_a_particle_stand_together(model: Callable[..., Model], simulation: Any) -> None:
    record = run(model("a"), model("b", pdg=22), model("c"), simulation=simulation, batches=[1])
    rows = make_report(record).tables[""].rows
    assert [row[:2] for row in rows] == [
        ["Geant4", "e+"], ["a", "e+"], ["c", "e+"], ["Geant4", "gamma"], ["b", "gamma"]
    ]  # fmt: skip
    assert all(row[5] for row in rows if row[0] != "Geant4")


def test_numbers_are_drawn_as_the_graph_takes_them(model: Callable[..., Model]) -> None:
    kinds = []

    class Bytes(Model):
        def __call__(self, noise: Any, incident: Incident, out: Any = None) -> Any:
            kinds.append(noise.dtype)
            return super().__call__(noise, incident, out)

    one = model()
    run(Bytes(one.name, {**one.record, "noise": "bytes"}, one.graph, 1), batches=[4])
    assert set(kinds) == {np.dtype(np.uint8)}


def test_progress(model: Callable[..., Model], simulation: Any) -> None:
    calls: list[tuple[float, float]] = []
    run(
        model(), simulation=simulation, batches=[1, 2], write=lambda *_: None,
        progress=lambda done, total, note="": calls.append((done, total)),
    )  # fmt: skip
    assert calls == [(n, 4) for n in range(5)]
