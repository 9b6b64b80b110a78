"""A parametrised shower: Grindhammer and Peters, hep-ex/0001020, fitted to the showers at hand.

The forms are the paper's: a gamma distribution along the depth whose ln T and ln alpha fluctuate together,
a core and a tail in radius whose extents and shares change with depth and energy, and a finite number of
energy spots that are laid out by these profiles. So are the constants, those of homogeneous media, taken at
the mean material of the geometry: the fit starts from them.

For each particle, corrections to the quantities in `CORRECTIONS` are fitted; their values are in the
checkpoint. A read-out of a few layers can't determine all constants of a profile, but it determines these
corrections: mean and spread of the layers' shares fix T, alpha and their fluctuations; the cells of each
layer fix the extents; empty cells and asymmetries fix the spots.

Additions to the paper: photons start to shower where they convert, exponentially distributed behind the
front face (the mean starts at 9/7 X_0); a share of the energy continues exponentially from the maximum,
because far behind it a shower consists of its most penetrating photons, of which a gamma distribution has too
few; the energies of spots have a log-normal distribution, and may depend on depth; and the axis of a shower
has a normal displacement from the direction of the particle.

Lengths are in radiation lengths along the shower and in mm across, energies in GeV.
"""

import copy
import math
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from pydantic import Field
from torch import Tensor, nn

from caloforge.config import strict_dataclass
from caloforge.geometry import Calorimeter, Layer, RingLayer
from caloforge.models import base
from caloforge.models.base import Batch, Figures, GenerativeModel, ModelConfig, Phase
from caloforge.physics import shower_profile as profile
from caloforge.units import GeV

__all__ = [
    "CONVERSION",
    "CORRECTIONS",
    "ENTRY",
    "REFERENCE",
    "WHOLE",
    "Boxes",
    "Config",
    "Correction",
    "Floats",
    "LongitudinalShares",
    "Parametrised",
    "Rings",
    "Shower",
    "ShowerFigures",
    "gamma_share",
    "normal_share",
    "poisson",
]

Floats = npt.NDArray[np.float64]

REFERENCE = 10.0  # GeV, at which the powers of the energy are 1

CONVERSION = 9 / 7  # X_0, mean depth in which a photon of high energy converts
_NO_CONVERSION = 0.1  # X_0, where the fit begins for others: the paper's T counts from the front face

_ELECTROMAGNETIC = {"e-", "e+", "gamma"}

_LATE, _LATE_SPREAD, _MOST_LATE = 0.05, 0.5, 0.5  # where the fit begins, and the limit of a single shower
_ATTENUATION = 4.0  # X_0: photons of 3 MeV, which lead attenuates least (PDG 2024, Fig. 34.16)
_DISPLACEMENT = 0.03  # Molière radii, where the fit begins

_FLATTEST = 1.5  # alpha below which a gamma distribution would not end within any calorimeter
_DEEPEST = 4.0  # tau up to which the paper's radial profiles are meant
_COUNTED = 6.0  # mean number of spots up to which they are counted one by one
_MOST = 24  # spots that such a cell has at most
_GROUPS = (0.15, 0.3, 0.6, 1.2, 2.5, 5.0)  # Molière radii between the rings that training compares
_DRAWN = 16  # showers without cells for each true one
_LEAST = 1e-4  # share of the energy below which layers and rings are not told apart
_ROOT = 0.25  # power of the shares that are compared, so that small ones count
_TINY = 1e-6
_EPOCHS = 40


@strict_dataclass
class Config(ModelConfig):
    """The parametrised shower, with separate corrections for each particle.

    Attributes
    ----------
    slice
        Radiation lengths over which radial profiles are taken to be constant, at most.
    rate
        Learning rate of the fit (Adam).
    """

    slice: float = Field(default=3.0, gt=0)
    rate: float = Field(default=0.03, gt=0)

    def __post_init__(self) -> None:
        """Refuse particles that do not make electromagnetic showers."""
        ModelConfig.__post_init__(self)
        others = set(self.particles) - _ELECTROMAGNETIC
        if others:
            raise ValueError(
                f"only showers of {', '.join(sorted(_ELECTROMAGNETIC))} have this parametrisation, none of "
                f"{', '.join(sorted(others))}."
            )


