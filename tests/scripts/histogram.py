"""The energy in each layer of 50 GeV photons, as histograms with hist."""

import hist

import caloforge as cf

showers = cf.generate("gamma", energy=50 * cf.GeV, n=1000)
shares = hist.Hist(
    hist.axis.IntCategory([0, 1, 2], name="layer"),
    hist.axis.Regular(50, 0, 1, name="share", label="share of the incident energy"),
)
for layer, energies in enumerate(showers.layer_energies().T):
    shares.fill(layer=layer, share=energies / showers.energy)

print(shares[{"layer": hist.loc(1)}])
assert shares.sum(flow=True) == 3 * len(showers)
means = [(part.axes[0].centers * part.values()).sum() for part in shares.stack("layer")]
assert max(means) == means[1]  # most of the energy is in the middle layer
