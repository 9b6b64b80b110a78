"""Energy profiles of electromagnetic showers, compared with the textbook formula.

Depths are along z, in radiation lengths of the calorimeter's mean material; the shower of a particle at an
angle theta to z is therefore shorter by cos(theta). Radii are in Molière radii of this material. The formulas
are those of the Particle Data Group, Review of Particle Physics 2024, Sec. 34.5.

If only part of the material is visible, the energy of a layer is divided by the visible share of the
ionisation loss in it, so that plates of different thicknesses give about one profile. (Behind thicker plates
a shower's signal is smaller relative to that of a minimum ionising particle; no weight corrects this.)
Profiles are shares of the energy in the whole calorimeter, so a scale that all layers have in common cancels.
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
"""Radius in R_M and the share of the energy inside it: PDG Sec. 34.5; for 2 R_M Grupen and Shwartz, Particle
Detectors (2008), Sec. 8.1."""

_SHAPE = 0.5  # b of the gamma distribution: "for many purposes it is sufficient to take b = 0.5"
_BEGIN = {11: -0.5, -11: -0.5, 22: +0.5}  # C_j of electrons (positrons) and photons
_FIRST = 2.0  # X_0 in which the gamma distribution fails; the review's fits leave them out
_AROUND = 0.5  # of the highest share; lower layers are left out of the fit of the maximum
_FEWEST_LAYERS = 6  # for a fit of three parameters
_BLOCKS = 10  # of the jackknife


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

    Examples
    --------
    >>> from caloforge import generate
    >>> showers = generate("gamma", energy="50", n=200, seed=1)
    >>> longitudinal(showers).error.shape
    (3,)
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
        Share in the cells that lie completely within the radius, and in those that lie at least partly within
        it, (K,). The true share is between the two.

    Examples
    --------
    >>> from caloforge import generate
    >>> showers = generate("gamma", energy="50", n=200, seed=1)
    >>> containment(showers, np.array([1.0, 2.0])).radii
    array([1., 2.])
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

    Examples
    --------
    >>> import numpy as np
    >>> from caloforge import Incident, Showers
    >>> mixed = Showers("calogan", np.ones((2, 504)), Incident([22, 211], 1000.0))
    >>> electromagnetic(mixed)
    <1 showers in calogan>
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

    Examples
    --------
    >>> from caloforge.geometry import Calorimeter
    >>> calogan = Calorimeter.load("calogan")
    >>> round(matter(calogan).radiation_length, 1)
    15.6
    """
    if not geometry.stack:
        raise InputError(f"The materials of {geometry.name} are unknown, so it has no radiation length.")
    return materials.mixture([(materials.load(slab.material), slab.thickness) for slab in geometry.slabs])


def depths(geometry: Calorimeter) -> Floats:
    """Return where layers begin and end, (L + 1,) in radiation lengths; raises like `matter`.

    Examples
    --------
    >>> from caloforge.geometry import Calorimeter
    >>> calogan = Calorimeter.load("calogan")
    >>> depths(calogan).round(1)
    array([ 0. ,  5.8, 28.1, 30.8])
    """
    matter(geometry)
    inverse = [1 / materials.load(slab.material).radiation_length for slab in geometry.slabs]
    return _up_to_edges(geometry, np.array(inverse))


