"""Images of a layer, and pictures of the showers."""

import numpy as np

import caloforge as cf

showers = cf.generate("e+", energy="20:60", n=200)
middle = showers.layer(1)
assert middle.shape == (200, 12, 12)

average = middle.mean(axis=0)
phi, eta = np.unravel_index(average.argmax(), average.shape)
print(f"hottest cell on average: phi {phi}, eta {eta}, {average.max() / cf.GeV:.1f} GeV")
assert {phi, eta} <= {5, 6}  # the beam comes to the centre

figures = cf.plot(showers, reference=cf.generate("gamma", energy="20:60", n=200))
figures["average"].savefig("average.png")
