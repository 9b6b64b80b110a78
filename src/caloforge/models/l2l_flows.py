r"""Layer-to-layer flows of vectors; `caloforge.models.l2l_base` has the equations.

S. Diefenbacher et al., arXiv:2302.11594. ``transform="autoregressive"`` is the published kind, masked
autoregressive flows: they are trained in one pass, but drawing takes one step for each cell and block, two
seconds a shower on the authors' CPU. With ``transform="coupling"`` they are coupling flows, as in the
authors' convolutional successor (arXiv:2405.20407): one pass both ways.

The source leaves sizes, embedding and rates of the causal flows open. Chosen here:

- **Sizes.** By default what some thousand showers and one core train within an hour: 4 coupling blocks with
  two hidden layers of 64 units. ``transform="autoregressive", blocks=6, hidden=256, embedded=128, rate=1e-4,
  epochs=200`` is of the published kind and order of magnitude.
- **Splines** bend up to 4.6, -ln(alpha), where the numbers of cells end.
- **Embedding.** Two layers, the first as wide as those of the flow.
- **Numbers** of each cell have mean 0 and fourth moment 1 in training. The logarithm of the hottest cell of a
  layer varies by a fiftieth of the range of all cells, which splines with equal bins resolve badly. With
  deviation 1 instead, hits of cells that are rarely hit lie beyond the splines.
- **Gradients** are cut at a norm of 100 (800 in arXiv:2405.20407, where they are sums over more cells).
"""

import copy
from typing import ClassVar, Literal

from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from caloforge.config import strict_dataclass
from caloforge.geometry import Layer, RingLayer
from caloforge.models.flows import Spline
from caloforge.models.l2l_base import (
    CELL_BOUND,
    Embedding,
    L2LConfig,
    LayerFlow,
    LayerwiseFlows,
    autoregressive_flow,
    coupling_flow,
)

__all__ = ["ENTRY", "Config", "L2LFlows"]

_KINDS = {"coupling": coupling_flow, "autoregressive": autoregressive_flow}


@strict_dataclass
class Config(L2LConfig):
    """A size that one core trains, unless something else is set; see the module for the published one.

    Attributes
    ----------
    transform
        What causal flows are made of: "coupling" draws in one pass, "autoregressive" is the published kind.
    hidden
        Units of the hidden layers of causal flows.
    """

    transform: Literal["coupling", "autoregressive"] = "coupling"
    hidden: int = Field(default=64, gt=0)


class _FewerNumbers(Embedding):
    """Two layers with ReLUs."""

    def __init__(self, context: int, hidden: int, embedded: int) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(context, hidden), nn.Linear(hidden, embedded)

    def forward(self, context: Tensor) -> Tensor:
        return functional.relu(self.second(functional.relu(self.first(context))))

    def widened(self, context: int) -> Embedding:
        found = copy.deepcopy(self)
        more = context - found.first.in_features
        found.first.weight = nn.Parameter(functional.pad(found.first.weight.detach(), (0, more)))
        return found


class L2LFlows(LayerwiseFlows):
    """Flows of vectors; see the module."""

    config: Config
    standardised: ClassVar[bool] = True

    def causal_flow(self, layer: Layer | RingLayer, context: int) -> LayerFlow:
        """Return the flow of a layer, given so many numbers."""
        config, cells = self.config, layer.n_cells
        kind = _KINDS[config.transform]
        spline = Spline(config.bins, CELL_BOUND)
        flow = kind(cells, config.embedded, config.blocks, config.hidden, spline)
        embedding = _FewerNumbers(context, config.hidden, config.embedded)
        return LayerFlow(cells, context, config.threshold, embedding, flow)


L2LFlows.Config = Config
ENTRY = L2LFlows
