"""Learning how showers are normal numbers: stages, the bound of energy, and what whitened showers are."""

from itertools import pairwise
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

from torch import Tensor  # noqa: E402

from caloforge import catalog  # noqa: E402
from caloforge.config import load, to_dict  # noqa: E402
from caloforge.errors import ConfigError  # noqa: E402
from caloforge.formats.calogan import ENTRY  # noqa: E402
from caloforge.formats.native import read  # noqa: E402
from caloforge.geometry import Calorimeter  # noqa: E402
from caloforge.incident.particles import brought, parse_particle  # noqa: E402
from caloforge.preprocessing import CopulaConfig, NormalShowers, falling  # noqa: E402

STEPS = 40
RANGE = (1e3, 1e5)


def real(folder: Path, particle: str) -> tuple[Tensor, Tensor]:
    showers = ENTRY.read(folder / f"calogan_{particle}.h5")
    return torch.from_numpy(showers.cells), torch.from_numpy(showers.energy).float()


def learn(showers: NormalShowers, cells: Tensor, energy: Tensor, steps: int) -> None:
    optimizer = showers.optimizer()
    for step in range(steps):
        rows = torch.randint(len(cells), (256,))
        showers.learn(cells[rows], energy[rows], optimizer, step / steps)


@pytest.fixture(scope="module")
def positrons(geant4_showers: Path) -> tuple[Tensor, Tensor]:
    return real(geant4_showers, "eplus")


@pytest.fixture(scope="module")
def learned(positrons: tuple[Tensor, Tensor], calogan: Calorimeter) -> NormalShowers:
    torch.manual_seed(1)
    showers = NormalShowers(calogan, CopulaConfig(settled=0.5), RANGE)
    showers.prepare(*positrons)
    learn(showers, *positrons, STEPS)
    return showers.requires_grad_(False)


def test_whitened_showers_are_nearly_independent_normal_numbers(
    learned: NormalShowers, positrons: tuple[Tensor, Tensor]
) -> None:
    torch.manual_seed(5)
    white = learned.whitened(*positrons)
    assert white.shape == (len(positrons[0]), learned.size)
    assert float(white.mean()) == pytest.approx(0, abs=0.05)
    assert float(white.var()) == pytest.approx(1, abs=0.1)
    assert float((white.abs() > 2).float().mean()) == pytest.approx(0.0455, abs=0.01)
    correlation = torch.corrcoef(white.T) - torch.eye(learned.size)
    assert correlation.abs().mean() < 2 / len(white) ** 0.5


@pytest.mark.parametrize("name", ["e+", "gamma", "pi+"])
def test_no_shower_holds_more_than_came_in(calogan: Calorimeter, name: str) -> None:
    """Whatever the noise is: more than any that is drawn."""
    sample = read(catalog.load("samples", f"calogan_{name.replace('+', 'plus')}"))
    cells, energy = torch.from_numpy(sample.cells), torch.from_numpy(sample.energy).float()
    torch.manual_seed(1)
    most = brought(parse_particle(name))
    showers = NormalShowers(calogan, CopulaConfig(), RANGE, most).requires_grad_(False)
    showers.prepare(cells, energy)
    z = 3 * torch.randn(1000, showers.size)
    incident = 1e3 + 9.9e4 * torch.rand(1000)
    found = showers.scaling(z, incident).double().sum(dim=1) - incident
    assert (found <= most + 1e-6 * incident).all()


def few(geometry: Calorimeter) -> tuple[Tensor, Tensor]:
    """Return arbitrary showers, half of their cells empty."""
    random = torch.Generator().manual_seed(1)
    cells = torch.rand(60, geometry.n_cells, generator=random).pow(8) * 1e3
    cells *= torch.rand(60, geometry.n_cells, generator=random) < 0.5
    return cells, 1.2 * cells.sum(dim=1) + 1e3


