r"""Building blocks of normalising flows: monotonic splines, and the maps of whole vectors that use them.

A transform f takes vectors (N, D) and a context (N, C), here the incident particle and what else is known
of a shower, to vectors (N, D). It is invertible, and its Jacobian is triangular, so that the density of x
follows from that of z = f(x) (Papamakarios et al., *Normalizing Flows for Probabilistic Modeling and
Inference*, arXiv:1912.02762, Eq. 2):

```math
\ln p(x \mid c) = \ln N(f(x \mid c); 0, 1) + \sum_i \ln \frac{\partial f_i}{\partial x_i}
```

All transforms here change each number by a `Spline`, whose parameters a network gives; they differ in what
the network sees:

- `Autoregressive`: the numbers before it. One pass one way, D steps the other (`Backward`). With an inverted
  spline it is the inverse autoregressive flow (Kingma et al., arXiv:1606.04934), whose fast way is the one
  that draws.
- `Coupling`: a part of the numbers that stays as it is. One pass both ways.
- `Permutation` changes only the order.

`Flow` applies transforms one after the other; `Forward` and `Backward` are copies of it for generation.

The layers, splines and autoregressive transforms of zuko (Rozet et al., https://zuko.readthedocs.io) agree
with those here (tests/models/test_flows.py), but: they look bins up for each number with the bins on the
last axis, where the bins of one number after those of the other make vector instructions useless, so that a
training step takes twice as long; masks are multiplied in at every pass (`MaskedLinear`); raw parameters,
which a distillation compares, are not returned; an inverse evaluates the whole network D times, D times as
much as `Backward`; and masks with fewer hidden units than numbers leave the last numbers unseen by all
others.
"""

import copy
import math
from abc import ABC, abstractmethod
from bisect import bisect_left
from collections import defaultdict, deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor, nn
from torch._higher_order_ops import scan
from torch.nn import functional

__all__ = [
    "Autoregressive",
    "Backward",
    "Coupling",
    "Flow",
    "Forward",
    "MaskedLinear",
    "MaskedNetwork",
    "Path",
    "Permutation",
    "Spline",
    "Step",
    "Transform",
    "inversion",
    "normal_log_density",
    "shuffle",
]

_SMALLEST = 1e-30  # of a discriminant: its root keeps a finite gradient
_GROUPS = 8  # of numbers whose parameters one product makes


