"""Showers drawn from a model, block by block."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from caloforge.errors import InputError
from caloforge.incident.beam import Beam, Ranges, RecordedParticles, parse_direction, parse_position
from caloforge.incident.incident import Incident
from caloforge.incident.spectrum import Spectrum
from caloforge.inference import zoo
from caloforge.inference.generator import Conservation, Generator, OutsideTrainedRange
from caloforge.inference.model import BLOCK, TrainedModel
from caloforge.showers import Showers
from caloforge.units import GeV


def stream(model: TrainedModel, seed: int = 1, energy: str = "1:100") -> Generator:
    return Generator(model, Beam(22, Spectrum.parse(energy)), seed)


def joined(model: TrainedModel, n: int, size: int, seed: int = 1) -> Showers:
    return Showers.concatenate(list(stream(model, seed).batches(n, size)))


@pytest.mark.parametrize("size", [1, BLOCK, 2 * BLOCK + 7, 10_000])
def test_the_batch_size_changes_no_bit(every_noise: TrainedModel, size: int) -> None:
    n = 3 * BLOCK + 5
    expected, found = joined(every_noise, n, n), joined(every_noise, n, size)
    np.testing.assert_array_equal(found.cells, expected.cells)
    np.testing.assert_array_equal(found.energy, expected.energy)


def test_a_longer_sample_begins_with_the_shorter(every_noise: TrainedModel) -> None:
    np.testing.assert_array_equal(joined(every_noise, 300, 300).cells[:20], joined(every_noise, 20, 20).cells)


def test_seeds_and_blocks_are_independent(every_noise: TrainedModel) -> None:
    cells = joined(every_noise, 2 * BLOCK, BLOCK).cells
    assert not np.array_equal(cells[:BLOCK], cells[BLOCK:])
    assert not np.array_equal(cells, joined(every_noise, 2 * BLOCK, BLOCK, seed=2).cells)


def test_a_list_of_energies_is_taken_in_turn_across_batches(every_noise: TrainedModel) -> None:
    n = 3 * BLOCK
    showers = Showers.concatenate(list(stream(every_noise, energy="10,20,50,90,5").batches(n, BLOCK)))
    np.testing.assert_array_equal(showers.energy, GeV * np.resize([10.0, 20.0, 50.0, 90.0, 5.0], n))


def test_conserved_energy_is_conserved_and_the_price_counted(lavish: TrainedModel) -> None:
    (free,) = stream(lavish, energy="50:100").batches(BLOCK, BLOCK)
    careful = Generator(lavish, Beam(22, Spectrum.parse("50:100")), 1, Conservation())
    (kept,) = careful.batches(BLOCK, BLOCK)
    over = free.cells.sum(axis=1, dtype=float) > free.energy
    assert over.any()
    assert (kept.cells.sum(axis=1, dtype=float) <= kept.energy).all()
    assert careful.rejected >= over.sum()
    np.testing.assert_array_equal(kept.cells[~over], free.cells[~over])


@pytest.mark.parametrize("energy", ["150", "0.5", "0.9:100", "1:101", "10,0.6"])
def test_energies_a_little_beyond_the_training_are_made_with_a_warning(
    gamma: TrainedModel, energy: str
) -> None:
    with pytest.warns(OutsideTrainedRange, match="1 to 100 GeV"):
        (showers,) = stream(gamma, energy=energy).batches(10, 10)
    assert (showers.cells.sum(axis=1) > 0).all()


@pytest.mark.parametrize(("n", "size"), [(0, 10), (-5, 10), (10, 0)])
def test_impossible_numbers_are_refused(gamma: TrainedModel, n: int, size: int) -> None:
    with pytest.raises(InputError, match="at least 1"):
        next(stream(gamma).batches(n, size))


@given(data=st.data())
@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_shower_is_the_same_whatever_it_is_batched_with(
    data: st.DataObject, every_noise: TrainedModel
) -> None:
    """Showers of several seeds and numbers, in any order and number, as a server joins requests."""
    whole = {seed: joined(every_noise, 200, 200, seed) for seed in (1, 2)}
    keys = data.draw(
        st.lists(st.tuples(st.sampled_from([1, 2]), st.integers(0, 199)), min_size=1, max_size=150)
    )
    noise = np.concatenate([every_noise.noise(seed, number, number + 1) for seed, number in keys])
    incident = Incident.concatenate([whole[seed].incident[number] for seed, number in keys])
    expected = np.stack([whole[seed].cells[number] for seed, number in keys])
    np.testing.assert_array_equal(every_noise(noise, incident), expected)


@pytest.mark.parametrize("name", zoo.names())
def test_a_shower_of_a_shipped_model_does_not_depend_on_its_batch(name: str) -> None:
    model = TrainedModel.load(name, threads=1)
    stream = Generator(model, Beam(model.record["pdg"][0], Spectrum.parse("1:100")), 3)
    whole = Showers.concatenate(list(stream.batches(150, 150))).cells
    for size in (1, 2, 3, 17, 64):
        parts = np.concatenate([showers.cells for showers in stream.batches(40, size)])
        np.testing.assert_array_equal(parts, whole[:40])
    order = np.random.default_rng(1).permutation(150)
    noise = np.concatenate([model.noise(3, i, i + 1) for i in order.tolist()])
    incident = stream.beam.sample(3, 0, 150)[order]
    np.testing.assert_array_equal(model(noise, incident), whole[order])


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        (
            {"direction": parse_direction("20", "0")},
            r"directions .*\(theta 20 degrees.*trained on \(perpendicular",
        ),
        ({"position": parse_position("0:40", "0")}, r"positions .*\(eta 0 to 40 mm.*trained on \(the centre"),
    ],
)
def test_other_directions_and_places_than_those_of_the_training_are_refused(
    gamma: TrainedModel, asked: dict[str, Ranges], words: str
) -> None:
    stream = Generator(gamma, Beam(22, Spectrum.parse("50"), **asked))
    with pytest.raises(InputError, match=words):
        stream.batches(1, 1)


def test_recorded_particles_are_taken_in_turn(every_noise: TrainedModel) -> None:
    incident = Incident(22, [1e4, 2e4, 3e4])
    (showers,) = Generator(every_noise, RecordedParticles(incident, "a.h5"), 1).batches(5, 5)
    np.testing.assert_array_equal(showers.energy, [1e4, 2e4, 3e4, 1e4, 2e4])
    assert showers.provenance["incident"] == "a.h5"
    with pytest.raises(InputError, match="one kind; found: e\\+, gamma"):
        RecordedParticles(Incident([22, -11], 1e4), "mixed.h5")