def test_correlations_are_learned_once_the_rest_has_settled(small: Calorimeter) -> None:
    torch.manual_seed(1)
    cells, energy = few(small)
    showers = NormalShowers(small, CopulaConfig(settled=0.5, sweeps=0), RANGE)
    showers.prepare(cells, energy)
    optimizer, updates = showers.optimizer(), []
    for step in range(4):
        assert torch.equal(showers.gaussian.covariance, torch.eye(showers.size)) == (step <= 2)
        showers.learn(cells, energy, optimizer, step / 4)
        updates.append(int(showers.gaussian.updates))
    assert updates == [0, 0, 1, 2]


def test_the_rate_falls_to_a_hundredth() -> None:
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    schedule, rates = falling(optimizer, 10), []
    for _ in range(20):
        rates += schedule.get_last_lr()
        optimizer.step()
        schedule.step()
    assert rates[0] == 1
    assert rates[5] == pytest.approx(0.5)
    assert all(later <= earlier for earlier, later in pairwise(rates))
    assert set(rates[10:]) == {0.01}


def test_all_is_done_in_single_precision_also_within_autocast(small: Calorimeter) -> None:
    cells, energy = few(small)
    found = []
    for mixed in (False, True):
        torch.manual_seed(1)
        showers = NormalShowers(small, CopulaConfig(settled=0.0), RANGE)
        showers.prepare(cells, energy)
        with torch.autocast("cpu", torch.bfloat16, enabled=mixed):
            losses = showers.learn(cells, energy, showers.optimizer(), 0.0)
            white = showers.whitened(cells, energy)
        assert white.shape == (len(cells), showers.size)
        assert white.isfinite().all()
        assert not any(loss.requires_grad for loss in losses.values())
        found.append([*losses.values(), white, showers.gaussian.covariance])
    for single, within in zip(*found, strict=True):
        assert torch.equal(single, within)


def test_white_noise_makes_the_showers_that_it_was_made_of(small: Calorimeter) -> None:
    torch.manual_seed(1)
    cells, energy = few(small)
    showers = NormalShowers(small, CopulaConfig(settled=0.0), RANGE).requires_grad_(False)
    showers.prepare(cells, energy)
    for _ in range(3):
        showers.gaussian.update(showers.scaling.encode(cells, energy))
    z = showers.whitened(cells, energy) @ showers.gaussian.factor().T
    known = showers.scaling.encode(cells, energy)
    torch.testing.assert_close(z[:, 2:][~known.censored[:, 2:]], known.z[:, 2:][~known.censored[:, 2:]])
    assert (z <= known.bound + 1e-4)[known.censored].all()


def test_nothing_is_brought_beside_the_kinetic_energy_unless_it_is_said(small: Calorimeter) -> None:
    assert float(NormalShowers(small, CopulaConfig(), RANGE).scaling.layers.excess) == 0
    assert float(NormalShowers(small, CopulaConfig(), RANGE, 5.0).scaling.layers.excess) == 5


@pytest.mark.parametrize(
    ("key", "possible", "impossible"),
    [
        ("energy_knots", 2, 1),
        ("layer_knots", 2, 1),
        ("levels", [0.0, 1.0], [0.0]),
        ("rate", 1e-6, 0.0),
        ("settled", 0.0, -0.01),
        ("settled", 0.99, 1.0),
        ("sweeps", 0, -1),
    ],
)
def test_each_key_has_its_bounds(key: str, possible: object, impossible: object) -> None:
    load(CopulaConfig, {key: possible})
    with pytest.raises(ConfigError, match=key):
        load(CopulaConfig, {key: impossible})


def test_what_it_is_by_default_is_possible() -> None:
    default = CopulaConfig()
    assert load(CopulaConfig, to_dict(default)) == default
    default.check_levels()


@pytest.mark.parametrize("levels", [(0.1, 1.0), (1.0, 2.0), (-1.0, 1.0), (0.0, 1.0, 1.0), (0.0, 2.0, 1.0)])
def test_levels_ascend_from_zero(levels: tuple[float, ...]) -> None:
    with pytest.raises(ValueError, match="levels must ascend from 0"):
        CopulaConfig(levels=levels).check_levels()
