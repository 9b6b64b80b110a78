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
    """Radius of the cylinder around the calorimeter's axis that contains a given share of the energy.

    The energy of a cell counts at the distance of its centre from the axis. Between two such distances the
    contained energy is interpolated linearly, so the radius is not limited to positions of cells. nan for a
    shower without energy. For electromagnetic showers in small cells, 0.9 gives the Molière radius.

    Parameters
    ----------
    share
        Between 0 and 1.

    Examples
    --------
    >>> import numpy as np
    >>> from caloforge import Incident, Showers
    >>> showers = Showers("calogan", np.ones((1, 504)), Incident(22, 1000.0))  # 1 MeV in each cell
    >>> ContainmentRadius(0.5)(showers).round(1), ContainmentRadius(0.9)(showers).round(1)
    (array([184.6]), array([260.]))
    """

    share: float = 0.9

    group = "width"
    unit = "mm"
    citation = "Grindhammer, Peters, arXiv:hep-ex/0001020"

    @classmethod
    def every(cls, geometry: Calorimeter) -> tuple[Self, ...]:
        """Return the radii of 50 % and of 90 % of the energy."""
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
        # A first point (0, 0): the line to the innermost cells starts on the axis.
        radii, within = np.append(0.0, radii), np.pad(within, ((0, 0), (1, 0)))
        rows = np.arange(len(showers))
        low, high = within[rows, beyond], within[rows, beyond + 1]
        # In a shower without energy the profile is flat everywhere: nan instead of a division by 0.
        step = (wanted[:, 0] - low) / np.where(high > low, high - low, np.nan)
        return np.asarray(radii[beyond] + step * (radii[beyond + 1] - radii[beyond]))


ENTRY = ContainmentRadius
