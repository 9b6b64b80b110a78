"""How far a shower's centre moves from one layer to another."""

from dataclasses import dataclass
from typing import Self

import numpy as np

from caloforge.geometry import Calorimeter
from caloforge.observables._shared import moments
from caloforge.observables.base import GEOMETRY_AWARE, Floats, Observable, layer_has
from caloforge.showers import Showers

__all__ = ["ENTRY", "CentreDistance"]


@dataclass(frozen=True)
class CentreDistance(Observable):
    r"""Distance of the centres of two layers, $\sqrt{(\Delta\bar\eta)^2 + (\Delta\bar\phi)^2}$.

    nan where either of the layers is empty. The layers may have different cells.

    Parameters
    ----------
    layer, behind
        Numbers of the two layers, from 0.

    Examples
    --------
    >>> import numpy as np
    >>> from caloforge import Incident, Showers
    >>> showers = Showers("calogan", np.ones((1, 504)), Incident(22, 1000.0))  # 1 MeV in each cell
    >>> CentreDistance(0, 1)(showers).round(3)  # the same centre in both layers
    array([0.])
    """

    layer: int
    behind: int

    group = "centre"
    unit = "mm"
    citation = f"{GEOMETRY_AWARE}, Fig. 5"

    @classmethod
    def every(cls, geometry: Calorimeter) -> tuple[Self, ...]:
        """Return the distances of layers that follow each other, where both have centres in eta and phi."""
        there = [layer_has(layer, "eta") for layer in geometry.layers]
        return tuple(cls(i, i + 1) for i in range(len(there) - 1) if there[i] and there[i + 1])

    @property
    def name(self) -> str:
        """``centre_distance_i_j``."""
        return f"centre_distance_{self.layer}_{self.behind}"

    @property
    def symbol(self) -> str:
        """Delta with the layers."""
        return rf"\Delta_{{{self.layer},{self.behind}}}"

    @property
    def label(self) -> str:
        """The quantity in words."""
        return f"distance of the centres of layers {self.layer} and {self.behind}"

    def __call__(self, showers: Showers) -> Floats:
        """Return the distance, (N,) in mm."""
        eta, phi = (
            moments(showers, self.behind, axis).mean - moments(showers, self.layer, axis).mean
            for axis in ("eta", "phi")
        )
        # The nan of an empty layer passes through.
        return np.hypot(eta, phi)


ENTRY = CentreDistance