def visible_share(geometry: Calorimeter) -> Floats:
    """Return the visible share of the ionisation loss in each layer, (L,) from 0 to 1; raises like `matter`.

    Examples
    --------
    >>> from caloforge.geometry import Calorimeter
    >>> calogan = Calorimeter.load("calogan")
    >>> visible_share(calogan)
    array([1., 1., 1.])
    """
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
        11, -11 or 22: one per energy, or one for all.

    Examples
    --------
    >>> t_max = maximum(10_000.0, 22, materials.load("G4_Pb"))  # a photon of 10 GeV
    >>> round(float(t_max), 1)
    7.7
    """
    # Below E_c the logarithm is negative, but no shower has its maximum in front of the calorimeter.
    begin = np.select([np.equal(pdg, particle) for particle in _BEGIN], list(_BEGIN.values()))
    return np.asarray(np.maximum(np.log(np.asarray(energy) / material.critical_energy) + begin, 0.0))


def uncertainty(t_max: Floats | float) -> Floats:
    """Return how far the formula for t_max can be off because of rounding alone, in radiation lengths.

    The review rounds the factor in front of the bracket to 1.0 and the C_j to multiples of 0.5.

    Examples
    --------
    >>> float(uncertainty(8.0))
    0.65
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

    Examples
    --------
    >>> contained(np.array([5.0, 10.0, 25.0]), np.array([6.0])).round(2)
    array([[0.24, 0.73, 1.  ]])
    """
    # The maximum is at (a - 1) / b, so a = 1 + b t_max; gammainc(a, b t) integrates the distribution up to t.
    along = t[None, :] / np.broadcast_to(slope, t_max.shape)[:, None]
    return np.asarray(gammainc(1 + _SHAPE * t_max[:, None], _SHAPE * along), dtype=float)


def slopes(showers: Showers) -> Floats:
    """Return cos(theta) of every incident particle, (N,): the distance along z per distance along its axis.

    Examples
    --------
    >>> from caloforge import Incident, Showers
    >>> tilted = Showers("calogan", np.ones((1, 504)), Incident(22, 1000.0, direction=(np.pi / 3, 0.0)))
    >>> slopes(tilted).round(3)
    array([0.5])
    """
    return np.asarray(np.cos(showers.incident.direction[:, 0].astype(float)))


def textbook(showers: Showers, edges: Floats) -> Floats:
    """Return the textbook's mean profile of these showers: share per radiation length between edges (T,).

    Shares refer to the energy between 0 and the end of the calorimeter.

    Raises
    ------
    InputError
        As `electromagnetic` and `matter`.

    Examples
    --------
    >>> from caloforge import generate
    >>> showers = generate("gamma", energy="50", n=200, seed=1)
    >>> textbook(showers, np.array([0.0, 5.0, 10.0, 20.0])).round(3)
    array([0.013, 0.079, 0.049])
    """
    chosen = electromagnetic(showers)
    t_max, slope = maximum(chosen.energy, chosen.pdg, matter(chosen.geometry)), slopes(chosen)
    # Divided per shower before the mean, as measured showers are: leakage differs from shower to shower.
    inside = contained(depths(chosen.geometry)[-1:], t_max, slope)
    shares = np.diff(contained(edges, t_max, slope), axis=1) / inside
    return np.asarray(shares.mean(axis=0) / np.diff(edges))


def longitudinal(showers: Showers) -> Longitudinal:
    """Return the mean longitudinal profile of the showers of e-, e+ and gamma that left any energy.

    Raises
    ------
    InputError
        As `electromagnetic` and `matter`.

    Examples
    --------
    >>> from caloforge import generate
    >>> showers = generate("gamma", energy="50", n=200, seed=1)
    >>> profile = longitudinal(showers)
    >>> profile.edges.round(1), profile.share.shape
    (array([ 0. ,  5.8, 28.1, 30.8]), (3,))
    """
    chosen = electromagnetic(showers)
    edges = depths(chosen.geometry)
    shares = _shares(chosen) / np.diff(edges)
    spread = shares.std(axis=0, ddof=1) if len(shares) > 1 else np.full(shares.shape[1], np.nan)
    return Longitudinal(edges, shares.mean(axis=0), spread / np.sqrt(len(shares)))


def found_maximum(showers: Showers) -> tuple[float, float]:
    """Return the depth of the mean profile's maximum and its statistical error, in radiation lengths.

    As in the review, a gamma distribution is fitted to the profile beyond 2 X_0, here with both parameters
    free and only where the profile is above half its height. The error is from a jackknife, because the
    layers of a shower are correlated. Both are nan if there are too few layers for a fit.

    Raises
    ------
    InputError
        As `electromagnetic` and `matter`.

    Examples
    --------
    >>> from caloforge import generate
    >>> showers = generate("gamma", energy="50", n=200, seed=1)
    >>> found_maximum(showers)  # three layers are too few for a fit
    (nan, nan)
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
    # Delete-one-block jackknife: its variance is (k - 1) / k times the sum of squares, (k - 1) times np.var.
    without = [_fitted_maximum(edges, shares[blocks != block].mean(axis=0), used) for block in range(count)]
    return whole, float(np.sqrt((count - 1) * np.var(without)))


def containment(showers: Showers, radii: Floats) -> Containment:
    """Return the mean share of the energy within radii (K,), in Molière radii, around the shower's axis.

    The axis starts where the particle meets the front face and points in the particle's direction. Shares
    refer to the energy in the calorimeter, without leakage.

    Raises
    ------
    InputError
        As `electromagnetic` and `matter`.

    Examples
    --------
    >>> from caloforge import generate
    >>> showers = generate("gamma", energy="50", n=200, seed=1)
    >>> result = containment(showers, np.array([1.0, 2.0]))
    >>> bool((result.least <= result.most).all())
    True
    """
    chosen = electromagnetic(showers)
    weights, used = _layer_weights(chosen.geometry)
    # A last, infinite radius collects the cells outside all others.
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
    # Linear between slab edges, because a layer may begin or end inside a slab.
    z = np.concatenate([[0.0], np.cumsum(thickness)])
    summed = np.concatenate([[0.0], np.cumsum(per_mm * thickness)])
    edges = np.array([0.0, *(layer.z[1] for layer in geometry.layers)])
    return np.asarray(np.interp(edges, z, summed))


def _layer_weights(geometry: Calorimeter) -> tuple[Floats, NDArray[np.bool_]]:
    """Return the factor for each layer's visible energy, and which layers have visible material."""
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
    # Integrals over layers instead of values in their middles: a layer can be thicker than the peak is wide.
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
    """Return the distance of the nearest and the farthest point of each cell from an axis, (n_cells,) in mm.

    Nine points of each cell are checked, in the middle plane of the layer.
    """
    eta, phi = _points(layer)
    enters_eta, enters_phi, theta, azimuth = axis
    way = np.tan(theta) * sum(layer.z) / 2
    eta = eta - enters_eta - way * np.cos(azimuth)
    phi = phi - enters_phi - way * np.sin(azimuth)
    # Distance to a tilted line: of the offset in the plane, the part along the line does not count.
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
    # Slightly smaller distances, so that a cell that ends exactly at a radius is inside it despite rounding.
    order = np.searchsorted(edges[:-1], distance * (1 - 1e-12))
    return np.cumsum(np.bincount(order, share, minlength=len(edges)), dtype=float)[: len(edges) - 1]
