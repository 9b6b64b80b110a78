"""Energy profiles of electromagnetic showers, compared with the textbook formula.

Depths are along z, in radiation lengths of the calorimeter's mean material, so that the shower of a particle
with the angle theta to it is shorter by cos(theta); radii are in its Molière radii. The formulas are those of
the Particle Data Group, Review of Particle Physics 2024, Sec. 34.5.

Where only a part of the material is visible, layers are weighted with the share of the ionisation loss that
is visible in them, so that a calorimeter with plates of several thicknesses has about one profile (the signal
of a shower over that of a minimum ionising particle is smaller behind thicker plates, which no weight
corrects). The common scale of all layers is lost: profiles are shares of the energy in the whole calorimeter.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import curve_fit
from scipy.special import gammainc

from caloforge.errors import InputError
from caloforge.geometry import Calorimeter, Layer, RingLayer
from caloforge.physics import materials
from caloforge.physics.materials import Material
from caloforge.showers import Showers

__all__ = [
    "CONTAINMENT",
    "Axis",
    "Containment",
    "Floats",
    "Longitudinal",
    "contained",
    "containment",
    "depths",
    "electromagnetic",
    "found_maximum",
    "longitudinal",
    "matter",
    "maximum",
    "slopes",
    "textbook",
    "uncertainty",
    "visible_share",
]

Floats = NDArray[np.float64]

CONTAINMENT = ((1.0, 0.90), (2.0, 0.95), (3.5, 0.99))
"""Radius in R_M and the share of the energy within: PDG Sec. 34.5; for 2 R_M Grupen and Shwartz, Particle
Detectors (2008), Sec. 8.1."""

_SHAPE = 0.5  # b of the gamma distribution: "for many purposes it is sufficient to take b = 0.5"
_BEGIN = {11: -0.5, -11: -0.5, 22: +0.5}  # C_j of electrons (positrons) and photons
_FIRST = 2.0  # X_0 in which the gamma distribution fails, so that the review's fits leave them out
_AROUND = 0.5  # of the highest share: from there on layers count for the maximum
_FEWEST_LAYERS = 6  # that a maximum can be found with
_BLOCKS = 10


@dataclass(frozen=True)
class Longitudinal:
    """A mean longitudinal profile.

    Attributes
    ----------
    edges
        Where layers begin and end, (L + 1,) in radiation lengths.
    share
        Mean share of the energy per radiation length, (L,); nan for layers in which nothing is visible.
    error
        Its statistical error, (L,).
    """

    edges: Floats
    share: Floats
    error: Floats


@dataclass(frozen=True)
class Containment:
    """The mean share of the energy within a radius around the shower's axis.

    Attributes
    ----------
    radii
        (K,) in Molière radii.
    least, most
        Share in the cells that lie wholly within the radius, and in those that reach into it, (K,): the truth
        is between.
    """

    radii: Floats
    least: Floats
    most: Floats


def electromagnetic(showers: Showers) -> Showers:
    """Return the showers of e-, e+ and gamma.

    Raises
    ------
    InputError
        There are none.
    """
    chosen = np.isin(showers.pdg, list(_BEGIN))
    if not chosen.any():
        raise InputError(
            "The textbook profile applies only to e-, e+ and gamma, and there are no such showers."
        )
    return showers if chosen.all() else showers[chosen]


def matter(geometry: Calorimeter) -> Material:
    """Return the mean material of a calorimeter.

    Raises
    ------
    InputError
        The calorimeter has no material, or one whose properties are not known.
    """
    if not geometry.stack:
        raise InputError(f"The materials of {geometry.name} are unknown, so it has no radiation length.")
    return materials.mixture([(materials.load(slab.material), slab.thickness) for slab in geometry.slabs])


def depths(geometry: Calorimeter) -> Floats:
    """Return where layers begin and end, (L + 1,) in radiation lengths; raises as `matter`."""
    matter(geometry)
    inverse = [1 / materials.load(slab.material).radiation_length for slab in geometry.slabs]
    return _up_to_edges(geometry, np.array(inverse))


def visible_share(geometry: Calorimeter) -> Floats:
    """Return the visible share of the ionisation loss in each layer, (L,) from 0 to 1; raises as `matter`."""
    matter(geometry)
    loss = np.array([materials.load(slab.material).ionisation for slab in geometry.slabs])
    seen = np.array([slab.role in geometry.visible for slab in geometry.slabs])
    return np.diff(_up_to_edges(geometry, loss * seen)) / np.diff(_up_to_edges(geometry, loss))


def maximum(energy: Floats | float, pdg: NDArray[np.int32] | int, material: Material) -> Floats:
    """Return the depth of the shower maximum, t_max = ln(E / E_c) + C_j in X_0 (PDG, Eq. 34.36).

    C_j is -0.5 for electrons and positrons, +0.5 for photons. `uncertainty` says how exact that is.

    Parameters
    ----------
    energy
        Incident energy in MeV.
    pdg
        11, -11 or 22, as many as energies or one for all.
    """
    begin = np.select([np.equal(pdg, particle) for particle in _BEGIN], list(_BEGIN.values()))
    return np.asarray(np.maximum(np.log(np.asarray(energy) / material.critical_energy) + begin, 0.0))


def uncertainty(t_max: Floats | float) -> Floats:
    """Return by how much the formula for t_max can be wrong for its rounding alone, in radiation lengths.

    The review rounds the factor before the bracket to 1.0 and the C_j to halves.
    """
    return 0.05 * np.asarray(t_max, dtype=float) + 0.25


def contained(t: Floats, t_max: Floats, slope: Floats | float = 1.0) -> Floats:
    """Return the share of the energy up to depth t: the gamma distribution of PDG, Eq. 34.35, with b = 0.5.

    Parameters
    ----------
    t
        (T,) in radiation lengths.
    t_max
        Depths of the showers' maxima along their own axes, (N,).
    slope
        Cosines of the angles between the showers' axes and the depth, (N,) or one for all.

    Returns
    -------
        (N, T)
    """
    along = t[None, :] / np.broadcast_to(slope, t_max.shape)[:, None]
    return np.asarray(gammainc(1 + _SHAPE * t_max[:, None], _SHAPE * along), dtype=float)


def slopes(showers: Showers) -> Floats:
    """Return cos(theta) of every incident particle, (N,): the way along z for one along its axis."""
    return np.asarray(np.cos(showers.incident.direction[:, 0].astype(float)))


def textbook(showers: Showers, edges: Floats) -> Floats:
    """Return the textbook's mean profile of these showers, share per radiation length between edges (T,).

    Shares are of the energy between 0 and the end of the calorimeter.

    Raises
    ------
    InputError
        As `electromagnetic` and `matter`.
    """
    chosen = electromagnetic(showers)
    t_max, slope = maximum(chosen.energy, chosen.pdg, matter(chosen.geometry)), slopes(chosen)
    inside = contained(depths(chosen.geometry)[-1:], t_max, slope)
    shares = np.diff(contained(edges, t_max, slope), axis=1) / inside
    return np.asarray(shares.mean(axis=0) / np.diff(edges))


def longitudinal(showers: Showers) -> Longitudinal:
    """Return the mean longitudinal profile of the showers of e-, e+ and gamma that left any energy.

    Raises
    ------
    InputError
        As `electromagnetic` and `matter`.
    """
    chosen = electromagnetic(showers)
    edges = depths(chosen.geometry)
    shares = _shares(chosen) / np.diff(edges)
    spread = shares.std(axis=0, ddof=1) if len(shares) > 1 else np.full(shares.shape[1], np.nan)
    return Longitudinal(edges, shares.mean(axis=0), spread / np.sqrt(len(shares)))


def found_maximum(showers: Showers) -> tuple[float, float]:
    """Return the depth of the mean profile's maximum and its statistical error, in radiation lengths.

    As in the review, a gamma distribution is fitted to the profile beyond 2 X_0; here with both parameters
    free, and where the profile is above half its height. The error is that of a jackknife, because layers
    fluctuate together. Both are nan where the layers are too few for a fit.

    Raises
    ------
    InputError
        As `electromagnetic` and `matter`.
    """
    chosen = electromagnetic(showers)
    edges, shares = depths(chosen.geometry), _shares(chosen)
    height = shares.mean(axis=0) / np.diff(edges)
    first = _FIRST * slopes(chosen).mean()
    used = (edges[:-1] >= first) & (height >= _AROUND * np.nanmax(height))
    if used.sum() < _FEWEST_LAYERS:
        return np.nan, np.nan
    blocks = np.arange(len(shares)) % min(_BLOCKS, len(shares))
    count = int(blocks.max()) + 1
    whole = _fitted_maximum(edges, shares.mean(axis=0), used)
    if count == 1:
        return whole, np.nan
    without = [_fitted_maximum(edges, shares[blocks != block].mean(axis=0), used) for block in range(count)]
    return whole, float(np.sqrt((count - 1) * np.var(without)))


def containment(showers: Showers, radii: Floats) -> Containment:
    """Return the mean share of the energy within radii (K,), in Molière radii, around the shower's axis.

    The axis starts where the particle meets the front face, in the particle's direction. Shares are of what
    the calorimeter holds, so that leakage does not count.

    Raises
    ------
    InputError
        As `electromagnetic` and `matter`.
    """
    chosen = electromagnetic(showers)
    weights, used = _layer_weights(chosen.geometry)
    edges = np.append(radii * matter(chosen.geometry).moliere_radius, np.inf)
    least, most = np.zeros(len(radii)), np.zeros(len(radii))
    count = 0
    for axis, some in _by_axis(chosen):
        images = some.geometry.split(some.cells)
        total = (some.layer_energies() @ weights)[:, None]
        images, total = [image[total[:, 0] > 0] for image in images], total[total[:, 0] > 0]
        count += len(total)
        for number in np.flatnonzero(used):
            share = (images[number].reshape(len(total), -1) * (weights[number] / total)).sum(axis=0)
            near, far = _distances(some.geometry.layers[number], axis)
            least += _cumulated(far, share, edges)
            most += _cumulated(near, share, edges)
    return Containment(radii, least / max(count, 1), most / max(count, 1))


def _up_to_edges(geometry: Calorimeter, per_mm: Floats) -> Floats:
    """Sum a quantity of the slabs, given per mm, from the front face up to each edge of the layers."""
    thickness = np.array([slab.thickness for slab in geometry.slabs])
    z = np.concatenate([[0.0], np.cumsum(thickness)])
    summed = np.concatenate([[0.0], np.cumsum(per_mm * thickness)])
    edges = np.array([0.0, *(layer.z[1] for layer in geometry.layers)])
    return np.asarray(np.interp(edges, z, summed))


def _layer_weights(geometry: Calorimeter) -> tuple[Floats, NDArray[np.bool_]]:
    """Return by what each layer's visible energy is multiplied, and which layers have any."""
    share = visible_share(geometry)
    used = share > 0
    return np.divide(1.0, share, out=np.zeros(len(share)), where=used), used


