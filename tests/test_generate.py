"""Generation with the weights that ship."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from caloforge.errors import CatalogError, InputError
from caloforge.generate import BLOCK, Conservation, Generator, OutsideTrainedRange, generate, generate_file
from caloforge.showers import Showers, read
from caloforge.spectrum import Spectrum
from caloforge.trained import TrainedModel
from caloforge.units import GeV


@pytest.fixture(scope="module")
def gamma() -> TrainedModel:
    return TrainedModel.find(22, "calogan", threads=1)


def stream(model: TrainedModel, seed: int = 1, energy: str = "1:100") -> Generator:
    return Generator(model, 22, Spectrum.parse(energy), seed)


def joined(model: TrainedModel, n: int, size: int, seed: int = 1) -> Showers:
    return Showers.concatenate(list(stream(model, seed).batches(n, size)))


def test_three_lines_make_showers() -> None:
    showers = generate("gamma", energy=50 * GeV, n=10, seed=1)
    assert showers.cells.shape == (10, 504)
    assert set(showers.pdg.tolist()) == {22}
    np.testing.assert_array_equal(showers.energy, 50 * GeV)


@pytest.mark.parametrize("size", [1, BLOCK, 2 * BLOCK + 7, 10_000])
def test_the_batch_size_changes_no_bit(gamma: TrainedModel, size: int) -> None:
    n = 3 * BLOCK + 5
    expected, found = joined(gamma, n, n), joined(gamma, n, size)
    np.testing.assert_array_equal(found.cells, expected.cells)
    np.testing.assert_array_equal(found.energy, expected.energy)


def test_a_longer_sample_begins_with_the_shorter(gamma: TrainedModel) -> None:
    np.testing.assert_array_equal(joined(gamma, 300, 300).cells[:20], joined(gamma, 20, 20).cells)


def test_seeds_and_blocks_are_independent(gamma: TrainedModel) -> None:
    cells = joined(gamma, 2 * BLOCK, BLOCK).cells
    assert not np.array_equal(cells[:BLOCK], cells[BLOCK:])
    assert not np.array_equal(cells, joined(gamma, 2 * BLOCK, BLOCK, seed=2).cells)


def test_a_file_holds_the_same_showers(gamma: TrainedModel, tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    path = tmp_path / "a.h5"
    generate_file(stream(gamma), 300, path, batch=BLOCK, progress=lambda *at: seen.append(at))
    np.testing.assert_array_equal(read(path).cells, joined(gamma, 300, 300).cells)
    assert seen[-1] == (300, 300)


def test_conserved_energy_is_conserved_and_the_price_counted(gamma: TrainedModel) -> None:
    (free,) = stream(gamma, energy="50:100").batches(BLOCK, BLOCK)
    careful = Generator(gamma, 22, Spectrum.parse("50:100"), 1, Conservation())
    (kept,) = careful.batches(BLOCK, BLOCK)
    over = free.cells.sum(axis=1, dtype=float) > free.energy
    assert over.any()
    assert (kept.cells.sum(axis=1, dtype=float) <= kept.energy).all()
    assert careful.rejected >= over.sum()
    np.testing.assert_array_equal(kept.cells[~over], free.cells[~over])


def test_conservation_gives_up_in_a_sentence_and_writes_nothing(gamma: TrainedModel, tmp_path: Path) -> None:
    hopeless = Generator(gamma, 22, Spectrum.parse("50:100"), 1, Conservation(tries=1))
    with pytest.raises(InputError, match="allow more tries"):
        generate_file(hopeless, 2 * BLOCK, tmp_path / "a.h5")
    assert not list(tmp_path.iterdir())


def test_energies_beyond_the_training_are_made_with_a_warning(gamma: TrainedModel) -> None:
    with pytest.warns(OutsideTrainedRange, match="1 to 100 GeV"):
        (showers,) = stream(gamma, energy="150").batches(10, 10)
    assert showers.cells.sum(axis=1).mean() > 80 * GeV


@pytest.mark.parametrize(("n", "size"), [(0, 10), (-5, 10), (10, 0)])
def test_impossible_numbers_are_refused(gamma: TrainedModel, n: int, size: int) -> None:
    with pytest.raises(InputError, match="at least 1"):
        next(stream(gamma).batches(n, size))


def test_an_untrained_particle_is_answered_with_what_there_is() -> None:
    with pytest.raises(CatalogError, match="gamma in calogan"):
        generate("neutron", 10 * GeV)
    with pytest.raises(CatalogError, match="e- in nowhere"):
        generate("e-", 10 * GeV, geometry="nowhere")
    with pytest.raises(CatalogError, match="not for e-"):
        generate("e-", 10 * GeV, model="calogan_gamma")


def test_generation_runs_without_torch(tmp_path: Path) -> None:
    code = (
        "import sys; sys.modules['torch'] = None\n"
        "from caloforge.generate import generate\n"
        f"generate('e+', 1e4, 10).save({str(tmp_path / 'a.h5')!r})"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True)
    np.testing.assert_array_equal(read(tmp_path / "a.h5").cells, generate("e+", 1e4, 10).cells)


def test_every_shipped_model_makes_possible_showers() -> None:
    for particle in ("e+", "gamma", "pi+"):
        showers = generate(particle, (1 * GeV, 100 * GeV), n=1000)
        response = showers.cells.sum(axis=1, dtype=float) / showers.energy
        assert np.isfinite(showers.cells).all()
        assert (response > 0).all()
        assert 0.1 < response.mean() < 1.1