class Correction(NamedTuple):
    """A quantity that is fitted: its start times exp(a + b ln(E / 10 GeV) + c (tau - 1)).

    Attributes
    ----------
    additive
        The exponent is added as it is, to the start's logarithmic odds (``core_share``) or to the inverse
        hyperbolic tangent (``correlation``).
    deep
        Whether there is a c.
    unit
        Size of a fitted number of 1, so that steps of equal size suit all.
    """

    additive: bool = False
    deep: bool = False
    unit: float = 1.0


WHOLE = 7
"""Random numbers of a shower as a whole."""

CORRECTIONS = {
    "maximum": Correction(),  # T: depth of the maximum, X_0 behind the beginning
    "alpha": Correction(),  # shape of the gamma distribution
    "maximum_spread": Correction(),  # sigma(ln T)
    "alpha_spread": Correction(),  # sigma(ln alpha)
    "correlation": Correction(additive=True),  # rho(ln T, ln alpha)
    "beginning": Correction(),  # mean depth at which the shower begins, X_0
    "late_share": Correction(),  # mean share of the energy that photons carry on from the maximum
    "late_spread": Correction(),  # sigma of its logarithm
    "attenuation": Correction(),  # the length in which they are absorbed, X_0
    "core_radius": Correction(deep=True),  # R_C
    "tail_radius": Correction(deep=True),  # R_T
    "core_share": Correction(additive=True, deep=True),  # p
    "core_spot": Correction(deep=True),  # mean energy of a spot of the core
    "tail_spot": Correction(deep=True),  # and of the tail
    "spot_variance": Correction(),  # of a spot's energy over its mean squared
    "displacement": Correction(deep=True),  # rms of the axis about the particle's direction, R_M
    "response": Correction(unit=0.02),  # share of the energy that neither leaks nor is lost otherwise
    "resolution": Correction(),  # its relative spread at 1 GeV over the root of the energy
}


class LongitudinalShares(NamedTuple):
    """The longitudinal development of N showers.

    Attributes
    ----------
    share
        (N, S) share of the energy in each slice; the rest, up to 1, leaks.
    tau
        (N, S) depth of the slices' middles in units of the mean depth of the shower's energy.
    """

    share: Tensor
    tau: Tensor


def normal_share(z: Tensor) -> Tensor:
    """Return the share of a standard normal distribution below z."""
    # By erf, which ONNX has; it has no distribution function of the normal.
    return 0.5 * (1 + torch.erf(z / math.sqrt(2)))


def gamma_share(x: Tensor, alpha: Tensor) -> Tensor:
    """Return the share of a gamma distribution of shape alpha below x, after Wilson and Hilferty (1931).

    It differs from the exact one by less than 0.01 for alpha > 1.5, and is a smooth function of both.
    """
    # torch's incomplete gamma function has no gradient in alpha, and ONNX has none at all. The clamp keeps
    # the gradient of the cube root finite at 0.
    root = (x / alpha).clamp(min=_TINY) ** (1 / 3)
    return normal_share(3 * alpha.sqrt() * (root - 1 + 1 / (9 * alpha)))


def poisson(mean: Tensor, z: Tensor) -> Tensor:
    """Turn standard normals into numbers of a mean: counted, or beyond `_COUNTED` by Cornish and Fisher."""
    few = mean.clamp(max=_COUNTED)
    below = normal_share(z)
    term = torch.exp(-few)
    total, count = term, (below > term).to(mean.dtype)
    # The inverse of the distribution function as a fixed number of comparisons: the graph has no loop.
    for number in range(1, _MOST):
        term = term * few / number
        total = total + term
        count = count + (below > total).to(mean.dtype)
    # The last term is sqrt(mean) (z^2 - 1) / 6 times the skewness, 1 / sqrt(mean).
    many = mean + mean.sqrt() * z + (z**2 - 1) / 6
    return torch.where(mean < _COUNTED, count, many.clamp(min=0))


