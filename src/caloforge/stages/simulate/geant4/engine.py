"""Geant4 itself: one run manager, its physics and its beam.

Only the worker process imports this module: it needs Geant4's data variables to be set before.
"""

import math
from collections.abc import Callable

import geant4_pybind
import numpy as np
import numpy.typing as npt
from geant4_pybind import (
    G4DecayPhysics,
    G4EmStandardPhysics,
    G4Event,
    G4IonTable,
    G4ParticleDefinition,
    G4ParticleGun,
    G4ParticleTable,
    G4Random,
    G4RunManagerFactory,
    G4RunManagerType,
    G4ThreeVector,
    G4UImanager,
    G4Version,
    G4VModularPhysicsList,
    G4VUserActionInitialization,
    G4VUserPrimaryGeneratorAction,
)

from caloforge.catalog import unknown
from caloforge.errors import InputError
from caloforge.incident.incident import Incident
from caloforge.incident.particles import particle_name
from caloforge.stages.simulate.campaign.job import Job
from caloforge.stages.simulate.geant4.detector import Detector, check_materials
from caloforge.stages.simulate.geant4.leakage import rest_energy
from caloforge.stages.simulate.geant4.readout import Deposits, Readout

__all__ = ["ELECTROMAGNETIC", "Engine", "Gun", "physics_lists", "stream"]

ELECTROMAGNETIC = "em"
"""Name of the physics list that has no hadronic interactions; all others are Geant4's own names."""

_BEFORE_THE_FACE = 1e-3  # mm of vacuum between the start of the particle and the calorimeter
_WORDS = 4  # of 32 bits, which choose a stream of the random generator
_HALF = (1 << 31) - 1
_NUCLEI = 1_000_000_000  # where the PDG's ids of nuclei begin
_NEUTRINOS = (12, 14, 16)


