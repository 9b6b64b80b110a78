r"""Normalising flows of images: coupling blocks whose networks are U-Nets.

T. Buss, F. Gaede, G. Kasieczka, C. Krause, D. Shih, *Convolutional L2LFlows*, arXiv:2405.20407, with the
architecture of its code, https://github.com/FLC-QU-hep/ConvL2LFlow. An image of H x W cells is squeezed to
four channels of half its size (`squeezed`). Each block scales the channels (`Scaling`), changes two of them
by splines that follow from the other two and the context (`ImageCoupling` with a `UNet`), and mixes all four
(`Mixing`), as D. P. Kingma, P. Dhariwal, *Glow*, arXiv:1807.03039.

Images are vectors (N, channels * height * width) everywhere outside of the networks, so that these
transforms can stand in any `caloforge.models.flows.Flow`.
"""

import copy
from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from caloforge.models.flows import Coupling, Spline, Step, Transform

__all__ = ["ImageCoupling", "Mixing", "Scaling", "UNet", "image_block", "squeezed"]

_KERNELS = (3, 5)  # of the convolutions in steps of two: of the first, and of those below


def squeezed(rows: int, columns: int) -> Tensor:
    """Return the order in which neighbours of an image, 2 x 2, are four channels of half its size.

    Examples
    --------
    >>> squeezed(2, 4)
    tensor([0, 2, 1, 3, 4, 6, 5, 7])
    """
    numbers = torch.arange(rows * columns).view(rows // 2, 2, columns // 2, 2)
    return numbers.permute(1, 3, 0, 2).flatten()


class Scaling(Transform):
    """Each channel with a scale and a shift of its own, an activation normalisation.

    The first vectors of a training set both: they leave with mean 0 and deviation 1 in each channel.

    Examples
    --------
    >>> x, context = torch.randn(50, 8) * 3 + 1, torch.zeros(50, 0)
    >>> scaling = Scaling(channels=2)
    >>> y = scaling(x, context).value.view(50, 2, 4)
    >>> bool(y.mean(dim=(0, 2)).abs().max() < 1e-5), bool((y.std(dim=(0, 2)) - 1).abs().max() < 1e-5)
    (True, True)
    """

    begun: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.channels = channels
        self.log_scale = nn.Parameter(torch.zeros(channels, 1))
        self.shift = nn.Parameter(torch.zeros(channels, 1))
        self.register_buffer("begun", torch.tensor(0.0))

    def forward(self, x: Tensor, context: Tensor) -> Step:
        """Scale."""
        images = x.unflatten(1, (self.channels, -1))
        if self.training and not self.begun:
            self._begin(images)
        log_det = images.shape[2] * self.log_scale.sum()
        return Step((images * self.log_scale.exp() + self.shift).flatten(1), log_det.expand(len(x)))

    def inverse(self, y: Tensor, context: Tensor) -> Tensor:
        """Go back."""
        images: Tensor = (y.unflatten(1, (self.channels, -1)) - self.shift) * (-self.log_scale).exp()
        return images.flatten(1)

    @torch.no_grad()
    def _begin(self, images: Tensor) -> None:
        deviation, mean = torch.std_mean(images, dim=(0, 2))
        self.log_scale.copy_(-deviation.clamp(min=1e-6).log().unsqueeze(1))
        self.shift.copy_(-mean.unsqueeze(1) * self.log_scale.exp())
        self.begun.fill_(1.0)


class Mixing(Transform):
    """Sums of all channels, a convolution with a kernel of 1 x 1; the identity at first.

    Examples
    --------
    >>> mixing, x, context = Mixing(channels=2), torch.randn(3, 8), torch.zeros(3, 0)
    >>> torch.equal(mixing(x, context).value, x)
    True
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.eye(channels))

    def forward(self, x: Tensor, context: Tensor) -> Step:
        """Mix."""
        images = x.unflatten(1, (len(self.weight), -1))
        log_det = images.shape[2] * torch.linalg.slogdet(self.weight).logabsdet
        return Step((self.weight @ images).flatten(1), log_det.expand(len(x)))

    def inverse(self, y: Tensor, context: Tensor) -> Tensor:
        """Go back."""
        images: Tensor = torch.linalg.inv(self.weight) @ y.unflatten(1, (len(self.weight), -1))
        return images.flatten(1)

    def drawing(self) -> "Transform":
        """Return a copy for generation, which has inverted the matrix already."""
        return _Unmixing(torch.linalg.inv(self.weight.detach()))


class _Unmixing(Transform):
    """`Mixing` for generation."""

    back: Tensor

    def __init__(self, back: Tensor) -> None:
        super().__init__()
        self.register_buffer("back", back)

    def forward(self, x: Tensor, context: Tensor) -> Step:
        raise TypeError("A copy for generation only goes back.")

    def inverse(self, y: Tensor, context: Tensor) -> Tensor:
        images: Tensor = self.back @ y.unflatten(1, (len(self.back), -1))
        return images.flatten(1)


class ImageCoupling(Coupling):
    """A coupling of channels."""

    def drawing(self) -> Transform:
        """Return a copy for generation: batch normalisations become parts of convolutions."""
        return ImageCoupling(self.kept, folded(self.network), self.spline)


class _Convolutions(nn.Sequential):
    """Two convolutions of 3 x 3, each with a batch normalisation and a leaky ReLU.

    The last of a network has neither behind the second one, which starts at 0.
    """

    def __init__(self, inputs: int, units: int, outputs: int, last: bool = False) -> None:
        second = nn.Conv2d(units, outputs, 3, padding=1)
        super().__init__(
            nn.Conv2d(inputs, units, 3, padding=1), nn.BatchNorm2d(units), nn.LeakyReLU(), second
        )
        if last:
            for parameter in second.parameters():
                nn.init.zeros_(parameter)
        else:
            self.append(nn.BatchNorm2d(outputs)).append(nn.LeakyReLU())

    def fold(self) -> None:
        """Multiply batch normalisations, as they are in evaluation, into the convolutions before them."""
        for number, (first, second) in enumerate(pairwise(list(self))):
            if isinstance(first, nn.Conv2d) and isinstance(second, nn.BatchNorm2d):
                self[number] = fuse_conv_bn_eval(first, second)
                self[number + 1] = nn.Identity()


def folded(network: nn.Module) -> nn.Module:
    """Return a copy of a network for generation."""
    found = copy.deepcopy(network).eval()
    for module in found.modules():
        if isinstance(module, _Convolutions):
            module.fold()
    return found


class UNet(nn.Module):
    """Images to images of the same size, with a view of all of it; the output is 0 at first.

    O. Ronneberger, P. Fischer, T. Brox, *U-Net*, arXiv:1505.04597.

    Parameters
    ----------
    inputs, outputs
        Channels.
    size
        Height and width.
    channels
        At full size, at half of it, and so on.

    Examples
    --------
    >>> network = UNet(2, 3, (15, 15), (4, 6, 8))
    >>> network(torch.randn(5, 2 * 15 * 15)).shape
    torch.Size([5, 675])
    """

    def __init__(self, inputs: int, outputs: int, size: tuple[int, int], channels: Sequence[int]) -> None:
        super().__init__()
        self.size = size
        self.level = _Level(inputs, outputs, size, channels, _KERNELS, last=True)

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs * height * width) -> (N, outputs * height * width)."""
        images: Tensor = self.level(x.unflatten(1, (-1, *self.size)))
        return images.flatten(1)


class _Level(nn.Module):
    """A U-Net from one size of images downwards; kernels of the first step, and of those below."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        size: tuple[int, int],
        channels: Sequence[int],
        kernels: tuple[int, int],
        last: bool = False,
    ) -> None:
        super().__init__()
        (units, below, *_), (height, width) = channels, size
        # No kernel is larger than its image; what a step of two leaves over is padded on the way back.
        kernel = min(kernels[0], height), min(kernels[0], width)
        steps = divmod(height - kernel[0], 2), divmod(width - kernel[1], 2)
        half, rest = tuple(zip(*steps, strict=True))
        self.down = _Convolutions(inputs, units, units)
        self.smaller = nn.Conv2d(units, below, kernel, stride=2)
        self.inside: nn.Module
        if len(channels) > 2:
            smaller = half[0] + 1, half[1] + 1
            self.inside = _Level(below, below, smaller, channels[1:], (kernels[1], kernels[1]))
        else:
            self.inside = _Convolutions(below, below, below)
        self.larger = nn.ConvTranspose2d(below, units, kernel, stride=2, output_padding=rest)
        self.up = _Convolutions(2 * units, units, outputs, last)

    def forward(self, images: Tensor) -> Tensor:
        seen = self.down(images)
        larger = self.larger(self.inside(self.smaller(seen)))
        found: Tensor = self.up(torch.cat([larger, seen], dim=1))
        return found


def image_block(size: tuple[int, int], context: int, units: Sequence[int], spline: Spline) -> list[Transform]:
    """Return a block of transforms of four channels of a size, given so many channels of context."""
    height, width = size
    network = UNet(2 + context, 2 * spline.parameters, size, units)
    return [Scaling(4), ImageCoupling(2 * height * width, network, spline), Mixing(4)]
