"""Radius of the cylinder that holds most of a shower."""

from dataclasses import dataclass
from typing import Self

import numpy as np

from caloforge.geometry import Calorimeter
from caloforge.observables._profiles import energy_within
from caloforge.observables.base import Floats, ShowerObservable
from caloforge.showers import Showers

__all__ = ["ENTRY", "ContainmentRadius"]


@dataclass(frozen=True)
class ContainmentRadius(ShowerObservable):
    """Containment radius: a cylinder of it around the calorimeter's axis holds a share of the energy.

    Energy counts at the distance of its cell's centre from the axis; between two such distances the energy
    within grows linearly, so that the radius is not bound to the cells. nan for a shower without energy.
    With 0.9, for electromagnetic showers in small cells, the Molière radius.

    Parameters
    ----------
    share
        Between 0 and 1.
    """

    share: float = 0.9

    group = "width"
    unit = "mm"
    citation = "Grindhammer, Peters, arXiv:hep-ex/0001020"

    @classmethod
    def every(cls, geometry: Calorimeter) -> tuple[Self, ...]:
        """Return the radii of a half and of nine tenths of the energy."""
        return cls(0.5), cls(0.9)

    @property
    def name(self) -> str:
        """``radius_``, with the share in percent."""
        return f"radius_{100 * self.share:.4g}".replace(".", "_")

    @property
    def symbol(self) -> str:
        """R with the share in percent."""
        return f"R_{{{100 * self.share:.4g}}}"

    @property
    def label(self) -> str:
        """The quantity in words."""
        return f"radius of {100 * self.share:.4g} % of the energy"

    def __call__(self, showers: Showers) -> Floats:
        """Return the radius, (N,) in mm."""
        radii, within = energy_within(showers.geometry, showers.cells)
        wanted = self.share * within[:, -1:]
        beyond = np.minimum((within < wanted).sum(axis=1), len(radii) - 1)
        radii, within = np.append(0.0, radii), np.pad(within, ((0, 0), (1, 0)))
        rows = np.arange(len(showers))
        low, high = within[rows, beyond], within[rows, beyond + 1]
        step = (wanted[:, 0] - low) / np.where(high > low, high - low, np.nan)
        return np.asarray(radii[beyond] + step * (radii[beyond + 1] - radii[beyond]))


ENTRY = ContainmentRadius