def _shares(showers: Showers) -> Floats:
    """Return each shower's shares of energy in the layers, (N, L), of showers that have any."""
    weights, used = _layer_weights(showers.geometry)
    energies = showers.layer_energies() * weights
    energies = energies[energies.sum(axis=1) > 0]
    if not len(energies):
        raise InputError("The showers left no energy, so they have no profile.")
    return np.where(used, energies / energies.sum(axis=1, keepdims=True), np.nan)


def _fitted_maximum(edges: Floats, shares: Floats, used: NDArray[np.bool_]) -> float:
    def model(_: Floats, scale: float, t_max: float, b: float) -> Floats:
        return np.asarray(scale * np.diff(gammainc(1 + b * t_max, b * edges))[used])

    guess = (1.0, float(edges[int(np.nanargmax(shares / np.diff(edges)))]) + 0.5, _SHAPE)
    limits = ((0.0, 0.0, 0.05), (10.0, float(edges[-1]), 5.0))
    middles = (edges[:-1] + edges[1:])[used] / 2
    return float(curve_fit(model, middles, shares[used], guess, bounds=limits)[0][1])


Axis = tuple[float, float, float, float]
"""Where a particle enters (eta and phi in mm) and its direction (theta and phi in rad)."""


def _by_axis(showers: Showers) -> Iterator[tuple[Axis, Showers]]:
    """Return the showers in groups that have one axis."""
    axes = np.column_stack([showers.incident.position, showers.incident.direction]).astype(float)
    unique, group = np.unique(axes, axis=0, return_inverse=True)
    for number, (eta, phi, theta, azimuth) in enumerate(unique.tolist()):
        yield (eta, phi, theta, azimuth), showers[group.ravel() == number]


