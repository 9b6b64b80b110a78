"""Mixed precision: all models train in it, and what it would spoil is left out of it."""

from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

from caloforge import catalog  # noqa: E402
from caloforge.geometry import Calorimeter  # noqa: E402
from caloforge.models import checkpoint  # noqa: E402
from caloforge.stages.train.fit import Plan, fit  # noqa: E402
from tests.batches import build, training_data, upright  # noqa: E402

N = 8
EXACT = {"copula", "parametrised", "shower_library"}

SMALLER = {"calogan": {"latent": 16}}

Figures = dict[str, float]


def train(name: str, geometry: Calorimeter, precision: str, folder: Path) -> tuple[Figures, Figures]:
    """Return the figures of the first and of the last step that has any."""
    model = build(name, geometry, SMALLER)
    geometry = model.geometry
    share = torch.rand(2 * N, geometry.n_cells) * (torch.rand(2 * N, geometry.n_cells) < 0.5)
    energy = 1e3 + 9.9e4 * torch.rand(2 * N)
    showers = upright(0.9 * energy[:, None] * share / share.sum(dim=1, keepdim=True), energy, geometry)
    seen: list[Figures] = []
    fit(
        model,
        training_data(showers),
        Plan(epochs=2, batch=N, precision=precision),
        folder,
        validate=lambda step, model: {"separation": 1.0},
        log=lambda step, figures: seen.append(figures),
    )
    return seen[0], seen[-1]


@pytest.mark.parametrize("name", catalog.names("models"))
def test_every_model_trains_in_mixed_precision(name: str, small: Calorimeter, tmp_path: Path) -> None:
    exact, mixed = (
        train(name, small, precision, tmp_path / precision) for precision in ("float32", "bfloat16")
    )
    assert mixed[0] == pytest.approx(exact[0], rel=0 if name in EXACT else 0.05)
    assert mixed[1].keys() == exact[1].keys()
    tensors, others = (checkpoint.load(tmp_path / each).tensors for each in ("float32", "bfloat16"))
    assert all(value.dtype == others[key].dtype for key, value in tensors.items())
    assert all(value.isfinite().all() for value in others.values())
    if name in EXACT:
        assert all(torch.equal(value, others[key]) for key, value in tensors.items())
