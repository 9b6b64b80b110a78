"""Generation with the weights that ship."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from caloforge.errors import CatalogError, InputError
from caloforge.formats.energies import Energies
from caloforge.formats.native import read
from caloforge.geometry import Calorimeter
from caloforge.incident.beam import Beam
from caloforge.incident.spectrum import Spectrum
from caloforge.inference import zoo
from caloforge.inference.generator import Conservation, Generator
from caloforge.inference.model import BLOCK, TrainedModel
from caloforge.showers import Showers
from caloforge.stages.generate import check_disk, generate, generate_file
from caloforge.units import GeV
from tests import small_weights

ZOO = Path(__file__).parents[2] / "zoo"


def stream(model: TrainedModel, seed: int = 1, energy: str = "1:100") -> Generator:
    return Generator(model, Beam(22, Spectrum.parse(energy)), seed)


def joined(model: TrainedModel, n: int, size: int, seed: int = 1) -> Showers:
    return Showers.concatenate(list(stream(model, seed).batches(n, size)))


def test_three_lines_make_showers() -> None:
    showers = generate("gamma", energy=50 * GeV, n=10, seed=1)
    assert showers.cells.shape == (10, 504)
    assert set(showers.pdg.tolist()) == {22}
    np.testing.assert_array_equal(showers.energy, 50 * GeV)


def test_the_bytes_of_a_file_depend_on_the_seed_alone(every_noise: TrainedModel, tmp_path: Path) -> None:
    for batch in (1, 2 * BLOCK, 10_000):
        generate_file(stream(every_noise), 5 * BLOCK + 3, tmp_path / f"{batch}.h5", batch=batch)
    generate_file(stream(every_noise, seed=2), 5 * BLOCK + 3, tmp_path / "other.h5")
    first, *others, other = (
        (tmp_path / f"{name}.h5").read_bytes() for name in (1, 2 * BLOCK, 10_000, "other")
    )
    assert others == [first, first]
    assert other != first


def test_a_model_that_fails_on_the_way_leaves_no_file(every_noise: TrainedModel, tmp_path: Path) -> None:
    class Failing(Generator):
        def draw(self, start: int, stop: int) -> Any:
            if start >= 3 * BLOCK:
                raise RuntimeError
            return super().draw(start, stop)

    (tmp_path / "a.h5").write_bytes(b"older")
    with pytest.raises(RuntimeError):
        generate_file(
            Failing(every_noise, Beam(22, Spectrum.parse("50"))), 5 * BLOCK, tmp_path / "a.h5", batch=BLOCK
        )
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"older"]


def test_a_file_holds_the_same_showers(gamma: TrainedModel, tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    path = tmp_path / "a.h5"
    generate_file(stream(gamma), 300, path, batch=BLOCK, progress=lambda *at: seen.append(at))
    np.testing.assert_array_equal(read(path).cells, joined(gamma, 300, 300).cells)
    assert seen[-1] == (300, 300)


def test_conservation_gives_up_in_a_sentence_and_writes_nothing(lavish: TrainedModel, tmp_path: Path) -> None:
    hopeless = Generator(lavish, Beam(22, Spectrum.parse("50:100")), 1, Conservation(tries=1))
    with pytest.raises(InputError, match="allow more tries"):
        generate_file(hopeless, 2 * BLOCK, tmp_path / "a.h5")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("energy", "learned"), [("151", "1:151"), ("0.49:100", "0.49:100"), ("10,200,0.1", "0.1:200")]
)
def test_energies_far_beyond_the_training_are_refused_with_a_way_on(
    gamma: TrainedModel, tmp_path: Path, energy: str, learned: str
) -> None:
    with pytest.raises(InputError, match=r"0.5 to 150 GeV[^\0]*simulate calogan .*--energy " + learned):
        generate_file(stream(gamma, energy=energy), 10, tmp_path / "a.h5")
    assert not list(tmp_path.iterdir())


def test_an_untrained_particle_is_answered_with_what_there_is() -> None:
    with pytest.raises(CatalogError, match=r"nearest is \w+_piplus: pi\+ in calogan"):
        generate("neutron", 10 * GeV)
    with pytest.raises(CatalogError, match="e- in nowhere"):
        generate("e-", 10 * GeV, geometry="nowhere")
    with pytest.raises(CatalogError, match="not for e-"):
        generate("e-", 10 * GeV, model="calogan_gamma")


def test_a_model_and_a_quality_contradict_each_other() -> None:
    with pytest.raises(InputError, match="give one or the other"):
        generate("gamma", 10 * GeV, model="calogan_gamma", quality="fast")
    with pytest.raises(CatalogError, match="There are: fast, precise"):
        generate("gamma", 10 * GeV, quality="best")


def test_a_calorimeter_other_than_the_models_is_refused(small: Calorimeter, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="fast_eplus makes showers in calogan, not in ild_ecal"):
        generate("e+", 10 * GeV, model="fast_eplus", geometry="ild_ecal")
    assert len(generate("e+", 10 * GeV, model="fast_eplus", geometry="calogan")) == 1
    own = small_weights.write(tmp_path / "a.json", small)
    assert generate("gamma", 10 * GeV, model=own).geometry == small
    assert generate("gamma", 10 * GeV).geometry.name == "calogan"


def test_more_showers_than_the_memory_holds_are_refused_at_once() -> None:
    with pytest.raises(InputError, match="1,000,000,000 showers of 504 cells at once would take about 2"):
        generate("gamma", 10 * GeV, n=10**9)


def test_more_showers_than_the_disk_holds_are_refused_before_any_is_made(
    gamma: TrainedModel, tmp_path: Path
) -> None:
    for n in (10**12, 10**30):
        with pytest.raises(InputError, match=r"a\.h5 with 1,000.* showers would take about .* on the disk"):
            generate_file(stream(gamma), n, tmp_path / "a.h5")
    with pytest.raises(InputError, match="at once would take"):
        generate_file(stream(gamma), 10**12, tmp_path / "a.h5", batch=10**12)
    assert not list(tmp_path.iterdir())


def test_the_size_of_a_file_is_known_beforehand(gamma: TrainedModel, tmp_path: Path) -> None:
    n = 200_000
    expected = check_disk(stream(gamma), n, tmp_path / "a.h5")
    assert expected is not None
    generate_file(stream(gamma), n // 20, tmp_path / "a.h5")
    assert 20 * (tmp_path / "a.h5").stat().st_size == pytest.approx(expected, rel=0.1)
    assert check_disk(stream(gamma), 1000, tmp_path / "a.h5") is None


@pytest.mark.parametrize(
    ("threads", "words"),
    [(0, "is 0: give a whole number"), (-1, "is -1: give a whole number"), (100_000, "are not possible")],
)
def test_impossible_numbers_of_threads_are_refused(threads: int, words: str) -> None:
    with pytest.raises(InputError, match=words):
        generate("gamma", 10 * GeV, threads=threads)


def test_generation_runs_without_torch(tmp_path: Path) -> None:
    code = (
        "import sys; sys.modules['torch'] = None\n"
        "import caloforge; from caloforge.formats.native import write\n"
        f"write(caloforge.generate('e+', 1e4, 10), {str(tmp_path / 'a.h5')!r})"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True)
    np.testing.assert_array_equal(read(tmp_path / "a.h5").cells, generate("e+", 1e4, 10).cells)


def test_every_shipped_model_makes_possible_showers() -> None:
    for name in [*zoo.names(), *sorted(path.stem for path in ZOO.glob("*.json"))]:
        record = TrainedModel.load(name).record
        (pdg,), (low, high) = record["pdg"], record["energy_range_GeV"]
        energy = (low * GeV, high * GeV) if low < high else low * GeV
        showers = generate(str(pdg), energy, n=200, model=name)
        response = showers.cells.sum(axis=1, dtype=float) / showers.energy
        assert np.isfinite(showers.cells).all()
        assert (response > 0).all()
        assert 0.1 < response.mean() < 1.1


def test_particles_of_a_file_are_followed() -> None:
    like = generate("gamma", (10 * GeV, 20 * GeV), n=7, seed=3).incident
    showers = generate("gamma", like=like)
    np.testing.assert_array_equal(showers.energy, like.energy)
    with pytest.raises(InputError, match="either energy"):
        generate("gamma", 1 * GeV, like=like)
    with pytest.raises(InputError, match="are gamma, not e"):
        generate("e+", like=like)
    with pytest.raises(InputError, match="Give the energy"):
        generate("e+")


def test_a_model_of_one_direction_makes_showers_from_there(small: Calorimeter, tmp_path: Path) -> None:
    path = small_weights.write(tmp_path / "a.json", small)
    tilted = {"direction_range_deg": [[30.0, 30.0], [90.0, 90.0]], "position_range_mm": [[5.0, 5.0], [0, 0]]}
    path.write_text(json.dumps(json.loads(path.read_text()) | tilted))
    showers = generate("gamma", 10 * GeV, n=2, model=path)
    np.testing.assert_allclose(np.rad2deg(showers.incident.direction), [[30, 90]] * 2, rtol=1e-6)
    np.testing.assert_array_equal(showers.incident.position, [[5, 0]] * 2)
    with pytest.raises(InputError, match=r"directions that are asked for \(perpendicular"):
        generate("gamma", 10 * GeV, model=path, direction=(0.0, 0.0))


def test_particles_and_energies_are_written_as_one_likes() -> None:
    showers = generate("gamma", (1 * GeV, 100 * GeV), 5)
    for same in (generate(22, "1:100", 5), generate(np.int32(22), "1:100", n=np.int64(5), seed=np.int64(1))):
        np.testing.assert_array_equal(same.cells, showers.cells)
    np.testing.assert_array_equal(generate("gamma", like=showers, seed=1).energy, showers.energy)


@pytest.mark.parametrize(
    ("energy", "n"), [(1e4, 1), ((1e4, 2e4), 1), ([1e4, 2e4, 3e4], 3), (np.full(4, 1e4), 4), ("10,20", 2)]
)
def test_there_are_as_many_showers_as_energies(energy: Energies, n: int) -> None:
    assert len(generate("gamma", energy)) == n
    assert len(generate("gamma", energy, n=2)) == 2


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"n": 10.0}, r"The number of showers is 10.0 \(float\): give a whole number"),
        ({"n": 0}, "The number of showers is 0"),
        ({"threads": 0}, "The number of threads is 0"),
        ({"seed": None}, "The seed is None"),
        ({"seed": 1 << 64}, "The seed 18446744073709551616 is not possible"),
        ({"direction": 0.1}, "give two coordinates"),
        ({"energy": None, "like": [22]}, r"are an Incident or Showers, not \[22\]"),
    ],
)
def test_wrong_requests_end_in_a_sentence(wrong: dict[str, Any], sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        generate("gamma", **({"energy": 1e4} | wrong))
