"""Layers against their plain definitions, in double precision."""

import math

import pytest

torch = pytest.importorskip("torch")

from hypothesis import given, settings  # noqa: E402
from hypothesis import strategies as st  # noqa: E402
from torch.nn import functional  # noqa: E402

from caloforge.errors import GeometryError  # noqa: E402
from caloforge.models import layers  # noqa: E402

sizes = st.integers(1, 6)
N = 3


def maps_of(rows: int, columns: int, channels: int) -> torch.Tensor:
    return torch.randn(rows, columns, channels, N, dtype=torch.float64, requires_grad=True)


@settings(max_examples=60)
@given(
    size=st.tuples(sizes, st.integers(1, 9)),
    kernel=st.tuples(st.integers(1, 3), st.integers(1, 4)),
    stride=st.integers(1, 3),
    frame=st.tuples(*[st.integers(0, 2)] * 4),
    channels=st.tuples(st.integers(1, 3), st.integers(1, 9)),
)
def test_products_in_place_equal_products_of_copies(
    size: tuple[int, int],
    kernel: tuple[int, int],
    stride: int,
    frame: tuple[int, int, int, int],
    channels: tuple[int, int],
) -> None:
    framed = size[0] + frame[0] + frame[1], size[1] + frame[2] + frame[3]
    if framed[0] < kernel[0] or framed[1] < kernel[1]:
        return
    inputs, outputs = channels
    maps = maps_of(*size, inputs)
    places = layers.window_count(framed, kernel, stride)
    weight = torch.randn(
        *places, outputs, math.prod(kernel) * inputs, dtype=torch.float64, requires_grad=True
    )
    bias = torch.randn(*places, outputs, 1, dtype=torch.float64, requires_grad=True)
    plain = weight @ layers.patches(layers.pad(maps, *frame), kernel, stride) + bias
    product = layers.local_product(maps, weight, bias, kernel, stride, frame)
    torch.testing.assert_close(product, plain)
    direction = torch.randn_like(plain)
    expected = torch.autograd.grad(plain, (maps, weight, bias), direction)
    found = torch.autograd.grad(product, (maps, weight, bias), direction)
    torch.testing.assert_close(found, expected)
    unbiased = layers.local_product(maps, weight, None, kernel, stride, frame)
    torch.testing.assert_close(unbiased, plain - bias)


@pytest.mark.parametrize("kernel", [(1, 1), (2, 2), (3, 3), (2, 3)])
def test_convolution_is_torchs_with_the_odd_zero_at_bottom_and_right(kernel: tuple[int, int]) -> None:
    layer = layers.Convolution(3, 4, kernel).double()
    torch.nn.init.normal_(layer.bias)
    maps = maps_of(4, 5, 3)
    weight = layer.weight.view(4, *kernel, 3).permute(0, 3, 1, 2)
    top, left = (kernel[0] - 1) // 2, (kernel[1] - 1) // 2
    images = functional.pad(maps.permute(3, 2, 0, 1), (left, kernel[1] - 1 - left, top, kernel[0] - 1 - top))
    expected = functional.conv2d(images, weight, layer.bias.squeeze(1))
    torch.testing.assert_close(layer(maps).permute(3, 2, 0, 1), expected)


@pytest.mark.parametrize(("stride", "padding"), [(1, 0), (2, 1)])
def test_a_locally_connected_layer_with_equal_weights_is_a_convolution(stride: int, padding: int) -> None:
    layer = layers.LocallyConnected((4, 7), 2, 3, (2, 2), stride=stride, padding=padding).double()
    with torch.no_grad():
        layer.weight.copy_(layer.weight[0, 0].clone().expand_as(layer.weight))
        layer.bias.normal_().copy_(layer.bias[0, 0].clone().expand_as(layer.bias))
    maps = maps_of(4, 7, 2)
    weight = layer.weight[0, 0].view(3, 2, 2, 2).permute(0, 3, 1, 2)
    expected = functional.conv2d(
        maps.permute(3, 2, 0, 1), weight, layer.bias[0, 0, :, 0], stride=(1, stride), padding=padding
    )
    torch.testing.assert_close(layer(maps).permute(3, 2, 0, 1), expected)
    torch.testing.assert_close(layers.ExportableLocal(layer)(maps), layer(maps))


def test_a_position_sees_only_its_window() -> None:
    layer = layers.LocallyConnected((3, 4), 1, 2, (2, 2)).double()
    maps = maps_of(3, 4, 1)
    (gradient,) = torch.autograd.grad(layer(maps)[0, 1].sum(), maps)
    seen = gradient.abs().sum(dim=(2, 3)) > 0
    assert seen.nonzero().tolist() == [[0, 1], [0, 2], [1, 1], [1, 2]]


def test_locally_connected_weights_start_small_since_positions_count_in_the_fans() -> None:
    torch.manual_seed(1)
    layer = layers.LocallyConnected((4, 98), 16, 6, (2, 2), initialise=layers.he_uniform_)
    limit = math.sqrt(6 / (3 * 97 * 64))
    assert layer.weight.abs().max() <= limit
    assert layer.weight.std().item() == pytest.approx(limit / math.sqrt(3), rel=0.02)


