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

    Energy of each layer and in total; centres and widths in eta, phi and r in mm; share of hit voxels. Layers
    of whole rings have no centres or widths in eta and phi. The challenge first applies its threshold to all
    showers (`above`).

    Three conventions differ. Centres and widths of empty layers are 0 in the challenge's code and nan here;
    its sparsity is the share of empty voxels, 1 minus the one here; and it also uses the incident energy as a
    feature, which showers have as ``energy``.

    References
    ----------
    Krause et al., arXiv:2410.21611.

    Examples
    --------
    >>> from caloforge.geometry import Calorimeter
    >>> features = high_level(Calorimeter.load("calogan"))
    >>> len(features), [feature.name for feature in features[:4]]
    (25, ['layer_energy_0', 'layer_energy_1', 'layer_energy_2', 'centre_0_eta'])
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
