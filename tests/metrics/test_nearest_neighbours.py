from collections.abc import Callable

import numpy as np
import pytest

from caloforge.errors import InputError
from caloforge.geometry import Calorimeter
from caloforge.incident.incident import Incident
from caloforge.metrics.nearest_neighbours import neighbours
from caloforge.showers import Showers

Make = Callable[..., Showers]


def test_copies_are_nearest_in_every_layer(make_showers: Make) -> None:
    reference = make_showers(40)
    generated = Showers.concatenate([make_showers(300, seed=2), reference])
    found = neighbours(reference, generated[260:], seed=3)
    assert [one.layer for one in found] == [0, 1, 2]
    for one in found:
        assert len(set(one.reference.tolist())) == 5
        assert one.own.min() > 0
        copied = one.distance == 0
        assert one.generated[copied].tolist() == (one.reference[copied] + 40).tolist()
    assert sum((one.distance == 0).sum() for one in found) > 0


def test_distances_are_euclidean_in_mev(make_showers: Make, small: Calorimeter) -> None:
    reference, generated = make_showers(30, geometry=small), make_showers(20, geometry=small, seed=2)
    for one in neighbours(reference, generated, n=3):
        images = [
            sample.geometry.split(sample.cells.astype(float))[one.layer] for sample in (reference, generated)
        ]
        for row, nearest, distance in zip(one.reference, one.generated, one.distance, strict=True):
            every = np.sqrt(((images[1] - images[0][row]) ** 2).sum(axis=(1, 2)))
            assert distance == pytest.approx(every.min(), rel=1e-5)
            assert every.argmin() == nearest


def test_both_samples_have_as_many_candidates(make_showers: Make, small: Calorimeter) -> None:
    reference = make_showers(2000, geometry=small, occupancy=1.0)
    found = neighbours(reference[:300], reference[300:], n=100)
    for one in found:
        assert np.median(one.distance / one.own) == pytest.approx(1, abs=0.25)


def test_the_seed_decides(make_showers: Make) -> None:
    reference, generated = make_showers(50), make_showers(50, seed=2)
    first, again, other = (neighbours(reference, generated, seed=seed)[0].reference for seed in (1, 1, 2))
    assert first.tolist() == again.tolist() != other.tolist()


def test_a_layer_without_energy_is_left_out(make_showers: Make, small: Calorimeter) -> None:
    showers = make_showers(10, geometry=small)
    cells = showers.cells.copy()
    cells[:, : small.offsets[1]] = 0
    dark = Showers(small, cells, Incident(-11, showers.energy))
    assert [one.layer for one in neighbours(dark, showers)] == [1]


def test_other_cells_are_refused(make_showers: Make, small: Calorimeter) -> None:
    with pytest.raises(InputError, match="different cells"):
        neighbours(make_showers(3), make_showers(3, geometry=small))
