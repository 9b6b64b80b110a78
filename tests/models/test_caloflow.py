"""CaloFlow: showers as numbers, the published sizes, and a student that draws what its teacher draws."""

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from torch import Tensor  # noqa: E402

import caloforge as cf  # noqa: E402
from caloforge.errors import InputError  # noqa: E402
from caloforge.formats.native import write  # noqa: E402
from caloforge.geometry import Calorimeter  # noqa: E402
from caloforge.models import caloflow, caloflow_teacher, checkpoint  # noqa: E402
from caloforge.models.base import Batch  # noqa: E402
from caloforge.models.caloflow_base import CaloFlowConfig, CellCoding, energy_context  # noqa: E402
from caloforge.models.flows import Permutation  # noqa: E402
from tests.batches import parameters_of, run, training_data, upright  # noqa: E402
from tests.conftest import MakeShowers  # noqa: E402

SMALL = {"blocks": 2, "energy_blocks": 2, "energy_hidden": 16}
N = 64


def teacher(geometry: Calorimeter, **changes: object) -> caloflow_teacher.CaloFlowTeacher:
    torch.manual_seed(1)
    settings = {**SMALL, "hidden": 32, **changes}
    return caloflow_teacher.CaloFlowTeacher(caloflow_teacher.Config(**settings), geometry)


def student(geometry: Calorimeter, **changes: object) -> caloflow.CaloFlow:
    torch.manual_seed(2)
    settings = {**SMALL, "hidden": 32, **changes}
    return caloflow.CaloFlow(caloflow.Config(**settings), geometry)


def showers(geometry: Calorimeter, n: int = N) -> Batch:
    """Sparse showers that hold 80 % of the energy."""
    random = np.random.default_rng(1)
    share = random.exponential(1.0, (n, geometry.n_cells)) ** 2
    share[share < 0.5] = 0
    energy = random.uniform(1e3, 1e5, n)
    cells = 0.8 * energy[:, None] * share / share.sum(axis=1, keepdims=True)
    return upright(torch.from_numpy(cells).float(), torch.from_numpy(energy).float(), geometry)


def layer_sums(cells: Tensor, geometry: Calorimeter) -> Tensor:
    parts = cells.split([layer.n_cells for layer in geometry.layers], dim=1)
    return torch.stack([part.sum(dim=1) for part in parts], dim=1)


def test_showers_come_back_from_numbers_in_single_precision(calogan: Calorimeter) -> None:
    coding = CellCoding([layer.n_cells for layer in calogan.layers], CaloFlowConfig())
    cells = showers(calogan).cells
    numbers, layers = coding(cells, torch.rand_like(cells))
    assert numbers.dtype == torch.float32
    assert numbers.abs().max() < 14
    back = coding.cut(coding.inverse(numbers, layers))
    # Up to 1 keV is the noise, and there are no cells below the threshold.
    torch.testing.assert_close(back, cells, rtol=2e-5, atol=2e-3)
    double = CellCoding(coding.sizes, coding.config)(cells.double(), torch.zeros(1).double())
    torch.testing.assert_close(coding(cells, torch.zeros(1))[0].double(), double[0], rtol=0, atol=5e-6)


def test_single_precision_draws_what_double_precision_draws(calogan: Calorimeter) -> None:
    model = teacher(calogan, hidden=8, threshold=0.0)
    noise = torch.randn(8, 3 + calogan.n_cells, generator=torch.Generator().manual_seed(3))
    energy = torch.linspace(1e3, 1e5, 8)
    with torch.no_grad():
        single = model.sampler(calogan)(noise, energy)
        double = model.double().sampler(calogan)(noise.double(), energy.double())
    torch.testing.assert_close(single.double(), double, rtol=1e-4, atol=1e-3)


def test_layers_have_the_energies_that_they_shall_have(calogan: Calorimeter) -> None:
    coding = CellCoding([layer.n_cells for layer in calogan.layers], CaloFlowConfig())
    torch.manual_seed(1)
    layers = 1e4 * torch.rand(N, 3)
    layers[0, 1] = 0
    cells = coding.inverse(5 * torch.randn(N, calogan.n_cells), layers)
    torch.testing.assert_close(layer_sums(cells, calogan), layers, rtol=1e-5, atol=0)
    # The cut takes at most the threshold from each cell.
    lost = layers - layer_sums(coding.cut(cells), calogan)
    assert (lost < 0.01 * torch.tensor(coding.sizes) + 1e-5 * layers).all()
    assert (coding.cut(cells)[coding.cut(cells) > 0] >= 0.01).all()


def test_the_first_flow_draws_the_energies_that_the_second_fills(small: Calorimeter) -> None:
    model = teacher(small, threshold=0.0)
    torch.manual_seed(1)
    energy, sampler = torch.linspace(1e3, 1e5, N), model.sampler(small)
    noise = torch.randn(N, sampler.noise_size)
    with torch.no_grad():
        layers = model.energies.draw(noise[:, :2], energy)
        torch.testing.assert_close(layer_sums(sampler(noise, energy), small), layers, rtol=1e-4, atol=1e-3)
    assert (layers.sum(dim=1) <= energy + model.energies.more).all()


