"""Building blocks of the models, for maps laid out as (rows, columns, channels, showers).

Rows are phi and columns are eta. With the showers on the last axis each position of a map is one contiguous
matrix (channels, showers), so that a locally connected layer (weights of its own at each position) is one
batched matrix product.

Initial weights follow Keras, in which most published calorimeter GANs were written. Its rule for a locally
connected layer counts the positions as part of the receptive field, which makes these weights much smaller
than those of a convolution.
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

from caloforge.errors import GeometryError

Size = tuple[int, int]
Initialiser = Callable[[Tensor, int, int], None]


def glorot_uniform_(weight: Tensor, fan_in: int, fan_out: int) -> None:
    """Fill with U(-a, a), a = sqrt(6 / (fan_in + fan_out)) (Glorot and Bengio, AISTATS 2010)."""
    limit = math.sqrt(6.0 / (fan_in + fan_out))
    nn.init.uniform_(weight, -limit, limit)


def glorot_normal_(weight: Tensor, fan_in: int, fan_out: int) -> None:
    """Fill with a normal of variance 2 / (fan_in + fan_out), cut at two standard deviations."""
    deviation = math.sqrt(2.0 / (fan_in + fan_out))
    nn.init.trunc_normal_(weight, 0.0, deviation, -2 * deviation, 2 * deviation)


def he_uniform_(weight: Tensor, fan_in: int, fan_out: int) -> None:
    """Fill with U(-a, a), a = sqrt(6 / fan_in) (He et al., arXiv:1502.01852)."""
    limit = math.sqrt(6.0 / fan_in)
    nn.init.uniform_(weight, -limit, limit)


def window_count(size: Size, kernel: Size, stride: Size) -> Size:
    """Return how many windows fit in a map, along rows and columns."""
    return (size[0] - kernel[0]) // stride[0] + 1, (size[1] - kernel[1]) // stride[1] + 1


def patches(maps: Tensor, kernel: Size, stride: Size = (1, 1)) -> Tensor:
    """Cut out the window of each output position.

    Parameters
    ----------
    maps
        (rows, columns, channels, N)

    Returns
    -------
    (output rows, output columns, kernel rows * kernel columns * channels, N)
    """
    rows, columns = window_count((maps.shape[0], maps.shape[1]), kernel, stride)
    cuts = [
        maps[
            i : i + stride[0] * (rows - 1) + 1 : stride[0], j : j + stride[1] * (columns - 1) + 1 : stride[1]
        ]
        for i in range(kernel[0])
        for j in range(kernel[1])
    ]
    return torch.cat(cuts, dim=2)


def pad(maps: Tensor, top: int = 0, bottom: int = 0, left: int = 0, right: int = 0) -> Tensor:
    """Put zeros around maps (rows, columns, channels, N)."""
    return functional.pad(maps, (0, 0, 0, 0, left, right, top, bottom))


def resize(maps: Tensor, size: Size) -> Tensor:
    """Bring maps (rows, columns, channels, N) to another size: repeat cells, or average them.

    Each axis is treated on its own; the sizes follow from the shapes alone (3x96 to 12x12: rows repeated four
    times, columns averaged by eights).

    Raises
    ------
    GeometryError
        Neither number of cells along an axis divides the other.
    """
    for axis, cells in enumerate(size):
        maps = _resize_axis(maps, axis, cells)
    return maps


def _resize_axis(maps: Tensor, axis: int, cells: int) -> Tensor:
    have = maps.shape[axis]
    if cells % have == 0:
        return maps.repeat_interleave(cells // have, dim=axis) if cells > have else maps
    if have % cells == 0:
        return maps.unflatten(axis, (cells, have // cells)).mean(dim=axis + 1)
    raise GeometryError(
        f"{have} {('rows', 'columns')[axis]} of a layer can't be brought to the {cells} of the next: "
        "one number must divide the other."
    )


class Images(nn.Module):
    """A dense layer whose output is maps: (N, size) -> (rows, columns, channels, N).

    Its weights, Glorot uniform, are kept in float32; `precision` "bfloat16" rounds both factors of the
    product, forward and backward, which is several times faster on processors with matrix units.
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
            product = (self.weight.bfloat16() @ vectors.bfloat16().T).float()
        else:
            product = self.weight @ vectors.T
        return (product + self.bias).unflatten(0, self.shape)