def _following(number: Tensor, mean: Tensor) -> Tensor:
    """Give drawn numbers a gradient: mean and spread follow the mean; below 1 the number scales with it."""
    number, still = number.detach(), mean.detach()
    change = mean / still
    # A count has no gradient. Above 1 it is moved as a normal number with this mean and variance would be.
    return torch.where(still > 1, mean + (number - still) * change.sqrt(), number * change)


class Boxes(nn.Module):
    """Shares of radial profiles 2 r R^2 / (r^2 + R^2)^2 in the cells of a layer of boxes.

    A rectangle holds the differences, between its corners, of
    (x/a atan(y/a) + y/b atan(x/b)) / 2 pi with a^2 = x^2 + R^2, b^2 = y^2 + R^2.
    """

    eta: Tensor
    phi: Tensor

    def __init__(self, layer: Layer) -> None:
        super().__init__()
        for name, axis in (("eta", layer.eta), ("phi", layer.phi)):
            self.register_buffer(name, torch.tensor(axis.edges, dtype=torch.float32), persistent=False)

    def forward(self, radius: Tensor, weight: Tensor, axis: Tensor) -> Tensor:
        """Sum slices of radius R (N, S) in mm, weight (N, S) and axis (N, S, 2) in mm: (N, n_cells)."""
        square = radius[:, :, None] ** 2
        x, y = self.eta - axis[:, :, :1], self.phi - axis[:, :, 1:]
        a, b = (x**2 + square).sqrt(), (y**2 + square).sqrt()
        first = (x / a)[:, :, None] * torch.atan(y[..., None] / a[:, :, None])
        second = (y / b)[..., None] * torch.atan(x[:, :, None] / b[..., None])
        corners = ((first + second) * weight[:, :, None, None]).sum(dim=1) / (2 * math.pi)
        # Rounding can make the difference of nearly equal corners negative: hence the clamp.
        rows = corners[:, 1:] - corners[:, :-1]
        return (rows[:, :, 1:] - rows[:, :, :-1]).clamp(min=0).flatten(1)


class Rings(nn.Module):
    """The same in a layer of rings: between two radii, the difference of r^2 / (r^2 + R^2).

    Rings stay around the particle's direction: their share of other circles has no closed form.
    """

    square: Tensor

    def __init__(self, layer: RingLayer) -> None:
        super().__init__()
        square = torch.tensor(layer.r.edges**2, dtype=torch.float32)
        self.register_buffer("square", square, persistent=False)
        self.sectors = layer.n_alpha

    def forward(self, radius: Tensor, weight: Tensor, axis: Tensor) -> Tensor:
        """Sum slices of radius R (N, S) in mm with a weight (N, S): (N, n_cells)."""
        within = self.square / (self.square + radius[:, :, None] ** 2)
        within = (within * weight[:, :, None]).sum(dim=1)
        rings = (within[:, 1:] - within[:, :-1]) / self.sectors
        return rings.repeat(1, self.sectors)


def _cut(depths: Floats, thickest: float) -> tuple[tuple[int, ...], Floats]:
    """Cut layers between depths (L + 1,) into equal slices: how many in each layer, and all their edges."""
    counts = np.maximum(np.ceil(np.diff(depths) / thickest), 1).astype(int).tolist()
    bounds = zip(pairwise(depths.tolist()), counts, strict=True)
    cuts = [np.linspace(low, high, n, endpoint=False) for (low, high), n in bounds]
    return tuple(counts), np.concatenate([*cuts, depths[-1:]])


