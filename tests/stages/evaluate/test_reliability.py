"""A generator whose failures are known."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from caloforge.errors import InputError
from caloforge.formats.native import write
from caloforge.geometry import Calorimeter
from caloforge.incident.beam import Beam
from caloforge.incident.incident import Incident
from caloforge.incident.particles import brought, parse_particle
from caloforge.incident.spectrum import Spectrum
from caloforge.inference.generator import Generator
from caloforge.inference.model import TrainedModel
from caloforge.showers import Showers
from caloforge.stages.evaluate.reliability import Reference, Reliability
from caloforge.stages.evaluate.reliability import reliability as examine
from caloforge.stages.evaluate.report import reliability as reliability_page
from caloforge.stages.generate import generate
from caloforge.units import GeV

Change = Callable[[Any, Any], None]
N = 2500


class Model(TrainedModel):
    """Stands for a trained model: spreads up to 0.8 of the energy over all cells."""

    def __call__(self, noise: Any, incident: Incident, out: Any = None) -> Any:
        energy = incident.energy
        assert len(noise) <= 1024, "a million showers are not held together"
        weights = np.exp(noise)
        share = (0.75 + 0.05 * np.tanh(noise[:, :1])) / weights.sum(axis=1, keepdims=True)
        cells = (weights * share * energy[:, None]).astype(np.float32)
        change = changes.get(self.name)
        if change:
            change(cells, energy)
        if out is not None:
            out[:] = cells
        return cells


changes: dict[str, Change] = {}


@pytest.fixture
def make(small: Calorimeter) -> Callable[..., Model]:
    changes.clear()

    def make(name: str = "sound", change: Change | None = None, pdg: int = -11) -> Model:
        if change:
            changes[name] = change
        record = {
            "sha256": "f" * 64, "geometry": small.to_dict(), "noise_size": small.n_cells,
            "energy_range_GeV": [1.0, 100.0], "pdg": [pdg],
        }  # fmt: skip
        return Model(name, record, Path("none"), 1)

    return make


def reliability(
    model: Model, pdg: int, n: int, spectrum: Spectrum | None = None, seed: int = 1, **more: Any
) -> Reliability:
    beam = Beam(pdg, spectrum or Spectrum.uniform(*model.energy_range))
    return examine(Generator(model, beam, seed), n, **more)


def failed(result: Reliability) -> dict[str, int]:
    return {check.name: check.failed for check in result.checks}


def test_a_sound_generator_passes(make: Callable[..., Model]) -> None:
    calls: list[tuple[float, float]] = []
    result = reliability(make(), -11, N, progress=lambda done, total, note="": calls.append((done, total)))
    assert result.passed
    assert failed(result) == {"finite": 0, "negative": 0, "empty": 0, "energy": 0}
    assert 0.79 < result.highest_response <= 0.8 + 1e-6
    assert (result.energy_GeV, result.showers, result.outliers) == ("1:100", N, None)
    assert calls == [(0, N), (1024, N), (2048, N), (N, N)]
    assert 0 < result.generating < result.seconds
    line = reliability_page.verdict(result)
    assert line.startswith("passed: sound: 2,500 showers of e+, 1:100 GeV: none with nan")
    assert "showers/s" in line


def spoil(value: float) -> Change:
    def change(cells: Any, energy: Any) -> None:
        cells[energy > 90 * GeV, 3] = value

    return change


def test_every_failure_is_counted_and_the_first_ones_named(make: Callable[..., Model]) -> None:
    energy = Spectrum.uniform(1 * GeV, 100 * GeV).sample(7, 0, N)
    hard = np.flatnonzero(energy > 90 * GeV)
    for value, expected in (
        (np.nan, {"finite"}), (np.inf, {"finite"}), (-np.inf, {"finite", "negative"}),
        (-1e-6, {"negative"}), (1e6, {"energy"}), (0.0, set()),
    ):  # fmt: skip
        result = reliability(make("spoilt", spoil(value)), -11, N, seed=7)
        assert {name for name, count in failed(result).items() if count} == expected
        for check in result.checks:
            if check.failed:
                assert check.failed == len(hard)
                assert [one.shower for one in check.examples] == hard[:5].tolist()
                assert check.examples[0].energy_GeV == energy[hard[0]] / GeV
        assert result.passed is not bool(expected)
        assert reliability_page.verdict(result).startswith("FAILED" if expected else "passed")


def test_a_shower_without_energy_fails_unless_the_reference_has_some(
    make: Callable[..., Model], tmp_path: Path
) -> None:
    def empty(cells: Any, energy: Any) -> None:
        cells[energy < 3 * GeV] = 0.0

    model = make("empty", empty)
    few = failed(reliability(model, -11, N))["empty"]
    assert few > 10
    save(model, tmp_path / "reference.h5")
    reference = Reference.read(tmp_path / "reference.h5")
    assert 2.5 * GeV < reference.empty_below < 3 * GeV
    assert failed(reliability(model, -11, N, reference=reference))["empty"] < few / 5


@pytest.mark.parametrize(
    ("particle", "least", "most"),
    [
        ("e+", 1.0219, 1.0221), ("e-", 0, 0), ("gamma", 0, 0), ("pi+", 140, 140.2), ("pi-", 138.3, 139.6),
        ("proton", 8, 9), ("neutron", 9, 10), ("anti_proton", 1876, 1877), ("mu-", 105, 106),
    ],
)  # fmt: skip
def test_a_particle_brings_its_rest_energy_as_far_as_it_can_vanish(
    particle: str, least: float, most: float
) -> None:
    assert least <= brought(parse_particle(particle)) <= most


def test_a_positron_may_annihilate_and_no_more(make: Callable[..., Model]) -> None:
    def fill(extra: float) -> Change:
        def change(cells: Any, energy: Any) -> None:
            cells *= ((energy + extra) / cells.sum(axis=1, dtype=float))[:, None]

        return change

    spectrum = Spectrum.uniform(1 * GeV, 2 * GeV)
    for extra, pdg, expected in ((1.02, -11, 0), (1.1, -11, N), (1.02, 22, N), (1e-4, 22, 0)):
        result = reliability(make("full", fill(extra), pdg), pdg, N, spectrum=spectrum)
        assert failed(result)["energy"] == expected
        assert result.excess_MeV == pytest.approx(max(extra - brought(pdg), 0), abs=1e-3)


def save(model: Model, path: Path, n: int = 4000, pdg: int = -11) -> None:
    energy = Spectrum.uniform(1 * GeV, 100 * GeV).sample(99, 0, n)
    noise = np.random.default_rng(99).standard_normal((n, model.record["noise_size"]))
    incident = Incident(pdg, energy)
    cells = np.concatenate([model(noise[i : i + 1000], incident[i : i + 1000]) for i in range(0, n, 1000)])
    write(Showers(model.geometry, cells, incident), path)


def test_outliers_stand_beside_those_of_the_reference(make: Callable[..., Model], tmp_path: Path) -> None:
    def narrow(cells: Any, energy: Any) -> None:
        cells[::20, 8:] = 0.0

    save(make(), tmp_path / "reference.h5")
    reference = Reference.read(tmp_path / "reference.h5")
    same, other = (
        reliability(model, -11, 20_000, reference=reference) for model in (make(), make("narrow", narrow))
    )
    assert same.passed
    assert other.passed
    assert same.outliers is not None
    assert other.outliers is not None
    first, second = same.outliers.shapes[0], other.outliers.shapes[0]
    assert (first.name, same.outliers.defining, same.outliers.tested) == ("any", 2000, 2000)
    assert first.outliers.reference == second.outliers.reference
    assert 0.005 < first.outliers.reference < 0.06
    assert abs(first.outliers.sigma) < 3.5
    assert second.outliers.generated > 0.05
    assert second.outliers.sigma > 5
    hits = next(shape for shape in other.outliers.shapes if shape.name == "hits")
    assert hits.far.generated == pytest.approx(0.05, abs=0.005)


def test_no_shower_of_the_references_energies_is_no_outlier(
    make: Callable[..., Model], tmp_path: Path
) -> None:
    save(make(), tmp_path / "reference.h5")
    reference = Reference.read(tmp_path / "reference.h5")
    result = reliability(make(), -11, 20, spectrum=Spectrum.parse("0.5,200"), reference=reference)
    assert result.outliers is None
    page, numbers = reliability_page.write(tmp_path / "numbers.json", [result])
    assert "no shower of its energies" in page.read_text(encoding="utf-8")
    assert json.loads(numbers.read_text(encoding="utf-8"))["models"][0]["outliers"] is None
    assert (page.name, numbers.name) == ("numbers.html", "numbers.json")


def test_page_and_numbers(make: Callable[..., Model], tmp_path: Path) -> None:
    save(make(), tmp_path / "reference.h5")
    reference = Reference.read(tmp_path / "reference.h5")
    results = [
        reliability(make(), -11, N, reference=reference),
        reliability(make("spoilt", spoil(np.nan)), -11, N),
    ]
    paths = reliability_page.write(tmp_path / "page.html", results)
    assert [path.name for path in paths] == ["page.html", "page.json"]
    text = paths[0].read_text(encoding="utf-8")
    assert text.count("<img") == 1
    assert "spoilt, e+: " in text
    assert "there is no reference of this particle" in text
    numbers = json.loads(paths[1].read_text(encoding="utf-8"))
    assert numbers["format"] == "caloforge-reliability"
    assert [one["passed"] for one in numbers["models"]] == [True, False]
    assert numbers["models"][0]["outliers"]["reference"] == "reference.h5"


def test_the_seed_decides(make: Callable[..., Model]) -> None:
    results = [reliability(make(), -11, 1500, seed=seed).excess_MeV for seed in (1, 1)]
    assert results[0] == results[1]
    highest = {
        reliability(make("few", spoil(1e6)), -11, 1500, seed=seed).excess_MeV for seed in (1, 1, 2, 1 << 40)
    }
    assert len(highest) == 3


def test_mistakes_end_in_sentences(make: Callable[..., Model], calogan: Calorimeter, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="at least 1; found 0"):
        reliability(make(), -11, 0)
    save(make(), tmp_path / "gamma.h5", pdg=22)
    reference = Reference.read(tmp_path / "gamma.h5")
    with pytest.raises(InputError, match=r"gamma.h5 holds showers of gamma, not of e\+"):
        reliability(make(), -11, 10, reference=reference)
    with pytest.raises(InputError, match="none of 200 GeV"):
        reliability(make(pdg=22), 22, 10, spectrum=Spectrum.parse("200"), reference=reference)
    assert reference.fits(make().geometry, 22)
    assert not reference.fits(calogan, 22)
    assert not reference.fits(make().geometry, -11)
    write(Showers(calogan, np.zeros((0, calogan.n_cells)), Incident(22, [])), tmp_path / "none.h5")
    with pytest.raises(InputError, match="holds no showers"):
        Reference.read(tmp_path / "none.h5")
    save(make(), tmp_path / "few.h5", n=700)
    with pytest.raises(InputError, match="too few"):
        Reference.read(tmp_path / "few.h5")


def test_the_showers_looked_at_are_those_that_generate_makes() -> None:
    """A shower that fails can be made again by its number and the seed."""
    model = TrainedModel.load("fast_gamma", threads=1)
    stream = Generator(model, Beam(22, Spectrum.uniform(*model.energy_range)), seed=1)
    found = examine(stream, N)
    made = generate("gamma", model.energy_range, n=N, seed=1, model="fast_gamma", threads=1)
    total = made.cells.sum(axis=1, dtype=float)
    assert found.highest_response == float((total / made.energy).max())
    assert found.excess_MeV == max(0.0, float((total - made.energy - brought(22)).max()))
