from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from caloforge.errors import InputError
from caloforge.geometry import Calorimeter
from caloforge.incident.incident import Incident
from caloforge.metrics.memorisation import MemorisationScore, copies, memorisation, repeated
from caloforge.showers import Showers

Make = Callable[..., Showers]


def library(showers: Showers, n: int, seed: int = 5, blur: float = 0.0) -> Showers:
    """Showers drawn again and again, flipped and rescaled."""
    random = np.random.default_rng(seed)
    rows = random.integers(0, len(showers), n)
    flips = showers.geometry.symmetries()[random.integers(0, 4, n)]
    cells = np.take_along_axis(showers.cells[rows], flips, axis=1).astype(float)
    cells *= random.uniform(0.5, 2.0, (n, 1)) * random.lognormal(0, blur, cells.shape)
    return Showers(showers.geometry, cells, Incident(showers.pdg[rows], showers.energy[rows]))


def bare(showers: Showers) -> Showers:
    return Showers(showers.geometry, showers.cells, Incident(showers.pdg, showers.energy))


@pytest.fixture(scope="module")
def three(make_showers: Make) -> tuple[Showers, Showers, Showers]:
    """Training, held-out and further showers of one distribution."""
    sample = make_showers(900)
    return sample[:300], sample[300:600], sample[600:]


def judged(*samples: Showers) -> MemorisationScore:
    found = memorisation(*samples)
    assert found.score.floor == 0.5
    assert found.score.n == 300
    return found


def test_showers_that_nobody_learned(three: tuple[Showers, Showers, Showers]) -> None:
    found = judged(*three)
    assert (found.score.sigma or 9) < 4
    assert found.ratio == pytest.approx(1, rel=0.05)
    assert not found.found
    assert found.sentences[0] == "No generated showers are copies of training showers."
    assert found.sentences[1].startswith("No sign of memorisation")


def test_the_error_is_that_of_samples_without_memory(make_showers: Make, small: Calorimeter) -> None:
    sigmas = []
    for seed in range(60):
        sample = make_showers(300, geometry=small, seed=seed, occupancy=1.0)
        sigmas.append(memorisation(sample[:100], sample[100:200], sample[200:]).score.sigma)
    assert np.mean(np.square(sigmas)) == pytest.approx(1, abs=0.5)


def test_a_library_of_the_training_showers(three: tuple[Showers, Showers, Showers]) -> None:
    training, held_out, _ = three
    found = judged(training, held_out, library(training, 500))
    assert found.training.share == 1
    assert found.held_out.share == 0
    assert found.repeated.share > 0.3
    assert found.score.value == 1
    assert (found.score.sigma or 0) > 10
    assert found.found
    assert found.sentences[0].startswith("100 % of the generated showers are copies of training showers")
    assert "copies of other generated showers" in found.sentences[1]


def test_a_blurred_library_holds_no_copies_and_is_caught(three: tuple[Showers, Showers, Showers]) -> None:
    training, held_out, _ = three
    found = judged(training, held_out, library(training, 500, blur=0.3))
    assert found.training.share == 0
    assert (found.score.value or 0) > 0.9
    assert found.found
    assert "The training set is remembered" in found.sentences[1]


def test_a_copy_of_the_reference_is_named(three: tuple[Showers, Showers, Showers]) -> None:
    training, held_out, fresh = three
    mixed = Showers.concatenate([bare(fresh[:150]), library(held_out, 50)])
    found = judged(training, held_out, mixed)
    assert found.held_out.generated.tolist() == list(range(150, 200))
    assert found.found
    assert found.sentences[1].startswith(
        "25 % of the generated showers are copies of held-out showers (50 of"
    )


@settings(max_examples=20)
@given(scale=st.floats(1e-3, 1e3), flip=st.integers(0, 3), shower=st.integers(0, 29))
def test_flips_and_scales_are_seen_through(
    make_showers: Make, small: Calorimeter, scale: float, flip: int, shower: int
) -> None:
    showers = make_showers(30, geometry=small, occupancy=0.5)
    cells = showers.cells[[shower]][:, small.symmetries()[flip]] * scale
    found = copies(showers, Showers(small, cells, Incident(-11, [1e3])))
    assert found.generated.tolist() == [0]
    assert found.original.tolist() == [shower]


def test_a_small_change_is_no_copy(make_showers: Make) -> None:
    showers = make_showers(20)
    cells = showers.cells.copy()
    cells[np.arange(20), cells.argmax(axis=1)] *= 1.1
    assert copies(showers, Showers(showers.geometry, cells, Incident(-11, showers.energy))).share == 0


def test_showers_of_one_cell_and_empty_ones_are_no_copies(small: Calorimeter) -> None:
    cells = np.zeros((4, small.n_cells))
    cells[1:3, 7] = 3, 5
    showers = Showers(small, cells, Incident(-11, np.full(4, 1e3)))
    assert copies(showers, showers).share == 0
    assert repeated(showers).share == 0


def test_showers_that_occur_twice(make_showers: Make) -> None:
    showers = make_showers(10)
    found = repeated(Showers.concatenate([showers, showers[:4]]))
    assert found.generated.tolist() == [0, 1, 2, 3, 10, 11, 12, 13]
    assert found.original.tolist() == [10, 11, 12, 13, 0, 1, 2, 3]
    assert repeated(Showers.concatenate([showers[:1]] * 50)).share == 1
    assert repeated(showers[:1]).share == 0


def test_copies_in_half_precision(make_showers: Make) -> None:
    showers = make_showers(200)
    shares = (showers.cells / showers.cells.sum(axis=1, keepdims=True)).astype(np.float16)
    assert copies(showers, Showers(showers.geometry, shares, Incident(-11, showers.energy))).share == 1


def test_a_training_set_that_was_not_held_out(three: tuple[Showers, Showers, Showers]) -> None:
    training, held_out, fresh = three
    mixed = Showers.concatenate([held_out, training[:50]])
    found = memorisation(training, mixed, fresh)
    assert found.known.generated.tolist() == list(range(300, 350))
    assert (found.score.sigma or 9) < 4
    assert any("50 of 350 held-out showers are training showers" in one for one in found.sentences)
    alone = memorisation(training, training, fresh)
    assert alone.score.value is None
    assert not alone.distances


def test_held_out_showers_that_are_remembered(three: tuple[Showers, Showers, Showers]) -> None:
    training, held_out, _ = three
    found = judged(training, held_out, library(held_out, 500, blur=0.3))
    assert found.score.value is not None
    assert found.score.value < 0.1
    assert (found.score.sigma or 0) > 10
    assert "The held-out showers are remembered" in found.sentences[1]


def test_too_few_showers_are_said(make_showers: Make) -> None:
    sample = make_showers(60)
    found = memorisation(sample[:20], sample[20:40], sample[40:])
    assert found.score.value is None
    assert "at least 100" in found.sentences[-1]


def test_other_cells_and_empty_samples_are_refused(make_showers: Make, small: Calorimeter) -> None:
    with pytest.raises(InputError, match="different cells"):
        copies(make_showers(3), make_showers(3, geometry=small))
    with pytest.raises(InputError, match="no showers"):
        repeated(make_showers(3)[:0])
