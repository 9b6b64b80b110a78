"""The contract itself: configurations, batches, mirror images, and examples that run."""

import doctest
import math
from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from caloforge import config  # noqa: E402
from caloforge.errors import ConfigError, InputError  # noqa: E402
from caloforge.geometry import Axis, Calorimeter  # noqa: E402
from caloforge.models import base  # noqa: E402
from caloforge.models.base import Batch, GenerativeModel, ModelConfig  # noqa: E402
from tests import toys  # noqa: E402
from tests.batches import upright  # noqa: E402

N = 6
ALL = [[1, 1], [-1, 1], [1, -1], [-1, -1]]
ALONG_ETA = ((30.0, 30.0), (0.0, 0.0))


class Aimed(toys.TwoPhases):
    """A model that is told where its particle comes from, but not where it arrives."""

    conditions = ("energy", "direction")


class Anywhere(toys.TwoPhases):
    """A model that is told all there is to tell."""

    conditions = base.CONDITIONS


def showers(geometry: Calorimeter) -> Batch:
    cells = torch.arange(N * geometry.n_cells, dtype=torch.float32).view(N, -1)
    batch = upright(cells, 1e3 * torch.arange(1.0, N + 1), geometry, torch.arange(N) % 2)
    return batch._replace(position=torch.arange(2.0 * N).view(N, 2))


def signs(kind: type[GenerativeModel], geometry: Calorimeter, **choices: object) -> list[list[float]]:
    """Return the signs of the mirror images of a model that is configured as said."""
    found: list[list[float]] = kind(kind.Config(**choices), geometry).symmetries(geometry).signs.tolist()
    return found


def test_the_examples_run() -> None:
    found = doctest.testmod(base)
    assert found.attempted > 0
    assert found.failed == 0


def test_an_energy_range_may_be_one_energy() -> None:
    assert ModelConfig(energy_range=(65.0, 65.0)).energy_range == (65.0, 65.0)


@pytest.mark.parametrize(
    "wrong",
    [(5.0, 1.0), (0.0, 1.0), (-1.0, 1.0), (math.nan, 1.0), (1.0, math.nan), (1.0, math.inf)],
)
def test_an_energy_range_is_two_ascending_energies_above_0(wrong: tuple[float, float]) -> None:
    with pytest.raises(ValueError, match="two ascending energies above 0"):
        ModelConfig(energy_range=wrong)
    with pytest.raises(ConfigError, match="two ascending energies above 0"):
        config.load(ModelConfig, {"energy_range": list(wrong)})


def test_a_model_without_particles_is_refused() -> None:
    with pytest.raises(ConfigError, match="particles"):
        config.load(ModelConfig, {"particles": []})


def test_ranges_survive_as_plain_values() -> None:
    original = ModelConfig(
        direction_range=((0.0, 30.0), (-180.0, 180.0)), position_range=((-1.0, 1.0), (2.0, 2.0))
    )
    assert config.load(ModelConfig, config.to_dict(original)) == original


def test_conditions_come_in_the_order_that_they_are_asked_for(small: Calorimeter) -> None:
    batch = showers(small)
    label, energy = batch.inputs(("label", "energy"))
    assert label is batch.label
    assert energy is batch.energy
    assert batch.inputs(()) == ()


def test_a_batch_goes_to_a_device_with_all_that_it_has(small: Calorimeter) -> None:
    batch = showers(small)
    away = batch.to(torch.device("meta"))
    assert away.geometry is small
    for name in batch._fields[:-1]:
        there, here = getattr(away, name), getattr(batch, name)
        assert (there.device.type, there.shape, there.dtype) == ("meta", here.shape, here.dtype)
        assert here.device.type == "cpu"
        assert torch.equal(getattr(batch.to(torch.device("cpu")), name), here)


def test_a_sampler_takes_all_conditions_but_the_read_out(small: Calorimeter) -> None:
    model = Anywhere(toys.Config(), small)
    assert model.inputs == ("energy", "direction", "position", "label")
    assert (model.name, model.geometry) == ("test_base", small)


@pytest.mark.parametrize(
    ("choices", "expected"),
    [
        ({}, ALL),
        ({"direction_range": ((0.0, 0.0), (70.0, 70.0))}, ALL),  # perpendicular, whatever phi is
        ({"direction_range": ALONG_ETA}, [[1, 1], [1, -1]]),
        ({"direction_range": ((30.0, 30.0), (180.0, 180.0))}, [[1, 1], [1, -1]]),
        ({"direction_range": ((30.0, 30.0), (-90.0, -90.0))}, [[1, 1], [-1, 1]]),
        ({"direction_range": ((30.0, 30.0), (45.0, 45.0))}, [[1, 1]]),
        ({"position_range": ((0.0, 0.0), (5.0, 5.0))}, [[1, 1], [-1, 1]]),
        ({"position_range": ((-5.0, -5.0), (0.0, 0.0))}, [[1, 1], [1, -1]]),
        ({"position_range": ((-5.0, -5.0), (5.0, 5.0))}, [[1, 1]]),
        ({"direction_range": ALONG_ETA, "position_range": ((0.0, 0.0), (5.0, 5.0))}, [[1, 1]]),
    ],
)
def test_what_a_model_is_not_told_stays_as_it_is(
    small: Calorimeter, choices: dict[str, object], expected: list[list[float]]
) -> None:
    assert signs(toys.TwoPhases, small, **choices) == expected
    assert signs(Anywhere, small, **choices) == ALL


def test_a_model_that_is_told_the_direction_keeps_all_images(small: Calorimeter) -> None:
    tilted = {"direction_range": ((0.0, 60.0), (-180.0, 180.0))}
    assert signs(Aimed, small, **tilted) == ALL
    aside = {"position_range": ((5.0, 5.0), (0.0, 0.0))}
    assert signs(Aimed, small, **tilted, **aside) == [[1, 1], [1, -1]]


@pytest.mark.parametrize("choices", [{}, {"direction_range": ALONG_ETA}])
def test_cells_are_mirrored_as_their_places_are(calogan: Calorimeter, choices: dict[str, object]) -> None:
    model = toys.TwoPhases(toys.Config(**choices), calogan)
    found = model.symmetries(calogan)
    assert found.cells.dtype == np.int64
    assert (found.cells[0] == np.arange(calogan.n_cells)).all()
    places = np.concatenate([np.stack(layer.centres, axis=-1).reshape(-1, 2) for layer in calogan.layers])
    assert len(found.cells) == len(found.signs) > 1
    for cells, sign in zip(*found, strict=True):
        np.testing.assert_allclose(places[cells], places * sign, atol=1e-9)


def test_a_calorimeter_that_is_not_symmetric_has_fewer_images(small: Calorimeter) -> None:
    lopsided = replace(
        small, layers=tuple(replace(one, eta=Axis.uniform(4, 0.0, 40.0)) for one in small.layers)
    )
    assert signs(toys.TwoPhases, lopsided) == [[1, 1], [1, -1]]
    assert signs(Anywhere, lopsided) == [[1, 1], [1, -1]]
    assert signs(toys.TwoPhases, lopsided, position_range=((5.0, 5.0), (3.0, 3.0))) == [[1, 1]]


def test_a_model_that_starts_from_no_other_says_so(small: Calorimeter) -> None:
    model = toys.TwoPhases(toys.Config(), small)
    assert model.parent_model is None
    with pytest.raises(InputError, match=r"toys does not start from another training: leave --from out"):
        model.inherit(Aimed(toys.Config(), small))
