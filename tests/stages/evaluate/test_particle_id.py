"""Particles told apart in two domains (Table II)."""

from pathlib import Path

import numpy as np
import pytest

from caloforge.errors import InputError, MissingExtra
from caloforge.formats.native import write
from caloforge.geometry import Calorimeter
from caloforge.incident.incident import Incident
from caloforge.showers import Showers
from caloforge.stages.evaluate import particle_id as module
from caloforge.stages.evaluate.particle_id import read, separate_particles


def sample(geometry: Calorimeter, pdg: int, share: float, seed: int, n: int = 200) -> Showers:
    """Showers of a share of energy in the first layer."""
    random = np.random.default_rng(seed)
    energy = random.uniform(1e3, 1e5, n)
    sizes = np.diff(geometry.offsets)
    first = np.clip(random.normal(share, 0.02, n), 0, 1)
    layers = np.stack([first, 1 - first], axis=1) / sizes
    cells = np.repeat(layers, sizes, axis=1) * energy[:, None] * random.lognormal(0, 0.1, (n, sizes.sum()))
    return Showers(geometry, cells, Incident(pdg, energy))


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("caloforge.metrics.classifiers.networks.EPOCHS", 20)
    monkeypatch.setattr("caloforge.metrics.classifiers.networks.BATCH", 32)


@pytest.mark.usefixtures("quick")
def test_a_domain_that_separates_too_well_is_no_use_in_the_other(small: Calorimeter) -> None:
    alike = [sample(small, -11, 0.3, 1), sample(small, 22, 0.3, 2)]
    apart = [sample(small, -11, 0.1, 3), sample(small, 22, 0.6, 4)]
    done: list[float] = []
    result = separate_particles(alike, apart, trials=2, progress=lambda now, total, note="": done.append(now))
    assert result.particles == ("e+", "gamma")
    assert result.split == (120, 40, 40)
    assert result.accuracy.shape == (2, 2, 2)
    assert result.mean[1, 1] > 0.95
    assert result.mean[:, 0] == pytest.approx(0.5, abs=0.15)
    assert done == [1, 2, 3, 4]


def test_samples_that_do_not_fit_are_refused(
    small: Calorimeter, calogan: Calorimeter, monkeypatch: pytest.MonkeyPatch
) -> None:
    e, gamma = sample(small, -11, 0.3, 1), sample(small, 22, 0.3, 2)
    with pytest.raises(InputError, match=r"of e\+, gamma and gamma, e\+; give two particles"):
        separate_particles([e, gamma], [gamma, e])
    with pytest.raises(InputError, match="give two particles"):
        separate_particles([e, e], [e, e])
    with pytest.raises(InputError, match="a file for each particle"):
        separate_particles([e, Showers.concatenate([e, gamma])], [e, gamma])
    with pytest.raises(InputError, match="cells"):
        separate_particles([e, gamma], [e, Showers(calogan, np.ones((200, 504)), Incident(22, 1e4))])
    with pytest.raises(InputError, match="99 showers are too few"):
        separate_particles([e, gamma], [e, gamma[:99]])
    with pytest.raises(InputError, match="2 or more"):
        separate_particles([e, gamma], [e, gamma], trials=1)
    monkeypatch.setattr(module, "find_spec", lambda name: None)
    with pytest.raises(MissingExtra, match=r"caloforge\[train\]"):
        separate_particles([e, gamma], [e, gamma])


def test_files_are_read_at_random(small: Calorimeter, tmp_path: Path) -> None:
    write(sample(small, -11, 0.3, 1), tmp_path / "e.h5")
    (all_,), (some,) = read([tmp_path / "e.h5"]), read([tmp_path / "e.h5"], most=20)
    assert len(all_) == 200
    assert len(some) == 20
    assert np.isin(some.energy, all_.energy).all()
