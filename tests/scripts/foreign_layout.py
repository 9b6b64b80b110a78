"""Showers that another group's model wrote, in the layout of the CaloChallenge."""

import h5py
import numpy as np

import caloforge as cf

with h5py.File("submission_electrons.hdf5", "w") as file:
    random = np.random.default_rng(1)
    energy = random.uniform(1e3, 1e5, (20, 1))  # MeV
    hit = random.random((20, 6480)) < 0.1
    file["incident_energies"] = energy
    file["showers"] = energy * hit * random.dirichlet(np.ones(6480), size=20)

showers = cf.read("submission_electrons.hdf5", particle="e-", geometry="calochallenge_2")
assert len(showers) == 20
assert set(showers.pdg) == {11}
assert showers.layer(0).shape == (20, 16, 9)

cf.write(showers, "submission.h5")
print(cf.read("submission.h5").geometry)
