"""CaloGAN: Paganini, de Oliveira, Nachman, Phys. Rev. D 97 (2018) 014021, arXiv:1712.10321.

What the paper leaves to its source follows the reference implementation, DOI 10.5281/zenodo.584155.
Inside the networks energies are in GeV and maps are laid out as (phi rows, eta columns, channels, showers).
"""

import copy
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise
from typing import Any, Literal, NamedTuple

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from caloforge.config import strict_dataclass
from caloforge.geometry import Calorimeter
from caloforge.models import base
from caloforge.models.base import Batch, Figures, GenerativeModel, ModelConfig, Phase
from caloforge.models.layers import (
    BatchNorm,
    Convolution,
    ExportableLocal,
    Images,
    LocallyConnected,
    MinibatchDiscrimination,
    Size,
    glorot_normal_,
    he_uniform_,
    resize,
    sparsity,
)
from caloforge.units import GeV

__all__ = [
    "CARRY_OVER_BIAS",
    "ENTRY",
    "SLOPE",
    "CaloGAN",
    "CaloGANSampler",
    "Config",
    "Discriminator",
    "DiscriminatorOutput",
    "FoldedStream",
    "GeneratorNetwork",
    "Inpainting",
    "LayerFeatures",
    "Stream",
]

SLOPE = 0.3  # of the leaky ReLU below zero
_EPOCHS = 50
CARRY_OVER_BIAS = -10.0  # initially a layer copies nothing from the layer before it


@strict_dataclass
class Config(ModelConfig):
    """CaloGAN as published (Sec. IV); energies in GeV.

    Training draws the energies of generated showers uniformly in ``energy_range``.

    Attributes
    ----------
    conditioning
        How the networks learn the label: not at all, by an auxiliary classifier (AC-GAN) or as an input of
        the discriminator (conditional GAN). In both of these the noise is multiplied by an embedding of it.
    attention
        In-painting from each layer into the next; False is the ablation without it.
    latent
        Size of the noise.
    energy_tolerance
        Deviation of the total energy beyond which the discriminator gets a signal.
    lambda_energy, lambda_class
        Weights of the energy loss (Eq. 3 and 4) and, AC-GAN, of the class loss.
    label_flip
        AC-GAN: fraction of the generated showers for which the discriminator gets a wrong class.
    generator_updates
        Updates of the generator for each update of the discriminator (with a real and a generated batch).
    precision
        Arithmetic of the generator's dense products in training; all else is float32.
    """

    conditioning: Literal["none", "acgan", "cgan"] = "none"
    attention: bool = True
    latent: int = Field(default=1024, gt=0)
    energy_tolerance: float = Field(default=5.0, ge=0)
    lambda_energy: float = Field(default=0.05, ge=0)
    lambda_class: float = Field(default=0.2, ge=0)
    label_flip: float = Field(default=0.3, ge=0, le=1)
    generator_rate: float = Field(default=2e-4, gt=0)
    discriminator_rate: float = Field(default=2e-5, gt=0)
    beta_1: float = Field(default=0.5, ge=0, lt=1)
    beta_2: float = Field(default=0.999, ge=0, lt=1)
    generator_updates: int = Field(default=2, gt=0)
    precision: Literal["float32", "bfloat16"] = "float32"

    def __post_init__(self) -> None:
        """Refuse values that do not fit together."""
        ModelConfig.__post_init__(self)
        if len(self.particles) > 1 and self.conditioning == "none":
            raise ValueError('more than one particle needs conditioning = "acgan" or "cgan".')


class DiscriminatorOutput(NamedTuple):
    """Output of the discriminator for N showers.

    Attributes
    ----------
    real
        (N,) logit of being real.
    total
        (N,) total energy, GeV.
    classes
        (N, classes) logits of the particles, AC-GAN only.
    """

    real: Tensor
    total: Tensor
    classes: Tensor | None


