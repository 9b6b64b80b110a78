"""Flows of images: they can be inverted, and their Jacobians are those of automatic differentiation."""

import pytest

torch = pytest.importorskip("torch")

from hypothesis import given  # noqa: E402
from hypothesis import strategies as st  # noqa: E402
from torch import Tensor, nn  # noqa: E402

from caloforge.models.flows import Flow, Permutation, Spline  # noqa: E402
from caloforge.models.image_flows import (  # noqa: E402
    ImageCoupling,
    Mixing,
    Scaling,
    UNet,
    folded,
    image_block,
    squeezed,
)
from tests.batches import disturb  # noqa: E402

N = 5
CONTEXT = 3
SPLINE = Spline(bins=4, bound=5.0)


def vary(module: nn.Module) -> nn.Module:
    """Give all weights other values, as after a training."""
    torch.manual_seed(1)
    disturb(module, 0.2)
    for name, buffer in module.named_buffers():
        if "running" in name:
            buffer += torch.rand_like(buffer)
        if name.endswith("begun"):
            buffer.fill_(1.0)
    return module


def flow_of(rows: int, columns: int) -> Flow:
    size = (rows // 2, columns // 2)
    blocks = [image_block(size, CONTEXT, (3, 4, 5), SPLINE) for _ in range(2)]
    flow = Flow([Permutation(squeezed(rows, columns)), *blocks[0], *blocks[1]])
    return vary(flow).double().eval()  # type: ignore[return-value]


def vectors(rows: int, columns: int) -> tuple[Tensor, Tensor]:
    torch.manual_seed(2)
    cells = rows * columns
    return torch.randn(N, cells).double(), torch.randn(N, CONTEXT * cells // 4).double()


even = st.integers(1, 6).map(lambda half: 2 * half)


@given(rows=even, columns=even)
def test_squeezing_keeps_all_cells_and_puts_each_square_in_one_place(rows: int, columns: int) -> None:
    order = squeezed(rows, columns)
    assert sorted(order.tolist()) == list(range(rows * columns))
    squares = order.view(4, rows // 2, columns // 2)
    corner = squares[0]
    for number, step in enumerate((0, 1, columns, columns + 1)):
        assert torch.equal(squares[number], corner + step)


@pytest.mark.parametrize("shape", [(2, 2), (2, 8), (6, 10), (30, 30)])
def test_a_flow_of_images_is_undone(shape: tuple[int, int]) -> None:
    flow, (x, context) = flow_of(*shape), vectors(*shape)
    drawing = Flow(one.drawing() for one in flow.transforms)
    with torch.no_grad():
        there = flow(x, context).values[-1]
        for way in (flow, drawing):
            torch.testing.assert_close(way.inverse(there, context), x, atol=1e-6, rtol=1e-6)
    assert not torch.allclose(there, x, atol=0.1)


def test_the_determinant_is_that_of_automatic_differentiation() -> None:
    flow, (x, context) = flow_of(4, 6), vectors(4, 6)
    for one, condition in zip(x, context, strict=True):

        def image(values: Tensor, condition: Tensor = condition) -> Tensor:
            found: Tensor = flow(values.unsqueeze(0), condition.unsqueeze(0)).values[-1][0]
            return found

        jacobian = torch.autograd.functional.jacobian(image, one)
        log_det = flow(one.unsqueeze(0), condition.unsqueeze(0)).log_det
        torch.testing.assert_close(torch.linalg.slogdet(jacobian).logabsdet, log_det[0], rtol=1e-8, atol=1e-8)


def test_only_the_first_showers_of_a_training_set_the_scales() -> None:
    torch.manual_seed(3)
    scaling, x, context = Scaling(4), 3 * torch.randn(100, 24) + 1, torch.zeros(100, 0)
    scaling.eval()
    assert torch.equal(scaling(x, context).value, x)
    scaling.train()
    first = scaling(x, context).value
    torch.testing.assert_close(first.view(100, 4, 6).std(dim=(0, 2)), torch.ones(4), atol=1e-5, rtol=0)
    again = scaling(2 * x, context).value
    torch.testing.assert_close(again - scaling.shift.repeat(1, 6).view(1, -1), 2 * (
        first - scaling.shift.repeat(1, 6).view(1, -1)
    ))  # fmt: skip


@pytest.mark.parametrize("size", [(1, 1), (1, 4), (7, 7), (12, 9), (15, 15)])
def test_a_network_keeps_the_size_and_says_nothing_at_first(size: tuple[int, int]) -> None:
    network = UNet(2, 3, size, (4, 5, 6))
    x = torch.randn(N, 2 * size[0] * size[1])
    assert torch.equal(network(x), torch.zeros(N, 3 * size[0] * size[1]))


def test_the_copy_for_generation_has_no_batch_normalisation_and_does_the_same() -> None:
    network = vary(UNet(2, 3, (7, 6), (4, 5, 6))).eval()
    copy, x = folded(network), torch.randn(N, 2 * 42)
    assert not any(isinstance(module, nn.BatchNorm2d) for module in copy.modules())
    torch.testing.assert_close(copy(x), network(x), rtol=1e-4, atol=1e-5)


def test_a_copy_for_generation_only_goes_back() -> None:
    with pytest.raises(TypeError, match="only goes back"):
        Mixing(4).drawing()(torch.zeros(1, 4), torch.zeros(1, 0))


def test_half_of_the_channels_stay() -> None:
    network = vary(UNet(2 + CONTEXT, 2 * SPLINE.parameters, (3, 3), (3, 4))).eval()
    coupling = ImageCoupling(18, network, SPLINE)
    x, context = torch.randn(N, 36), torch.randn(N, CONTEXT * 9)
    found = coupling(x, context).value
    assert torch.equal(found[:, :18], x[:, :18])
    assert not torch.allclose(found[:, 18:], x[:, 18:])