class Shower(base.Sampler):
    """Turns noise, energy and label into cells; holds all fitted numbers."""

    edges: Tensor
    visible: Tensor
    visible_layers: Tensor
    begin: Tensor

    def __init__(self, config: Config, geometry: Calorimeter) -> None:
        super().__init__()
        self.n_cells = geometry.n_cells
        self.noise_size = WHOLE + 2 * self.n_cells  # of the shower as a whole, and two for each cell
        matter = profile.matter(geometry)
        self.critical_energy = matter.critical_energy / GeV
        self.moliere_radius = matter.moliere_radius
        # The review's fit of the critical energy in solids, solved for Z (PDG 2024, Sec. 34.4.4).
        self.z = 610 / matter.critical_energy - 1.24
        self.slices, edges = _cut(profile.depths(geometry), config.slice)
        self._keep("edges", edges)
        visible = profile.visible_share(geometry)
        self._keep("visible_layers", visible)
        self._keep("visible", np.repeat(visible, [layer.n_cells for layer in geometry.layers]))
        begins = [CONVERSION if name == "gamma" else _NO_CONVERSION for name in config.particles]
        self._keep("begin", np.array(begins))
        kinds = {Layer: Boxes, RingLayer: Rings}
        self.layers = nn.ModuleList(kinds[type(layer)](layer) for layer in geometry.layers)
        self.corrections = nn.ParameterDict(
            {name: torch.zeros(len(config.particles), 2 + kind.deep) for name, kind in CORRECTIONS.items()}
        )

    def _keep(self, name: str, values: Floats) -> None:
        self.register_buffer(name, torch.tensor(values, dtype=torch.float32), persistent=False)

    def forward(self, noise: Tensor, energy: Tensor, label: Tensor) -> Tensor:  # type: ignore[override]
        """(N, noise_size), (N,) MeV, (N,) -> (N, n_cells) MeV."""
        cells, _ = self.draw(noise, energy, label)
        return cells

    def draw(self, noise: Tensor, energy: Tensor, label: Tensor) -> tuple[Tensor, Tensor]:
        """Return cells (N, n_cells) in MeV and the mean numbers of spots in them, (N, n_cells)."""
        whole, first, second = noise.split([WHOLE, self.n_cells, self.n_cells], dim=1)
        gev = (energy / GeV).unsqueeze(1)
        share, spots = self.expect(whole, gev, label)
        number = poisson(spots, first)
        if self.training:
            number = _following(number, spots)
        variance = self._corrected("spot_variance", torch.ones_like(gev), gev, label)
        # The sum of n log-normal spots is nearly log-normal, with 1/n of their relative variance. Subtracting
        # half of the squared width makes its mean 1.
        wide = torch.log1p(variance / number.clamp(min=1))
        drawn = number * (share / spots) * torch.exp(wide.sqrt() * second - wide / 2)
        # spots share out the energy that does not leak; their number does not change it
        drawn = drawn / drawn.sum(dim=1, keepdim=True).clamp(min=_TINY)
        scale = (
            share.sum(dim=1, keepdim=True).clamp(max=1)
            * self._seen(whole[:, 3:4], gev, label)
            * energy.unsqueeze(1)
        )
        return drawn * self.visible * scale, spots

    def expect(self, whole: Tensor, gev: Tensor, label: Tensor) -> tuple[Tensor, Tensor]:
        """Return the expected share of the energy and number of spots in each cell, (N, n_cells) each."""
        along = self.develop(whole, gev, label)
        core, tail = self._radii(along.tau, gev, label)
        inner = self._core_share(along.tau, gev, label)
        axis = self._axis(whole[:, 4:6], along.tau, gev, label)
        # the paper's number of spots, here as their mean energy
        spot = gev / (93 * math.log(self.z) * gev**0.876)
        parts = []
        for name, radius, weight in (("core", core, inner), ("tail", tail, 1 - inner)):
            size = self._corrected(f"{name}_spot", spot, gev, label, along.tau)
            weight = weight * along.share
            numbers = self._spread(radius, weight * gev / size, axis)
            parts.append((self._spread(radius, weight, axis), numbers))
        share, spots = (one + other for one, other in zip(*parts, strict=True))
        return share, spots.clamp(min=_TINY**2)

    def develop(self, whole: Tensor, gev: Tensor, label: Tensor) -> LongitudinalShares:
        """Return the longitudinal development: T and alpha as in the paper."""
        y = (gev / self.critical_energy).log()
        mean_t = (y - 0.812).clamp(min=0.3)
        mean_alpha = 0.81 + (0.458 + 2.26 / self.z) * y
        sigma_t = 1 / (-1.4 + 1.26 * y).clamp(min=0.5)
        sigma_alpha = 1 / (-0.58 + 0.86 * y).clamp(min=0.5)
        rho = torch.tanh(self._corrected("correlation", (0.705 - 0.023 * y).atanh(), gev, label))
        sigma_t = self._corrected("maximum_spread", sigma_t, gev, label)
        sigma_alpha = self._corrected("alpha_spread", sigma_alpha, gev, label)
        mean_alpha = self._corrected("alpha", mean_alpha, gev, label).clamp(min=_FLATTEST)
        one, other = whole[:, :1], whole[:, 1:2]
        t = self._corrected("maximum", mean_t, gev, label) * torch.exp(sigma_t * one)
        mixed = rho * one + (1 - rho**2).sqrt() * other
        alpha = (mean_alpha * torch.exp(sigma_alpha * mixed)).clamp(min=_FLATTEST)
        begin = self._corrected("beginning", self.begin[label].unsqueeze(1), gev, label)
        # Minus the logarithm of a uniform number is exponentially distributed.
        depth = (self.edges + begin * normal_share(-whole[:, 2:3]).clamp(min=_TINY).log()).clamp(min=0)
        below = gamma_share((alpha - 1) / t * depth, alpha)
        late, length = self._late(whole[:, 6:], gev, label)
        below = below + late * (1 - torch.exp(-(depth - t).clamp(min=0) / length) - below)
        middle = (depth[:, 1:] + depth[:, :-1]) / 2
        tau = middle / t * ((alpha - 1) / alpha) * mean_alpha / (mean_alpha - 1)
        return LongitudinalShares(below[:, 1:] - below[:, :-1], tau.clamp(max=_DEEPEST))

    def _late(self, z: Tensor, gev: Tensor, label: Tensor) -> tuple[Tensor, Tensor]:
        """Return the share (N, 1) that leaves the maximum as photons, and their attenuation length in X_0."""
        one = torch.ones_like(gev)
        spread = self._corrected("late_spread", _LATE_SPREAD * one, gev, label)
        share = self._corrected("late_share", _LATE * one, gev, label) * torch.exp(spread * z - spread**2 / 2)
        length = self._corrected("attenuation", _ATTENUATION * one, gev, label)
        return share.clamp(max=_MOST_LATE), length

    def _radii(self, tau: Tensor, gev: Tensor, label: Tensor) -> tuple[Tensor, Tensor]:
        """Return R_C and R_T (N, S) in mm, as in the paper."""
        log = gev.log()
        core = 0.0251 + 0.00319 * log + (0.1162 - 0.000381 * self.z) * tau
        deeper = tau - 0.645
        tail = torch.exp(-2.59 * deeper) + torch.exp((0.3585 + 0.0421 * log) * deeper)
        tail = (0.659 - 0.00309 * self.z) * tail
        core = self._corrected("core_radius", core.clamp(min=0.005), gev, label, tau)
        tail = self._corrected("tail_radius", tail, gev, label, tau)
        return core * self.moliere_radius, tail * self.moliere_radius

    def _core_share(self, tau: Tensor, gev: Tensor, label: Tensor) -> Tensor:
        """Return p (N, S), as in the paper."""
        ratio = (0.401 + 0.00187 * self.z - tau) / (1.313 - 0.0686 * gev.log())
        share = (2.632 - 0.00094 * self.z) * torch.exp(ratio - torch.exp(ratio))
        # The correction is added to the odds' logarithm, so that a share stays between 0 and 1.
        return self._corrected("core_share", share.logit(0.01), gev, label, tau).sigmoid()

    def _axis(self, z: Tensor, tau: Tensor, gev: Tensor, label: Tensor) -> Tensor:
        """Return where the axis of the shower passes the slices, (N, S, 2) eta and phi in mm."""
        start = torch.full_like(tau, _DISPLACEMENT)
        size = self._corrected("displacement", start, gev, label, tau) * self.moliere_radius
        return size.unsqueeze(2) * z.unsqueeze(1)

    def _spread(self, radius: Tensor, weight: Tensor, axis: Tensor) -> Tensor:
        """Lay out slices (N, S) in the cells of their layers: (N, n_cells)."""
        slices = (each.split(self.slices, dim=1) for each in (radius, weight, axis))
        return torch.cat([layer(*each) for layer, *each in zip(self.layers, *slices, strict=True)], dim=1)

    def _seen(self, z: Tensor, gev: Tensor, label: Tensor) -> Tensor:
        """Return the visible energy over the incident one (N, 1), fluctuating as a gamma distribution."""
        response = self._corrected("response", torch.ones_like(gev), gev, label)
        spread = self._corrected("resolution", 0.01 * gev**-0.5, gev, label)
        # Wilson and Hilferty again: the cube of a normal number is nearly gamma distributed, with mean 1.
        return response * (1 - spread**2 / 9 + spread * z / 3).clamp(min=0) ** 3

    def _corrected(
        self, name: str, start: Tensor, gev: Tensor, label: Tensor, tau: Tensor | None = None
    ) -> Tensor:
        """Apply a fitted correction to its start."""
        fitted = self.corrections[name][label].unsqueeze(1)
        kind = CORRECTIONS[name]
        exponent = fitted[..., 0] + fitted[..., 1] * (gev / REFERENCE).log()
        if tau is not None:
            exponent = exponent + fitted[..., 2] * (tau - 1)
        exponent = exponent * kind.unit
        return start + exponent if kind.additive else start * torch.exp(exponent)