class Stream(nn.Module):
    """A LAGAN-like stream, a function of the size of its layer alone (Fig. 4; LAGAN: arXiv:1701.05927)."""

    def __init__(self, latent: int, size: Size, precision: str) -> None:
        super().__init__()
        rows, columns = size
        self.dense = Images(latent, (rows + 2, columns + 2), 36, precision)
        self.convolution = Convolution(36, 16, (2, 2), he_uniform_)
        self.norm = BatchNorm(16)
        self.first = LocallyConnected((rows + 2, columns + 2), 16, 6, (2, 2), initialise=he_uniform_)
        self.second = LocallyConnected(
            (rows + 1, columns + 1), 6, 1, (2, 2), bias=False, initialise=glorot_normal_
        )

    def forward(self, vectors: Tensor) -> Tensor:
        """(N, latent) -> (rows, columns, 1, N): the layer's own hypothesis, GeV before ReLU."""
        maps = functional.leaky_relu(self.convolution(self.dense(vectors)), SLOPE)
        maps = functional.leaky_relu(self.first(self.norm(maps)), SLOPE)
        hypothesis: Tensor = self.second(maps)
        return hypothesis


class Inpainting(nn.Module):
    """Attention from layer to layer: W * I + (1 - W) * I', with W learned for each pixel (Sec. IV A)."""

    def __init__(self, before: Size, size: Size) -> None:
        super().__init__()
        # Empty tensors cost nothing and go through the same checks.
        resize(torch.empty(*before, 0, 0), size)  # refuses layers that do not fit, before training starts
        self.weighting = LocallyConnected(size, 2, 2, (3, 3), padding=1)
        assert self.weighting.bias is not None
        with torch.no_grad():
            self.weighting.bias[:, :, 1] = CARRY_OVER_BIAS

    def forward(self, own: Tensor, carried: Tensor) -> Tensor:
        """Two times (rows, columns, 1, N) -> (rows, columns, 1, N)."""
        both = torch.cat([own, carried], dim=2)
        # A softmax over two channels is W and 1 - W.
        weights = self.weighting(both).softmax(dim=2)
        painted: Tensor = (both * weights).sum(dim=2, keepdim=True)
        return painted


class GeneratorNetwork(nn.Module):
    """Noise, energy (GeV) and label to one image a layer (Fig. 4)."""

    def __init__(self, config: Config, shapes: list[Size]) -> None:
        super().__init__()
        self.latent_size = config.latent
        self.streams = nn.ModuleList(Stream(config.latent, size, config.precision) for size in shapes)
        pairs = pairwise(shapes) if config.attention else ()
        self.inpaintings = nn.ModuleList(Inpainting(before, size) for before, size in pairs)
        self.embedding: nn.Embedding | None = None
        if config.conditioning != "none":
            self.embedding = nn.Embedding(len(config.particles), config.latent)
            glorot_normal_(self.embedding.weight, len(config.particles), config.latent)

    def forward(self, noise: Tensor, energy: Tensor, label: Tensor) -> list[Tensor]:
        """(N, latent), (N,) GeV, (N,) -> images (rows, columns, 1, N) in GeV."""
        # The noise scales with the energy, in units of 100 GeV, so that it is of order 1.
        vectors = self.latent(noise, label) * (energy / 100).unsqueeze(1)
        return self.combine([stream(vectors) for stream in self.streams])

    def latent(self, noise: Tensor, label: Tensor) -> Tensor:
        """Multiply the noise by the embedding of the class, where there is one: (N, latent)."""
        return noise if self.embedding is None else noise * self.embedding(label)

    def combine(self, hypotheses: list[Tensor]) -> list[Tensor]:
        """Paint each layer into the next one and cut off what is below zero."""
        images = hypotheses[:1]
        for i, own in enumerate(hypotheses[1:]):
            if self.inpaintings:
                own = self.inpaintings[i](own, resize(images[-1], (own.shape[0], own.shape[1])))
            images.append(own)
        return [image.relu() for image in images]