def test_conditions_are_those_of_the_paper(calogan: Calorimeter) -> None:
    coding = CellCoding([288, 144, 72], CaloFlowConfig())
    energy, layers = torch.tensor([1e3, 1e5]), torch.tensor([[100.0, 1e5, 0.0]] * 2)
    assert energy_context(energy).flatten().tolist() == pytest.approx([-1, 1])
    known = coding.context(layers, energy)
    torch.testing.assert_close(known[0], torch.tensor([-1.0, -1.0, 2.0, -6.0]), rtol=0, atol=1e-4)


def test_the_parameters_are_as_many_as_published(calogan: Calorimeter) -> None:
    with torch.device("meta"):
        models = (
            caloflow_teacher.CaloFlowTeacher(caloflow_teacher.Config(), calogan),
            caloflow.CaloFlow(caloflow.Config(), calogan),
        )
    flow_I, flow_II, learned = map(parameters_of, (models[0].energies, models[0].cells, models[1].cells))
    assert flow_I == 79_134
    assert round(flow_II / 1e6, 1) == 37.8
    assert round(learned / 1e6, 1) == 50.9


def test_no_cell_leaves_its_layer(calogan: Calorimeter) -> None:
    model = teacher(calogan, blocks=4, hidden=4)
    orders = [one.order for one in model.cells.transforms if isinstance(one, Permutation)]
    assert len(orders) == 3
    for order in orders:
        assert torch.equal(model.coding.owner[order], model.coding.owner)
    backwards, shuffled, again = orders
    assert torch.equal(backwards, again)
    assert torch.equal(backwards[:288], torch.arange(288).flip(0))
    assert not torch.equal(shuffled, backwards)


def test_rates_are_halved_when_published(small: Calorimeter) -> None:
    ends = {"energies": (75, [5, 15, 40, 60]), "cells": (100, [50]), "distillation": (100, [10, 40, 70])}
    for phase in (*teacher(small).phases(), *student(small).phases()):
        epochs, halved = ends[phase.name]
        (schedule,) = phase.schedules(10 * epochs)
        assert phase.epochs == epochs
        rates = []
        for _ in range(10 * epochs):
            rates.append(schedule.get_last_lr()[0])
            schedule.optimizer.step()
            schedule.step()
        assert [step for step in range(1, len(rates)) if rates[step] < rates[step - 1]] == [
            10 * epoch for epoch in halved
        ]
        assert rates[0] == pytest.approx(1e-4)
        assert rates[-1] == pytest.approx(1e-4 / 2 ** len(halved))


