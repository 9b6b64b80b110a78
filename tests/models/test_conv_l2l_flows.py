"""Convolutional layer-to-layer flows: what a layer may know, the published size, and what is refused."""

import math

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from caloforge.errors import GeometryError  # noqa: E402
from caloforge.geometry import Calorimeter  # noqa: E402
from caloforge.models.conv_l2l_flows import Config, ConvL2LFlows, ImageEmbedding  # noqa: E402
from tests.batches import disturb, stack_of, upright  # noqa: E402

N = 6
SMALL = {"blocks": 2, "channels": (4, 6), "embedded": 3, "energy_blocks": 2, "energy_hidden": 8, "bins": 4}
PUBLISHED = {"blocks": 8, "channels": (32, 64, 128), "rate": 1e-4, "epochs": 200}


SEVEN = stack_of(4, [2] * 7)


def showers(geometry: Calorimeter, n: int = N):  # type: ignore[no-untyped-def]
    torch.manual_seed(2)
    cells = torch.rand(n, geometry.n_cells).sub(0.6).clamp(min=0).mul(30)
    return upright(cells, torch.linspace(1e4, 9e4, n), geometry)


@pytest.fixture(scope="module")
def model() -> ConvL2LFlows:
    """Return flows that are not the identity, as after a training."""
    torch.manual_seed(1)
    found = ConvL2LFlows(Config(**SMALL), SEVEN)
    disturb(found, 0.1)
    for number, flow in enumerate(found.flows):
        flow.numbers.most.fill_(20.0 + number)
    return found.eval()


@pytest.mark.parametrize("changed", [0, 3, 6])
def test_a_layer_sees_five_in_front_and_none_behind(model: ConvL2LFlows, changed: int) -> None:
    batch = showers(SEVEN)
    cells = batch.cells.clone()
    first = SEVEN.offsets[changed]
    cells[:, first : first + 8] = cells[:, first : first + 8].flip(1)  # with the same energy

    def losses(batch) -> list[float]:  # type: ignore[no-untyped-def]
        found = []
        for layer in range(7):
            torch.manual_seed(4)
            found.append(float(model.layer_loss(batch, layer).detach()))
        return found

    same = np.equal(losses(batch), losses(batch._replace(cells=cells)))
    assert same.tolist() == [not changed <= layer <= changed + 5 for layer in range(7)]


def test_what_is_drawn_is_what_the_flows_describe(model: ConvL2LFlows) -> None:
    """The loop over layers, with longer contexts and folded networks, undoes each layer's own flow."""
    run = model.sampler(SEVEN).runs[1]  # of layers 1 to 6
    before, noise, energies = torch.randn(N, 8), torch.randn(6, N, 8), torch.randn(6, N, 1)
    with torch.no_grad():
        drawn = run(noise, energies, torch.ones(N, 1), before)
        for flow, own, energy, found in zip(model.flows[1:], noise, energies, drawn, strict=True):
            context = torch.cat([energy, torch.ones(N, 1), before[:, : 5 * 8]], dim=1)
            expected = flow.flow.inverse(own, flow.embedding(context))
            torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-3)
            before = torch.cat([expected, before], dim=1)


def test_training_lowers_the_loss() -> None:
    geometry = stack_of(4, [2, 2])
    torch.manual_seed(5)
    model, batch = ConvL2LFlows(Config(**SMALL), geometry), showers(geometry, 64)
    phase = model.phases()[2]
    (schedule,) = phase.schedules(60)
    losses = []
    for step in range(60):
        losses.append(float(phase.step(batch, step / 60)["loss"]))
        schedule.step()
    assert np.mean(losses[-5:]) < np.mean(losses[:5]) - 0.1


def test_further_images_of_a_longer_context_do_not_matter() -> None:
    torch.manual_seed(6)
    embedding, context = ImageEmbedding((4, 6), images=2, channels=3), torch.randn(N, 2 + 5 * 24)
    longer = embedding.widened(2 + 5 * 24)
    torch.testing.assert_close(longer(context), embedding(context[:, : 2 + 2 * 24]))


def test_the_published_size_makes_a_step() -> None:
    ecal = Calorimeter.load("ild_ecal")
    small = Calorimeter("first", "", "", (), ("active",), ecal.layers[:2])
    model = ConvL2LFlows(Config(**PUBLISHED), small)
    assert math.isfinite(model.phases()[2].step(showers(small, 2), 0.0)["loss"])


@pytest.mark.parametrize(
    ("geometry", "found"), [(stack_of(4, [2, 4]), "4 x 2, 4 x 4"), (stack_of(4, [3, 3]), "4 x 3")]
)
def test_layers_that_differ_or_are_odd_are_refused(geometry: Calorimeter, found: str) -> None:
    with pytest.raises(GeometryError, match=f"of stack have {found}. Train l2l_flows"):
        ConvL2LFlows(Config(**SMALL), geometry)