def test_normalisation_folds_into_the_layer_behind_it() -> None:
    torch.manual_seed(2)
    norm = layers.BatchNorm(3).double()
    for _ in range(3):
        norm(2 + 3 * maps_of(3, 4, 3))
    norm.eval()
    layer = layers.LocallyConnected((3, 4), 3, 2, (2, 2)).double()
    maps = maps_of(3, 4, 3)
    torch.testing.assert_close(layers.ExportableLocal(layer, *norm.affine_map())(maps), layer(norm(maps)))


def test_normalised_maps_have_zero_mean_and_unit_variance_in_each_channel() -> None:
    torch.manual_seed(3)
    normed = layers.BatchNorm(3).double()(5 + 100 * maps_of(6, 7, 3))
    torch.testing.assert_close(normed.mean(dim=(0, 1, 3)), torch.zeros(3, dtype=torch.float64))
    assert normed.var(dim=(0, 1, 3), unbiased=False).sub(1).abs().max() < 1e-5


def test_evaluation_follows_training_from_the_first_batches() -> None:
    torch.manual_seed(6)
    norm = layers.BatchNorm(3).double()
    batches = [1e-3 * maps_of(6, 7, 3).detach() for _ in range(4)]
    for maps in batches:
        norm(maps)
    variances = torch.stack([maps.transpose(2, 3).flatten(0, 2).var(dim=0) for maps in batches])
    torch.testing.assert_close(norm.running_var, variances.mean(dim=0))
    norm.num_batches_tracked.fill_(10_000)
    norm(batches[0])
    torch.testing.assert_close(norm.running_var, 0.99 * variances.mean(dim=0) + 0.01 * variances[0])


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_images_are_a_dense_layer_in_either_precision(precision: str) -> None:
    torch.manual_seed(4)
    layer = layers.Images(32, (3, 4), 5, precision)
    vectors = torch.randn(7, 32, requires_grad=True)
    maps = layer(vectors)
    expected = functional.linear(vectors, layer.weight, layer.bias.squeeze(1)).T.view(3, 4, 5, 7)
    direction = torch.randn_like(expected)
    leaves = (vectors, layer.weight, layer.bias)
    wanted = (expected, *torch.autograd.grad(expected, leaves, direction))
    found = (maps, *torch.autograd.grad(maps, leaves, direction))
    tolerance = 1e-5 if precision == "float32" else 2e-2
    for one, other in zip(found, wanted, strict=True):
        assert one.dtype == torch.float32
        assert (one - other).norm() <= tolerance * other.norm()


@given(rows=sizes, columns=sizes, by=st.tuples(st.integers(1, 4), st.integers(1, 4)))
def test_averaging_undoes_repeating(rows: int, columns: int, by: tuple[int, int]) -> None:
    maps = maps_of(rows, columns, 1)
    larger = layers.resize(maps, (rows * by[0], columns * by[1]))
    assert larger.shape[:2] == (rows * by[0], columns * by[1])
    torch.testing.assert_close(layers.resize(larger, (rows, columns)), maps)


def test_resizing_repeats_rows_and_averages_columns() -> None:
    maps = torch.arange(4.0).view(1, 4, 1, 1)
    assert layers.resize(maps, (2, 2)).squeeze().tolist() == [[0.5, 2.5], [0.5, 2.5]]


def test_sizes_that_do_not_divide_are_refused() -> None:
    with pytest.raises(GeometryError, match=r"12 columns .* 8 of the next"):
        layers.resize(maps_of(3, 12, 1), (3, 8))


@pytest.mark.parametrize("features", [1, 6])
def test_minibatch_discrimination_is_the_sum_of_exp_of_minus_l1(features: int) -> None:
    torch.manual_seed(5)
    layer = layers.MinibatchDiscrimination(features, kernels=4, dimension=3).double()
    values = torch.randn(features, N, dtype=torch.float64, requires_grad=True)
    points = torch.einsum("kdf,fn->kdn", layer.weight, values)
    distances = (points.unsqueeze(3) - points.unsqueeze(2)).abs().sum(dim=1)
    expected = torch.exp(-distances).sum(dim=2).tanh()
    torch.testing.assert_close(layer(values), expected)
    direction = torch.randn_like(expected)
    leaves = (values, layer.weight)
    wanted = torch.autograd.grad(expected, leaves, direction)
    torch.testing.assert_close(torch.autograd.grad(layer(values), leaves, direction), wanted)


def test_sparsity_is_the_fraction_of_filled_cells() -> None:
    maps = torch.tensor([[0.0, 2.0], [0.0, 1e-9], [3.0, 0.5], [0.0, 1.0]]).view(2, 2, 1, 2)
    assert layers.sparsity(maps).tolist() == [[0.25, 1.0]]
