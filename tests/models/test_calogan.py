"""CaloGAN: what the paper and its source say of the networks, and of how they are trained."""

import math

import pytest

torch = pytest.importorskip("torch")

from caloforge import config  # noqa: E402
from caloforge.errors import ConfigError, GeometryError  # noqa: E402
from caloforge.geometry import Axis, Calorimeter, Layer, Slab, Stack  # noqa: E402
from caloforge.models.base import Batch  # noqa: E402
from caloforge.models.calogan import CaloGAN, Config  # noqa: E402
from tests.batches import run, upright  # noqa: E402

N = 16
PARTICLES = ("e+", "gamma", "pi+")


def build(geometry: Calorimeter, **choices: object) -> CaloGAN:
    torch.manual_seed(1)
    return CaloGAN(config.load(Config, choices), geometry)


def batch_for(model: CaloGAN) -> Batch:
    energy = 1000 + 99_000 * torch.rand(N)
    cells = torch.rand(N, model.geometry.n_cells) * (torch.rand(N, model.geometry.n_cells) < 0.3)
    cells = cells / cells.sum(dim=1, keepdim=True) * energy.unsqueeze(1)
    return upright(cells, energy, model.geometry, torch.randint(len(model.config.particles), (N,)))


def test_the_published_size(calogan: Calorimeter) -> None:
    model = build(calogan)
    positions = {(3, 96): 5 * 98, (12, 12): 14 * 14, (12, 6): 14 * 8}
    dense = sum(36 * cells * (1024 + 1) for cells in positions.values())
    found = sum(p.numel() for s in model.generator.streams for p in s.dense.parameters())
    assert found == dense
    assert model.sampler(calogan).noise_size == 1024
    assert [tuple(s.second.weight.shape[:2]) for s in model.generator.streams] == list(positions)


def test_the_dense_layers_start_on_the_scale_of_keras(calogan: Calorimeter) -> None:
    model = build(calogan)
    for stream in model.generator.streams:
        outputs, inputs = stream.dense.weight.shape
        assert stream.dense.weight.abs().max() <= math.sqrt(6 / (inputs + outputs))


def test_noise_is_multiplied_by_the_energy(small: Calorimeter) -> None:
    model = build(small).eval()
    noise, energy, label = torch.randn(N, 1024), torch.full((N,), 4e4), torch.zeros(N, dtype=torch.int64)
    with torch.no_grad():
        torch.testing.assert_close(model(noise, energy, label), model(2 * noise, energy / 2, label))


def test_at_first_a_layer_copies_nothing_from_the_one_before(small: Calorimeter) -> None:
    inpainting = build(small).generator.inpaintings[0]
    own, carried = torch.randn(4, 4, 1, N), torch.randn(4, 4, 1, N)
    torch.testing.assert_close(inpainting(own, carried), own, rtol=0, atol=1e-2)


def test_attention_weighs_own_and_carried_pixel(small: Calorimeter) -> None:
    inpainting = build(small).generator.inpaintings[0]
    with torch.no_grad():
        inpainting.weighting.bias.normal_()
    own, carried = torch.randn(4, 4, 1, N), torch.randn(4, 4, 1, N)
    painted = inpainting(own, carried)
    assert (painted <= torch.maximum(own, carried) + 1e-6).all()
    assert (painted >= torch.minimum(own, carried) - 1e-6).all()
    torch.testing.assert_close(inpainting(own, own), own)


def test_without_attention_layers_are_independent(small: Calorimeter) -> None:
    model = build(small, attention=False).eval()
    assert len(model.generator.inpaintings) == 0
    noise, energy, label = torch.randn(N, 1024), torch.full((N,), 4e4), torch.zeros(N, dtype=torch.int64)
    with torch.no_grad():
        before = model(noise, energy, label)
        model.generator.streams[0].second.weight.zero_()
        after = model(noise, energy, label)
    first = 2 * 8
    assert (after[:, :first] == 0).all()
    assert torch.equal(before[:, first:], after[:, first:])


def test_layers_that_do_not_divide_are_refused_where_attention_is_on() -> None:
    axes = (Axis.uniform(4, -20.0, 20.0), Axis.uniform(3, -20.0, 20.0))
    layers = tuple(Layer(z=(6.0 * i, 6.0 * i + 6.0), eta=axis, phi=axes[0]) for i, axis in enumerate(axes))
    slabs = (Slab("G4_Pb", 2.0, "absorber"), Slab("G4_lAr", 4.0, "active"))
    geometry = Calorimeter("odd", "for tests", "none", (Stack(2, slabs),), ("absorber", "active"), layers)
    with pytest.raises(GeometryError, match=r"4 columns .* 3 of the next"):
        build(geometry)
    build(geometry, attention=False)


def test_the_discriminator_reads_the_total_energy_off_the_images(small: Calorimeter) -> None:
    model = build(small)
    batch = batch_for(model)
    verdict = model.discriminator(model._images(batch.cells), batch.energy / 1000, batch.label)
    torch.testing.assert_close(verdict.total, batch.cells.sum(dim=1) / 1000)
    assert verdict.real.shape == (N,)
    assert verdict.classes is None


def test_cells_keep_their_place_between_showers_and_images(calogan: Calorimeter) -> None:
    model = build(calogan, latent=8)
    cells = torch.rand(N, calogan.n_cells)
    images = model._images(cells)
    for image, expected in zip(images, calogan.split(cells.numpy()), strict=True):
        torch.testing.assert_close(image.squeeze(2).permute(2, 0, 1) * 1000, torch.tensor(expected))


