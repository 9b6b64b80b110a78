"""Building blocks of the models, for maps laid out as (rows, columns, channels, showers).

Rows are phi and columns are eta. With the showers on the last axis each position of a map is one contiguous
matrix (channels, showers), so that a locally connected layer (with separate weights at each position) is one
batched matrix product.

Initial weights follow Keras, in which most published calorimeter GANs were written. Its rule for a locally
connected layer counts the positions as part of the receptive field, which makes these weights much smaller
than those of a convolution.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd import Function
from torch.autograd.function import once_differentiable
from torch.nn import functional

from caloforge.errors import GeometryError

__all__ = [
    "BatchNorm",
    "Convolution",
    "ExportableLocal",
    "Frame",
    "Images",
    "Initialiser",
    "LocallyConnected",
    "MinibatchDiscrimination",
    "Size",
    "glorot_normal_",
    "glorot_uniform_",
    "he_uniform_",
    "local_product",
    "pad",
    "patches",
    "resize",
    "sparsity",
    "window_count",
]

Size = tuple[int, int]
Frame = tuple[int, int, int, int]  # top, bottom, left, right
Initialiser = Callable[[Tensor, int, int], None]


def glorot_uniform_(weight: Tensor, fan_in: int, fan_out: int) -> None:
    """Fill with U(-a, a), a = sqrt(6 / (fan_in + fan_out)) (Glorot and Bengio, AISTATS 2010).

    Examples
    --------
    >>> weight = torch.empty(1000)
    >>> glorot_uniform_(weight, fan_in=2, fan_out=4)
    >>> bool(weight.abs().max() <= 1)
    True
    """
    limit = math.sqrt(6.0 / (fan_in + fan_out))
    nn.init.uniform_(weight, -limit, limit)


def glorot_normal_(weight: Tensor, fan_in: int, fan_out: int) -> None:
    """Fill with a normal of variance 2 / (fan_in + fan_out), cut at two standard deviations.

    Examples
    --------
    >>> weight = torch.empty(1000)
    >>> glorot_normal_(weight, fan_in=4, fan_out=4)
    >>> bool(weight.abs().max() <= 1)
    True
    """
    deviation = math.sqrt(2.0 / (fan_in + fan_out))
    nn.init.trunc_normal_(weight, 0.0, deviation, -2 * deviation, 2 * deviation)


def he_uniform_(weight: Tensor, fan_in: int, fan_out: int) -> None:
    """Fill with U(-a, a), a = sqrt(6 / fan_in) (He et al., arXiv:1502.01852).

    Examples
    --------
    >>> weight = torch.empty(1000)
    >>> he_uniform_(weight, fan_in=6, fan_out=1)
    >>> bool(weight.abs().max() <= 1)
    True
    """
    limit = math.sqrt(6.0 / fan_in)
    nn.init.uniform_(weight, -limit, limit)


def window_count(size: Size, kernel: Size, stride: int) -> Size:
    """Return how many windows fit in a map, along rows and columns; the stride is along the columns.

    Examples
    --------
    >>> window_count((3, 96), kernel=(2, 2), stride=2)
    (2, 48)
    """
    return size[0] - kernel[0] + 1, (size[1] - kernel[1]) // stride + 1


def patches(maps: Tensor, kernel: Size, stride: int = 1) -> Tensor:
    """Cut out the window of each output position.

    Parameters
    ----------
    maps
        (rows, columns, channels, N)
    kernel
        Rows and columns of a window.
    stride
        Columns from one window to the next.

    Returns
    -------
    (output rows, output columns, kernel rows * kernel columns * channels, N)

    Examples
    --------
    >>> maps = torch.arange(4.0).view(2, 2, 1, 1)
    >>> patches(maps, kernel=(2, 1))[:, :, :, 0]
    tensor([[[0., 2.],
             [1., 3.]]])
    """
    rows, columns = window_count((maps.shape[0], maps.shape[1]), kernel, stride)
    span = stride * (columns - 1) + 1
    cuts = [maps[i : i + rows, j : j + span : stride] for i in range(kernel[0]) for j in range(kernel[1])]
    return torch.cat(cuts, dim=2)


def pad(maps: Tensor, top: int = 0, bottom: int = 0, left: int = 0, right: int = 0) -> Tensor:
    """Put zeros around maps (rows, columns, channels, N).

    Examples
    --------
    >>> pad(torch.ones(1, 2, 1, 1), left=1)[0, :, 0, 0]
    tensor([0., 1., 1.])
    """
    return functional.pad(maps, (0, 0, 0, 0, left, right, top, bottom))


def resize(maps: Tensor, size: Size) -> Tensor:
    """Bring maps (rows, columns, channels, N) to another size: repeat cells, or average them.

    Each axis is treated separately; the sizes follow from the shapes alone (3x96 to 12x12: rows repeated four
    times, columns averaged by eights).

    Raises
    ------
    GeometryError
        Neither number of cells along an axis divides the other.

    Examples
    --------
    >>> maps = torch.tensor([1.0, 3.0]).view(1, 2, 1, 1)
    >>> resize(maps, (2, 1))[:, :, 0, 0]
    tensor([[2.],
            [2.]])
    """
    for axis, cells in enumerate(size):
        maps = _resize_axis(maps, axis, cells)
    return maps


def _resize_axis(maps: Tensor, axis: int, cells: int) -> Tensor:
    have = maps.shape[axis]
    if cells % have == 0:
        return maps.repeat_interleave(cells // have, dim=axis) if cells > have else maps
    if have % cells == 0:
        shape = (*maps.shape[:axis], cells, have // cells, *maps.shape[axis + 1 :])
        return maps.reshape(shape).mean(dim=axis + 1)
    raise GeometryError(
        f"{have} {('rows', 'columns')[axis]} of a layer can't be brought to the {cells} of the next: "
        "one number must divide the other."
    )


class Images(nn.Module):
    """A dense layer whose output is maps: (N, size) -> (rows, columns, channels, N).

    Its weights, Glorot uniform, are kept in float32; `precision` "bfloat16" rounds both factors of the
    product, forward and backward, which is several times faster on processors with matrix units.

    Examples
    --------
    >>> Images(8, size=(3, 4), channels=2)(torch.zeros(5, 8)).shape
    torch.Size([3, 4, 2, 5])
    """

    def __init__(self, inputs: int, size: Size, channels: int, precision: str = "float32") -> None:
        super().__init__()
        self.shape = (*size, channels)
        outputs = math.prod(self.shape)
        self.weight = nn.Parameter(torch.empty(outputs, inputs))
        self.bias = nn.Parameter(torch.zeros(outputs, 1))
        self.precision = precision
        glorot_uniform_(self.weight, inputs, outputs)

    def forward(self, vectors: Tensor) -> Tensor:
        """(N, inputs) -> (rows, columns, channels, N)."""
        if self.precision == "bfloat16":
            # The parameters stay in float32: steps of Adam are too small for the 8 bits of a bfloat16.
            product = (self.weight.bfloat16() @ vectors.bfloat16().T).float()
        else:
            product = self.weight @ vectors.T
        return (product + self.bias).view(*self.shape, -1)


class Convolution(nn.Module):
    """A convolution that keeps the size ('same'): (rows, columns, inputs, N) -> (rows, columns, outputs, N).

    Zeros are put around the maps as TensorFlow does: an even kernel has one more at the bottom and right.

    Examples
    --------
    >>> Convolution(1, 2, kernel=(2, 2))(torch.zeros(3, 4, 1, 5)).shape
    torch.Size([3, 4, 2, 5])
    """

    def __init__(
        self, inputs: int, outputs: int, kernel: Size, initialise: Initialiser = glorot_uniform_
    ) -> None:
        super().__init__()
        self.kernel = kernel
        top, left = ((length - 1) // 2 for length in kernel)
        self.frame = (top, kernel[0] - 1 - top, left, kernel[1] - 1 - left)
        taps = kernel[0] * kernel[1]
        self.weight = nn.Parameter(torch.empty(outputs, taps * inputs))
        self.bias = nn.Parameter(torch.zeros(outputs, 1))
        initialise(self.weight, taps * inputs, taps * outputs)

    def forward(self, maps: Tensor) -> Tensor:
        """(rows, columns, inputs, N) -> (rows, columns, outputs, N)."""
        # Expanded views have strides of 0: the weights are shared by all positions without a copy.
        bias = self.bias.expand(*maps.shape[:2], -1, -1)
        return local_product(maps, self._everywhere(maps), bias, self.kernel, 1, self.frame)

    def linear(self, maps: Tensor) -> Tensor:
        """Apply the weights without the bias."""
        return local_product(maps, self._everywhere(maps), None, self.kernel, 1, self.frame)

    def _everywhere(self, maps: Tensor) -> Tensor:
        return self.weight.expand(*maps.shape[:2], -1, -1)


class LocallyConnected(nn.Module):
    """A convolution whose weights differ from position to position.

    Parameters
    ----------
    size
        Rows and columns of the maps that come in.
    inputs, outputs
        Numbers of channels.
    kernel
        Rows and columns of a window.
    stride
        Columns from one window to the next.
    padding
        Zeros put around the maps on each side.

    Examples
    --------
    >>> layer = LocallyConnected((3, 4), 1, 2, (2, 2), stride=2)
    >>> layer.weight.shape  # output rows, output columns, outputs, taps
    torch.Size([2, 2, 2, 4])
    >>> layer(torch.zeros(3, 4, 1, 5)).shape
    torch.Size([2, 2, 2, 5])
    """

    def __init__(
        self,
        size: Size,
        inputs: int,
        outputs: int,
        kernel: Size,
        *,
        stride: int = 1,
        padding: int = 0,
        bias: bool = True,
        initialise: Initialiser = glorot_uniform_,
    ) -> None:
        super().__init__()
        self.kernel, self.stride, self.padding = kernel, stride, padding
        self.size = window_count((size[0] + 2 * padding, size[1] + 2 * padding), kernel, stride)
        taps, positions = kernel[0] * kernel[1] * inputs, math.prod(self.size)
        self.weight = nn.Parameter(torch.empty(*self.size, outputs, taps))
        self.bias = nn.Parameter(torch.zeros(*self.size, outputs, 1)) if bias else None
        # Keras counts the positions as part of the receptive field; see the module.
        initialise(self.weight, positions * taps, positions * outputs)

    def forward(self, maps: Tensor) -> Tensor:
        """(rows, columns, inputs, N) -> (output rows, output columns, outputs, N)."""
        return local_product(maps, self.weight, self.bias, self.kernel, self.stride, (self.padding,) * 4)


class ExportableLocal(nn.Module):
    """A locally connected layer for inference, of operations that ONNX has.

    `scale` and `shift` (channels,) are applied to the maps first, folded into the weights; they need a layer
    without padding.

    Examples
    --------
    >>> layer, maps = LocallyConnected((3, 4), 1, 2, (2, 2)), torch.rand(3, 4, 1, 5)
    >>> scale, shift = torch.tensor([2.0]), torch.tensor([1.0])
    >>> folded = ExportableLocal(layer, scale, shift)(maps)
    >>> torch.allclose(folded, layer(2 * maps + 1), atol=1e-6)
    True
    """

    weight: Tensor
    bias: Tensor

    def __init__(
        self, layer: LocallyConnected, scale: Tensor | None = None, shift: Tensor | None = None
    ) -> None:
        super().__init__()
        self.kernel, self.stride, self.padding = layer.kernel, layer.stride, layer.padding
        weight = layer.weight.detach()
        bias = weight.new_zeros(()) if layer.bias is None else layer.bias.detach()
        taps = layer.kernel[0] * layer.kernel[1]
        # A shift before the layer adds the sum of its weights times the shift to the bias. With padding this
        # would be wrong at the edges, where zeros are not shifted.
        if shift is not None:
            bias = bias + weight @ shift.detach().repeat(taps).unsqueeze(1)
        if scale is not None:
            weight = weight * scale.detach().repeat(taps)
        self.register_buffer("weight", weight)
        self.register_buffer("bias", bias)

    def forward(self, maps: Tensor) -> Tensor:
        """(rows, columns, inputs, N) -> (output rows, output columns, outputs, N)."""
        return self.weight @ patches(pad(maps, *(self.padding,) * 4), self.kernel, self.stride) + self.bias


def local_product(
    maps: Tensor, weight: Tensor, bias: Tensor | None, kernel: Size, stride: int, frame: Frame
) -> Tensor:
    """Multiply the window at each position with the weights of that position and add the bias.

    Equal to ``weight @ patches(pad(maps, *frame), kernel, stride) + bias`` and differentiable, with hardly a
    copy: a kernel row of a window is one contiguous block of the maps, so windows are read where they lie, by
    one batched matrix product for each kernel row, over all positions at once.

    Parameters
    ----------
    maps
        (rows, columns, channels, N)
    weight
        (output rows, output columns, outputs, kernel rows * kernel columns * channels)
    bias
        (output rows, output columns, outputs, 1), or none.
    kernel
        Rows and columns of a window.
    stride
        Columns from one window to the next.
    frame
        Zeros put around the maps: top, bottom, left, right.

    Returns
    -------
    (output rows, output columns, outputs, N)

    Examples
    --------
    >>> maps, weight = torch.rand(3, 4, 1, 5), torch.rand(2, 3, 2, 4)
    >>> product = local_product(maps, weight, None, kernel=(2, 2), stride=1, frame=(0, 0, 0, 0))
    >>> torch.allclose(product, weight @ patches(maps, (2, 2)))
    True
    """
    product: Tensor = _LocalProduct.apply(maps, weight, bias, kernel, stride, frame)  # type: ignore[no-untyped-call]
    return product


class _LocalProduct(Function):
    """`local_product`. The columns of one stride are taken together as channels of one block."""

    @staticmethod
    def forward(
        ctx: Any, maps: Tensor, weight: Tensor, bias: Tensor | None, kernel: Size, stride: int, frame: Frame
    ) -> Tensor:
        top, bottom, left, right = frame
        # A whole number of blocks of one stride each, so that the columns can be viewed as blocks.
        right += -(maps.shape[1] + left + right) % stride
        framed = _framed(maps, (top, bottom, left, right))
        blocks = framed.view(framed.shape[0], -1, stride * maps.shape[2], maps.shape[3])
        # The input is only needed for the gradient of the weights, and is by far the largest tensor.
        ctx.save_for_backward(blocks if ctx.needs_input_grad[1] else None, weight)
        ctx.form = maps.shape, kernel, stride, frame
        columns = weight.shape[1]
        # windows that would reach over the right edge are given weights of zero and dropped
        over = blocks.shape[1] - columns
        weight = pad(weight, right=over).unflatten(3, (kernel[0], -1))
        bias = None if bias is None else pad(bias, right=over)
        return _window_product(blocks, weight, bias)[:, :columns]

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        blocks, weight = ctx.saved_tensors
        of_maps = _gradient_of_maps(gradient, weight, *ctx.form) if ctx.needs_input_grad[0] else None
        of_weight = of_bias = None
        if blocks is not None:
            of_weight, of_bias = _gradient_of_weight(gradient, blocks, weight)
        return of_maps, of_weight, of_bias if ctx.needs_input_grad[2] else None, None, None, None


def _framed(maps: Tensor, frame: Frame) -> Tensor:
    """Do the same as `pad`, contiguously, and write each element only once."""
    top, bottom, left, right = frame
    rows, columns, channels, n = maps.shape
    # functional.pad would fill the whole tensor with zeros first, and then write the inside again.
    framed = maps.new_empty(top + rows + bottom, left + columns + right, channels, n)
    framed[:top] = 0
    framed[top + rows :] = 0
    framed[:, :left] = 0
    framed[:, left + columns :] = 0
    framed[top : top + rows, left : left + columns] = maps
    return framed


def _windows(maps: Tensor, rows: int, tall: int, depth: int) -> list[Tensor]:
    """Return views of each kernel row of all windows: (rows * columns less the last few, depth, N)."""
    # The last few windows would reach beyond the end of the memory; their results are not used.
    form = rows * maps.shape[1] - (depth - 1) // maps.shape[2], depth, maps.shape[3]
    steps = maps.stride(1), maps.stride(2), 1
    return [maps.as_strided(form, steps, maps.storage_offset() + i * maps.stride(0)) for i in range(tall)]


def _joined(windows: list[Tensor]) -> Tensor:
    """Copy the kernel rows of windows together, with a row of ones at the end for the bias."""
    ones = windows[0].new_ones(()).expand(len(windows[0]), 1, windows[0].shape[2])
    return torch.cat([*windows, ones], dim=1)


def _window_product(maps: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """Multiply windows of maps with the weights of their positions.

    Maps are (R, columns, channels, N), weights (rows, columns, outputs, kernel rows, depth) and biases
    (rows, columns, outputs, 1); the result is (rows, columns, outputs, N). Where the windows are smaller than
    the results, copying them is cheaper than adding the kernel rows up.
    """
    rows, columns, outputs, tall, depth = weight.shape
    # Rows beyond `part` stay uninitialised: they belong to windows over the right edge, which the caller
    # drops.
    product = maps.new_empty(rows * columns, outputs, maps.shape[3])
    windows = _windows(maps, rows, tall, depth)
    part = product[: len(windows[0])]
    factors = weight.flatten(0, 1)[: len(part)]
    start = factors.new_zeros(1, 1, 1) if bias is None else bias.flatten(0, 1)[: len(part)]
    if tall * depth < outputs:
        factor = torch.cat([factors.flatten(2), start.expand(len(part), outputs, 1)], dim=2)
        torch.bmm(factor, _joined(windows), out=part)
    else:
        torch.baddbmm(start, factors[:, :, 0], windows[0], out=part)
        for row in range(1, tall):
            part.baddbmm_(factors[:, :, row], windows[row])
    return product.view(rows, columns, outputs, -1)


def _gradient_of_weight(gradient: Tensor, blocks: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
    rows, columns, outputs, taps = weight.shape
    across = blocks.shape[1]
    tall = blocks.shape[0] - rows + 1
    windows = _windows(blocks, rows, tall, taps // tall)
    part = _framed(gradient, (0, 0, 0, across - columns)).flatten(0, 1)[: len(windows[0])]
    result = weight.new_empty(rows * across, outputs, taps + 1)
    if taps < outputs:
        result[: len(part)] = part @ _joined(windows).mT
    else:
        for row, window in enumerate(windows):
            result[: len(part), :, row * (taps // tall) : (row + 1) * (taps // tall)] = part @ window.mT
        result[: len(part), :, -1] = part.sum(dim=2)
    result = result.view(rows, across, outputs, taps + 1)[:, :columns]
    return result[..., :-1], result[..., -1:]


def _gradient_of_maps(
    gradient: Tensor, weight: Tensor, shape: Sequence[int], kernel: Size, stride: int, frame: Frame
) -> Tensor:
    """Return the same product with exchanged roles: windows of the gradient, weights around each block."""
    (top, _, left, _), (tall, wide) = frame, kernel
    rows, columns, channels, _ = shape
    reach = -(-wide // stride)  # blocks under a window
    blocks = -(-(columns + left) // stride)
    edge = (tall - 1 - top, rows + top - weight.shape[0], reach - 1, blocks - weight.shape[1])
    windows = pad(gradient, *edge).contiguous()
    taps = functional.pad(weight.unflatten(3, (tall, wide, channels)), (0, 0, 0, reach * stride - wide))
    taps = taps.flatten(4).unflatten(4, (reach, stride * channels)).permute(0, 1, 3, 4, 2, 5)
    taps = functional.pad(taps, (0, 0, 0, 0, 0, 0, 0, 0, edge[2], edge[3] + reach - 1, edge[0], edge[1]))
    across = windows.shape[1]
    around = torch.cat(
        [
            taps[i : i + rows, j : j + across, tall - 1 - i, reach - 1 - j]
            for i in range(tall)
            for j in range(reach)
        ],
        dim=2,
    ).unflatten(2, (tall, -1))
    product = _window_product(windows, around.permute(0, 1, 4, 2, 3))[:, :blocks]
    maps = product.reshape(rows, blocks * stride, channels, -1)
    return maps[:, left : left + columns]


class BatchNorm(nn.BatchNorm1d):
    """Batch normalisation of each channel of maps (rows, columns, channels, N), with the defaults of Keras.

    1e-3 is added to the variance. Running averages keep 0.99 of their value at each batch. The first hundred
    batches count equally instead: otherwise the initial variance of 1 would outweigh the true one for many
    hundred steps, in which evaluation would be far from training.

    Examples
    --------
    >>> norm = BatchNorm(1)
    >>> maps = norm(torch.tensor([0.0, 10.0]).view(1, 1, 1, 2))
    >>> maps.flatten().round(decimals=2).tolist()
    [-1.0, 1.0]
    >>> scale, shift = norm.eval().affine_map()
    >>> shift.shape
    torch.Size([1])
    """

    def __init__(self, channels: int) -> None:
        super().__init__(channels, eps=1e-3, momentum=0.01)

    def forward(self, maps: Tensor) -> Tensor:
        """Keep the shape (rows, columns, channels, N)."""
        if self.training and self.num_batches_tracked is not None:
            self.momentum = max(0.01, 1 / (1 + int(self.num_batches_tracked)))
        return super().forward(maps.flatten(0, 1)).view(maps.shape)

    def affine_map(self) -> tuple[Tensor, Tensor]:
        """Return scale and shift (channels,) that evaluation mode applies."""
        assert self.running_mean is not None
        assert self.running_var is not None
        scale = self.weight * torch.rsqrt(self.running_var + self.eps)
        return scale, self.bias - scale * self.running_mean


class MinibatchDiscrimination(nn.Module):
    """How near each shower is to the others of its batch (Salimans et al., arXiv:1606.03498, Sec. 3.2).

    Features are projected onto `kernels` spaces of `dimension` axes. The result for each kernel is the tanh
    of the sum over the batch of exp(-L1 distance). A bias of the projection would cancel in the differences.

    Examples
    --------
    >>> discrimination = MinibatchDiscrimination(3)
    >>> alike, apart = torch.zeros(3, 2), torch.tensor([[0.0, 1e3]] * 3)
    >>> discrimination(alike)[0].round(decimals=2)  # each shower counts itself and the other
    tensor([0.9600, 0.9600], grad_fn=<RoundBackward1>)
    >>> discrimination(apart)[0].round(decimals=2)  # each shower counts only itself
    tensor([0.7600, 0.7600], grad_fn=<RoundBackward1>)
    """

    def __init__(self, features: int, kernels: int = 10, dimension: int = 10) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(kernels, dimension, features))
        glorot_uniform_(self.weight, kernels * features, kernels * dimension)

    def forward(self, features: Tensor) -> Tensor:
        """(features, N) -> (kernels, N)."""
        distances = self._of_one(features) if len(features) == 1 else self._of_many(features)
        return torch.exp(-distances).sum(dim=2).tanh()

    def _of_one(self, feature: Tensor) -> Tensor:
        """Return distances in a single feature: all axes measure the same difference, so weights add up."""
        return self.weight.abs().sum(dim=1, keepdim=True) * (feature.T - feature).abs()

    def _of_many(self, features: Tensor) -> Tensor:
        points = (self.weight @ features).mT
        # The backward pass of cdist is computed once for each argument that needs it; by symmetry one is
        # enough.
        distances = torch.cdist(points, points.detach(), p=1)
        if distances.requires_grad:
            # a distance depends on both its ends: by symmetry the second one adds the transposed gradient
            distances.register_hook(lambda gradient: gradient + gradient.mT)
        return distances


def sparsity(maps: Tensor) -> Tensor:
    """Fraction of cells above zero: (rows, columns, 1, N) -> (1, N). Its derivative is zero.

    Examples
    --------
    >>> sparsity(torch.tensor([0.0, 2.0, 0.0, 0.0]).view(2, 2, 1, 1))
    tensor([[0.2500]])
    """
    return (maps > 0).to(maps.dtype).mean(dim=(0, 1))