def test_showers_above_the_available_energy_are_counted(small: Calorimeter) -> None:
    batch = showers(small)
    batch.cells[: N // 4] *= 1.5
    figures = run(teacher(small, particles=("gamma",)), batch, steps=4, size=N)
    assert np.mean([float(one["above"]) for one in figures]) == pytest.approx(0.25, abs=0.1)


def test_annihilation_of_a_positron_is_not_above(small: Calorimeter) -> None:
    energy = torch.full((1,), 1e3)
    layers = torch.tensor([[1000.0, 1.02]])
    for particle, above in (("e+", False), ("gamma", True)):
        assert teacher(small, particles=(particle,)).energies.numbers(layers, energy)[1].item() == above


def test_the_teacher_learns_showers(small: Calorimeter) -> None:
    model, batch = teacher(small, rate=3e-3, dropout=0.0), showers(small, 256)
    before = {name: float(value) for name, value in model.measured(training_data(batch)).items()}
    for phase in (0, 1):
        run(model, batch, steps=60, size=64, phase=phase)
    after = {name: float(value) for name, value in model.measured(training_data(batch)).items()}
    assert after["nll/energies"] < before["nll/energies"] - 1
    assert after["nll/cells"] < before["nll/cells"] - 30


def test_a_student_draws_what_its_teacher_draws(small: Calorimeter) -> None:
    master = teacher(small)
    pupil = student(small, rate=3e-3, updates=(1, 1, 1, 1), start="random")
    pupil.inherit(master)
    batch, noise = showers(small, 256), torch.randn(N, 2 + small.n_cells)
    energy = torch.linspace(2e3, 9e4, N)

    def distance() -> float:
        with torch.no_grad():
            drawn, true = (one.sampler(small)(noise, energy) for one in (pupil, master))
        return float((drawn - true).abs().sum() / true.sum())

    before, divergence = distance(), float(pupil.measured(training_data(batch))["kl"])
    figures = run(pupil, batch, steps=120, size=64)
    after = float(pupil.measured(training_data(batch))["kl"])
    assert float(figures[-1]["loss"]) < 0.1 * float(figures[0]["loss"])
    assert distance() < 0.25 * before
    assert 0 < after < 0.2 * divergence


def test_a_student_starts_near_its_teacher(small: Calorimeter) -> None:
    """Most of what is to be learned is there before the first step."""
    master, batch = teacher(small, hidden=24), training_data(showers(small, 256))
    found = {}
    for start in ("random", "teacher"):
        pupil = student(small, start=start, hidden=48)
        pupil.inherit(master)
        (phase,) = pupil.phases()
        if phase.prepare is not None:
            phase.prepare(batch)
        found[start] = float(pupil.measured(batch)["kl"])
    assert 0 <= found["teacher"] < 0.2 * found["random"]


def test_partners_of_a_perfect_student_are_equal(small: Calorimeter) -> None:
    """Its spline parameters are those that the teacher has on the way back."""
    master = teacher(small).eval()
    pupil = student(small)
    pupil.inherit(master)
    x, context = torch.randn(N, small.n_cells), torch.randn(N, 3)
    with torch.no_grad():
        there = master.cells(x, context)
        value, raws, values = there.values[-1], iter(reversed(there.raws)), []
        for transform in pupil.cells.transforms:
            if isinstance(transform, Permutation):
                value = transform(value, context).value
            else:
                value = transform.spline(value, next(raws))[0]
            values.append(value)
    back = there._replace(values=values, raws=there.raws[::-1])
    torch.testing.assert_close(values[-1], x, rtol=1e-3, atol=1e-3)
    assert caloflow.apart(there, back).max() < 1e-3
    wrong = back._replace(raws=back.raws[::-1])
    assert caloflow.apart(there, wrong).min() > 1


def test_updates_become_fewer_and_larger(small: Calorimeter, monkeypatch: pytest.MonkeyPatch) -> None:
    pupil = student(small, piece=5)
    pupil.inherit(teacher(small))
    sizes: list[list[int]] = []
    update = pupil._update
    monkeypatch.setattr(
        pupil,
        "_update",
        lambda batch, rows, adam: (sizes[-1].append(len(rows)), update(batch, rows, adam))[1],
    )
    (phase,) = pupil.phases()
    for done in (0.0, 0.1, 0.4, 0.7):
        sizes.append([])
        phase.step(showers(small, 16), done)
    assert sizes == [[2] * 8, [4] * 4, [8] * 2, [16]]


def test_gradients_of_pieces_add_up(small: Calorimeter) -> None:
    batch, grown = showers(small, 12), []
    for piece in (12, 5):
        pupil = student(small, piece=piece, updates=(1, 1, 1, 1), beta=1.0, noise=1e-9)
        pupil.inherit(teacher(small, noise=1e-9))
        pupil.phases()[0].step(batch, 0.0)
        grown.append(torch.cat([parameter.grad.flatten() for parameter in pupil.cells.parameters()]))
    torch.testing.assert_close(*grown, rtol=1e-3, atol=1e-4 * float(grown[0].abs().max()))


def test_a_student_takes_only_a_teacher_of_its_kind(small: Calorimeter, calogan: Calorimeter) -> None:
    with pytest.raises(InputError, match=r"has blocks=3: set the same here"):
        student(small).inherit(teacher(small, blocks=3))
    with pytest.raises(InputError, match="has learned calogan, not small"):
        student(small).inherit(teacher(calogan, hidden=4))
    with pytest.raises(InputError, match="name its folder"):
        student(small).phases()[0].step(showers(small, 8), 0.0)


@pytest.mark.parametrize("name", ["caloflow_teacher", "caloflow"])
def test_the_published_size_makes_a_step(name: str, calogan: Calorimeter) -> None:
    torch.manual_seed(1)
    model = caloflow_teacher.CaloFlowTeacher(caloflow_teacher.Config(), calogan)
    if name == "caloflow":
        pupil = caloflow.CaloFlow(caloflow.Config(updates=(1, 1, 1, 1)), calogan)
        pupil.inherit(model)
        model = pupil
    figures = model.phases()[-1].step(showers(calogan, 2), 0.0)
    assert all(np.isfinite(float(value)) for value in figures.values())


def test_a_teacher_and_its_student_are_trained_from_files(
    tmp_path: Path, small: Calorimeter, make_showers: MakeShowers
) -> None:
    file = tmp_path / "showers.h5"
    write(make_showers(120, small), file)
    plan = cf.Plan(epochs=2, batch=32, held_out=20)
    settings = {**SMALL, "hidden": 16}
    begun = cf.train("caloflow_teacher", file, tmp_path / "teacher", plan, geometry=small, settings=settings)
    best = cf.train(
        "caloflow", file, tmp_path / "student", plan, geometry=small, settings=settings, parent=begun
    )
    record, parent = checkpoint.load(best).record, checkpoint.load(begun).record
    assert record["parent"]["sha256"] == parent["sha256"]
    assert {"kl", "separation"} <= record["figures"].keys()
    assert "nll/cells" in parent["figures"]
    with pytest.raises(InputError, match=r"caloflow starts from a training of caloflow_teacher"):
        cf.train("caloflow", file, tmp_path / "other", plan, geometry=small, settings=settings)
    drawn = checkpoint.load(best).build_model()  # without the teacher at hand
    energies = checkpoint.load(begun).build_model().energies.state_dict()
    for name, value in drawn.energies.state_dict().items():
        assert torch.equal(value, energies[name])