class Engine:
    """Geant4, set up for a job. A process can have only one, because Geant4 has one run manager per process.

    Parameters
    ----------
    job
        The showers to simulate.

    Raises
    ------
    InputError
        Geant4 does not know the physics list, the particle or a material.
    """

    def __init__(self, job: Job) -> None:
        self.job = job
        self.version = str(G4Version).strip("$ ").removeprefix("Name: ")
        check_materials(job.geometry)
        self._manager = G4RunManagerFactory.CreateRunManager(G4RunManagerType.Serial)
        self._detector = Detector(job.geometry)
        self._physics = _physics_list(job.physics)
        self._manager.SetUserInitialization(self._detector)
        self._manager.SetUserInitialization(self._physics)
        # Geant4 needs its physics before a particle gun is made.
        self._gun, self._readout = Gun(job.seed), Readout(self._detector)
        self._actions = _Actions(self._gun, self._readout)
        self._manager.SetUserInitialization(self._actions)
        _apply(*_settings(job))
        self._manager.Initialize()
        _apply(f"/run/setCut {job.range_cut} mm")
        self._gun.aim(job.beam.pdg)

    def shoot(
        self, start: int, incident: Incident, begins: Callable[[int], None], finished: Callable[[int], None]
    ) -> Deposits:
        """Simulate showers number start and following, one for each incident particle.

        ``begins`` and ``finished`` are called with a shower's number before and after each of them.
        """
        self._gun.load(start, incident, begins)
        self._readout.open(len(incident.energy), lambda index: finished(start + index))
        self._manager.BeamOn(len(incident.energy))
        return self._readout.deposits

    def available(self, energies: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Return what incident particles of these kinetic energies can deposit at most, in MeV."""
        return energies + rest_energy(self._gun.particle)


class Gun(G4VUserPrimaryGeneratorAction):  # type: ignore[misc]  # Geant4 has no types
    """Starts each shower with its incident particle, just before the front face."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        self._seed = seed
        self._gun = G4ParticleGun(1)

    def aim(self, pdg: int) -> None:
        """Choose the particle; Geant4 knows particles only after its physics is set up.

        Raises
        ------
        InputError
            Geant4 does not know the particle, or does not track it, or it is a neutrino.
        """
        self.particle = _particle(pdg)
        self._gun.SetParticleDefinition(self.particle)

    def load(self, start: int, incident: Incident, begins: Callable[[int], None]) -> None:
        """Say which showers come next."""
        self._start, self._incident, self._begins = start, incident, begins

    def GeneratePrimaries(self, event: G4Event) -> None:  # noqa: N802
        """Start a shower with a separate random stream.

        It does not depend on what was simulated before, in this process or another.
        """
        index = event.GetEventID()
        number = self._start + index
        self._begins(number)
        G4Random.setTheSeeds(stream(self._seed, number), _WORDS)
        direction = _unit_vector(*self._incident.direction[index].tolist())
        eta, phi = self._incident.position[index].tolist()
        self._gun.SetParticleMomentumDirection(direction)
        # Slightly before the face: a point on the surface of a volume belongs to either side.
        self._gun.SetParticlePosition(G4ThreeVector(phi, eta, 0.0) - direction * _BEFORE_THE_FACE)
        self._gun.SetParticleEnergy(float(self._incident.energy[index]))
        self._gun.GeneratePrimaryVertex(event)


def _particle(pdg: int) -> G4ParticleDefinition:
    """Return a particle that makes showers."""
    particle = G4ParticleTable.GetParticleTable().FindParticle(pdg)
    if particle is None and pdg > _NUCLEI:
        particle = G4IonTable.GetIonTable().GetIon(pdg)  # heavier ones are only made on request
    why = ""
    if particle is None:
        why = "it knows no such particle"
    elif abs(pdg) in _NEUTRINOS:
        why = "neutrinos fly through without a trace"
    elif particle.IsShortLived():
        why = "it does not track quarks, gluons and resonances, which never reach a calorimeter"
    if why:
        raise InputError(f"Geant4 can't shoot {particle_name(pdg)} (PDG id {pdg}): {why}.")
    return particle


def _unit_vector(theta: float, phi: float) -> G4ThreeVector:
    """A direction in Geant4's frame, in which x is phi and y is eta."""
    across = math.sin(theta)
    return G4ThreeVector(across * math.sin(phi), across * math.cos(phi), math.cos(theta))


class _Actions(G4VUserActionInitialization):  # type: ignore[misc]  # Geant4 has no types
    def __init__(self, gun: Gun, readout: Readout) -> None:
        super().__init__()
        # Kept as attributes: Geant4 holds bare pointers, which do not keep Python's objects alive.
        self._parts = (gun, readout)

    def Build(self) -> None:  # noqa: N802
        for part in self._parts:
            self.SetUserAction(part)


class _Electromagnetic(G4VModularPhysicsList):  # type: ignore[misc]  # Geant4 has no types
    def __init__(self) -> None:
        super().__init__()
        self._parts = (G4EmStandardPhysics(), G4DecayPhysics())
        for part in self._parts:
            self.RegisterPhysics(part)


def physics_lists() -> dict[str, Callable[[], G4VModularPhysicsList]]:
    """Return the physics lists by name: ours, and the reference lists that geant4-pybind has."""
    # Not from G4PhysListFactory: Python does not own what it returns, so a run manager can't take it over.
    candidates = ((name, getattr(geant4_pybind, name)) for name in dir(geant4_pybind))
    reference = {
        name: entry
        for name, entry in candidates
        if isinstance(entry, type) and issubclass(entry, G4VModularPhysicsList)
        if entry is not G4VModularPhysicsList
    }
    return {ELECTROMAGNETIC: _Electromagnetic, **reference}


def _physics_list(name: str) -> G4VModularPhysicsList:
    known = physics_lists()
    if name not in known:
        raise InputError(unknown(name, list(known), "physics lists"))
    return known[name]()


def _settings(job: Job) -> list[str]:
    """Commands that Geant4 wants before it builds its physics tables."""
    settings = ["/process/em/verbose 0", "/process/had/verbose 0", *job.commands]
    return settings if job.fluorescence else [*settings, "/process/em/fluo false"]


def _apply(*commands: str) -> None:
    # Not by G4UImanager's ApplyCommand, whose status code geant4-pybind does not return.
    tree = G4UImanager.GetUIpointer().GetTree()
    for command in commands:
        name, _, values = command.partition(" ")
        found = tree.FindPath(name)
        if found is None or not found.IsAvailable() or found.DoIt(values.strip()):
            raise InputError(
                f"Geant4 refuses the command '{command}': it does not exist at this "
                "point, or it wants other values."
            )


def stream(seed: int, number: int) -> list[int]:
    """Return the four words that choose the random stream of a shower.

    MIXMAX, the generator, has disjoint streams for different words of 32 bits each (Savvidy and Savvidy,
    Chaos, Solitons and Fractals 91, 33 (2016)). geant4-pybind takes a 0 for the end of the list and drops
    what follows, so no word but the last may be 0, and the last must be.
    """
    return [number + 1, *((seed >> shift & _HALF) + 1 for shift in (0, 31, 62)), 0]
