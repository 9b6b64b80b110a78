"""The energy that leaves the world: what a shower had and no cell got.

Only the worker process imports this module: it needs Geant4's data variables to be set before.
"""

from geant4_pybind import (
    G4HCofThisEvent,
    G4ParticleDefinition,
    G4Step,
    G4TouchableHistory,
    G4VSensitiveDetector,
)

__all__ = ["Leakage", "rest_energy"]

_NEUTRINOS = (12, 14, 16)
_ELECTRON = 11


class Leakage(G4VSensitiveDetector):  # type: ignore[misc]  # Geant4 has no types
    """Adds up the available energy of the particles that leave the world, neutrinos apart.

    It watches the world's own volume alone, the vacuum around the calorimeter, so it is asked about a
    hundred times a shower and not at every step.

    Attributes
    ----------
    energy
        Of the shower, in MeV.
    """

    def __init__(self) -> None:
        super().__init__("leakage")
        self.energy = 0.0
        self._rest: dict[int, float] = {}

    def Initialize(self, collections: G4HCofThisEvent) -> None:  # noqa: N802
        """Begin a shower."""
        self.energy = 0.0

    def ProcessHits(self, step: G4Step, history: G4TouchableHistory) -> bool:  # noqa: N802
        """Look at a step in the vacuum."""
        track = step.GetTrack()
        if track.GetNextVolume() is None:
            self._add(track.GetKineticEnergy(), track.GetDefinition())
        return True

    def _add(self, kinetic: float, particle: G4ParticleDefinition) -> None:
        pdg = particle.GetPDGEncoding()
        if abs(pdg) in _NEUTRINOS:
            return
        if pdg not in self._rest:
            self._rest[pdg] = rest_energy(particle)
        self.energy += kinetic + self._rest[pdg]


def rest_energy(particle: G4ParticleDefinition) -> float:
    """Return how much of a particle's rest energy a calorimeter can get, in MeV.

    Electrons, nucleons and nuclei keep theirs, antiparticles of these annihilate with one, all others decay
    or are captured.
    """
    mass = float(particle.GetPDGMass())
    number = particle.GetBaryonNumber() or int(particle.GetPDGEncoding() == _ELECTRON)
    if particle.GetPDGEncoding() == -_ELECTRON:
        number = -1
    if number == 0:
        return mass
    return 0.0 if number > 0 else 2 * mass
