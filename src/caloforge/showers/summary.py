"""A sample in a few numbers, gathered batch by batch."""

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from caloforge.showers.showers import Showers

__all__ = ["Sample", "add"]


@dataclass
class Sample:
    """The showers of one incident particle.

    Attributes
    ----------
    number
        How many showers there are.
    low, high
        Bounds of the incident energies in MeV.

    Examples
    --------
    >>> from caloforge import Incident
    >>> sample = Sample(n_layers=3)
    >>> sample.add(Showers("calogan", np.ones((2, 504)), Incident(22, [1e3, 2e3])))
    >>> sample.number, sample.response, sample.layer_fractions.round(3)
    (2, 0.378, array([0.571, 0.286, 0.143]))
    """

    n_layers: int
    number: int = 0
    low: float = np.inf
    high: float = 0.0
    _response: float = 0.0
    _cells_hit: int = 0
    _with_energy: int = 0
    _fractions: npt.NDArray[np.float64] = field(init=False)

    def __post_init__(self) -> None:
        self._fractions = np.zeros(self.n_layers)

    def add(self, showers: Showers) -> None:
        """Add showers, at least one."""
        layers = showers.layer_energies()
        total = layers.sum(axis=1)
        some = total > 0
        self.number += len(showers)
        self.low = min(self.low, float(showers.energy.min()))
        self.high = max(self.high, float(showers.energy.max()))
        self._response += float((total / showers.energy).sum())
        self._cells_hit += int(np.count_nonzero(showers.cells))
        self._with_energy += int(some.sum())
        # Sums only, so that a file larger than the memory can be read in batches.
        self._fractions += (layers[some] / total[some, None]).sum(axis=0)

    @property
    def response(self) -> float:
        """Mean of E_tot / E: visible energy over incident kinetic energy."""
        return self._response / self.number

    @property
    def layer_fractions(self) -> npt.NDArray[np.float64]:
        """Mean of E_i / E_tot in each layer, (L,), over the showers that left any energy."""
        return self._fractions / max(1, self._with_energy)

    @property
    def cells_hit(self) -> float:
        """Mean number of cells above 0."""
        return self._cells_hit / self.number


def add(samples: dict[int, Sample], showers: Showers) -> None:
    """Add a batch of showers to the samples, which are stored by PDG id."""
    for pdg in np.unique(showers.pdg).tolist():
        sample = samples.setdefault(pdg, Sample(len(showers.geometry.layers)))
        sample.add(showers[showers.pdg == pdg])
