"""Train any model of the catalogue: batches, steps, validation, averages, checkpoints, exact resume.

All randomness of a step follows from (seed, step) and the order of an epoch from (seed, epoch). A checkpoint
therefore holds no random state, and a training that was killed goes on to the very weights that it would
have had (on the same machine, with the same number of threads).
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch

from caloforge import config
from caloforge.config import strict_dataclass
from caloforge.errors import CheckpointError, InputError
from caloforge.models import checkpoint
from caloforge.models.base import Batch, GenerativeModel
from caloforge.progress import Progress, no_progress
from caloforge.stages.train.data import TrainingData

Validate = Callable[[int, GenerativeModel], dict[str, float]]
Log = Callable[[int, dict[str, float]], None]


@strict_dataclass
class Plan:
    """All that decides a training's result, beside the model and the data.

    Attributes
    ----------
    epochs
        Passes over the training showers (50 in the CaloGAN paper, Sec. IV C).
    batch
        Showers a step (256 in the paper).
    seed
        Of everything random.
    held_out
        Showers that are not learned from, but kept for validation.
    flips
        Mirror every shower at random where the calorimeter is symmetric.
    average
        Decay, a step, of the running average of the sampled parameters (less at first); 0 keeps none.
    validate_every
        Steps between validations.
    """

    epochs: int = 50
    batch: int = 256
    seed: int = 1
    held_out: int = 500
    flips: bool = True
    average: float = 0.0
    validate_every: int = 250


def fit(
    model: GenerativeModel,
    data: TrainingData,
    plan: Plan,
    folder: Path,
    *,
    validate: Validate,
    log: Log,
    minutes: float = 5.0,
    progress: Progress = no_progress,
) -> None:
    """Train a model, or go on with a training that was stopped.

    Parameters
    ----------
    model
        Freshly built; its parameters are overwritten where the folder holds a checkpoint.
    data
        Training showers, read out on the model's calorimeter.
    plan
        What decides the result.
    folder
        Where the checkpoint lives.
    validate
        Called with the step and the model every ``plan.validate_every`` steps; its figures are logged.
    log
        Called with the number of steps done and the figures of the last one.
    minutes
        Time between checkpoints.
    progress
        Called with (steps done, steps in all).

    Raises
    ------
    CheckpointError
        The folder holds the training of another model, plan or data.
    InputError
        There are fewer showers than a batch takes.
    """
    if checkpoint.read_record(folder) is None:
        torch.manual_seed(plan.seed)
        model.prepare(data.whole)
    optimizers = model.optimizers()
    average = (
        {name: value.clone() for name, value in model.sampled.state_dict().items()} if plan.average else {}
    )
    identity = describe(model, plan, data)
    done = _resume(folder, identity, model, optimizers, average)
    total = plan.epochs * steps_an_epoch(data, plan)
    saved = time.monotonic()
    progress(done, total)
    for step in range(done, total):
        torch.manual_seed(_mix(plan.seed, step))
        figures = {
            key: float(value)
            for key, value in model.training_step(_batch(data, plan, step), optimizers).items()
        }
        done = step + 1
        # a short memory at first, so that the initial values are soon forgotten
        _update(average, model.sampled, min(plan.average, done / (done + 9)))
        if done % plan.validate_every == 0 or done == total:
            with _averaged(model, average):
                figures |= validate(done, model)
                _keep_best(folder / "best", {**identity, "step": done, "figures": figures}, model)
        log(done, figures)
        if time.monotonic() - saved > 60 * minutes or done == total:
            _save(folder, {**identity, "step": done, "figures": figures}, model, optimizers, average)
            saved = time.monotonic()
        progress(done, total)


def steps_an_epoch(data: TrainingData, plan: Plan) -> int:
    """Return how many whole batches the showers make; raises `InputError` where there is not even one."""
    if len(data) < plan.batch:
        raise InputError(
            f"{len(data)} showers are left to train on, fewer than a batch of {plan.batch}: "
            "simulate more, hold out fewer, or choose a smaller batch."
        )
    return len(data) // plan.batch


def describe(model: GenerativeModel, plan: Plan, data: TrainingData) -> dict[str, Any]:
    """Return the record that identifies a training: two trainings with equal records are the same."""
    return {
        "model": model.name,
        "config": config.to_dict(model.config),
        "geometry": model.geometry.to_dict(),
        "plan": config.to_dict(plan),
        "data": data.provenance,
    }


def _mix(*numbers: int) -> int:
    """Hash numbers to a seed, so that neighbouring steps have unrelated random streams."""
    return int(np.random.SeedSequence(numbers).generate_state(1, np.uint64)[0] >> np.uint64(1))


def _batch(data: TrainingData, plan: Plan, step: int) -> Batch:
    epoch, index = divmod(step, steps_an_epoch(data, plan))
    order = np.random.default_rng([plan.seed, epoch]).permutation(len(data))
    return data.batch(order[index * plan.batch : (index + 1) * plan.batch], flips=plan.flips)


def _update(average: dict[str, torch.Tensor], module: torch.nn.Module, decay: float) -> None:
    for name, value in module.state_dict().items():
        if name in average:
            target = average[name]
            target.lerp_(value, 1 - decay) if target.is_floating_point() else target.copy_(value)


@contextmanager
def _averaged(model: GenerativeModel, average: dict[str, torch.Tensor]) -> Iterator[None]:
    """Give the model its averaged parameters for as long as it is looked at."""
    current = {name: value.clone() for name, value in model.sampled.state_dict().items()} if average else {}
    try:
        model.sampled.load_state_dict(average, strict=False)
        yield
    finally:
        model.sampled.load_state_dict(current, strict=False)


def _keep_best(folder: Path, record: dict[str, Any], model: GenerativeModel) -> None:
    """Keep the parameters of the validation with the lowest separation from the held-out showers so far."""
    best = checkpoint.read_record(folder)
    # one that was killed before its first checkpoint may have left the best of another training behind
    if best is None or _changes(best, record) or _separation(record) < _separation(best):
        tensors = {f"model.{name}": value for name, value in model.state_dict().items()}
        checkpoint.save(folder, record, tensors)


def _separation(record: dict[str, Any]) -> float:
    return float(record["figures"]["separation"])


def _changes(saved: dict[str, Any], record: dict[str, Any]) -> list[str]:
    """Return the keys in which two trainings differ; the number of epochs does not count."""
    plans = [{**item.get("plan", {}), "epochs": None} for item in (saved, record)]
    others = [key for key in ("model", "config", "geometry", "data") if saved.get(key) != record[key]]
    return others + ["plan"] * (plans[0] != plans[1])


def _save(
    folder: Path,
    record: dict[str, Any],
    model: GenerativeModel,
    optimizers: dict[str, torch.optim.Optimizer],
    average: dict[str, torch.Tensor],
) -> None:
    tensors = {f"model.{name}": value for name, value in model.state_dict().items()}
    tensors |= {f"average.{name}": value for name, value in average.items()}
    checkpoint.save(folder, record, tensors | checkpoint.optimizer_tensors(optimizers))


def _resume(
    folder: Path,
    identity: dict[str, Any],
    model: GenerativeModel,
    optimizers: dict[str, torch.optim.Optimizer],
    average: dict[str, torch.Tensor],
) -> int:
    """Put a checkpoint's state into place and return the number of steps that are done."""
    if checkpoint.read_record(folder) is None:
        return 0
    saved = checkpoint.load(folder)
    changes = _changes(saved.record, identity)
    if changes:
        raise CheckpointError(
            f"{folder} holds a training with another {' and '.join(changes)}: "
            "choose another folder, or call with what it was started with (only --epochs may grow)."
        )
    model.load_state_dict(saved.group("model"))
    average.update(saved.group("average"))
    checkpoint.restore_optimizers(optimizers, saved)
    return int(saved.record["step"])
