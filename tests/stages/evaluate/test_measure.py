"""One pass over a file gives what all its showers at once would."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from caloforge import observables
from caloforge.errors import InputError
from caloforge.formats.native import ShowerFile, read
from caloforge.stages.evaluate import measure as measured
from caloforge.stages.evaluate.measure import SPECTRUM_EDGES, measure, same_spectrum


@pytest.fixture
def in_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measured, "_BATCH", 400)


@pytest.mark.usefixtures("in_batches")
def test_batches_give_what_all_showers_at_once_give(files: Path) -> None:
    showers = read(files / "reference.h5")
    every = observables.every(showers.geometry)
    with ShowerFile(files / "reference.h5") as source:
        found = measure(source, every, file=files / "reference.h5")
    assert len(found) == len(showers)
    assert found.file == "reference.h5"
    for one in every:
        np.testing.assert_allclose(found.values[one.name], one(showers), rtol=1e-9, atol=1e-9)
    cells = showers.cells.astype(float)
    np.testing.assert_allclose(found.mean, cells.mean(axis=0), rtol=1e-6)
    np.testing.assert_allclose(found.mean_square, (cells**2).mean(axis=0), rtol=1e-5)
    np.testing.assert_array_equal(found.hits, np.count_nonzero(cells, axis=0))
    first = cells[:, : showers.geometry.offsets[1]]
    np.testing.assert_array_equal(found.spectra[0], np.histogram(first[first > 0], SPECTRUM_EDGES)[0])
    assert found.spectra.sum() == np.count_nonzero(cells)


@pytest.mark.usefixtures("in_batches")
def test_kept_showers_are_those_of_the_file_and_the_seed(files: Path) -> None:
    showers = read(files / "reference.h5")
    with ShowerFile(files / "reference.h5") as source:
        one, same, other = (measure(source, [], kept=50, seed=seed).kept for seed in (1, 1, 2))
    assert len(one) == 50
    np.testing.assert_array_equal(one.cells, showers.cells[one.columns["number"]])
    np.testing.assert_array_equal(one.cells, same.cells)
    assert not np.array_equal(one.columns["number"], other.columns["number"])


def test_only_chosen_showers_count(files: Path) -> None:
    with ShowerFile(files / "reference.h5") as source:
        chosen = source.incident().energy > 5e4
        found = measure(source, [], chosen=chosen)
        assert found.energy.min() > 5e4
        assert len(found) == len(found.kept) == chosen.sum()
        with pytest.raises(InputError, match="no showers"):
            measure(source, [], chosen=chosen & ~chosen)


energies = st.lists(st.sampled_from([1e3, 2e3, 5e3]), min_size=1, max_size=60).map(np.array)


@given(first=energies, second=energies, seed=st.integers(0, 5))
@settings(max_examples=40)
def test_matched_spectra_are_equal_where_energies_are_few(first, second, seed: int) -> None:
    if not set(first) & set(second):
        with pytest.raises(InputError, match="do not overlap"):
            same_spectrum(first, second, seed)
        return
    kept = same_spectrum(first, second, seed)
    for energy in set(first) | set(second):
        counts = [
            np.sum(sample[chosen] == energy) for sample, chosen in zip((first, second), kept, strict=True)
        ]
        share = min(np.mean(first == energy), np.mean(second == energy))
        assert counts == [int(share * len(sample) + 1e-9) for sample in (first, second)]


def test_matched_spectra_keep_what_both_have() -> None:
    random = np.random.default_rng(1)
    first, second = random.uniform(1e3, 1e5, 20_000), random.uniform(5e4, 1e5, 5000)
    kept = same_spectrum(first, second)
    low, high = first[kept[0]], second[kept[1]]
    assert low.min() >= second.min()
    assert len(low) == pytest.approx(len(first) / 2, rel=0.05)
    assert len(high) == pytest.approx(len(second) / 2, rel=0.05)
    quantiles = np.linspace(0.1, 0.9, 9)
    np.testing.assert_allclose(np.quantile(low, quantiles), np.quantile(high, quantiles), rtol=0.02)