@dataclass(frozen=True)
class Spline:
    r"""A monotonic rational-quadratic spline with linear tails, for each number of a vector.

    C. Durkan, A. Bekasov, I. Murray, G. Papamakarios, *Neural Spline Flows*, arXiv:1906.04032, Sec. 3.1. In a
    bin of width w, height h and slope s = h / w, with derivatives $\delta$ at its ends, lower left corner
    $(x_0, y_0)$ and $\xi = (x - x_0) / w$,

    ```math
    y = y_0 + \frac{h\,[s \xi^2 + \delta_0 \xi (1 - \xi)]}{s + (\delta_0 + \delta_1 - 2 s)\,\xi (1 - \xi)}
    ```

    and the identity beyond the bound. Parameters of 0 give the identity everywhere.

    Attributes
    ----------
    bins
        How many.
    bound
        The spline bends numbers from -bound to bound; those outside stay as they are.
    least
        Smallest derivative, and the smallest share of the interval that a bin's width or height takes.
    inverted
        Whether it is the inverse function of the spline with the same parameters.

    Examples
    --------
    >>> spline = Spline(bins=4, bound=3.0)
    >>> x, raw = torch.tensor([[-5.0, 0.5]]), torch.linspace(-1, 1, 22).view(1, 11, 2)
    >>> y, log_derivative = spline(x, raw)
    >>> y.round(decimals=3)
    tensor([[-5.0000,  0.4200]])
    >>> spline.inverse(y, raw).round(decimals=3)
    tensor([[-5.0000,  0.5000]])
    """

    bins: int
    bound: float
    least: float = 1e-6
    inverted: bool = False

    @property
    def parameters(self) -> int:
        """Raw parameters of one number: widths, heights, and derivatives between bins."""
        return 3 * self.bins - 1

    def __call__(self, x: Tensor, raw: Tensor) -> tuple[Tensor, Tensor]:
        """(N, D) and any raw parameters (N, parameters, D) -> values (N, D) and logarithms of derivatives."""
        if self.inverted:
            return self._unbent(x, raw)
        return self._bent(x, raw)

    def inverse(self, y: Tensor, raw: Tensor) -> Tensor:
        """(N, D) and raw parameters (N, parameters, D) -> (N, D)."""
        return self._bent(y, raw)[0] if self.inverted else self._unbent(y, raw)[0]

    def _bent(self, x: Tensor, raw: Tensor) -> tuple[Tensor, Tensor]:
        one = self._bin(x, raw, by_height=False)
        # Rounding can put a number just outside of the bin that it was found in.
        share = ((x - one.left) / one.width).clamp(0, 1)
        both = share * (1 - share)
        below = one.slope + (one.first + one.second - 2 * one.slope) * both
        y = one.bottom + one.height * (one.slope * share.square() + one.first * both) / below
        inside = x.abs() < self.bound
        return torch.where(inside, y, x), torch.where(inside, one.log_derivative(share), 0.0)

    def _unbent(self, y: Tensor, raw: Tensor) -> tuple[Tensor, Tensor]:
        """Solve the quadratic equation of the spline (arXiv:1906.04032, Eq. 6-8)."""
        one = self._bin(y, raw, by_height=True)
        up = torch.minimum((y - one.bottom).clamp(min=0), one.height)
        bend = up * (one.first + one.second - 2 * one.slope)
        a = one.height * (one.slope - one.first) + bend
        b = one.height * one.first - bend
        c = one.slope * up
        # b and the root are added with the same sign, whatever that of b: a difference of nearly equal
        # numbers would lose digits of single precision. Where b < 0, a is above 0.
        positive = b >= 0
        sums = b.abs() + (b.square() + 4 * a * c).clamp(min=_SMALLEST).sqrt()
        share = torch.where(positive, 2 * c / sums, sums / torch.where(positive, 1.0, 2 * a)).clamp(0, 1)
        inside = y.abs() < self.bound
        x = torch.where(inside, one.left + share * one.width, y)
        return x, torch.where(inside, -one.log_derivative(share), 0.0)

    def _bin(self, x: Tensor, raw: Tensor, by_height: bool) -> "_Bin":
        """Return the bin of each number, found by the edges along one axis or the other."""
        widths, heights, slopes = raw.split([self.bins, self.bins, self.bins - 1], dim=1)
        widths, heights = widths.softmax(dim=1), heights.softmax(dim=1)
        below, under = self._sums(widths), self._sums(heights)
        # Beyond the ends stands what makes the derivative of the tails, 1.
        slopes = functional.pad(slopes, (0, 0, 1, 1))
        # All that follows is of one bin for each number, which costs less than of all bins.
        number = self._number(x.detach(), (under if by_height else below).detach())

        def of(values: Tensor) -> Tensor:
            return values.gather(1, number).squeeze(1)

        width, height = of(widths), of(heights)
        place = number.squeeze(1).to(x.dtype)
        return _Bin(
            self._size(of(below) - width, place) - self.bound,
            self._size(of(under) - height, place) - self.bound,
            self._size(width, 1),
            self._size(height, 1),
            self._slope(of(slopes)),
            self._slope(slopes.gather(1, number + 1).squeeze(1)),
        )

    def _sums(self, shares: Tensor) -> Tensor:
        """Return cumulative sums along the bins."""
        if torch.is_autocast_enabled(shares.device.type):  # which would round a product to 8 bits
            return shares.cumsum(dim=1)
        # Forward and backward, a product takes a fraction of the time.
        return torch.ones(self.bins, self.bins, dtype=shares.dtype, device=shares.device).tril() @ shares

    def _number(self, x: Tensor, sums: Tensor) -> Tensor:
        """Return the number of the bin that each x (N, D) is in, (N, 1, D), by sums of sizes (N, bins, D)."""
        inner = torch.arange(1, self.bins, dtype=x.dtype, device=x.device).unsqueeze(1)
        return (x.unsqueeze(1) >= self._size(sums[:, :-1], inner) - self.bound).sum(dim=1, keepdim=True)

    def _size(self, share: Tensor, bins: Tensor | int) -> Tensor:
        """Return how long some bins are that have a share of what the least sizes of all leave."""
        # One factor: the exporter takes one of 1 within 1e-5 for 1.
        free = 2 * self.bound * (1 - self.least * self.bins)
        return free * share + 2 * self.bound * self.least * bins

    def _slope(self, raw: Tensor) -> Tensor:
        """Return derivatives, which raw parameters of 0 make 1."""
        return self.least + functional.softplus(raw + math.log(math.expm1(1 - self.least)))


