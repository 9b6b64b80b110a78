"""Makes solids, logical volumes and placements of Geant4, and keeps them as long as Geant4 needs them.

Only the worker process imports this module: it needs Geant4's data variables to be set before.
"""

from typing import TypeVar

from geant4_pybind import (
    EAxis,
    G4Box,
    G4LogicalVolume,
    G4NistManager,
    G4PVPlacement,
    G4PVReplica,
    G4ThreeVector,
    G4Tubs,
    G4VPhysicalVolume,
    G4VSolid,
)

__all__ = ["Volumes"]

T = TypeVar("T")

_VACUUM = "G4_Galactic"


class Volumes:
    """Makes volumes from full lengths in mm, which is Geant4's unit too, and angles in rad."""

    def __init__(self) -> None:
        self._kept: list[object] = []  # Geant4 holds bare pointers: Python must not drop what they point to

    def keep(self, thing: T) -> T:
        """Keep a thing alive as long as this object."""
        self._kept.append(thing)
        return thing

    def box(
        self, name: str, length: float, material: str = _VACUUM, *, size: tuple[float, float]
    ) -> G4LogicalVolume:
        """Make a box of a length along z and a size along x and y."""
        # Geant4 takes half lengths.
        solid = G4Box(name, size[0] / 2, size[1] / 2, length / 2)
        return self._logical(solid, material)

    def tube(
        self,
        name: str,
        length: float,
        material: str = _VACUUM,
        *,
        radii: tuple[float, float],
        angles: tuple[float, float],
    ) -> G4LogicalVolume:
        """Make a tube of a length along z, between two radii; the angles are the first one and the range."""
        solid = G4Tubs(name, *radii, length / 2, *angles)
        return self._logical(solid, material)

    def place(
        self,
        volume: G4LogicalVolume,
        mother: G4LogicalVolume | None,
        at: tuple[float, float, float] = (0.0, 0.0, 0.0),
        number: int = 0,
    ) -> G4VPhysicalVolume:
        """Put a volume into another; without another it is the world."""
        name = volume.GetName()
        return self.keep(G4PVPlacement(None, G4ThreeVector(*at), volume, name, mother, False, number, False))

    def replicate(
        self,
        volume: G4LogicalVolume,
        mother: G4LogicalVolume,
        axis: EAxis,
        n: int,
        width: float,
        offset: float = 0.0,
    ) -> None:
        """Fill a volume with n copies of another along an axis."""
        self.keep(G4PVReplica(volume.GetName(), volume, mother, axis, n, width, offset))

    def _logical(self, solid: G4VSolid, material: str) -> G4LogicalVolume:
        substance = self.keep(G4NistManager.Instance().FindOrBuildMaterial(material))
        return self.keep(G4LogicalVolume(self.keep(solid), substance, solid.GetName()))