def test_the_generator_learns_without_changing_the_discriminator(small: Calorimeter) -> None:
    model = build(small)
    before = [p.clone() for p in model.discriminator.parameters()]
    model._learn_to_generate(torch.ones(N), model.phases()[0].optimizers["generator"])
    assert all(torch.equal(p, q) for p, q in zip(model.discriminator.parameters(), before, strict=True))
    assert all(p.grad is None and p.requires_grad for p in model.discriminator.parameters())


def test_the_discriminator_learns_without_changing_the_generator(small: Calorimeter) -> None:
    model = build(small)
    before = {name: value.clone() for name, value in model.generator.state_dict().items()}
    model._learn_to_discriminate(batch_for(model), model.phases()[0].optimizers["discriminator"])
    assert all(torch.equal(v, before[name]) for name, v in model.generator.state_dict().items())


@pytest.mark.parametrize("conditioning", ["acgan", "cgan"])
def test_conditioned_variants_draw_the_particle_that_is_asked_for(
    small: Calorimeter, conditioning: str
) -> None:
    model = build(small, particles=PARTICLES, conditioning=conditioning)
    figures = model.phases()[0].step(batch_for(model), 0.0)
    assert ("generator/class" in figures) == (conditioning == "acgan")
    assert all(torch.isfinite(value) for value in figures.values())
    noise, energy = torch.randn(1, 1024).expand(3, -1), torch.full((3,), 5e4)
    with torch.no_grad():
        cells = model.eval()(noise, energy, torch.arange(3))
        torch.testing.assert_close(
            model.sampler(small)(noise, energy, torch.arange(3)), cells, rtol=1e-4, atol=1e-3
        )
    assert not torch.equal(cells[0], cells[1])


def test_the_conditional_discriminator_judges_by_the_label(small: Calorimeter) -> None:
    model = build(small, particles=PARTICLES, conditioning="cgan")
    batch = batch_for(model)
    images, energy = model._images(batch.cells), batch.energy / 1000
    verdicts = [model.discriminator(images, energy, torch.full((N,), i)).real for i in range(2)]
    assert not torch.equal(*verdicts)


def test_flipped_labels_are_wrong_and_as_many_as_configured(small: Calorimeter) -> None:
    model = build(small, particles=PARTICLES, conditioning="acgan", latent=8)
    label = torch.randint(3, (20_000,))
    told = model._flip(label)
    assert set(told.tolist()) == {0, 1, 2}
    assert (told != label).float().mean().item() == pytest.approx(0.3, abs=0.02)


def test_requests_cover_the_energy_range_uniformly(small: Calorimeter) -> None:
    model = build(small, latent=8, energy_range=(10.0, 20.0))
    noise, energy, label = model._requests(torch.ones(20_000))
    assert energy.min() >= 10
    assert energy.max() <= 20
    assert energy.mean().item() == pytest.approx(15, abs=0.1)
    assert noise.std().item() == pytest.approx(1, abs=0.02)
    assert (label == 0).all()


def test_bfloat16_products_follow_float32(small: Calorimeter) -> None:
    exact, rounded = build(small), build(small, precision="bfloat16")
    noise, energy, label = torch.randn(N, 1024), torch.full((N,), 4e4), torch.zeros(N, dtype=torch.int64)
    with torch.no_grad():
        one, other = exact.eval()(noise, energy, label), rounded.eval()(noise, energy, label)
    assert (one - other).norm() < 0.02 * one.norm()


def test_training_moves_the_total_energy_towards_the_requested_one(small: Calorimeter) -> None:
    model = build(small, generator_rate=2e-3)
    batch, phase = batch_for(model), model.phases()[0]
    first, *_, last = (float(phase.step(batch, i / 13)["generator/energy"]) for i in range(13))
    assert last < 0.8 * first


@pytest.mark.parametrize("name", ["small", "calogan"])
@pytest.mark.parametrize("choices", [{}, {"particles": PARTICLES, "conditioning": "cgan"}])
def test_the_sampler_equals_the_networks_that_were_trained(
    name: str, choices: dict[str, object], request: pytest.FixtureRequest
) -> None:
    model = build(request.getfixturevalue(name), latent=64, **choices)
    run(model, batch_for(model), steps=2, size=N)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    inputs = torch.randn(N, 64), 1000 + 99_000 * torch.rand(N), torch.arange(N) % len(model.config.particles)
    with torch.no_grad():
        expected = model.eval()(*inputs)
        drawn = model.sampler(model.geometry)(*inputs)
    torch.testing.assert_close(drawn, expected, rtol=1e-4, atol=1e-5 * float(expected.max()))
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


@pytest.mark.parametrize(
    ("choices", "reason"),
    [
        ({"energy_range": (5.0, 1.0)}, "two ascending energies"),
        ({"energy_range": (0.0, 1.0)}, "two ascending energies"),
        ({"particles": PARTICLES}, "more than one particle"),
        ({"atention": False}, "Did you mean 'attention'"),
        ({"conditioning": "gan"}, "conditioning"),
        ({"precision": "float16"}, "precision"),
        ({"particles": ()}, "particles"),
        ({"beta_1": 1.0}, "beta_1"),
    ],
)
def test_a_wrong_configuration_is_refused(choices: dict[str, object], reason: str) -> None:
    with pytest.raises(ConfigError, match=reason):
        config.load(Config, choices)
