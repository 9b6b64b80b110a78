"""Trainings on Dask clusters: they learn the very parameters that this computer's process learns."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
distributed = pytest.importorskip("distributed", reason="the extra 'cluster' is not installed")

from caloforge.errors import ClusterError, InputError  # noqa: E402
from caloforge.formats.native import write  # noqa: E402
from caloforge.models import checkpoint  # noqa: E402
from caloforge.stages.train import dask_worker  # noqa: E402
from caloforge.stages.train.fit import Piece, Plan, fit_alone  # noqa: E402
from caloforge.stages.train.run import train  # noqa: E402
from tests.batches import stack_of  # noqa: E402
from tests.conftest import MakeShowers  # noqa: E402

SETTINGS = {
    "energy_range": [1, 100],
    **{"blocks": 1, "hidden": 4, "embedded": 4, "energy_blocks": 1, "energy_hidden": 4, "bins": 4},
    **{"epochs": 2, "energy_epochs": 2},
}
THREE = stack_of(2, [3, 3, 3])
PLAN = Plan(held_out=16, batch=16, average=0.5)


@pytest.fixture(scope="module")
def scheduler() -> Iterator[str]:
    """Return the address of a scheduler whose worker has two threads of this process."""
    options = {"processes": False, "dashboard_address": "localhost:0", "protocol": "tcp://"}
    with distributed.LocalCluster(n_workers=1, threads_per_worker=2, **options) as cluster:
        yield cluster.scheduler_address


@pytest.fixture
def showers(tmp_path: Path, make_showers: MakeShowers) -> Path:
    path = tmp_path / "showers.h5"
    write(make_showers(96, THREE), path)
    return path


def run(file: Path, folder: Path, **options: Any) -> checkpoint.Checkpoint:
    train("l2l_flows", file, folder, PLAN, settings=SETTINGS, **options)
    return checkpoint.load(folder)


def test_a_cluster_learns_the_same(tmp_path: Path, showers: Path, scheduler: str) -> None:
    near = run(showers, tmp_path / "near")
    steps: list[float] = []
    far = run(
        showers,
        tmp_path / "far",
        cluster=scheduler,
        progress=lambda done, total, note="": steps.append(done / total),
    )
    assert far.record["finished"].keys() == {"1", "2"}  # the last layer is trained here
    assert far.tensors.keys() == near.tensors.keys()
    for name, value in near.tensors.items():
        assert torch.equal(far.tensors[name], value), name
    assert steps == sorted(steps)
    assert steps[-1] == 1


@pytest.mark.parametrize("again_far", [True, False])
def test_phases_that_are_done_are_kept(
    tmp_path: Path, showers: Path, scheduler: str, monkeypatch: pytest.MonkeyPatch, again_far: bool
) -> None:
    begun: list[int] = []

    def failing(model: Any, data: Any, plan: Plan, piece: Piece, **options: Any) -> Any:
        begun.append(piece.number)
        if len(begun) == 2:
            raise RuntimeError("the computer is on fire")
        return fit_alone(model, data, plan, piece, **options)

    monkeypatch.setattr(dask_worker, "fit_alone", failing)
    with pytest.raises(ClusterError, match=r"can't train \(RuntimeError: the computer is on fire"):
        run(showers, tmp_path / "far", cluster=scheduler)
    assert len(begun) == 2
    again = run(showers, tmp_path / "far", cluster=scheduler if again_far else None)
    assert begun[2:] == begun[1:2] * again_far
    near = run(showers, tmp_path / "near")
    assert all(torch.equal(again.tensors[name], value) for name, value in near.tensors.items())


def test_other_showers_on_a_worker_are_refused(
    tmp_path: Path, make_showers: MakeShowers, showers: Path, scheduler: str
) -> None:
    held = dask_worker.load

    def other(paths: list[Path], *rest: Any, **options: Any) -> Any:
        showers.unlink()
        write(make_showers(90, THREE), showers)
        return held(paths, *rest, **options)

    dask_worker._showers.cache_clear()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(dask_worker, "load", other)
        with pytest.raises(ClusterError, match="finds other showers under the names of the training's files"):
            run(showers, tmp_path / "run", cluster=scheduler)


def test_a_model_of_one_part_is_refused(tmp_path: Path, showers: Path, scheduler: str) -> None:
    with pytest.raises(InputError, match="No parts of copula can be trained at the same time"):
        train("copula", showers, tmp_path / "run", PLAN, cluster=scheduler)


def test_an_unknown_cluster_is_refused_before_showers_are_read(tmp_path: Path, showers: Path) -> None:
    def no_reading(done: float, total: float, note: str = "") -> None:
        raise AssertionError("showers are read")

    with pytest.raises(InputError, match="Did you mean 'slurm'"):
        train("l2l_flows", showers, tmp_path / "run", PLAN, cluster="slrum", reading=no_reading)
    assert [path.name for path in tmp_path.iterdir()] == ["showers.h5"]


def test_workers_without_a_cluster_are_refused(tmp_path: Path, showers: Path) -> None:
    with pytest.raises(InputError, match="add --cluster local"):
        train("l2l_flows", showers, tmp_path / "run", PLAN, workers=2)
