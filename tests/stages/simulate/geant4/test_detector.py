"""Where Geant4 finds cells and materials. It is asked in processes of its own, which take half a second."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest

from caloforge.geometry import AnyLayer, Calorimeter, RingLayer
from caloforge.stages.simulate.geant4 import data

pytestmark = pytest.mark.usefixtures("geant4")

LOCATE = """
import json, os, sys
from geant4_pybind import G4GeometryManager, G4Navigator, G4ThreeVector
from caloforge.geometry import Calorimeter
from caloforge.stages.simulate.geant4.detector import Detector

given = json.load(sys.stdin)
detector = Detector(Calorimeter.from_dict(given["geometry"]))
world = detector.Construct()
detector.ConstructSDandField()
G4GeometryManager.GetInstance().CloseGeometry(True, False, world)
navigator = G4Navigator()
navigator.SetWorldVolume(world)
scorers = {scorer.collection.split("/")[0]: scorer for scorer in detector.scorers}
found = []
for eta, phi, z in given["points"]:
    placed = navigator.LocateGlobalPointAndSetup(G4ThreeVector(phi, eta, z), None, False, True)
    volume = placed.GetLogicalVolume()
    touched = navigator.CreateTouchableHistory()
    scorer = scorers[volume.GetSensitiveDetector().GetName()]
    cell = scorer.cells[tuple(map(touched.GetReplicaNumber, scorer.depths))]
    found.append([int(cell), volume.GetMaterial().GetName(), scorer.role])
print("found", json.dumps(found), flush=True)
os._exit(0)
"""
N = 2000


def found_by_geant4(geometry: Calorimeter, points: np.ndarray) -> list[list[object]]:
    """Return cell, material and role at points (N, 3) of eta, phi and z."""
    given = json.dumps({"geometry": geometry.to_dict(), "points": points.tolist()})
    ended = subprocess.run(
        [sys.executable, "-c", LOCATE],
        input=given,
        capture_output=True,
        text=True,
        check=True,
        env=os.environ | data.find("em"),
    )
    (line,) = (line for line in ended.stdout.splitlines() if line.startswith("found "))
    assert "G4Exception" not in ended.stdout + ended.stderr
    return json.loads(line.removeprefix("found "))  # type: ignore[no-any-return]


def draw(layer: AnyLayer, random: np.random.Generator) -> tuple[float, float, int]:
    """Return eta and phi of a point in a layer, and its cell."""
    if isinstance(layer, RingLayer):
        rows, columns = layer.alpha_edges, layer.r.edges
    else:
        rows, columns = layer.phi.edges, layer.eta.edges
    row, column = (int(random.integers(n)) for n in layer.shape)
    across = random.uniform(rows[row], rows[row + 1])
    along = random.uniform(columns[column], columns[column + 1])
    cell = row * layer.shape[1] + column
    if isinstance(layer, RingLayer):
        return along * np.cos(across), along * np.sin(across), cell
    return along, across, cell


@pytest.mark.parametrize("name", ["calogan_fine", "arm_48x4_36x48", "ild_ecal", "calochallenge_2", "mixed"])
def test_geant4_finds_every_point_in_its_cell_and_material(name: str, mixed: Calorimeter) -> None:
    geometry = mixed if name == "mixed" else Calorimeter.load(name)
    random = np.random.default_rng(1)
    layers = random.integers(len(geometry.layers), size=N)
    drawn = [draw(geometry.layers[layer], random) for layer in layers]
    depths = [random.uniform(*geometry.layers[layer].z) for layer in layers]
    points = np.array([(eta, phi, z) for (eta, phi, _), z in zip(drawn, depths, strict=True)])
    ends = np.cumsum([slab.thickness for slab in geometry.slabs])
    slabs = [geometry.slabs[i] for i in np.searchsorted(ends, depths)]
    expected = [
        [geometry.offsets[layer] + cell, slab.material, slab.role]
        for layer, (_, _, cell), slab in zip(layers, drawn, slabs, strict=True)
    ]
    assert found_by_geant4(geometry, points) == expected