def _distances(layer: Layer | RingLayer, axis: Axis) -> tuple[Floats, Floats]:
    """Return how far the nearest and the farthest point of each cell is from an axis, (n_cells,) in mm.

    Looked at are nine points of a cell, in the layer's middle plane.
    """
    eta, phi = _points(layer)
    enters_eta, enters_phi, theta, azimuth = axis
    way = np.tan(theta) * sum(layer.z) / 2
    eta = eta - enters_eta - way * np.cos(azimuth)
    phi = phi - enters_phi - way * np.sin(azimuth)
    along = np.sin(theta) * (eta * np.cos(azimuth) + phi * np.sin(azimuth))
    distance = np.sqrt(np.maximum(eta**2 + phi**2 - along**2, 0.0)).reshape(9, -1)
    return distance.min(axis=0), distance.max(axis=0)


def _points(layer: Layer | RingLayer) -> tuple[Floats, Floats]:
    """Return eta and phi (mm) of corners, middles of edges and centre of each cell, (3, 3, rows, columns)."""
    if isinstance(layer, RingLayer):
        alpha, r = _three(layer.alpha_edges), _three(layer.r.edges)
        alpha, r = alpha[:, None, :, None], r[None, :, None, :]
        return r * np.cos(alpha), r * np.sin(alpha)
    phi, eta = _three(layer.phi.edges)[:, None, :, None], _three(layer.eta.edges)[None, :, None, :]
    shape = np.broadcast_shapes(phi.shape, eta.shape)
    return np.broadcast_to(eta, shape), np.broadcast_to(phi, shape)


def _three(edges: Floats) -> Floats:
    """Return begin, middle and end of each bin, (3, n)."""
    return np.stack([edges[:-1], (edges[:-1] + edges[1:]) / 2, edges[1:]])


def _cumulated(distance: Floats, share: Floats, edges: Floats) -> Floats:
    """Sum the shares of the cells up to each radius."""
    order = np.searchsorted(edges[:-1], distance * (1 - 1e-12))
    return np.cumsum(np.bincount(order, share, minlength=len(edges)), dtype=float)[: len(edges) - 1]
