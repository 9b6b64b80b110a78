"""Reads out each shower: from the hits maps of Geant4 to a row of cells and the energies.

Only the worker process imports this module: it needs Geant4's data variables to be set before.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from geant4_pybind import G4Event, G4SDManager, G4UserEventAction

from caloforge.geometry import Calorimeter
from caloforge.stages.simulate.geant4.detector import Detector

__all__ = ["Deposits", "Readout"]


@dataclass
class Deposits:
    """What a run of n showers left in the calorimeter and outside, in MeV.

    Attributes
    ----------
    cells
        (n, n_cells), the deposits in the visible material.
    absorber, active
        (n,), all deposits in each kind of material.
    leaked
        (n,), energy that left the world: the kinetic energy of its particles, and the part of their rest
        energy that can be released (see `caloforge.stages.simulate.geant4.leakage`); without neutrinos.
    """

    cells: npt.NDArray[np.float32]
    absorber: npt.NDArray[np.float64]
    active: npt.NDArray[np.float64]
    leaked: npt.NDArray[np.float64]

    @classmethod
    def none(cls, n: int, n_cells: int) -> "Deposits":
        """Return room for n showers."""
        return cls(np.zeros((n, n_cells), np.float32), np.zeros(n), np.zeros(n), np.zeros(n))


class Readout(G4UserEventAction):  # type: ignore[misc]  # Geant4 has no types
    """Turns the hits maps of each shower into its row of cells."""

    def __init__(self, detector: Detector) -> None:
        super().__init__()
        self._detector = detector
        self._ids: list[int] = []

    def open(self, n: int, finished: Callable[[int], None]) -> None:
        """Make room for the next n showers; ``finished`` is called with 0 to n - 1 after each of them."""
        self._finished = finished
        self.deposits = Deposits.none(n, self._detector.calorimeter.n_cells)

    def EndOfEventAction(self, event: G4Event) -> None:  # noqa: N802
        """Read one shower."""
        index = event.GetEventID()
        cells, totals = self._read(event)
        self.deposits.cells[index] = cells
        self.deposits.absorber[index] = totals["absorber"]
        self.deposits.active[index] = totals["active"]
        self.deposits.leaked[index] = self._detector.leakage.energy
        self._finished(index)

    def _read(self, event: G4Event) -> tuple[npt.NDArray[np.float64], dict[str, float]]:
        calorimeter: Calorimeter = self._detector.calorimeter
        # Summed in double precision: a cell may get deposits of several materials.
        cells = np.zeros(calorimeter.n_cells)
        totals = {"absorber": 0.0, "active": 0.0}
        hits = event.GetHCofThisEvent()
        for scorer, number in zip(self._detector.scorers, self._collection_ids(), strict=True):
            # A dict is the fastest way out of a hits map: 2 ms for the 2,500 entries of a 50 GeV shower.
            entries = dict(hits.GetHC(number))
            energies = np.fromiter(entries.values(), np.float64, len(entries))
            totals[scorer.role] += float(energies.sum())
            if scorer.role in calorimeter.visible:
                cells[scorer.cells.ravel()[np.fromiter(entries, np.intp, len(entries))]] += energies
        return cells, totals

    def _collection_ids(self) -> list[int]:
        # The collections have numbers only after the detector is built, so they are looked up at the first
        # shower.
        if not self._ids:
            manager = G4SDManager.GetSDMpointer()
            self._ids = [manager.GetCollectionID(scorer.collection) for scorer in self._detector.scorers]
        return self._ids
