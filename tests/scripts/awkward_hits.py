"""The hits of each shower as a ragged array, and as a data frame."""

import awkward as ak
import numpy as np

import caloforge as cf

showers = cf.generate("pi+", energy="log:5:80", n=100)
events = showers.to_awkward()

hits = events.hits[events.hits.energy > 1 * cf.MeV]
depth = ak.sum(hits.z * hits.energy, axis=1) / ak.sum(hits.energy, axis=1)
width = np.sqrt(ak.mean(hits.eta**2, axis=1, weight=hits.energy))
print(f"{ak.mean(ak.num(hits)):.1f} hits, {ak.mean(depth):.0f} mm deep, {ak.mean(width):.0f} mm wide")
assert 0 < ak.mean(depth) < 480
assert ak.all(ak.num(hits) <= ak.num(events.hits))

frame = showers.to_pandas()
by_layer = frame.groupby(["shower", "layer"]).energy.sum().unstack(fill_value=0.0)
np.testing.assert_allclose(by_layer.sum(axis=1), ak.sum(events.hits.energy, axis=1), rtol=1e-5)
assert showers.to_pandas("showers").pdg.eq(211).all()