class _Bin(NamedTuple):
    """The bin of each of some numbers: its corner, size, and derivatives at its ends; all (N, D)."""

    left: Tensor
    bottom: Tensor
    width: Tensor
    height: Tensor
    first: Tensor
    second: Tensor

    @property
    def slope(self) -> Tensor:
        return self.height / self.width

    def log_derivative(self, share: Tensor) -> Tensor:
        """Return ln(dy / dx) at a share of the width (arXiv:1906.04032, Eq. 5)."""
        slope, rest = self.slope, 1 - share
        above = self.second * share.square() + 2 * slope * share * rest + self.first * rest.square()
        below = slope + (self.first + self.second - 2 * slope) * share * rest
        return 2 * (slope.log() - below.log()) + above.log()


class Step(NamedTuple):
    """What a transform makes of N vectors.

    Attributes
    ----------
    value
        (N, D).
    log_det
        (N,) logarithm of the Jacobian's determinant.
    raw
        (N, parameters, D) that the spline had; None for a transform without.
    """

    value: Tensor
    log_det: Tensor
    raw: Tensor | None = None


class Transform(nn.Module, ABC):
    """An invertible map of vectors, given a context."""

    @abstractmethod
    def forward(self, x: Tensor, context: Tensor) -> Step:
        """(N, D) and (N, C) -> a `Step`."""

    @abstractmethod
    def inverse(self, y: Tensor, context: Tensor) -> Tensor:
        """(N, D) and (N, C) -> (N, D)."""

    def drawing(self) -> "Transform":
        """Return a copy of the current state whose inverse is for generation."""
        return copy.deepcopy(self)


class Permutation(Transform):
    """Numbers in another order: number i of the result is number ``order[i]`` of what comes in.

    Examples
    --------
    >>> turn = Permutation(torch.tensor([1, 2, 0]))
    >>> x, context = torch.tensor([[10.0, 20.0, 30.0]]), torch.zeros(1, 0)
    >>> turn(x, context).value
    tensor([[20., 30., 10.]])
    >>> turn.inverse(turn(x, context).value, context)
    tensor([[10., 20., 30.]])
    """

    order: Tensor
    back: Tensor

    def __init__(self, order: Tensor) -> None:
        super().__init__()
        # Drawn at random, so they belong in a checkpoint.
        self.register_buffer("order", order)
        self.register_buffer("back", order.argsort())

    def forward(self, x: Tensor, context: Tensor) -> Step:
        """Return the numbers in the new order."""
        return Step(x.index_select(1, self.order), x.new_zeros(x.shape[0]))

    def inverse(self, y: Tensor, context: Tensor) -> Tensor:
        """Return the numbers in the old order."""
        return y.index_select(1, self.back)


def shuffle(sizes: Sequence[int]) -> Tensor:
    """Return a random order in which neighbours stay in groups of the given sizes, such as layers.

    Examples
    --------
    >>> _ = torch.manual_seed(1)
    >>> shuffle([3, 2])
    tensor([1, 2, 0, 3, 4])
    """
    return _within(sizes, [torch.randperm(size) for size in sizes])


def inversion(sizes: Sequence[int]) -> Tensor:
    """Return the order in which each group has its numbers backwards.

    Examples
    --------
    >>> inversion([3, 2])
    tensor([2, 1, 0, 4, 3])
    """
    return _within(sizes, [torch.arange(size).flip(0) for size in sizes])


def _within(sizes: Sequence[int], orders: Sequence[Tensor]) -> Tensor:
    return torch.cat([order + sum(sizes[:number]) for number, order in enumerate(orders)])


