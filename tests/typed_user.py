"""What a user's type checker reads: `test_typing` runs ``mypy --strict`` on it."""

import numpy as np

import caloforge as cf

showers: cf.Showers = cf.generate(22, energy="1:100", n=10)
narrow = cf.generate("e+", energy=(1 * cf.GeV, 2 * cf.GeV), n=np.int64(3))
tilted = cf.generate("e+", energy=np.array([1e3, 2e3]), direction=(0.1, (0.0, 3.0)), seed=2)
image = showers.layer(1).mean(axis=0, dtype=np.float64)

simulated = cf.simulate("calogan_fine", "e+", "1:10", 100, "out.h5")
print(simulated.showers + simulated.simulated)
best = cf.train("copula", ["a.h5", "b.h5"], "folder", cf.Plan(epochs=3), geometry="calogan")
cf.export(best, "a.onnx")
results = cf.evaluate(showers, "a.h5", training=cf.read("b.h5", particle="e+")).results
print(results.warnings[0].upper())

cf.plot(showers, narrow)["average"].savefig("average.png")
frame, ragged = showers.to_pandas("showers"), showers.to_awkward()
try:
    cf.write(cf.Showers("calogan", showers.cells, cf.Incident(22, 50 * cf.GeV)), "c.h5")
except cf.CaloforgeError as error:
    print(error)
