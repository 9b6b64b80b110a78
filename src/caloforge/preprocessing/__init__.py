"""An invertible map between showers and standard normal numbers, learned from showers.

A cell is empty or holds energy over many decades, and both depend on how much its layer holds. Here each
cell is one normal number z: below a threshold the cell is empty, above it a monotone function of z is the
logarithm of its share of the layer's energy. Threshold and function depend on the layer's energy and on the
incident energy; they are what is learned, by maximum likelihood (the probit model, Bliss, Science 79 (1934)
38) and by quantile regression (Koenker and Bassett, Econometrica 46 (1978) 33). The energies of the layers
are normal numbers too, so they come out exactly as they were drawn.

An empty cell only tells that its z is below the threshold: the number is censored. `CensoredGaussian` learns
the correlations of all cells all the same, by drawing the censored numbers given the others (the tobit model,
Tobin, Econometrica 26 (1958) 24; as in Chib, J. Econometrics 51 (1992) 79).

Cells that are mirror images of each other share one function. Energies are in MeV.
"""

from caloforge.preprocessing.censored_gaussian import CensoredGaussian
from caloforge.preprocessing.chain import Chain
from caloforge.preprocessing.copula import CopulaConfig, NormalShowers, falling
from caloforge.preprocessing.layer_energies import LayerEnergies
from caloforge.preprocessing.normal_scores import Decoder, ShowerScaling
from caloforge.preprocessing.quantiles import LEVELS, ConditionalQuantiles, Encoded, Ramps, below

__all__ = [
    "LEVELS",
    "CensoredGaussian",
    "Chain",
    "ConditionalQuantiles",
    "CopulaConfig",
    "Decoder",
    "Encoded",
    "LayerEnergies",
    "NormalShowers",
    "Ramps",
    "ShowerScaling",
    "below",
    "falling",
]
