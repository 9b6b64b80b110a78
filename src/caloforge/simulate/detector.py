"""The calorimeter as Geant4 sees it, with native scoring in every cell.

Only the worker process imports this module: it needs Geant4's data variables to be set before.
"""

from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from geant4_pybind import (
    G4Box,
    G4LogicalVolume,
    G4MultiFunctionalDetector,
    G4NistManager,
    G4PSEnergyDeposit3D,
    G4PVPlacement,
    G4PVReplica,
    G4SDManager,
    G4ThreeVector,
    G4VPhysicalVolume,
    G4VUserDetectorConstruction,
    kXAxis,
    kYAxis,
)

from caloforge.errors import GeometryError
from caloforge.geometry import Calorimeter
from caloforge.simulate.slabs import Piece, pieces, pitch, span

T = TypeVar("T")

_VACUUM = "G4_Galactic"
_MARGIN = 1.2  # the world's size over the calorimeter's; the gap is vacuum


@dataclass(frozen=True)
class Scorer:
    """One hits collection: the deposits in one role's material of one layer."""

    collection: str
    layer: int
    role: str


class Detector(G4VUserDetectorConstruction):  # type: ignore[misc]  # Geant4 has no types
    """Layers, each cut into cells by two nested replicas, each cell a stack of slabs.

    Replicas cost the navigation nothing, however fine they are; placements would. All slabs of a cell carry
    the copy number 0, so that one entry of a hits map is one cell and role.

    Parameters
    ----------
    calorimeter
        Its axes must be uniform, which is what replicas can do.
    """

    def __init__(self, calorimeter: Calorimeter) -> None:
        super().__init__()
        self.calorimeter = calorimeter
        self.scorers: list[Scorer] = []
        self._slabs: dict[tuple[int, str, str, float], G4LogicalVolume] = {}
        self._kept: list[object] = []  # Geant4 holds bare pointers: Python must not drop what they point to

    def Construct(self) -> G4VPhysicalVolume:  # noqa: N802
        """Build the world: vacuum, and the calorimeter with its front face at z = 0."""
        layers = self.calorimeter.layers
        axes = [axis for layer in layers for axis in (layer.eta, layer.phi)]
        reach = 2 * max(float(np.abs(axis.edges).max()) for axis in axes)
        depth = 2 * self.calorimeter.depth
        world = self._box("world", (_MARGIN * reach, _MARGIN * reach, _MARGIN * depth), _VACUUM)
        for number in range(len(layers)):
            self._place_layer(number, world)
        return self._keep(G4PVPlacement(None, G4ThreeVector(), world, "world", None, False, 0, False))

    def ConstructSDandField(self) -> None:  # noqa: N802
        """Attach one energy scorer to each layer and role."""
        made: dict[tuple[int, str], G4MultiFunctionalDetector] = {}
        for (number, role, _, _), volume in self._slabs.items():
            if (number, role) not in made:
                made[number, role] = self._scorer(number, role)
            self.SetSensitiveDetector(volume, made[number, role])

    def _scorer(self, number: int, role: str) -> G4MultiFunctionalDetector:
        layer = self.calorimeter.layers[number]
        name = f"layer{number}-{role}"
        detector = self._keep(G4MultiFunctionalDetector(name))
        # The last three are depths in the tree of volumes: a slab (0) lies in a cell (1) of a column (2).
        deposit = self._keep(G4PSEnergyDeposit3D("deposit", layer.n_phi, layer.n_eta, 1, 2, 1, 0))
        detector.RegisterPrimitive(deposit)
        G4SDManager.GetSDMpointer().AddNewDetector(detector)
        self.scorers.append(Scorer(f"{name}/deposit", number, role))
        return detector

    def _place_layer(self, number: int, world: G4LogicalVolume) -> None:
        layer = self.calorimeter.layers[number]
        low, high = layer.z
        (width, x), (height, y) = span(layer.phi), span(layer.eta)
        dx, dy = pitch(layer.phi), pitch(layer.eta)
        box = self._box(f"layer{number}", (width, height, high - low), _VACUUM)
        column = self._box(f"column{number}", (dx, height, high - low), _VACUUM)
        cell = self._box(f"cell{number}", (dx, dy, high - low), _VACUUM)
        for piece in pieces(self.calorimeter, number):
            slab = self._slab(piece, number, (dx, dy))
            self._place(slab, cell, (0.0, 0.0, (piece.low + piece.high - low - high) / 2))
        self._keep(G4PVReplica(f"cell{number}", cell, column, kYAxis, layer.n_eta, dy))
        self._keep(G4PVReplica(f"column{number}", column, box, kXAxis, layer.n_phi, dx))
        self._place(box, world, (x, y, (low + high) / 2))

    def _slab(self, piece: Piece, number: int, size: tuple[float, float]) -> G4LogicalVolume:
        thickness = round(piece.high - piece.low, 6)
        key = (number, piece.role, piece.material, thickness)
        if key not in self._slabs:
            self._slabs[key] = self._box(f"{piece.role}{number}", (*size, thickness), piece.material)
        return self._slabs[key]

    def _place(
        self, volume: G4LogicalVolume, mother: G4LogicalVolume, at: tuple[float, float, float]
    ) -> None:
        self._keep(G4PVPlacement(None, G4ThreeVector(*at), volume, volume.GetName(), mother, False, 0, False))

    def _box(self, name: str, size: tuple[float, float, float], material: str) -> G4LogicalVolume:
        """A box of full edge lengths in mm, which is Geant4's unit too."""
        solid = self._keep(G4Box(name, *(length / 2 for length in size)))
        substance = self._keep(G4NistManager.Instance().FindOrBuildMaterial(material))
        return self._keep(G4LogicalVolume(solid, substance, name))

    def _keep(self, thing: T) -> T:
        self._kept.append(thing)
        return thing


def check_materials(calorimeter: Calorimeter) -> None:
    """Refuse a calorimeter with a material that Geant4 does not have."""
    for name in sorted({slab.material for stack in calorimeter.stack for slab in stack.slabs}):
        if G4NistManager.Instance().FindOrBuildMaterial(name) is None:
            raise GeometryError(
                f"Geant4 has no material '{name}': name one of its NIST materials, such as G4_Pb or G4_lAr."
            )