class LayerFeatures(nn.Module):
    """Features of one layer for the discriminator (Fig. 5)."""

    def __init__(self, size: Size, inputs: int) -> None:
        super().__init__()
        self.convolution = Convolution(inputs, 64, (2, 2))
        first = LocallyConnected(size, 64, 16, (3, 3), stride=2, padding=1)
        second = LocallyConnected(first.size, 16, 8, (2, 2), padding=1)
        third = LocallyConnected(second.size, 8, 8, (2, 2), stride=2, padding=1)
        self.local = nn.ModuleList([first, second, third])
        self.norms = nn.ModuleList(BatchNorm(channels) for channels in (16, 8, 8))
        flat = third.size[0] * third.size[1] * 8
        self.on_features = MinibatchDiscrimination(flat)
        self.on_sparsity = MinibatchDiscrimination(1)
        self.size = flat + 10 + 1 + 10

    def forward(self, image: Tensor, label_maps: Tensor) -> Tensor:
        """(rows, columns, 1, N) GeV and (classes or none, N) -> (size, N)."""
        conditions = label_maps.expand(*image.shape[:2], -1, -1)
        maps = functional.leaky_relu(self.convolution(torch.cat([image, conditions], dim=2)), SLOPE)
        for local, norm in zip(self.local, self.norms, strict=True):
            maps = norm(functional.leaky_relu(local(maps), SLOPE))
        features, filled = maps.flatten(0, 2), sparsity(image)
        return torch.cat([features, self.on_features(features), filled, self.on_sparsity(filled)])


class Discriminator(nn.Module):
    """Images and requested energy (GeV) to a verdict (Fig. 5).

    In the conditional GAN the label is added to each image as one-hot maps, in further channels.
    """

    def __init__(self, config: Config, shapes: list[Size]) -> None:
        super().__init__()
        classes = len(config.particles)
        self.tolerance = config.energy_tolerance
        self.conditions = classes if config.conditioning == "cgan" else 0
        layers = [LayerFeatures(size, 1 + self.conditions) for size in shapes]
        self.layers = nn.ModuleList(layers)
        self.on_energies = MinibatchDiscrimination(len(shapes))
        width = sum(layer.size for layer in layers) + len(shapes) + 3 + 10
        self.real = nn.Linear(width, 1)
        self.classes = nn.Linear(width, classes) if config.conditioning == "acgan" else None
        for head in filter(None, (self.real, self.classes)):
            nn.init.xavier_uniform_(head.weight)
            nn.init.zeros_(head.bias)

    def forward(self, images: list[Tensor], energy: Tensor, label: Tensor) -> DiscriminatorOutput:
        """Images (rows, columns, 1, N) and energy (N,) in GeV, label (N,)."""
        one_hot = (
            functional.one_hot(label, self.conditions).T
            if self.conditions
            else label.new_empty(0, len(label))
        )
        label_maps = one_hot.to(energy.dtype)
        seen = [layer(image, label_maps) for layer, image in zip(self.layers, images, strict=True)]
        energies = torch.stack([image.sum(dim=(0, 1, 2)) for image in images])
        total = energies.sum(dim=0)
        features = torch.cat([*seen, *self._energy_features(energies, total, energy)]).T
        classes = None if self.classes is None else self.classes(features)
        return DiscriminatorOutput(self.real(features).squeeze(1), total, classes)

    def _energy_features(self, energies: Tensor, total: Tensor, energy: Tensor) -> list[Tensor]:
        deviation = (total - energy).abs()
        beyond = 10 * (deviation > self.tolerance).to(deviation.dtype)
        rows = [total / 100, deviation, beyond]
        return [energies / 10, *(row.unsqueeze(0) for row in rows), self.on_energies(energies)]


