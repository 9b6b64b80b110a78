"""Shower shapes: one per-shower quantity a file, each an entry of the catalogue ``observables``.

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

    They are in the order of their groups (`GROUPS`), in a group first those of the shower as a whole, then
    those of layers; kinds in the order of their files' names, layers in the direction of the particle.
    """
    kinds: list[type[Observable]] = [
        catalog.load("observables", name) for name in catalog.names("observables")
    ]
    ordered = sorted(
        kinds, key=lambda kind: (GROUPS.index(kind.group), not issubclass(kind, ShowerObservable))
    )
    return tuple(observable for kind in ordered for observable in kind.every(geometry))
