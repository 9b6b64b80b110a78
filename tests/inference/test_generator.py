"""Showers drawn from a model, block by block."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from caloforge.errors import CheckpointError, InputError
from caloforge.incident.beam import Beam, Range, Ranges, RecordedParticles, parse_direction, parse_position
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


@pytest.mark.parametrize(
    ("energy", "words"),
    [
        ("0.499", r"showers of 0\.499 GeV reach.*Ask for 0\.5 to 150 GeV(.|\n)*--energy 0\.499:100 "),
        ("150.1", r"showers of 150\.1 GeV reach.*Ask for 0\.5 to 150 GeV(.|\n)*--energy 1:150\.1 "),
        ("2:200", r"showers of 2 to 200 GeV reach(.|\n)*--energy 1:200 "),
        ("0.25:200", r"showers of 0\.25 to 200 GeV reach(.|\n)*--energy 0\.25:200 "),
    ],
)
def test_energies_far_beyond_the_training_are_refused_with_a_recipe(
    gamma: TrainedModel, energy: str, words: str
) -> None:
    with pytest.raises(InputError, match=words):
        stream(gamma, energy=energy).batches(1, 1)


@pytest.mark.parametrize("energy", ["1:100", "1", "100", "2:50"])
def test_trained_energies_are_made_without_a_word(gamma: TrainedModel, energy: str) -> None:
    assert stream(gamma, energy=energy).batches(1, 1)


def test_seeds_have_64_bits(gamma: TrainedModel) -> None:
    for seed in (0, 2**64 - 1):
        (showers,) = stream(gamma, seed).batches(1, 1)
        assert showers.provenance["seed"] == seed
    for seed in (-1, 2**64):
        with pytest.raises(InputError, match=f"The seed {seed} is not possible"):
            stream(gamma, seed).batches(1, 1)


class Sketch:
    """Stands for a model: its noise is the number of each shower and of the attempt."""

    class geometry:  # noqa: N801
        n_cells = 2

    def __init__(self, share) -> None:
        self.share = share  # of the incident energy that a shower holds, by number and attempt

    def noise(self, seed: int, start: int, stop: int, attempt: int = 0) -> np.ndarray:
        return np.array([(number, attempt) for number in range(start, stop)])

    def __call__(self, noise: np.ndarray, incident: Incident, out: np.ndarray | None = None) -> np.ndarray:
        cells = np.zeros((len(noise), 2), np.float32) if out is None else out
        cells[:] = 0.5 * (incident.energy * [self.share(*row) for row in noise.tolist()])[:, None]
        return cells


def sketched(share, conservation: Conservation | None = None) -> Generator:
    return Generator(Sketch(share), Beam(22, Spectrum.parse("2")), 1, conservation)  # type: ignore[arg-type]


@pytest.mark.parametrize(("start", "stop"), [(0, 3), (5, 1029), (5, 1030), (100, 2500)])
def test_every_shower_is_drawn_with_its_own_number(start: int, stop: int) -> None:
    incident, cells = sketched(lambda number, attempt: number).draw(start, stop)
    assert len(incident) == stop - start
    np.testing.assert_array_equal(cells.sum(axis=1), 2e3 * np.arange(start, stop))


def test_showers_are_drawn_again_until_they_hold_no_more_than_came_in() -> None:
    """Shower i holds too much i times; what came in, exactly, is not too much."""
    careful = sketched(lambda number, attempt: 1.0 if attempt >= number else 1.0001, Conservation(4))
    incident, cells = careful.draw(0, 5)
    np.testing.assert_array_equal(cells.sum(axis=1), incident.energy)
    assert careful.rejected == 0 + 1 + 2 + 3 + 4


def test_drawing_again_ends() -> None:
    never = sketched(lambda number, attempt: 1.0 if attempt >= number else 2.0, Conservation(3))
    with pytest.raises(InputError, match=r"After 3 draws 2 of 6 showers .* \(the lowest is 2 GeV\)"):
        never.draw(0, 6)


@pytest.mark.parametrize("conservation", [None, Conservation()])
def test_the_provenance_says_whether_energy_was_conserved(
    gamma: TrainedModel, conservation: Conservation | None
) -> None:
    made = Generator(gamma, Beam(22, Spectrum.parse("50")), 1, conservation)
    assert made.provenance["conserve_energy"] == (conservation is not None)
    assert made.provenance["weights_sha256"] == gamma.record["sha256"]


def test_cells_are_believed_up_to_a_hundred_times_what_a_particle_can_bring(
    gamma: TrainedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    incident = Incident(22, [2e3, 2e3, 2e3])
    cells = np.zeros((3, gamma.geometry.n_cells), np.float32)
    monkeypatch.setattr(
        Generator, "draw", lambda self, start, stop: (incident[start:stop], cells[start:stop])
    )
    most = np.float32(100 * (2e3 + 2e3))
    cells[:, 7] = most
    (showers,) = stream(gamma).batches(3, 3)
    np.testing.assert_array_equal(showers.cells, cells)
    for wrong, said in (
        (np.nextafter(most, np.float32(np.inf)), "400 GeV"),
        (np.float32(-1e-30), "-1e-33 GeV"),
    ):
        cells[2, 7] = wrong
        with pytest.raises(CheckpointError, match=f"shower 2 of seed 1 holds .*{said}.* particle of 2 GeV"):
            list(stream(gamma).batches(3, 2))


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
    stream = Generator(model, Beam(model.record["pdg"][0], Spectrum.over(*model.energy_range)), 3)
    whole = Showers.concatenate(list(stream.batches(150, 150))).cells
    for size in (1, 2, 3, 17, 64):
        several = min(40, 4 * size)
        parts = np.concatenate([showers.cells for showers in stream.batches(several, size)])
        np.testing.assert_array_equal(parts, whole[:several])
    order = np.random.default_rng(1).permutation(150)
    noise = np.concatenate([model.noise(3, i, i + 1) for i in order.tolist()])
    incident = stream.beam.sample(3, 0, 150)[order]
    np.testing.assert_array_equal(model(noise, incident), whole[order])


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        (
            {"direction": parse_direction("20", "30")},
            r"directions .*\(theta 20 degrees and phi 30 degrees.*trained on \(perpendicular",
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


def test_a_rounding_of_directions_and_places_is_allowed_and_no_more(gamma: TrainedModel) -> None:
    def asked(**ranges: Ranges) -> Generator:
        return Generator(gamma, Beam(22, Spectrum.parse("50"), **ranges))

    zero = Range(0.0, 0.0)
    for name, slack in (("direction", 1e-3), ("position", 0.1)):
        for inside in ((Range(0.0, slack), zero), (zero, Range(-slack, slack))):
            assert asked(**{name: inside}).batches(1, 1)
        for outside in ((Range(0.0, 1.001 * slack), zero), (zero, Range(-1.001 * slack, 0.0))):
            with pytest.raises(InputError, match=f"The {name}s that are asked for"):
                asked(**{name: outside}).batches(1, 1)


def test_recorded_particles_are_taken_in_turn(every_noise: TrainedModel) -> None:
    incident = Incident(22, [1e4, 2e4, 3e4])
    (showers,) = Generator(every_noise, RecordedParticles(incident, "a.h5"), 1).batches(5, 5)
    np.testing.assert_array_equal(showers.energy, [1e4, 2e4, 3e4, 1e4, 2e4])
    assert showers.provenance["incident"] == "a.h5"
    with pytest.raises(InputError, match="one kind; found: e\\+, gamma"):
        RecordedParticles(Incident([22, -11], 1e4), "mixed.h5")
