"""Shower shapes: one quantity per file, each an entry of the catalogue ``observables``.

>>> from caloforge import generate, observables
>>> showers = generate("gamma", energy="1:100", n=100)
>>> found = {observable.name: observable(showers) for observable in observables.every(showers.geometry)}
>>> found["response"].shape
(100,)
>>> from caloforge.observables.lateral_width import LateralWidth
>>> width = LateralWidth(layer=1, axis="eta")
>>> width(showers).shape  # in cells
(100,)
"""

from caloforge import catalog
from caloforge.geometry import Calorimeter
from caloforge.observables._challenge import high_level
from caloforge.observables._profiles import SPECTRUM_EDGES, cell_spectrum, energy_within
from caloforge.observables._thresholds import THRESHOLDS, above
from caloforge.observables.base import GROUPS, LayerObservable, Observable, ShowerObservable

__all__ = [
    "GROUPS",
    "SPECTRUM_EDGES",
    "THRESHOLDS",
    "LayerObservable",
    "Observable",
    "ShowerObservable",
    "above",
    "cell_spectrum",
    "energy_within",
    "every",
    "high_level",
]


def every(geometry: Calorimeter) -> tuple[Observable, ...]:
    """Return all observables of the catalogue that a calorimeter has.

    They are sorted by group (`GROUPS`). Within a group, observables of the whole shower come before those of
    single layers; each of these two sets is in the order of file names, then of layers.

    Examples
    --------
    >>> from caloforge.geometry import Calorimeter
    >>> [observable.name for observable in every(Calorimeter.load("calogan"))[:3]]
    ['response', 'total_energy', 'layer_energy_0']
    """
    kinds: list[type[Observable]] = [
        catalog.load("observables", name) for name in catalog.names("observables")
    ]
    ordered = sorted(
        kinds, key=lambda kind: (GROUPS.index(kind.group), not issubclass(kind, ShowerObservable))
    )
    return tuple(observable for kind in ordered for observable in kind.every(geometry))