class Convolution(nn.Module):
    """A convolution that keeps the size ('same'): (rows, columns, inputs, N) -> (rows, columns, outputs, N).

    Zeros are put around the maps as TensorFlow does: an even kernel gets the odd one at the bottom and right.
    """

    def __init__(
        self, inputs: int, outputs: int, kernel: Size, initialise: Initialiser = glorot_uniform_
    ) -> None:
        super().__init__()
        self.kernel = kernel
        taps = kernel[0] * kernel[1]
        self.weight = nn.Parameter(torch.empty(outputs, taps * inputs))
        self.bias = nn.Parameter(torch.zeros(outputs, 1))
        initialise(self.weight, taps * inputs, taps * outputs)

    def forward(self, maps: Tensor) -> Tensor:
        """(rows, columns, inputs, N) -> (rows, columns, outputs, N)."""
        return self.linear(maps) + self.bias

    def linear(self, maps: Tensor) -> Tensor:
        """Apply the weights without the bias."""
        top, left = ((length - 1) // 2 for length in self.kernel)
        padded = pad(maps, top, self.kernel[0] - 1 - top, left, self.kernel[1] - 1 - left)
        return self.weight @ patches(padded, self.kernel)


class LocallyConnected(nn.Module):
    """A convolution whose weights differ from position to position, without padding.

    Parameters
    ----------
    size
        Rows and columns of the maps that come in.
    inputs, outputs
        Numbers of channels.
    """

    def __init__(
        self,
        size: Size,
        inputs: int,
        outputs: int,
        kernel: Size,
        *,
        stride: Size = (1, 1),
        bias: bool = True,
        initialise: Initialiser = glorot_uniform_,
    ) -> None:
        super().__init__()
        self.kernel, self.stride = kernel, stride
        self.size = window_count(size, kernel, stride)
        taps, positions = kernel[0] * kernel[1] * inputs, math.prod(self.size)
        self.weight = nn.Parameter(torch.empty(*self.size, outputs, taps))
        self.bias = nn.Parameter(torch.zeros(*self.size, outputs, 1)) if bias else None
        initialise(self.weight, positions * taps, positions * outputs)

    def forward(self, maps: Tensor) -> Tensor:
        """(rows, columns, inputs, N) -> (output rows, output columns, outputs, N)."""
        product = self.weight @ patches(maps, self.kernel, self.stride)
        return product if self.bias is None else product + self.bias


class BatchNorm(nn.BatchNorm1d):
    """Batch normalisation of each channel of maps (rows, columns, channels, N), with the defaults of Keras.

    Running averages keep 0.99 of their value at each batch; 1e-3 is added to the variance.
    """

    def __init__(self, channels: int) -> None:
        super().__init__(channels, eps=1e-3, momentum=0.01)

    def forward(self, maps: Tensor) -> Tensor:
        """Keep the shape (rows, columns, channels, N)."""
        return super().forward(maps.flatten(0, 1)).unflatten(0, maps.shape[:2])

    def affine_map(self) -> tuple[Tensor, Tensor]:
        """Return scale and shift (channels,) that evaluation mode applies."""
        assert self.running_mean is not None
        assert self.running_var is not None
        scale = self.weight * torch.rsqrt(self.running_var + self.eps)
        return scale, self.bias - scale * self.running_mean


class MinibatchDiscrimination(nn.Module):
    """How near each shower is to the others of its batch (Salimans et al., arXiv:1606.03498, Sec. 3.2).

    Features are projected on `kernels` spaces of `dimension` axes; the result is, a kernel, the sum over the
    batch of exp(-L1 distance), through tanh. A bias of the projection would cancel in the differences.
    """

    def __init__(self, features: int, kernels: int = 10, dimension: int = 10) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(kernels, dimension, features))
        glorot_uniform_(self.weight, kernels * features, kernels * dimension)

    def forward(self, features: Tensor) -> Tensor:
        """(features, N) -> (kernels, N)."""
        points = (self.weight @ features).transpose(1, 2)
        return torch.exp(-torch.cdist(points, points, p=1)).sum(dim=2).tanh()


def sparsity(maps: Tensor) -> Tensor:
    """Fraction of cells above zero: (rows, columns, 1, N) -> (1, N). Its derivative is zero."""
    return (maps > 0).to(maps.dtype).mean(dim=(0, 1))
