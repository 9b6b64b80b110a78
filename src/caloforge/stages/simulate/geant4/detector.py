"""The calorimeter as Geant4 sees it, with native scoring in every cell.

Only the worker process imports this module: it needs Geant4's data variables to be set before.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import pairwise

import numpy as np
import numpy.typing as npt
from geant4_pybind import (
    EAxis,
    G4LogicalVolume,
    G4MultiFunctionalDetector,
    G4NistManager,
    G4PSEnergyDeposit3D,
    G4SDManager,
    G4VPhysicalVolume,
    G4VUserDetectorConstruction,
    kPhi,
    kXAxis,
    kYAxis,
)

from caloforge.errors import GeometryError
from caloforge.geometry import Axis, Calorimeter, Layer, RingLayer
from caloforge.stages.simulate.geant4 import construction
from caloforge.stages.simulate.geant4.leakage import Leakage
from caloforge.stages.simulate.geant4.volumes import Volumes

__all__ = ["Detector", "Outline", "Scorer", "check_materials"]

Outline = Callable[..., G4LogicalVolume]
"""Makes a volume of a cell's outline from its name, its length along z in mm and its material."""

_MARGIN = 1.2  # the world's size over the calorimeter's; the gap is vacuum
# A particle on the axis of rings would be in all sectors at once, and Geant4 would be stuck for ten steps. So
# the axis is moved by a nanometre (in mm), in a direction that is not the edge of a sector.
_BESIDE_THE_BEAM = (1e-6 * math.cos(1), 1e-6 * math.sin(1))
_FULL_TURN = 2 * math.pi
# Depths, in the tree of volumes, of the copy numbers in `construction.box_cells` (column, cell, slab) and
# `construction.ring_cells` (sector, ring, slab).
_BOX_DEPTHS, _RING_DEPTHS = (2, 1, 0), (1, 2, 0)


@dataclass(frozen=True)
class Scorer:
    """One hits collection: the deposits in one role's material of one layer.

    Attributes
    ----------
    collection
        Its name.
    role
        Role of the material.
    depths
        Where in the tree of volumes the three copy numbers of a cell are, counted from the slab (0) outwards.
    cells
        The number of the cell, among those of all layers, for each three copy numbers. A key of the
        collection is the place in the flattened array.
    """

    collection: str
    role: str
    depths: tuple[int, int, int]
    cells: npt.NDArray[np.int64]