class MaskedLinear(nn.Linear):
    """A linear layer whose weights are 0 where the mask is.

    Only gradients are multiplied by the mask, not the weights in every pass: a training step of CaloFlow's
    teacher takes three quarters of the time that it takes with zuko's layer.

    Parameters
    ----------
    mask
        (outputs, inputs) bool.
    """

    mask: Tensor

    def __init__(self, mask: Tensor) -> None:
        super().__init__(mask.shape[1], mask.shape[0])
        # As numbers: a product with truth values takes twice as long.
        self.register_buffer("mask", mask.to(self.weight.dtype), persistent=False)
        with torch.no_grad():
            self.weight.mul_(self.mask)

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs) -> (N, outputs)."""
        weight: Tensor = self.weight
        if weight.requires_grad:
            weight = _MaskedGradient.apply(weight, self.mask)  # type: ignore[no-untyped-call]
        return functional.linear(x, weight, self.bias)


class _MaskedGradient(torch.autograd.Function):
    """Weights as they are; their gradients are 0 outside of the mask."""

    @staticmethod
    def forward(ctx: Any, weight: Tensor, mask: Tensor) -> Tensor:
        ctx.save_for_backward(mask)
        return weight.view_as(weight)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        (gradient,), (mask,) = gradients, ctx.saved_tensors
        # In place: nothing else uses this gradient, and allocating another takes longer than multiplying.
        return gradient.mul_(mask), None


class MaskedNetwork(nn.Module):
    """Spline parameters for each number of a vector, from the numbers before it and a context: a MADE.

    M. Germain, K. Gregor, I. Murray, H. Larochelle, *MADE: Masked Autoencoder for Distribution Estimation*,
    arXiv:1502.03509. A hidden unit of degree k sees the first k numbers; number i sees hidden units up to
    degree i. Degrees are spread evenly from 0, which sees the context alone, to D - 1: MADE draws them at
    random, and nflows, with which CaloFlow was made, counts 1, 2, ..., which leaves the last numbers
    unseen if there are fewer units than numbers, and the first number without the context.

    As in nflows the context enters by a linear layer with a ReLU of its own, added to the first masked layer.
    The last layer, by far the largest, is several products, each with the hidden units alone that its numbers
    may see: half of the work, of the memory, and of the file.

    Parameters
    ----------
    features
        D.
    context
        C.
    outputs
        Parameters of each number.
    hidden
        Units of a layer.
    layers
        Masked layers from units to units, behind the one from numbers to units.
    dropout
        Share of units that training sets to 0, behind each of these.

    Examples
    --------
    >>> _ = torch.manual_seed(1)
    >>> network = MaskedNetwork(3, context=1, outputs=2, hidden=8)
    >>> x = torch.zeros(1, 3, requires_grad=True)
    >>> network(x, torch.ones(1, 1))[0, :, 1].sum().backward()  # the second sees only the first
    >>> x.grad.bool()
    tensor([[ True, False, False]])
    """

    degrees: Tensor

    def __init__(
        self, features: int, context: int, outputs: int, hidden: int, layers: int = 1, dropout: float = 0.0
    ) -> None:
        super().__init__()
        self.features, self.outputs = features, outputs
        known, number = _degrees(features, hidden), torch.arange(features)
        degrees = torch.tensor(known)
        self.register_buffer("degrees", degrees, persistent=False)
        self.inlet = MaskedLinear(degrees[:, None] > number)
        self.context = nn.Linear(context, hidden)
        self.hidden = nn.ModuleList(MaskedLinear(degrees[:, None] >= degrees) for _ in range(layers))
        self.outlets, self.seen = nn.ModuleList(), []
        size = -(-features // _GROUPS)
        for begin in range(0, features, size):
            part = number[begin : begin + size]
            self.seen.append(bisect_left(known, begin + len(part)))
            # The numbers of a vector are neighbours, so that all of them go through one vector instruction.
            mask = part[:, None] >= degrees[: self.seen[-1]]
            self.outlets.append(MaskedLinear(mask.repeat(outputs, 1)))
        with torch.no_grad():
            for layer, seen in zip(self._outlets, self.seen, strict=True):
                for parameter in layer.parameters():  # as small as those of one product of all units
                    parameter.mul_(math.sqrt(seen / hidden))
        self.dropout = nn.Dropout(dropout)

    @property
    def masked(self) -> list[MaskedLinear]:
        """The layers from units to units."""
        return cast(list[MaskedLinear], list(self.hidden))

    def forward(self, x: Tensor, context: Tensor) -> Tensor:
        """(N, D) and (N, C) -> (N, outputs, D)."""
        hidden = functional.relu(self.inlet(x) + functional.relu(self.context(context)))
        for layer in self.hidden:
            hidden = self.dropout(functional.relu(layer(hidden)))
        parts = [
            outlet(hidden[:, :seen]).unflatten(1, (self.outputs, -1))
            for outlet, seen in zip(self._outlets, self.seen, strict=True)
        ]
        # In mixed precision products have 8 bits, which are too few for edges of bins.
        return torch.cat(parts, dim=2).to(x.dtype)

    @torch.no_grad()
    def imitate(self, other: "MaskedNetwork", scale: Tensor, shift: Tensor) -> None:
        """Return for x what another network returns for ``scale * x + shift``, as far as units suffice.

        Each unit of the other network becomes the weights of one of the same degree here; other units keep
        theirs, but nothing sees them at first.

        Parameters
        ----------
        other
            For as many numbers, context and outputs, with as many layers.
        scale, shift
            (D,) each.
        """
        theirs, own = _pairs(other.degrees.tolist(), self.degrees.tolist())
        weight = other.inlet.weight[theirs]
        self.inlet.weight[own] = weight * scale
        self.inlet.bias[own] = other.inlet.bias[theirs] + weight @ shift
        self.context.weight[own] = other.context.weight[theirs]
        self.context.bias[own] = other.context.bias[theirs]
        for layer, example in zip(self.masked, other.masked, strict=True):
            rows = torch.zeros_like(layer.weight[own])
            rows[:, own] = example.weight[theirs][:, theirs]
            layer.weight[own], layer.bias[own] = rows, example.bias[theirs]
        weight, bias = other.outlet()
        outlet = weight.new_zeros(self.outputs, self.features, len(self.degrees))
        outlet[:, :, own] = weight[:, :, theirs]
        sizes = [layer.out_features // self.outputs for layer in self._outlets]
        parts = zip(self._outlets, outlet.split(sizes, dim=1), bias.split(sizes, dim=1), strict=True)
        for layer, rows, number in parts:
            layer.weight.copy_(rows[:, :, : layer.in_features].flatten(0, 1))
            layer.bias.copy_(number.flatten())

    @property
    def _outlets(self) -> list[MaskedLinear]:
        return cast(list[MaskedLinear], list(self.outlets))

    def outlet(self) -> tuple[Tensor, Tensor]:
        """Return weights (outputs, D, hidden) and biases (outputs, D) of the last layer as one product."""
        weights, biases = [], []
        for layer in self._outlets:
            weight = functional.pad(layer.weight.detach(), (0, len(self.degrees) - layer.in_features))
            weights.append(weight.unflatten(0, (self.outputs, -1)))
            biases.append(layer.bias.detach().view(self.outputs, -1))
        return torch.cat(weights, dim=1), torch.cat(biases, dim=1)


def _affine(weight: Tensor, bias: Tensor) -> nn.Linear:
    """Return a layer with copies of weights (outputs, inputs) and biases (outputs,)."""
    layer = nn.Linear(weight.shape[1], weight.shape[0], device="meta")
    layer.weight, layer.bias = (
        nn.Parameter(value.clone(memory_format=torch.contiguous_format), requires_grad=False)
        for value in (weight, bias)
    )
    return layer


def _degrees(features: int, hidden: int) -> list[int]:
    """Return the degrees of hidden units, ascending."""
    if hidden >= features:
        return [unit * features // hidden for unit in range(hidden)]
    return [unit * (features - 1) // max(hidden - 1, 1) for unit in range(hidden)]


def _pairs(theirs: Sequence[int], own: Sequence[int]) -> tuple[list[int], list[int]]:
    """Return units of two networks that have the same degrees, each unit at most once.

    Examples
    --------
    >>> _pairs([0, 0, 2], [0, 1, 2, 2])
    ([0, 2], [0, 2])
    """
    free: defaultdict[int, deque[int]] = defaultdict(deque)
    for unit, degree in enumerate(own):
        free[degree].append(unit)
    pairs = [(unit, free[degree].popleft()) for unit, degree in enumerate(theirs) if free[degree]]
    return [unit for unit, _ in pairs], [unit for _, unit in pairs]


class Autoregressive(Transform):
    """Each number by a spline whose parameters follow from those before it.

    G. Papamakarios, T. Pavlakou, I. Murray, *Masked Autoregressive Flow for Density Estimation*,
    arXiv:1705.07057. `forward` is one pass, `inverse` takes D steps.

    Examples
    --------
    >>> _ = torch.manual_seed(1)
    >>> spline = Spline(bins=4, bound=3.0)
    >>> transform = Autoregressive(MaskedNetwork(3, 1, spline.parameters, hidden=8), spline)
    >>> x, context = torch.randn(2, 3), torch.randn(2, 1)
    >>> y, log_det, _ = transform(x, context)
    >>> bool((transform.inverse(y, context) - x).abs().max() < 1e-5)
    True
    """

    def __init__(self, network: MaskedNetwork, spline: Spline) -> None:
        super().__init__()
        self.network, self.spline = network, spline

    def forward(self, x: Tensor, context: Tensor) -> Step:
        """Transform all numbers in one pass."""
        raw = self.network(x, context)
        value, log_derivative = self.spline(x, raw)
        return Step(value, log_derivative.sum(dim=1), raw)

    def inverse(self, y: Tensor, context: Tensor) -> Tensor:
        """Go back, one number after the other."""
        back: Tensor = Backward(Flow([self]))(y, context)
        return back


class Backward(nn.Module):
    """The inverse of a `Flow` of autoregressive transforms and permutations, as a loop that ONNX has as well.

    A copy for generation, as the flow stands now. The loop has a step for each number of each transform, last
    transform first. Each step replaces one number of a vector (N, D): those that this transform has not
    replaced yet are what the transform before left there, and masks hide them from the network. A hidden unit
    is computed once, as soon as all is known that it sees, so that all steps of a transform together cost
    what one pass of its network costs. Permutations only decide which number is next.

    Examples
    --------
    >>> transform = Autoregressive(MaskedNetwork(3, 1, 11, hidden=8), Spline(bins=4, bound=3.0))
    >>> Backward(Flow([transform]))(torch.zeros(2, 3), torch.zeros(2, 1)).shape
    torch.Size([2, 3])
    """

    positions: Tensor
    numbers: Tensor
    places: Tensor
    everywhere: Tensor
    start: Tensor

    def __init__(self, flow: "Flow") -> None:
        super().__init__()
        tables = _tables(flow.transforms)
        if len({(table.spline, table.units.shape) for table in tables}) > 1:
            raise ValueError("One loop can't invert transforms that differ in their splines or widths.")
        self.spline, (self.features, most) = tables[0].spline, tables[0].units.shape
        buffers = {
            "positions": torch.cat([table.label for table in tables]),  # where the number of each step stands
            "numbers": torch.arange(self.features),
            "places": torch.arange(self.features).repeat_interleave(most),
            # The units of all degrees stand in rows of `most`; new ones are offered to all of these.
            "everywhere": torch.eye(most, dtype=tables[0].context[0].dtype).repeat(1, self.features),
            "start": _labels(flow.transforms)[-1].argsort(),
        }
        for name, values in buffers.items():
            self.register_buffer(name, values.to(tables[0].units.device))
        self.context = _affine(
            *(torch.cat(each) for each in zip(*(one.context for one in tables), strict=True))
        )
        self.weights, self.biases = (
            nn.ParameterList(torch.cat(each) for each in zip(*values, strict=True)).requires_grad_(False)
            for values in ([table.weights for table in tables], [table.biases for table in tables])
        )

    def forward(self, y: Tensor, context: Tensor) -> Tensor:
        """(N, D) and (N, C) -> (N, D)."""
        layers = len(self.weights)
        known = functional.relu(self.context(context)).unflatten(1, (len(self.positions), -1))
        steps = [
            self.positions,
            self.numbers.repeat(len(self.positions) // self.features),
            known.transpose(0, 1),
            *self.weights,
            *self.biases,
        ]

        def step(carry: list[Tensor], now: list[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
            position, number, extra = now[:3]
            weights, biases = now[3 : 3 + layers], now[3 + layers :]
            known = [carry[0]]
            for layer in range(layers - 1):
                inner = known[-1] @ weights[layer] + biases[layer]
                new = functional.relu(inner + extra if layer == 0 else inner)
                known.append(torch.where(self.places == number, new @ self.everywhere, carry[layer + 1]))
            raw = known[-1] @ weights[-1] + biases[-1]
            found = self.spline.inverse(carry[0].index_select(1, position.view(1)), raw.unsqueeze(2))
            return [torch.where(self.numbers == position, found, carry[0]), *known[1:]], [found.clone()]

        empty = [y.new_zeros(y.shape[0], len(self.places)) for _ in range(layers - 1)]
        carry = [y.index_select(1, self.start), *empty]
        if torch.compiler.is_compiling():  # for export
            # A scan takes no two tensors that share memory, such as parts of one.
            carry, _ = scan(step, carry, [each.clone() for each in steps])
        else:  # where a scan would be compiled first, for seconds
            for now in zip(*steps, strict=True):
                carry, _ = step(carry, list(now))
        x: Tensor = carry[0]
        return x


def _labels(transforms: Sequence[Transform]) -> list[Tensor]:
    """Return where each number stands in the vectors that enter the first transform, (D,) each.

    There is one for what enters each transform, and one for what leaves the last.
    """
    networks = [one.network for one in transforms if isinstance(one, Autoregressive)]
    labels = [torch.arange(networks[0].features, device=networks[0].degrees.device)]
    for one in transforms:
        labels.append(labels[-1][one.order] if isinstance(one, Permutation) else labels[-1])
    return labels


def _tables(transforms: Sequence[Transform]) -> list["_Table"]:
    """Return those of the autoregressive transforms, last first."""
    for one in transforms:
        if not isinstance(one, Autoregressive | Permutation):
            raise TypeError(f"{type(one).__name__} can be inverted in one pass: call its inverse.")
    labelled = zip(transforms, _labels(transforms), strict=False)
    tables = [_Table.of(one, label) for one, label in labelled if isinstance(one, Autoregressive)]
    return tables[::-1]


class _Table(NamedTuple):
    """What the steps of one transform need; lists are of layers, and step i computes the units of degree i.

    Attributes
    ----------
    spline
        That of the transform.
    label
        (D,) where each number stands in the vectors that come out.
    units
        (D, most units of a step).
    context
        Weights and biases of the context, (D * most units, C) and (D * most units,).
    weights
        (D, inputs, units of a step, or in the last layer parameters of the spline) each.
    biases
        (D, units or parameters) each.
    """

    spline: Spline
    label: Tensor
    units: Tensor
    context: tuple[Tensor, Tensor]
    weights: list[Tensor]
    biases: list[Tensor]

    @classmethod
    def of(cls, transform: Autoregressive, label: Tensor) -> "_Table":
        """Return that of a transform whose numbers stand where the labels say."""
        network = transform.network
        units = _by_degree(network.degrees, network.features)
        context, more = (_rows(each, units).flatten(0, 1) for each in network.context.parameters())
        # In the order of the vector that comes out.
        weights = [_rows(network.inlet.weight.detach(), units)[:, :, label.argsort()]]
        weights += [_columns(_rows(layer.weight.detach(), units), units) for layer in network.masked]
        biases = [_rows(layer.bias, units) for layer in (network.inlet, *network.masked)]
        weight, bias = network.outlet()
        weights.append(_columns(weight.transpose(0, 1), units))
        biases.append(bias.T)
        # Contiguous, since each step multiplies with its part.
        weights = [weight.mT.contiguous() for weight in weights]
        return cls(transform.spline, label, units, (context, more), weights, biases)


def _by_degree(degrees: Tensor, features: int) -> Tensor:
    """Return the numbers of the units of each degree, (D, most units); -1 where there are fewer."""
    counts = degrees.bincount(minlength=features)
    units = torch.full((features, int(counts.max())), -1, device=degrees.device)
    first = counts.cumsum(0) - counts
    for degree, (begin, count) in enumerate(zip(first.tolist(), counts.tolist(), strict=True)):
        units[degree, :count] = torch.arange(begin, begin + count)
    return units


def _rows(values: Tensor, units: Tensor) -> Tensor:
    """(H, ...) -> (D, units of a step, ...), with zeros where there is no unit."""
    # The row of zeros is the last one: number -1.
    return torch.cat([values.detach(), torch.zeros_like(values[:1])])[units]


def _columns(values: Tensor, units: Tensor) -> Tensor:
    """(D, rows, H) -> (D, rows, D * units of a step)."""
    return functional.pad(values, (0, 1))[:, :, units.flatten()]


class Coupling(Transform):
    """The later numbers by a spline whose parameters follow from the earlier ones, which stay as they are.

    L. Dinh, J. Sohl-Dickstein, S. Bengio, *Density estimation using Real NVP*, arXiv:1605.08803. One pass
    both ways.

    Parameters
    ----------
    kept
        Numbers that stay.
    network
        (N, kept + C) -> (N, parameters * (D - kept)).
    spline
        What changes the others.

    Examples
    --------
    >>> _ = torch.manual_seed(1)
    >>> spline = Spline(bins=4, bound=3.0)
    >>> transform = Coupling(2, nn.Linear(2 + 1, spline.parameters * 3), spline)
    >>> x, context = torch.randn(2, 5), torch.randn(2, 1)
    >>> y, log_det, _ = transform(x, context)
    >>> bool((transform.inverse(y, context) - x).abs().max() < 1e-5)
    True
    """

    def __init__(self, kept: int, network: nn.Module, spline: Spline) -> None:
        super().__init__()
        self.kept, self.network, self.spline = kept, network, spline

    def forward(self, x: Tensor, context: Tensor) -> Step:
        """Transform the later numbers."""
        kept, rest = x[:, : self.kept], x[:, self.kept :]
        raw = self._raw(kept, context)
        value, log_derivative = self.spline(rest, raw)
        return Step(torch.cat([kept, value], dim=1), log_derivative.sum(dim=1), raw)

    def inverse(self, y: Tensor, context: Tensor) -> Tensor:
        """Go back."""
        kept, rest = y[:, : self.kept], y[:, self.kept :]
        return torch.cat([kept, self.spline.inverse(rest, self._raw(kept, context))], dim=1)

    def _raw(self, kept: Tensor, context: Tensor) -> Tensor:
        raw: Tensor = self.network(torch.cat([kept, context], dim=1)).unflatten(
            1, (self.spline.parameters, -1)
        )
        return raw


class Path(NamedTuple):
    """Where a `Flow` leads N vectors.

    Attributes
    ----------
    values
        (N, D) after each transform.
    log_det
        (N,) of all transforms together.
    raws
        (N, parameters, D) of each spline.
    """

    values: list[Tensor]
    log_det: Tensor
    raws: list[Tensor]


class Flow(nn.ModuleList):
    """Transforms one after the other.

    Examples
    --------
    >>> _ = torch.manual_seed(1)
    >>> spline = Spline(bins=4, bound=3.0)
    >>> def block():
    ...     return Autoregressive(MaskedNetwork(3, 1, spline.parameters, hidden=8), spline)
    >>> flow = Flow([block(), Permutation(shuffle([3])), block()])
    >>> x, context = torch.randn(2, 3), torch.randn(2, 1)
    >>> path = flow(x, context)
    >>> len(path.values), len(path.raws)
    (3, 2)
    >>> bool((flow.inverse(path.values[-1], context) - x).abs().max() < 1e-5)
    True
    """

    @property
    def transforms(self) -> list[Transform]:
        """The transforms in their order."""
        return cast(list[Transform], list(self))

    def forward(self, x: Tensor, context: Tensor) -> Path:
        """(N, D) and (N, C) -> the whole `Path`."""
        values, raws = [], []
        log_det = x.new_zeros(x.shape[0])
        for transform in self.transforms:
            x, change, raw = transform(x, context)
            values.append(x)
            log_det = log_det + change
            if raw is not None:
                raws.append(raw)
        return Path(values, log_det, raws)

    def inverse(self, y: Tensor, context: Tensor) -> Tensor:
        """(N, D) and (N, C) -> (N, D)."""
        for transform in reversed(self.transforms):
            y = transform.inverse(y, context)
        return y

    def log_density(self, x: Tensor, context: Tensor) -> Tensor:
        """Return ln p (N,) of vectors that the flow leads to standard normal ones."""
        path: Path = self(x, context)
        return normal_log_density(path.values[-1]) + path.log_det


class Forward(nn.ModuleList):
    """A copy of a `Flow` for generation, as it stands now: (N, D) and (N, C) -> (N, D)."""

    def __init__(self, flow: Flow) -> None:
        super().__init__(copy.deepcopy(transform) for transform in flow.transforms)
        self.eval().requires_grad_(False)

    def forward(self, x: Tensor, context: Tensor) -> Tensor:
        """Go through all transforms."""
        for transform in self:
            x = transform(x, context).value
        return x


def normal_log_density(z: Tensor) -> Tensor:
    """Return the logarithm of the standard normal density: (N, D) -> (N,).

    Examples
    --------
    >>> normal_log_density(torch.zeros(1, 2)).round(decimals=4)
    tensor([-1.8379])
    """
    squares: Tensor = z.square() + math.log(2 * math.pi)
    return -squares.sum(dim=1) / 2
