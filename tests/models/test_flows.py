"""Splines and transforms: both ways, their determinants, and what their networks may see."""

import math
from collections.abc import Callable

import pytest

torch = pytest.importorskip("torch")

from hypothesis import given  # noqa: E402
from hypothesis import strategies as st  # noqa: E402
from torch import Tensor, nn  # noqa: E402
from zuko.flows.autoregressive import MaskedAutoregressiveTransform  # noqa: E402
from zuko.transforms import MonotonicRQSTransform  # noqa: E402

from caloforge.models.flows import (  # noqa: E402
    Autoregressive,
    Backward,
    Coupling,
    Flow,
    Forward,
    MaskedNetwork,
    Permutation,
    Spline,
    Transform,
    inversion,
    normal_log_density,
    shuffle,
)

N, D, C = 40, 5, 2
SPLINE = Spline(bins=8, bound=14.0)
TOLERANCE = {torch.float32: 1e-4, torch.float64: 1e-9}


def autoregressive(spline: Spline = SPLINE, hidden: int = 12, layers: int = 1) -> Autoregressive:
    network = MaskedNetwork(D, C, spline.parameters, hidden, layers, dropout=0.5)
    return Autoregressive(network, spline)


def coupling() -> Coupling:
    network = nn.Sequential(nn.Linear(2 + C, 16), nn.ReLU(), nn.Linear(16, SPLINE.parameters * (D - 2)))
    return Coupling(2, network, SPLINE)


KINDS: dict[str, Callable[[], Transform | Flow]] = {
    "masked": autoregressive,
    "few_units": lambda: autoregressive(hidden=3),
    "one_unit": lambda: autoregressive(hidden=1),
    "deep": lambda: autoregressive(layers=3),
    "shallow": lambda: autoregressive(layers=0),
    "inverted": lambda: autoregressive(Spline(bins=8, bound=14.0, inverted=True)),
    "coupling": coupling,
    "permutation": lambda: Permutation(shuffle([2, 3])),
    "flow": lambda: Flow([autoregressive(), Permutation(inversion([3, 2])), coupling()]),
    "three": lambda: Flow(
        [
            Permutation(shuffle([5])),
            autoregressive(),
            Permutation(shuffle([3, 2])),
            autoregressive(),
            autoregressive(),
            Permutation(shuffle([5])),
        ]
    ),
}


@pytest.fixture(params=KINDS)
def transform(request: pytest.FixtureRequest) -> Transform | Flow:
    torch.manual_seed(1)
    return KINDS[request.param]().eval()


def vectors(dtype: torch.dtype = torch.float32, n: int = N) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(2)
    x = 2 * torch.randn(n, D, generator=generator, dtype=torch.float64)
    x[0] = torch.linspace(-15, 15, D)  # beyond the bound
    return x.to(dtype), torch.randn(n, C, generator=generator, dtype=torch.float64).to(dtype)


def passed(transform: Transform | Flow, x: Tensor, context: Tensor) -> tuple[Tensor, Tensor]:
    result = transform(x, context)
    return (result.values[-1] if isinstance(transform, Flow) else result.value), result.log_det


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_there_and_back(transform: Transform | Flow, dtype: torch.dtype) -> None:
    transform = transform.to(dtype)
    x, context = vectors(dtype)
    with torch.no_grad():
        y, _ = passed(transform, x, context)
        back = transform.inverse(y, context)
    assert not torch.equal(x, y)
    torch.testing.assert_close(back, x, rtol=TOLERANCE[dtype], atol=TOLERANCE[dtype])


def test_the_determinant_is_that_of_the_jacobian(transform: Transform | Flow) -> None:
    transform = transform.double()
    x, context = vectors(torch.float64, 6)
    _, log_det = passed(transform, x, context)
    for number in range(6):
        own = context[number : number + 1]

        def one(vector: Tensor, own: Tensor = own) -> Tensor:
            return passed(transform, vector.unsqueeze(0), own)[0].squeeze(0)

        jacobian = torch.autograd.functional.jacobian(one, x[number])
        assert float(torch.linalg.slogdet(jacobian).logabsdet) == pytest.approx(
            float(log_det[number].detach()), abs=1e-8
        )


@pytest.mark.parametrize("hidden", [1, 3, 5, 12])
@pytest.mark.parametrize("layers", [0, 1, 2])
def test_a_number_sees_only_those_before_it_and_the_context(hidden: int, layers: int) -> None:
    torch.manual_seed(1)
    network = MaskedNetwork(D, C, 3, hidden, layers)
    with torch.no_grad():
        for parameter in network.parameters():
            # No unit is off, nothing cancels; what is masked stays 0.
            parameter.copy_(torch.where(parameter == 0, 0.0, parameter.abs() + 0.1))
    x, context = (value[:1].abs().requires_grad_(True) for value in vectors())
    for number in range(D):
        seen, known = torch.autograd.grad(network(x, context)[0, :, number].sum(), [x, context])
        assert (seen[0, number:] == 0).all()
        assert (known != 0).all()
        if hidden >= D:
            assert (seen[0, :number] != 0).all()