class Detector(G4VUserDetectorConstruction):  # type: ignore[misc]  # Geant4 has no types
    """Blocks of layers that are cut alike, each cut into cells, each cell a stack of slabs.

    Box cells are columns along phi, cut along eta. If the widths are equal these are replicas, which do not
    slow down the navigation, however fine they are; otherwise they are placed one by one. Rings are tubes
    that are cut into sectors by replicas. All slabs of a cell have the copy number 0, so that one entry of a
    hits map is one cell.

    Parameters
    ----------
    calorimeter
        Its materials must be known to Geant4 (see `check_materials`).
    """

    def __init__(self, calorimeter: Calorimeter) -> None:
        super().__init__()
        self.calorimeter = calorimeter
        self.scorers: list[Scorer] = []
        self.leakage = Leakage()
        self._volumes = Volumes()
        self._pieces = [construction.pieces(calorimeter, number) for number in range(len(calorimeter.layers))]
        self._slabs: dict[tuple[int, str], list[G4LogicalVolume]] = {}  # by layer and role

    def Construct(self) -> G4VPhysicalVolume:  # noqa: N802
        """Build the world: vacuum, and the calorimeter with its front face at z = 0."""
        layers = self.calorimeter.layers
        width = _MARGIN * 2 * max(layer.reach for layer in layers)
        # Twice the depth, since the world is centred at z = 0, where the front face is.
        depth = _MARGIN * 2 * self.calorimeter.depth
        self._world = self._volumes.box("world", depth, size=(width, width))
        for block in construction.blocks(self.calorimeter):
            first = layers[block.start]
            if isinstance(first, RingLayer):
                self._build_rings(first, block)
            else:
                self._build_boxes(first, block)
        return self._volumes.place(self._world, None)

    def ConstructSDandField(self) -> None:  # noqa: N802
        """Attach one energy scorer to each layer and role, and the watch on what leaves the world."""
        for (number, role), volumes in self._slabs.items():
            detector = self._scorer(number, role)
            for volume in volumes:
                self.SetSensitiveDetector(volume, detector)
        G4SDManager.GetSDMpointer().AddNewDetector(self.leakage)
        self.SetSensitiveDetector(self._world, self.leakage)

    def _scorer(self, number: int, role: str) -> G4MultiFunctionalDetector:
        layer = self.calorimeter.layers[number]
        if isinstance(layer, RingLayer):
            cells, depths = construction.ring_cells(layer), _RING_DEPTHS
        else:
            cells, depths = construction.box_cells(layer), _BOX_DEPTHS
        name = f"layer{number}-{role}"
        detector = self._volumes.keep(G4MultiFunctionalDetector(name))
        detector.RegisterPrimitive(self._volumes.keep(G4PSEnergyDeposit3D("deposit", *cells.shape, *depths)))
        # Primitives are registered first: the manager takes the names of their collections when it gets the
        # detector.
        G4SDManager.GetSDMpointer().AddNewDetector(detector)
        first = self.calorimeter.offsets[number]
        self.scorers.append(Scorer(f"{name}/deposit", role, depths, first + cells))
        return detector

    def _build_boxes(self, layer: Layer, block: range) -> None:
        low, high = self._depths(block)
        (width, x), (height, y) = construction.span(layer.phi), construction.span(layer.eta)
        box = self._volumes.box("box", high - low, size=(width, height))
        self._divide(box, kXAxis, layer.phi, lambda dx: self._column(dx, layer, block))
        self._volumes.place(box, self._world, (x, y, (low + high) / 2))

    def _column(self, dx: float, layer: Layer, block: range) -> G4LogicalVolume:
        low, high = self._depths(block)
        make = self._volumes.box
        column = make("column", high - low, size=(dx, construction.span(layer.eta)[0]))
        self._divide(column, kYAxis, layer.eta, lambda dy: self._cell(block, partial(make, size=(dx, dy))))
        return column

    def _divide(
        self, mother: G4LogicalVolume, along: EAxis, axis: Axis, make: Callable[[float], G4LogicalVolume]
    ) -> None:
        """Fill a volume with what is made for each width, numbered as the cells of an axis."""
        widths = construction.widths(axis)
        made = {width: make(width) for width in dict.fromkeys(widths)}
        if len(made) == 1:
            self._volumes.replicate(made[widths[0]], mother, along, axis.n, widths[0])
            return
        centre = construction.span(axis)[1]
        for number, (width, middle) in enumerate(zip(widths, axis.middles.tolist(), strict=True)):
            at = middle - centre
            self._volumes.place(made[width], mother, (at, 0, 0) if along == kXAxis else (0, at, 0), number)

    def _build_rings(self, layer: RingLayer, block: range) -> None:
        low, high = self._depths(block)
        make = self._volumes
        pitch = _FULL_TURN / layer.n_alpha
        for number, radii in enumerate(pairwise(layer.r.edges.tolist())):
            ring = make.tube("ring", high - low, radii=radii, angles=(0.0, _FULL_TURN))
            # A replicated sector lies symmetrically about 0; the replica rotates it.
            sector = self._cell(block, partial(make.tube, radii=radii, angles=(-pitch / 2, pitch)))
            make.replicate(sector, ring, kPhi, layer.n_alpha, pitch, -math.pi / 2)
            make.place(ring, self._world, (*_BESIDE_THE_BEAM, (low + high) / 2), number)

    def _depths(self, block: range) -> tuple[float, float]:
        layers = self.calorimeter.layers
        return layers[block.start].z[0], layers[block.stop - 1].z[1]

    def _cell(self, block: range, outline: Outline) -> G4LogicalVolume:
        """Make a cell that is as deep as a block and holds the slabs of its layers."""
        low, high = self._depths(block)
        cell = outline("cell", high - low)
        for number in block:
            made: dict[tuple[str, str, float], G4LogicalVolume] = {}
            for piece in self._pieces[number]:
                # Equal slabs share one logical volume, placed several times: fewer volumes with a scorer.
                key = piece.role, piece.material, piece.thickness
                if key not in made:
                    made[key] = outline(piece.role, piece.thickness, piece.material)
                    self._slabs.setdefault((number, piece.role), []).append(made[key])
                self._volumes.place(made[key], cell, (0.0, 0.0, (piece.low + piece.high - low - high) / 2))
        return cell


def check_materials(calorimeter: Calorimeter) -> None:
    """Refuse a calorimeter with a material that Geant4 does not have."""
    for name in sorted({slab.material for stack in calorimeter.stack for slab in stack.slabs}):
        if G4NistManager.Instance().FindOrBuildMaterial(name) is None:
            raise GeometryError(
                f"Geant4 has no material '{name}': name one of its NIST materials, such as G4_Pb or G4_lAr."
            )