class ShowerFigures(nn.Module):
    """The figures of a shower that the fit compares: shares of layers and rings, moments, asymmetries."""

    sums: Tensor
    flips: Tensor

    def __init__(self, geometry: Calorimeter, moliere_radius: float) -> None:
        super().__init__()
        self.n_layers = len(geometry.layers)
        layer = np.repeat(np.arange(self.n_layers), [layer.n_cells for layer in geometry.layers])
        eta, phi = (
            np.concatenate([layer.centres[i].ravel() for layer in geometry.layers]) / moliere_radius
            for i in range(2)
        )
        belongs = (layer[:, None] == np.arange(self.n_layers)).astype(float)
        group = np.searchsorted(_GROUPS, np.hypot(eta, phi)) + layer * (len(_GROUPS) + 1)
        rings = (group[:, None] == np.unique(group)).astype(float)
        moments = [belongs * weight[:, None] for weight in (eta, phi, eta**2, phi**2)]
        sums = torch.tensor(np.concatenate([belongs, *moments, rings], axis=1), dtype=torch.float32)
        self.register_buffer("sums", sums, persistent=False)
        self.register_buffer("flips", torch.from_numpy(geometry.symmetries()[1:3]), persistent=False)

    def forward(self, cells: Tensor, energy: Tensor) -> Tensor:
        """(N, n_cells) and (N,) in MeV -> (N, F)."""
        share = cells / energy.unsqueeze(1)
        sums = share @ self.sums
        n = self.n_layers
        layers, centre, rest = sums[:, :n], sums[:, n : 3 * n], sums[:, 3 * n :]
        safe = layers + _LEAST
        uneven = [((share - share[:, flip]).abs() @ self.sums[:, :n]) / safe for flip in self.flips]
        # The offset keeps the gradient of the root finite for empty layers.
        roots = (torch.cat([layers, rest], dim=1) + _LEAST) ** _ROOT
        total = layers.sum(dim=1, keepdim=True)
        return torch.cat([total, roots, centre / safe.repeat(1, 2), *uneven], dim=1)


