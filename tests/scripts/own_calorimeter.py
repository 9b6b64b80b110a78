"""A calorimeter of one's own, showers in it, and a file of them."""

import tomllib

import numpy as np

import caloforge as cf

DESCRIPTION = """
name = "tower"
description = "Lead and scintillator, 4 x 4 cells in two layers"
reference = "none"
visible = ["active"]
stack = [{ repeat = 40, slabs = [
  { material = "G4_Pb", thickness = 2.0, role = "absorber" },
  { material = "G4_PLASTIC_SC_VINYLTOLUENE", thickness = 4.0, role = "active" },
] }]
layers = [
  { z = [0.0, 60.0], eta = { bins = 4, range = [-80.0, 80.0] }, phi = { bins = 4, range = [-80.0, 80.0] } },
  { z = [60.0, 240.0], eta = { bins = 2, range = [-80.0, 80.0] }, phi = { bins = 2, range = [-80.0, 80.0] } },
]
"""
tower = cf.Calorimeter.from_dict(tomllib.loads(DESCRIPTION))
print(tower)

random = np.random.default_rng(1)
energy = random.uniform(1 * cf.GeV, 10 * cf.GeV, 50)
shares = random.dirichlet(np.ones(tower.n_cells), size=50)
showers = cf.Showers(tower, 0.1 * shares * energy[:, None], cf.Incident(22, energy))

cf.write(showers, "tower.h5")
again = cf.read("tower.h5")
assert again.geometry == tower
assert np.array_equal(again.layer(1), showers.layer(1))