class CaloGAN(GenerativeModel):
    """CaloGAN: a generative adversarial network for longitudinally segmented calorimeters.

    The number and sizes of the layers come from the geometry; sizes of neighbouring layers must divide each
    other where attention is on.
    """

    conditions = ("energy", "label")

    def __init__(self, config: Config, geometry: Calorimeter) -> None:
        super().__init__(config, geometry)
        self.config: Config = config
        self.shapes: list[Size] = [(int(rows), int(columns)) for rows, columns in geometry.shapes]
        self.generator = GeneratorNetwork(config, self.shapes)
        self.discriminator = Discriminator(config, self.shapes)

    def forward(self, noise: Tensor, energy: Tensor, label: Tensor) -> Tensor:
        """Turn noise (N, latent), energy (N,) MeV and label (N,) into cells (N, n_cells) MeV.

        The networks as they are trained; `sampler` returns the same map with fewer operations.
        """
        return _cells(self.generator(noise, energy / GeV, label))

    def sampler(self, geometry: Calorimeter) -> "CaloGANSampler":
        """Return a copy for generation, with folded linear algebra."""
        return CaloGANSampler(self.generator)

    def phases(self) -> Sequence[Phase]:
        """Return the only phase: Adam for each network, 50 epochs (Sec. IV C).

        Each step updates the discriminator on real showers, then on generated ones, then the generator twice.
        A batch is all real or all generated, since batch normalisation and minibatch discrimination look at
        the batch as a whole. Each update draws fresh noise, energies and labels.
        """
        betas = (self.config.beta_1, self.config.beta_2)
        rates = {"generator": self.config.generator_rate, "discriminator": self.config.discriminator_rate}
        # Fused: one kernel updates all parameters, of which the locally connected layers have millions.
        optimizers = {
            name: torch.optim.Adam(self.get_submodule(name).parameters(), lr=rate, betas=betas, fused=True)
            for name, rate in rates.items()
        }

        def step(batch: Batch, done: float) -> Figures:
            scalars = self._learn_to_discriminate(batch, optimizers["discriminator"])
            updates = [
                self._learn_to_generate(batch.energy, optimizers["generator"])
                for _ in range(self.config.generator_updates)
            ]
            for name in updates[0]:
                scalars[f"generator/{name}"] = torch.stack([update[name] for update in updates]).mean()
            return scalars

        return [Phase("adversarial", step, optimizers, epochs=_EPOCHS)]

    def _learn_to_discriminate(self, batch: Batch, optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
        """Two updates: all real, then all generated, by the generator in evaluation mode."""
        energy, label = batch.energy / GeV, batch.label
        verdict = self.discriminator(self._images(batch.cells), energy, label)
        real = self._update(verdict, energy, label, True, optimizer)
        noise, energy, label = self._requests(batch.energy)
        # As Keras' predict() in the reference implementation: with running averages, as in generation.
        self.generator.eval()
        with torch.no_grad():
            images = self.generator(noise, energy, label)
        self.generator.train()
        verdict = self.discriminator(images, energy, label)
        fake = self._update(verdict, energy, self._flip(label), False, optimizer)
        return {
            f"discriminator/{kind}_{name}": value
            for kind, losses in (("real", real), ("fake", fake))
            for name, value in losses.items()
        }

    def _learn_to_generate(self, like: Tensor, optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
        """One update on showers that the discriminator, in training mode, should take for real.

        The discriminator's parameters stay the same. Its running averages, which are not used anywhere, are
        updated as in the reference implementation.
        """
        noise, energy, label = self._requests(like)
        with _frozen(self.discriminator):
            verdict = self.discriminator(self.generator(noise, energy, label), energy, label)
            return self._update(verdict, energy, label, True, optimizer)

    def _update(
        self,
        verdict: DiscriminatorOutput,
        energy: Tensor,
        label: Tensor,
        real: bool,
        optimizer: torch.optim.Optimizer,
    ) -> dict[str, Tensor]:
        """Descend on Eq. 3 (generator) or 4 (discriminator); the adversarial part is Eq. 1 as cross-entropy.

        The energy loss does not depend on the discriminator: it changes its loss but not its gradient.
        """
        target = torch.full_like(verdict.real, float(real))
        losses = {
            "adversarial": functional.binary_cross_entropy_with_logits(verdict.real, target),
            "energy": (verdict.total - energy).abs().mean(),
        }
        loss = losses["adversarial"] + self.config.lambda_energy * losses["energy"]
        if verdict.classes is not None:
            losses["class"] = functional.cross_entropy(verdict.classes, label)
            loss = loss + self.config.lambda_class * losses["class"]
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return {name: value.detach() for name, value in losses.items()}

    def _requests(self, like: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Draw noise, energy (GeV) and label of equally many showers to generate."""
        low, high = self.config.energy_range
        noise = torch.randn(len(like), self.config.latent, device=like.device)
        label = torch.randint(len(self.config.particles), like.shape, device=like.device)
        return noise, low + (high - low) * torch.rand_like(like), label

    def _flip(self, label: Tensor) -> Tensor:
        """Replace the class of some showers by a wrong one: the auxiliary classifier stays uncertain."""
        classes = len(self.config.particles)
        if self.config.conditioning != "acgan" or classes == 1:
            return label
        # 1 to classes - 1 further, modulo the classes: always another class.
        other = (label + torch.randint_like(label, 1, classes)) % classes
        return torch.where(
            torch.rand(label.shape, device=label.device) < self.config.label_flip, other, label
        )

    def _images(self, cells: Tensor) -> list[Tensor]:
        """(N, n_cells) MeV -> images (rows, columns, 1, N) GeV."""
        parts = (cells / GeV).T.contiguous().split([rows * columns for rows, columns in self.shapes])
        return [part.reshape(*size, 1, -1) for part, size in zip(parts, self.shapes, strict=True)]


class FoldedStream(nn.Module):
    """A trained `Stream` with fewer operations, equal to it up to rounding.

    Everything before the first activation is linear and becomes one dense matrix, 2.25 times smaller than the
    dense layer alone; batch normalisation moves into the locally connected layer behind it.
    """

    matrix: Tensor
    offset: Tensor

    def __init__(self, stream: Stream) -> None:
        super().__init__()
        dense, convolution = stream.dense, stream.convolution
        # The columns of the dense layer are sent through the convolution as if they were showers: the result
        # is the matrix of both.
        columns = convolution.linear(dense.weight.view(*dense.shape, -1))
        # The bias goes through the convolution with its own bias, and is independent of the noise.
        offset = convolution(dense.bias.view(*dense.shape, 1))
        self.shape = (int(offset.shape[0]), int(offset.shape[1]), int(offset.shape[2]))
        self.register_buffer("matrix", columns.flatten(0, 2).T.contiguous())
        self.register_buffer("offset", offset.flatten())
        self.first = ExportableLocal(stream.first, *stream.norm.affine_map())
        self.second = ExportableLocal(stream.second)

    def forward(self, vectors: Tensor, energy: Tensor) -> Tensor:
        """(N, latent) and (N,) GeV -> (rows, columns, 1, N).

        The paper multiplies the noise by the energy. Here the energy is taken out of the product: the rest
        depends on noise and weights alone, so that the export can do it in integers.
        """
        product = (vectors @ self.matrix) * (energy / 100).unsqueeze(1) + self.offset
        maps = functional.leaky_relu(product, SLOPE).T.view(*self.shape, -1)
        hypothesis: Tensor = self.second(functional.leaky_relu(self.first(maps), SLOPE))
        return hypothesis


class CaloGANSampler(base.Sampler):
    """The generator of a trained CaloGAN for inference, with the signature of `CaloGAN.forward`."""

    def __init__(self, generator: GeneratorNetwork) -> None:
        super().__init__()
        self.noise_size = generator.latent_size
        with torch.no_grad():
            self.generator = copy.deepcopy(generator)
            streams: Any = generator.streams
            inpaintings: Any = self.generator.inpaintings
            for i, stream in enumerate(streams):
                self.generator.streams[i] = FoldedStream(stream)
            for inpainting in inpaintings:
                inpainting.weighting = ExportableLocal(inpainting.weighting)
        self.requires_grad_(False).eval()

    def forward(self, noise: Tensor, energy: Tensor, label: Tensor) -> Tensor:  # type: ignore[override]
        """Turn noise (N, noise_size), energy (N,) MeV and label (N,) into cells (N, n_cells) MeV."""
        vectors = self.generator.latent(noise, label)
        hypotheses = [stream(vectors, energy / GeV) for stream in self.generator.streams]
        return _cells(self.generator.combine(hypotheses))


def _cells(images: list[Tensor]) -> Tensor:
    """Images (rows, columns, 1, N) GeV -> (N, n_cells) MeV."""
    # Rows, columns and the single channel become cells; the transpose puts the showers first.
    return torch.cat([image.flatten(0, 2) for image in images]).T * GeV


@contextmanager
def _frozen(module: nn.Module) -> Iterator[None]:
    """Let gradients pass through a module without any for its own parameters."""
    module.requires_grad_(False)
    try:
        yield
    finally:
        module.requires_grad_(True)


CaloGAN.Config = Config
ENTRY = CaloGAN