class Parametrised(GenerativeModel):
    """The parametrised shower; see the module for the differences to the paper and the fitted quantities.

    The fit minimises the energy score (Gneiting and Raftery, J. Am. Stat. Assoc. 102 (2007) 359, Eq. 21)
    between a shower and several that are drawn at its energy. It is lowest if these have the distribution
    of the true ones, including spreads and correlations. The score is taken of the shares of the layers, of
    each figure of `ShowerFigures`, and of all figures together. The number of filled cells of a drawn shower
    has no gradient, so its expectation is compared.
    """

    conditions = ("energy", "label")

    def __init__(self, config: Config, geometry: Calorimeter) -> None:
        super().__init__(config, geometry)
        self.config: Config = config
        self.shower = Shower(config, geometry)
        self.sizes = tuple(layer.n_cells for layer in geometry.layers)
        self.summary = ShowerFigures(geometry, self.shower.moliere_radius)

    def sampler(self, geometry: Calorimeter) -> Shower:
        """Return a copy of the shower for generation."""
        return copy.deepcopy(self.shower).eval().requires_grad_(False)

    def phases(self) -> Sequence[Phase]:
        """Return the fit: Adam for all corrections, on the sum of the scores of layers and cells."""
        optimizer = torch.optim.Adam(self.parameters(), lr=self.config.rate, betas=(0.9, 0.99))

        def step(batch: Batch, done: float) -> Figures:
            with torch.autocast(batch.cells.device.type, enabled=False):  # differences of profiles are small
                losses = {"layers": self._score_layers(batch), **self._score_cells(batch)}
                torch.stack(list(losses.values())).sum().backward()
            nn.utils.clip_grad_norm_(self.parameters(), 1.0)
            optimizer.step()
            optimizer.zero_grad()
            return {name: value.detach() for name, value in losses.items()}

        return [Phase("fit", step, {"corrections": optimizer}, epochs=_EPOCHS)]

    def _score_layers(self, batch: Batch) -> Tensor:
        """Score the shares of the layers, of many showers that are drawn without their cells."""
        energy, label = batch.energy.repeat(_DRAWN), batch.label.repeat(_DRAWN)
        noise = torch.randn(len(energy), WHOLE, device=energy.device)
        slices = self.shower.develop(noise, (energy / GeV).unsqueeze(1), label).share
        drawn = self.shower.visible_layers * _sums(slices, self.shower.slices)
        true = _sums(batch.cells, self.sizes)
        roots = [(each / (each.sum(dim=1, keepdim=True) + _TINY) + _LEAST) ** _ROOT for each in (true, drawn)]
        return _energy_score(*_standardised(roots[0], roots[1].view(_DRAWN, *true.shape)))

    def _score_cells(self, batch: Batch) -> dict[str, Tensor]:
        """Score the figures of two drawn showers, each and all together, and the number of filled cells."""
        energy, label = batch.energy.repeat(2), batch.label.repeat(2)
        noise = torch.randn(len(energy), self.shower.noise_size, device=energy.device)
        cells, spots = self.shower.draw(noise, energy, label)
        true, drawn = self.summary(batch.cells, batch.energy), self.summary(cells, energy)
        true, drawn = _standardised(true, drawn.view(2, *true.shape))
        expected, found = (
            _sums(each, self.sizes) for each in (1 - torch.exp(-spots), (batch.cells > 0).to(spots.dtype))
        )
        # The product for two independent showers estimates the squared error of their mean without bias; a
        # square would also contain their variance, and the fit would shrink it.
        filled = (expected.view(2, *found.shape) - found).prod(dim=0).mean(dim=0) / (found.var(dim=0) + 1)
        return {
            "single": _energy_score(true.unsqueeze(2), drawn.unsqueeze(3)),
            "joint": _energy_score(true, drawn),
            "filled": filled.mean(),
        }


