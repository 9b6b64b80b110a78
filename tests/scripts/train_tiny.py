"""Train a model on a coarse read-out, export it, and generate with it."""

from importlib.resources import files

import caloforge as cf

square = {"bins": 3, "range": [-240.0, 240.0]}
calogan = cf.Calorimeter.load("calogan").to_dict()
layers = [{"z": [0.0, 480.0], "eta": square, "phi": square}]
coarse = cf.Calorimeter.from_dict({**calogan, "name": "coarse", "layers": layers})

geant4 = str(files("caloforge") / "samples" / "calogan_eplus.h5")
plan = cf.Plan(epochs=1, held_out=50, batch=50)
best = cf.train("copula", geant4, "training", plan, geometry=coarse)
cf.export(best, "coarse.onnx")

showers = cf.generate("e+", energy="10:50", n=100, model="coarse.json", geometry="coarse")
response = showers.cells.sum(axis=1) / showers.energy
print(f"response {response.mean():.3f}")
assert showers.geometry == coarse
assert 0.5 < response.mean() < 1.1
