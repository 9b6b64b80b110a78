"""The same seed gives the same showers, and none holds more energy than came in if that is asked for."""

import numpy as np

import caloforge as cf

first = cf.generate("gamma", energy="1:100", n=100, seed=3)
again = cf.generate(22, energy=(1 * cf.GeV, 100 * cf.GeV), n=100, seed=3)
other = cf.generate("gamma", energy="1:100", n=100, seed=4)
assert np.array_equal(first.cells, again.cells)
assert not np.array_equal(first.cells, other.cells)

longer = cf.generate("gamma", energy="1:100", n=150, seed=3)
assert np.array_equal(longer[:100].cells, first.cells)

conserved = cf.generate("gamma", energy="1:100", n=500, seed=3, conserve_energy=True)
assert (conserved.cells.sum(axis=1, dtype=float) <= conserved.energy).all()

try:
    cf.generate("gamma", energy="1:100", n=10, seed=-1)
except cf.CaloforgeError as error:
    print(error)
