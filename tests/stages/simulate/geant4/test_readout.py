"""Where the energy of showers goes: into the cell that the particle met, and none is lost."""

from pathlib import Path

import numpy as np
import pytest

from caloforge.errors import GeometryError
from caloforge.formats.native import read
from caloforge.geometry import Calorimeter, RingLayer
from caloforge.incident.beam import Range
from caloforge.incident.spectrum import Spectrum
from caloforge.stages.simulate.run import simulate

pytestmark = pytest.mark.usefixtures("geant4")

ONE_GEV = Spectrum.listed(1000.0)
ELECTRON, POSITRON, MUON, GAMMA, PROTON, ANTIPROTON = 11, -11, 13, 22, 2212, -2212
# Rest energy that matter sets free, in MeV; masses of the Review of Particle Physics.
FREE = {ELECTRON: 0.0, POSITRON: 2 * 0.51099895, MUON: 105.6583755, ANTIPROTON: 2 * 938.272089}


@pytest.mark.parametrize(
    ("pdg", "name"),
    [(POSITRON, "mixed"), (GAMMA, "calochallenge_2"), (ELECTRON, "ild_ecal")],
)
def test_electromagnetic_showers_lose_nothing(
    tmp_path: Path, mixed: Calorimeter, pdg: int, name: str
) -> None:
    geometry = mixed if name == "mixed" else Calorimeter.load(name)
    simulate(geometry, pdg, ONE_GEV, 6, tmp_path / "out.h5", physics="em", seed=3)
    made = read(tmp_path / "out.h5")
    absorber, active, leaked = (made.columns[part] for part in ("absorber", "active", "leaked"))
    assert (absorber > active).all()
    assert (active > 0).all()
    assert (leaked > 0).all()
    np.testing.assert_allclose(absorber + active + leaked, 1000 + FREE.get(pdg, 0.0), rtol=1e-9)
    np.testing.assert_allclose(made.columns["invisible"], 0, atol=1e-6)
    seen = absorber + active if "absorber" in geometry.visible else active
    np.testing.assert_allclose(made.cells.sum(1, dtype=float), seen, rtol=1e-6)


@pytest.mark.parametrize("pdg", FREE)
def test_what_leaves_takes_what_it_could_have_given(
    tmp_path: Path, calogan_fine: Calorimeter, pdg: int
) -> None:
    foil = Calorimeter.from_dict(
        calogan_fine.to_dict()
        | {
            "stack": [{"repeat": 1, "slabs": [{"material": "G4_Si", "thickness": 0.01, "role": "active"}]}],
            "visible": ["active"],
            "layers": [{"z": [0.0, 0.01], "eta": {"edges": [-9.0, 9.0]}, "phi": {"edges": [-9.0, 9.0]}}],
        }
    )
    simulate(foil, pdg, ONE_GEV, 3, tmp_path / "out.h5", physics="em", seed=3)
    columns = read(tmp_path / "out.h5").columns
    given = columns["active"] + columns["leaked"]
    np.testing.assert_allclose(given - 1000, FREE[pdg], rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("layer", [0, 3])
def test_deposits_are_where_the_particle_is(tmp_path: Path, mixed: Calorimeter, layer: int) -> None:
    cut = mixed.layers[layer]
    alone = [{**cut.to_dict(), "z": [0.0, mixed.depth]}]
    geometry = Calorimeter.from_dict(mixed.to_dict() | {"layers": alone})
    window = (Range(-70.0, 70.0), Range(-25.0, 65.0))
    # Protons of 30 MeV stop within two millimetres.
    beam, out = Spectrum.listed(30.0), tmp_path / "out.h5"
    simulate(geometry, PROTON, beam, 80, out, position=window, physics="em", seed=3)
    made = read(out)
    eta, phi = made.incident.position.T
    if isinstance(cut, RingLayer):
        row = np.searchsorted(cut.alpha_edges, np.arctan2(phi, eta)) - 1
        column = np.searchsorted(cut.r.edges, np.hypot(eta, phi)) - 1
    else:
        row, column = (np.searchsorted(axis.edges, x) - 1 for axis, x in ((cut.phi, phi), (cut.eta, eta)))
    expected = row * cut.shape[1] + column
    assert len(set(expected)) > 5
    hit = np.argmax(made.cells, 1) == expected
    assert hit.mean() > 0.95  # others can scatter over an edge
    assert (made.cells.sum(1) > 29.9).all()


def test_sectors_are_alike(tmp_path: Path) -> None:
    content = Calorimeter.load("calochallenge_2").to_dict()
    for layer in content["layers"]:
        layer["alpha"] = 4
    geometry = Calorimeter.from_dict(content)
    simulate(geometry, GAMMA, Spectrum.listed(200.0), 120, tmp_path / "out.h5", physics="em", seed=3)
    cells = geometry.split(read(tmp_path / "out.h5").cells)
    sectors = sum(image.sum(2) for image in cells)
    spread = sectors.std(0) / np.sqrt(len(sectors))
    np.testing.assert_array_less(abs(sectors.mean(0) - sectors.mean()), 4 * spread)


def test_a_read_out_without_material_is_refused(tmp_path: Path, calogan: Calorimeter) -> None:
    bare = Calorimeter.from_dict(calogan.to_dict() | {"stack": []})
    with pytest.raises(GeometryError, match="without material"):
        simulate(bare, GAMMA, ONE_GEV, 1, tmp_path / "out.h5")
    assert list(tmp_path.iterdir()) == []