def _sums(values: Tensor, sizes: tuple[int, ...]) -> Tensor:
    """Sum neighbouring columns: (N, C) -> (N, len(sizes))."""
    return torch.stack([part.sum(dim=1) for part in values.split(sizes, dim=1)], dim=1)


def _standardised(true: Tensor, drawn: Tensor) -> tuple[Tensor, Tensor]:
    """Give figures (N, F) and (M, N, F) the mean absolute deviation of the true ones as their unit."""
    scale = (true - true.mean(dim=0)).abs().mean(dim=0) + _TINY
    return true / scale, drawn / scale


def _energy_score(true: Tensor, drawn: Tensor) -> Tensor:
    """Return the mean energy score of M showers (M, N, ..., F) drawn for each true one (N, ..., F)."""
    # _TINY keeps the gradient of the square root finite where two showers are equal.
    apart = ((drawn - true).square().mean(dim=-1) + _TINY).sqrt().mean()
    first, second = torch.triu_indices(len(drawn), len(drawn), offset=1)
    among = ((drawn[first] - drawn[second]).square().mean(dim=-1) + _TINY).sqrt().mean()
    # Without the second term the best showers would all be equal: the median of the true ones.
    return apart - among / 2


Parametrised.Config = Config
ENTRY = Parametrised
