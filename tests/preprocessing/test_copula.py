"""Learning how showers are normal numbers: stages, the bound of energy, and what whitened showers are."""

from itertools import pairwise
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

from torch import Tensor  # noqa: E402

from caloforge.formats.calogan import ENTRY  # noqa: E402
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
def test_no_shower_holds_more_than_came_in(geant4_showers: Path, calogan: Calorimeter, name: str) -> None:
    """Whatever the noise is: more than any that is drawn."""
    cells, energy = real(geant4_showers, {"e+": "eplus", "pi+": "piplus"}.get(name, name))
    torch.manual_seed(1)
    most = brought(parse_particle(name))
    showers = NormalShowers(calogan, CopulaConfig(), RANGE, most).requires_grad_(False)
    showers.prepare(cells[:1000], energy[:1000])
    z = 3 * torch.randn(5000, showers.size)
    incident = 1e3 + 9.9e4 * torch.rand(5000)
    found = showers.scaling(z, incident).double().sum(dim=1) - incident
    assert (found <= most + 1e-6 * incident).all()


def test_correlations_are_learned_once_the_rest_has_settled(
    positrons: tuple[Tensor, Tensor], calogan: Calorimeter
) -> None:
    torch.manual_seed(1)
    cells, energy = (part[:300] for part in positrons)
    showers = NormalShowers(calogan, CopulaConfig(settled=0.5, sweeps=0), RANGE)
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
