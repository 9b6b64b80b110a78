"""Curves that TensorBoard itself reads back."""

from pathlib import Path

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from caloforge.stages.train.curves import Curves


def loss(folder: Path) -> list[tuple[int, float]]:
    read = EventAccumulator(str(folder)).Reload()
    return [(event.step, event.value) for event in read.Scalars("loss")]


def test_tensorboard_reads_them(tmp_path: Path) -> None:
    curves = Curves(tmp_path)
    for step in (1, 2, 3):
        curves.add(step, {"loss": step / 4})
    curves.close()
    assert loss(tmp_path) == [(1, 0.25), (2, 0.5), (3, 0.75)]


def test_steps_that_are_made_again_are_dropped(tmp_path: Path) -> None:
    for done, steps in ((0, (1, 2, 3)), (2, (3, 4))):
        curves = Curves(tmp_path, done)
        for step in steps:
            curves.add(step, {"loss": float(done)})
        curves.close()
    assert loss(tmp_path) == [(1, 0.0), (2, 0.0), (3, 2.0), (4, 2.0)]
