"""The high-level features of the Fast Calorimeter Simulation Challenge 2022."""

from collections.abc import Sequence
from itertools import chain

from caloforge.geometry import Calorimeter
from caloforge.observables.base import Observable, layer_has
from caloforge.observables.centre import Centre
from caloforge.observables.lateral_width import LateralWidth
from caloforge.observables.layer_energy import LayerEnergy
from caloforge.observables.radial_width import RadialWidth
from caloforge.observables.sparsity import Sparsity
from caloforge.observables.total_energy import TotalEnergy

__all__ = ["high_level"]


def high_level(geometry: Calorimeter) -> tuple[Observable, ...]:
    """Return the features by which the Fast Calorimeter Simulation Challenge 2022 compares showers.

    Energies of layers and of all; centres and widths in eta, phi and r in mm; the share of hit voxels. Of
    whole rings there are neither centres nor widths in eta and phi. The challenge applies its threshold to
    all showers first (`above`).

    Three conventions differ. The challenge's code gives centres and widths of empty layers as 0, here they
    are nan; its sparsity is the share of empty voxels, 1 minus the one here; and to the features it adds the
    incident energy, which showers have in ``energy``.

    References
    ----------
    Krause et al., arXiv:2410.21611.
    """
    angular = [i for i, layer in enumerate(geometry.layers) if layer_has(layer, "eta")]
    families: list[Sequence[Observable]] = [
        LayerEnergy.every(geometry),
        [Centre(i, "eta") for i in angular],
        [Centre(i, "phi") for i in angular],
        [LateralWidth(i, "eta", "mm") for i in angular],
        [LateralWidth(i, "phi", "mm") for i in angular],
        TotalEnergy.every(geometry),
        Sparsity.every(geometry),
        [Centre(i, "r") for i in range(len(geometry.layers))],
        RadialWidth.every(geometry),
    ]
    return tuple(chain.from_iterable(families))
