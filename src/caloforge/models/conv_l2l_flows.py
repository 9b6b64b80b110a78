r"""Convolutional layer-to-layer flows: whole layers of a calorimeter, one after the other.

T. Buss, F. Gaede, G. Kasieczka, C. Krause, D. Shih, *Convolutional L2LFlows: Generating Accurate Showers in
Highly Granular Calorimeters Using Convolutional Normalizing Flows*, arXiv:2405.20407. As in
`caloforge.models.l2l_base`, which has the equations and the numbers of cells and layers, an energy flow
draws the energies of all layers, and causal flows draw the cells of one layer after the other. Here these
are flows of images (`caloforge.models.image_flows`), which 30 x 30 cells don't make too large.

As published, with the values of the authors' code for the ILD (https://github.com/FLC-QU-hep/ConvL2LFlow,
causal_gh.yaml): 8 blocks of an activation normalisation, a coupling of channels by splines of 10 bins up to
15, whose U-Net has 32, 64 and 128 channels, and a convolution of 1 x 1; an embedding of up to five layers in
front, and of both energies, in 8 images; AdamW with a decay of 0.1, a one-cycle schedule up to 1e-4, 200
epochs, gradients cut at a norm of 800. This is

    --set blocks=8 --set 'channels=[32, 64, 128]' --set epochs=200 --set rate=1e-4

By default the model is smaller, so that a core trains it within some hours. Chosen here, where the source
leaves it open or one core asks for it:

- A kernel of a U-Net is never larger than its image, and odd sizes are padded on the way back.
- Layers have the same number of cells, even along both axes: images are squeezed by two, and are the context
  of those behind.
"""

import copy
from typing import Annotated, ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from caloforge.config import strict_dataclass
from caloforge.errors import GeometryError
from caloforge.geometry import Calorimeter, Layer, RingLayer
from caloforge.models.flows import Flow, Permutation, Spline
from caloforge.models.image_flows import image_block, squeezed
from caloforge.models.l2l_base import Embedding, L2LConfig, LayerFlow, LayerwiseFlows

__all__ = ["ENTRY", "Config", "ConvL2LFlows", "ImageEmbedding"]

_BOUND = 15.0  # of the splines


@strict_dataclass
class Config(L2LConfig):
    """A size that one core trains, unless something else is set; see the module for the published one.

    Attributes
    ----------
    channels
        Of the U-Nets at full size, at half of it, and so on.
    """

    bins: int = Field(default=10, gt=1)
    embedded: int = Field(default=8, gt=0)
    channels: Annotated[tuple[Annotated[int, Field(gt=0)], ...], Field(min_length=2)] = (16, 32)
    rate: float = Field(default=1e-3, gt=0)
    epochs: int = Field(default=20, gt=0)


class ImageEmbedding(Embedding):
    """Context of an image as channels of half its size.

    The context has two numbers, which become images that are constant, and images of the size of the image.
    With no images (the first layer), the two numbers are all there is.

    Parameters
    ----------
    size
        Height and width of the image.
    images
        How many images are in the context.
    channels
        Of the output.

    Examples
    --------
    >>> embedding = ImageEmbedding((4, 6), images=3, channels=8)
    >>> embedding(torch.randn(5, 2 + 3 * 4 * 6)).shape, embedding.channels
    (torch.Size([5, 48]), 8)
    """

    def __init__(self, size: tuple[int, int], images: int, channels: int) -> None:
        super().__init__()
        self.size, self.images = size, images
        self.channels = channels if images else 2
        if images:
            self.first = nn.Conv2d(2 + images, channels, 1)
            self.others = nn.Sequential(
                nn.LeakyReLU(),
                nn.Conv2d(channels, channels, 3, padding=1),
                nn.LeakyReLU(),
                nn.Conv2d(channels, channels, 2, stride=2),
                nn.LeakyReLU(),
                nn.Conv2d(channels, channels, 3, padding=1),
            )

    def forward(self, context: Tensor) -> Tensor:
        """(N, 2 + images * height * width) -> (N, channels * height / 2 * width / 2)."""
        height, width = self.size
        numbers = context[:, :2, None, None]
        if not self.images:
            return numbers.expand(-1, -1, height // 2, width // 2).flatten(1)
        images = context[:, 2:].unflatten(1, (-1, height, width))
        every = torch.cat([numbers.expand(-1, -1, height, width), images], dim=1)
        found: Tensor = self.others(self.first(every))
        return found.flatten(1)

    def widened(self, context: int) -> "ImageEmbedding":
        """Return a copy for a longer context, whose further images don't matter."""
        found = copy.deepcopy(self)
        if self.images:
            found.images = (context - 2) // (self.size[0] * self.size[1])
            more = (0, 0, 0, 0, 0, found.images - self.images)
            found.first.weight = nn.Parameter(functional.pad(self.first.weight.detach(), more))
        return found


class ConvL2LFlows(LayerwiseFlows):
    """The flows; see the module.

    Raises
    ------
    GeometryError
        Layers differ in their numbers of cells, or have an odd number along an axis.
    """

    config: Config
    steepest: ClassVar[float] = 800.0

    def __init__(self, config: Config, geometry: Calorimeter) -> None:
        shapes = sorted({layer.shape for layer in geometry.layers})
        if len(shapes) > 1 or any(cells % 2 for shape in shapes for cells in shape):
            found = ", ".join(f"{rows} x {columns}" for rows, columns in shapes)
            raise GeometryError(
                f"conv_l2l_flows learns layers that are alike, with even numbers of cells along both axes; "
                f"those of {geometry.name} have {found}. Train l2l_flows, or rebin the showers."
            )
        super().__init__(config, geometry)

    def causal_flow(self, layer: Layer | RingLayer, context: int) -> LayerFlow:
        """Return the flow of a layer, given so many numbers."""
        config, (rows, columns) = self.config, layer.shape
        embedding = ImageEmbedding((rows, columns), (context - 2) // layer.n_cells, config.embedded)
        half, spline = (rows // 2, columns // 2), Spline(config.bins, _BOUND)
        blocks = [
            image_block(half, embedding.channels, config.channels, spline) for _ in range(config.blocks)
        ]
        flow = Flow([Permutation(squeezed(rows, columns)), *(one for block in blocks for one in block)])
        return LayerFlow(layer.n_cells, context, config.threshold, embedding, flow)


ConvL2LFlows.Config = Config
ENTRY = ConvL2LFlows
