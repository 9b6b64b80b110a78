"""Photons and electrons of many energies, in MeV and in GeV."""

import numpy as np

import caloforge as cf

photons = cf.generate("gamma", energy="log:1:100", n=200, seed=1)
positrons = cf.generate(-11, energy=[10 * cf.GeV, 20 * cf.GeV, 50 * cf.GeV], seed=2)
pions = cf.generate("pi+", energy=(20 * cf.GeV, 40 * cf.GeV), n=100)
grid = cf.generate("e+", energy=np.repeat([5e3, 5e4], 50))  # MeV

assert len(positrons) == 3
assert positrons.energy.tolist() == [10_000, 20_000, 50_000]
assert photons.energy.min() >= 1 * cf.GeV
assert len(grid) == 100

everything = cf.Showers.concatenate([photons, positrons, pions, grid])
for pdg in np.unique(everything.pdg):
    some = everything[everything.pdg == pdg]
    response = some.cells.sum(axis=1) / some.energy
    print(f"{pdg:5d}: {len(some):3d} showers, response {response.mean():.3f}")
