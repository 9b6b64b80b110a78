"""A few positrons with Geant4, on a fine grid and then on the read-out."""

import caloforge as cf

done = cf.simulate("calogan_fine", "e+", "1:2", 3, "positrons.h5", physics="em", seed=7)
print(f"{done.showers} showers in {done.seconds:.1f} s")

showers = cf.read("positrons.h5").rebin(cf.Calorimeter.load("calogan"))
assert len(showers) == 3
assert set(showers.pdg) == {-11}
assert ((showers.energy >= 1 * cf.GeV) & (showers.energy <= 2 * cf.GeV)).all()
response = showers.layer_energies().sum(axis=1) / showers.energy
assert ((response > 0.8) & (response < 1.1)).all()