def test_with_few_units_all_but_the_last_numbers_are_seen_by_the_last() -> None:
    network = MaskedNetwork(504, 4, 1, 378)
    assert network.degrees.min() == 0
    assert network.degrees.max() == 503
    assert len(network.degrees.unique()) == 378


@pytest.mark.parametrize("bins", [2, 5, 8])
def test_splines_are_those_of_zuko(bins: int) -> None:
    torch.manual_seed(1)
    spline = Spline(bins, bound=3.0)
    x = torch.linspace(-4, 4, 57, dtype=torch.float64).view(1, -1)
    raw = torch.randn(1, spline.parameters, 57, dtype=torch.float64)
    # zuko turns its parameters into positive numbers by other functions: these are set afterwards.
    widths, heights, slopes = raw[0].T.split([bins, bins, bins - 1], dim=1)
    theirs = MonotonicRQSTransform(widths, heights, slopes, bound=3.0)
    for name, values in (("horizontal", widths), ("vertical", heights)):
        sizes = 1e-6 + (1 - 1e-6 * bins) * values.softmax(dim=1)
        setattr(theirs, name, nn.functional.pad(6 * sizes.cumsum(dim=1), (1, 0)) - 3)
    inner = 1e-6 + nn.functional.softplus(slopes + math.log(math.expm1(1 - 1e-6)))
    theirs.derivatives = nn.functional.pad(inner, (1, 1), value=1.0)
    y, log_derivative = spline(x, raw)
    expected, ladj = theirs.call_and_ladj(x[0])
    torch.testing.assert_close(y[0], expected)
    torch.testing.assert_close(log_derivative[0], ladj)
    torch.testing.assert_close(spline.inverse(y, raw)[0], theirs.inv(expected))


def test_mixed_precision_rounds_products_but_no_splines() -> None:
    torch.manual_seed(1)
    raw, x = torch.randn(N, SPLINE.parameters, D), vectors()[0]
    expected, flow = SPLINE(x, raw), autoregressive().eval()
    with torch.autocast("cpu", torch.bfloat16), torch.no_grad():
        for value, other in zip(SPLINE(x, raw), expected, strict=True):
            torch.testing.assert_close(value, other, rtol=1e-4, atol=1e-4)
        assert flow(*vectors()).raw.dtype == torch.float32


def test_raw_parameters_of_zero_are_the_identity() -> None:
    x = torch.linspace(-15, 15, 99).view(1, -1)
    y, log_derivative = SPLINE(x, torch.zeros(1, SPLINE.parameters, 99))
    torch.testing.assert_close(y, x, rtol=0, atol=1e-5)
    assert log_derivative.abs().max() < 1e-5


@given(size=st.floats(0, 30), seed=st.integers(0, 1000), inverted=st.booleans())
def test_the_wildest_splines_grow_and_have_gradients(size: float, seed: int, inverted: bool) -> None:
    generator = torch.Generator().manual_seed(seed)
    spline = Spline(SPLINE.bins, SPLINE.bound, inverted=inverted)
    x = torch.linspace(-15, 15, 200).view(1, -1).requires_grad_(True)
    raw = size * torch.randn(1, SPLINE.parameters, 1, generator=generator).expand(-1, -1, 200)
    raw.requires_grad_(True)
    y, log_derivative = spline(x, raw)
    assert (y.diff() >= -1e-5).all()
    for value in torch.autograd.grad((y + log_derivative + spline.inverse(y, raw)).sum(), [x, raw]):
        assert value.isfinite().all()


@given(size=st.floats(0, 3), seed=st.integers(0, 1000), inverted=st.booleans())
def test_splines_can_be_inverted_in_single_precision(size: float, seed: int, inverted: bool) -> None:
    generator = torch.Generator().manual_seed(seed)
    spline = Spline(SPLINE.bins, SPLINE.bound, inverted=inverted)
    raw = size * torch.randn(1, SPLINE.parameters, 50, generator=generator)
    x = 30 * torch.rand(1, 50, generator=generator) - 15
    y, log_derivative = spline(x, raw)
    # Where the spline is flat, rounding of y, of up to 14, moves x further.
    flat = (-log_derivative).exp().clamp(min=1)
    ordinary = flat < 100
    assert ((spline.inverse(y, raw) - x).abs() <= 2e-5 * flat)[ordinary].all()


def test_an_inverted_spline_is_the_way_back() -> None:
    torch.manual_seed(1)
    raw, x = torch.randn(N, SPLINE.parameters, D), vectors()[0]
    inverted = Spline(SPLINE.bins, SPLINE.bound, inverted=True)
    y, log_derivative = SPLINE(x, raw)
    back, other = inverted(y, raw)
    assert torch.equal(back, SPLINE.inverse(y, raw))
    torch.testing.assert_close(other, -log_derivative, rtol=1e-3, atol=1e-3)
    torch.testing.assert_close(inverted.inverse(x, raw), y)


