"""The energy that leaves the world, and so is in none of the cells.

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
    """Adds up the available energy of the particles that leave the world, except neutrinos.

    It is attached to the world's volume alone, the vacuum around the calorimeter, so it is called about a
    hundred times per shower and not at every step.

    Attributes
    ----------
    energy
        Leaked energy of the shower, in MeV.
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
        # Particles also step from the vacuum into the calorimeter: only those without a next volume leave.
        if track.GetNextVolume() is None:
            self._add(track.GetKineticEnergy(), track.GetDefinition())
        return True

    def _add(self, kinetic: float, particle: G4ParticleDefinition) -> None:
        pdg = particle.GetPDGEncoding()
        if abs(pdg) in _NEUTRINOS:
            return
        # Calls into Geant4 are slow, and there are few kinds of particles.
        if pdg not in self._rest:
            self._rest[pdg] = rest_energy(particle)
        self.energy += kinetic + self._rest[pdg]


def rest_energy(particle: G4ParticleDefinition) -> float:
    """Return how much of a particle's rest energy a calorimeter can get, in MeV.

    Electrons, nucleons and nuclei keep theirs; their antiparticles annihilate with one of them; all others
    decay or are captured.
    """
    mass = float(particle.GetPDGMass())
    # Electrons have no baryon number, but are as stable.
    number = particle.GetBaryonNumber() or int(particle.GetPDGEncoding() == _ELECTRON)
    if particle.GetPDGEncoding() == -_ELECTRON:
        number = -1
    if number == 0:
        return mass
    # An annihilation sets free the mass of the antiparticle and of its partner.
    return 0.0 if number > 0 else 2 * mass