def test_the_loop_is_the_inverse_that_zuko_finds_in_as_many_passes() -> None:
    torch.manual_seed(1)
    transform = autoregressive().double().eval()
    y, context = vectors(torch.float64)
    x = torch.zeros_like(y)
    with torch.no_grad():
        for _ in range(D):
            x = SPLINE.inverse(y, transform.network(x, context))
        torch.testing.assert_close(Backward(Flow([transform]))(y, context), x)


@pytest.mark.parametrize("kind", ["masked", "few_units", "deep", "shallow", "three"])
def test_copies_for_generation_do_the_same(kind: str) -> None:
    torch.manual_seed(1)
    made = KINDS[kind]().double().eval()
    flow = made if isinstance(made, Flow) else Flow([made])
    x, context = vectors(torch.float64)
    with torch.no_grad():
        y = flow(x, context).values[-1]
        forward, backward = Forward(flow), Backward(flow)
        for parameter in flow.parameters():
            parameter.zero_()  # they are copies
        torch.testing.assert_close(forward(x, context), y)
        torch.testing.assert_close(backward(y, context), x)


def test_what_one_pass_inverts_needs_no_loop() -> None:
    with pytest.raises(TypeError, match="Coupling can be inverted in one pass"):
        Backward(Flow([coupling()]))


def test_a_loop_is_for_transforms_of_one_kind() -> None:
    with pytest.raises(ValueError, match="differ in their splines"):
        Backward(Flow([autoregressive(), autoregressive(Spline(bins=8, bound=3.0))]))


def test_masks_agree_with_those_of_zuko() -> None:
    theirs = MaskedAutoregressiveTransform(D, C, hidden_features=(64, 64))
    x, context = (value[0] for value in vectors())

    def seen(function: Callable[[Tensor], Tensor]) -> Tensor:
        return torch.autograd.functional.jacobian(function, x) != 0

    torch.manual_seed(1)
    ours = autoregressive(hidden=64).eval()
    mine = seen(lambda one: ours(one[None], context[None]).raw[0].sum(dim=0))
    assert torch.equal(mine, seen(lambda one: theirs.meta(context, one).base(x)) & ~torch.eye(D).bool())


def test_training_moves_no_weight_outside_of_the_masks() -> None:
    torch.manual_seed(1)
    network = MaskedNetwork(D, C, 3, hidden=5)
    adam = torch.optim.Adam(network.parameters(), lr=0.1)
    before = [parameter.detach().clone() for parameter in network.parameters()]
    network(*vectors()).square().sum().backward()
    adam.step()
    for parameter, old in zip(network.parameters(), before, strict=True):
        moved = parameter != old
        assert moved.any()
        assert not moved[old == 0].any()


def test_permutations_stay_within_their_groups() -> None:
    torch.manual_seed(1)
    sizes = [4, 1, 7]
    for order in (shuffle(sizes), inversion(sizes)):
        assert [set(part.tolist()) for part in order.split(sizes)] == [
            set(range(4)),
            {4},
            set(range(5, 12)),
        ]


def test_dropout_belongs_to_training() -> None:
    transform = autoregressive()
    x, context = vectors()
    assert not torch.equal(transform(x, context).value, transform(x, context).value)
    transform.eval()
    assert torch.equal(transform(x, context).value, transform(x, context).value)


def test_a_density_is_one() -> None:
    """It integrates to 1 over a square that holds nearly all of it."""
    torch.manual_seed(1)
    spline = Spline(bins=8, bound=8.0)
    network = MaskedNetwork(2, 1, spline.parameters, 8)
    flow = Flow([Autoregressive(network, spline), Permutation(inversion([2]))]).double()
    line = torch.linspace(-9, 9, 721, dtype=torch.float64)
    x = torch.cartesian_prod(line, line)
    with torch.no_grad():
        density = flow.log_density(x, torch.ones(len(x), 1, dtype=torch.float64)).exp()
    step = float(line[1] - line[0])
    assert float(density.sum()) * step**2 == pytest.approx(1, abs=2e-3)
    normal = torch.distributions.Normal(0.0, 1.0).log_prob(x).sum(dim=1)
    torch.testing.assert_close(normal_log_density(x), normal)


@pytest.mark.parametrize(("hidden", "layers"), [(8, 0), (8, 2), (20, 1)])
def test_a_network_imitates_another_for_scaled_inputs(hidden: int, layers: int) -> None:
    torch.manual_seed(1)
    shape = {"features": 5, "context": 2, "outputs": 3, "layers": layers}
    other, own = MaskedNetwork(hidden=8, **shape), MaskedNetwork(hidden=hidden, **shape)
    scale, shift = torch.rand(5) + 0.5, torch.randn(5)
    own.imitate(other, scale, shift)
    x, context = torch.randn(7, 5), torch.randn(7, 2)
    torch.testing.assert_close(own(x, context), other(scale * x + shift, context))
