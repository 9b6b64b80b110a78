"""Train any model of the catalogue: phases, steps, validation, averages, checkpoints, exact resume.

All random numbers of a step follow from (seed, step) and the order of an epoch from (seed, epoch). Therefore
a checkpoint needs no random state, and a training that was killed and resumed ends with exactly the same
weights (on the same machine, with the same number of threads).
"""

import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple, Protocol

import numpy as np
import torch
from torch.optim.swa_utils import AveragedModel

from caloforge import config
from caloforge.config import strict_dataclass
from caloforge.errors import CheckpointError
from caloforge.models import checkpoint
from caloforge.models.base import Batch, GenerativeModel, Phase
from caloforge.progress import Progress, no_progress
from caloforge.stages.train.data import TrainingData
from caloforge.stages.train.phases import (
    OnDevice,
    frozen,
    inside,
    lengths,
    load_batches,
    mirrored,
    steps_an_epoch,
)

__all__ = ["Elsewhere", "Log", "Piece", "Plan", "State", "Validate", "describe", "fit", "fit_alone"]

Validate = Callable[[int, GenerativeModel], dict[str, float]]
Log = Callable[[int, dict[str, float]], None]
State = dict[str, torch.Tensor]

_IDENTITY = ("model", "config", "geometries", "parent", "data")
_BEGIN, _END = 1, 2  # of a phase, hashed into the seed


class Piece(NamedTuple):
    """A phase that is trained apart from the others.

    Attributes
    ----------
    number
        Of the phase.
    begin
        Steps of the training before it.
    steps
        Its length.
    """

    number: int
    begin: int
    steps: int


class Elsewhere(Protocol):
    """Trains phases at the same time, in other processes."""

    def __call__(
        self,
        pieces: Sequence[Piece],
        state: State,
        take: Callable[[Piece, State, dict[str, float]], None],
        progress: Callable[[int, str], None],
    ) -> None:
        """Train phases.

        Parameters
        ----------
        pieces
            The phases.
        state
            What they need of the model.
        take
            Called with each phase that is done, what it has learned, and its last figures.
        progress
            Called with the steps that are done of all phases together, and what is waited for.
        """


@strict_dataclass
class Plan:
    """Everything that decides the result of a training, apart from the model and the data.

    Attributes
    ----------
    epochs
        Passes over the training showers in all phases together; None takes the default lengths of the
        model's phases.
    batch
        Showers a step (256 in the CaloGAN paper, Sec. IV C).
    seed
        Seed for all random numbers.
    held_out
        Showers that are not learned from, but kept for validation; None takes a tenth of them, at most 500.
    flips
        Mirror every shower at random where the calorimeter and the model allow it.
    average
        Decay per step of the running average of all parameters (less at first); 0 keeps no average.
    validate_every
        Steps between validations.
    precision
        Arithmetic of the steps: "bfloat16" is torch's automatic mixed precision.

    Examples
    --------
    >>> Plan(epochs=20, held_out=100).batch
    256
    """

    epochs: int | None = None
    batch: int = 256
    seed: int = 1
    held_out: int | None = None
    flips: bool = True
    average: float = 0.0
    validate_every: int = 250
    precision: Literal["float32", "bfloat16"] = "float32"


def fit(
    model: GenerativeModel,
    data: TrainingData,
    plan: Plan,
    folder: Path,
    *,
    validate: Validate,
    log: Log,
    device: torch.device | str = "cpu",
    parent: dict[str, Any] | None = None,
    minutes: float = 5.0,
    progress: Progress = no_progress,
    elsewhere: Elsewhere | None = None,
) -> None:
    """Train a model, or resume an interrupted training.

    Parameters
    ----------
    model
        Freshly built; its parameters are overwritten where the folder holds a checkpoint.
    data
        Training showers, read out on the model's calorimeters.
    plan
        What decides the result.
    folder
        Where the checkpoint lives.
    validate
        Called with the step and the model every ``plan.validate_every`` steps; its figures are logged.
    log
        Called with the number of steps done and the figures of the last one.
    device
        Where the model is trained.
    parent
        What identifies the training that this one starts from, for the record.
    minutes
        Time between checkpoints.
    progress
        Called with (steps done, steps in all).
    elsewhere
        Trains the phases that can be trained at the same time; the result is the same. The last phase stays
        here, where its validations choose the best step.

    Raises
    ------
    CheckpointError
        The folder holds the training of another model, plan, parent or data.
    InputError
        There are fewer showers than a batch takes.
    """
    identity = describe(model, plan, data, parent)
    training = _StoredTraining(model.to(device), data, plan, torch.device(device), folder, identity)
    if training.resume():
        training.run(validate, log, 60 * minutes, progress, elsewhere)


def fit_alone(
    model: GenerativeModel,
    data: TrainingData,
    plan: Plan,
    piece: Piece,
    *,
    device: torch.device | str = "cpu",
    progress: Callable[[int], None],
) -> tuple[State, dict[str, float]]:
    """Train one phase as `fit` would, and return what it has learned and its last figures.

    Parameters
    ----------
    model, data, plan
        As for `fit`; the model has the state that the phase needs.
    piece
        The phase.
    device
        Where the model is trained.
    progress
        Called with the number of its steps that are done.
    """
    training = _Training(model.to(device), data, plan, torch.device(device))
    return training.alone(piece, progress)


def describe(
    model: GenerativeModel, plan: Plan, data: TrainingData, parent: dict[str, Any] | None = None
) -> dict[str, Any]:
    """Return the record that identifies a training: two trainings with equal records are the same."""
    return {
        "model": model.name,
        "config": config.to_dict(model.config),
        "geometries": [geometry.to_dict() for geometry in model.geometries],
        "plan": config.to_dict(plan),
        "parent": parent,
        "data": data.provenance,
    }


class _Training:
    """The state of a training: the phase and its step, and how it goes on."""

    def __init__(self, model: GenerativeModel, data: TrainingData, plan: Plan, device: torch.device) -> None:
        self.model, self.data, self.plan, self.device = model, data, plan, device
        self.phases = model.phases()
        self.lengths = lengths(self.phases, steps_an_epoch(data, plan.batch), plan.epochs)
        self.symmetries = {geometry.name: model.symmetries(geometry) for geometry in data.geometries}
        self.number = self.step = self.total = 0
        self.schedules = self._schedules()
        self.average: AveragedModel | None = None

    @property
    def phase(self) -> Phase:
        return self.phases[self.number]

    @property
    def left(self) -> int:
        """Steps of the phase that are still to do."""
        return self.lengths[self.number] - self.step

    @property
    def last(self) -> bool:
        """Whether this is the last phase."""
        return self.number == len(self.phases) - 1

    @property
    def learned(self) -> GenerativeModel:
        """The model as it is validated and exported: averaged, if an average is kept."""
        return self.model if self.average is None else self.average.module  # type: ignore[return-value]

    def alone(self, piece: Piece, progress: Callable[[int], None]) -> tuple[State, dict[str, float]]:
        """Train a phase and nothing else; return what it has learned and its last figures."""
        self.number, self.total = piece.number, piece.begin
        self.schedules = self._schedules()
        last: dict[str, float] = {}
        for figures in self._steps():
            last = figures
            progress(self.step)
        self._finish()
        learned = inside(self.model, self.phase.alone)
        return {name: value for name, value in self.model.state_dict().items() if name in learned}, last

    def _steps(self) -> Iterator[dict[str, float]]:
        """Make the steps of the phase that are left, and yield the figures of each."""
        if not self.step:
            torch.manual_seed(_mix(self.plan.seed, self.number, _BEGIN) if self.number else self.plan.seed)
            if self.phase.prepare is not None:
                self.phase.prepare(OnDevice(self.data, self.device))
            self.average = self._averaged() if self.plan.average else None
        steps = range(self.total, self.total + self.left)
        with frozen(self.model, self.phase):
            for batch in load_batches(self.data, self.plan.batch, self.plan.seed, steps, self.device):
                yield self._step(batch)

    def _step(self, batch: Batch) -> dict[str, float]:
        # Seeded in every step: see the module.
        torch.manual_seed(_mix(self.plan.seed, self.total))
        batch = batch.to(self.device)
        if self.plan.flips:
            batch = mirrored(batch, self.symmetries[batch.geometry.name])
        mixed = self.plan.precision == "bfloat16"
        with torch.autocast(self.device.type, torch.bfloat16, enabled=mixed):
            figures = self.phase.step(batch, self.step / self.lengths[self.number])
        for schedule in self.schedules:
            schedule.step()
        self.step, self.total = self.step + 1, self.total + 1
        if self.average is not None:
            self.average.update_parameters(self.model)
        # float() waits for an accelerator, so it comes after everything else of the step.
        return {key: float(value) for key, value in figures.items()}

    def _finish(self) -> None:
        """Put averaged parameters into the model for the next phase, and finish the phase."""
        if self.average is not None and (self.phase.finish or not self.last):
            # A later phase, or `finish`, builds on the parameters that are exported: the averaged ones.
            self.model.load_state_dict(self.learned.state_dict())
        if self.phase.finish is not None:
            torch.manual_seed(_mix(self.plan.seed, self.number, _END))
            self.phase.finish(OnDevice(self.data, self.device))
            self.average = self._averaged() if self.plan.average else None

    def _next(self) -> None:
        self.number, self.step, self.average = self.number + 1, 0, None
        self.schedules = self._schedules()

    def _schedules(self) -> Sequence[torch.optim.lr_scheduler.LRScheduler]:
        return self.phase.schedules(max(self.lengths[self.number], 1))

    def _averaged(self) -> AveragedModel:
        def mean(average: torch.Tensor, value: torch.Tensor, number: torch.Tensor | int) -> torch.Tensor:
            # Counters and permutations have no mean.
            if not average.is_floating_point():
                return value
            # A short memory at first, so that the initial values are soon forgotten.
            return average.lerp(value, 1 - min(self.plan.average, (int(number) + 1) / (int(number) + 10)))

        return AveragedModel(self.model, avg_fn=mean, use_buffers=True)


class _StoredTraining(_Training):
    """A training whose checkpoints are in a folder."""

    def __init__(
        self,
        model: GenerativeModel,
        data: TrainingData,
        plan: Plan,
        device: torch.device,
        folder: Path,
        identity: dict[str, Any],
    ) -> None:
        super().__init__(model, data, plan, device)
        self.folder, self.identity = folder, identity
        self.finished: dict[int, dict[str, float]] = {}  # phases that were trained elsewhere

    def resume(self) -> bool:
        """Restore the state of a checkpoint; False if the training is finished."""
        if checkpoint.read_record(self.folder) is None:
            return True
        saved = checkpoint.load(self.folder)
        changes = _changes(saved.record, self.identity)
        if changes:
            raise CheckpointError(
                f"{self.folder} holds a training with another {' and '.join(changes)}: "
                "choose another folder, or call with what it was started with (only --epochs may grow)."
            )
        self.number, self.step, self.total = (saved.record[key] for key in ("phase", "phase_step", "step"))
        self.finished = {int(number): figures for number, figures in saved.record.get("finished", {}).items()}
        self.model.load_state_dict(saved.group("model"))
        if saved.group("average"):
            self.average = self._averaged()
            self.average.load_state_dict(saved.group("average"))
        # Fresh schedules set the initial rates of the optimizers; the saved state comes after, and replaces
        # them.
        self.schedules = self._schedules()
        checkpoint.restore_optimizers(self.phase.optimizers, saved)
        for name, optimizer in self.phase.optimizers.items():
            for group, rate in zip(optimizer.param_groups, saved.record["rates"][name], strict=True):
                group["lr"] = rate
        for schedule, state in zip(self.schedules, saved.record["schedules"], strict=True):
            schedule.load_state_dict(state)
        return not self.last or self.left > 0

    def run(
        self, validate: Validate, log: Log, seconds: float, progress: Progress, elsewhere: Elsewhere | None
    ) -> None:
        """Train to the end."""
        whole = self.total + self.left + sum(self.lengths[self.number + 1 :])
        saved = time.monotonic()
        progress(self.total, whole)
        while True:
            if elsewhere is not None and not self.step:
                self._go_elsewhere(elsewhere, lambda steps, note: progress(self.total + steps, whole, note))
            self._pass_finished(log)
            figures: dict[str, float] = {}
            for figures in self._steps():
                if not self.left:  # the last step is logged when the phase is finished
                    continue
                if self.total % self.plan.validate_every == 0:
                    figures |= self._validated(validate)
                log(self.total, figures)
                if time.monotonic() - saved > seconds:
                    self.save(figures)
                    saved = time.monotonic()
                progress(self.total, whole)
            ends = self.last
            self._finish()
            if ends or self.total % self.plan.validate_every == 0:
                figures |= self._validated(validate)
            log(self.total, figures)
            if not ends:
                self._next()
            self.save(figures)
            progress(self.total, whole)
            if ends:
                return

    def _go_elsewhere(self, elsewhere: Elsewhere, progress: Callable[[int, str], None]) -> None:
        """Have the phases trained elsewhere that begin here and can be; keep each when it is done."""
        pieces, begin, done = [], self.total, 0
        for number, phase in enumerate(self.phases[self.number : -1], self.number):
            if not phase.alone:
                break
            if number in self.finished:
                done += self.lengths[number]
            else:
                pieces.append(Piece(number, begin, self.lengths[number]))
            begin += self.lengths[number]
        if not pieces:
            return
        # The parameters that are learned apart may be many, and begin there as they do here.
        own = inside(self.model, [module for phase in self.phases for module in phase.alone])
        own &= {name for name, _ in self.model.named_parameters()}
        state = {name: value for name, value in self.model.state_dict().items() if name not in own}

        def take(piece: Piece, learned: State, figures: dict[str, float]) -> None:
            self.model.load_state_dict(learned, strict=False)
            self.finished[piece.number] = figures
            self.save({})

        elsewhere(pieces, state, take, lambda steps, note: progress(done + steps, note))

    def _pass_finished(self, log: Log) -> None:
        """Go to the next phase that was not trained elsewhere."""
        while self.number in self.finished:
            self.total += self.lengths[self.number]
            log(self.total, self.finished[self.number])
            self._next()

    def _validated(self, validate: Validate) -> dict[str, float]:
        """Validate the model, and keep it if it is the best so far of the last phase."""
        figures = validate(self.total, self.learned)
        if self.last:
            self._keep_best({**self.identity, "step": self.total, "figures": figures})
        return figures

    def _keep_best(self, record: dict[str, Any]) -> None:
        """Keep the parameters of the validation with the lowest figure so far of those that choose."""
        folder = self.folder / "best"
        best = checkpoint.read_record(folder)
        # A training that was killed before its first checkpoint may have left its best parameters here.
        name = self.model.chosen_by
        if best is None or _changes(best, record) or record["figures"][name] < best["figures"][name]:
            checkpoint.save(folder, record, _named("model", self.learned.state_dict()))

    def save(self, figures: dict[str, float]) -> None:
        """Write a checkpoint."""
        optimizers = self.phase.optimizers
        record = {
            **self.identity,
            "step": self.total,
            "device": str(self.device),
            "phase": self.number,
            "phase_step": self.step,
            "finished": self.finished,
            "rates": {name: [group["lr"] for group in one.param_groups] for name, one in optimizers.items()},
            "schedules": [schedule.state_dict() for schedule in self.schedules],
            "figures": figures,
        }
        tensors = _named("model", self.model.state_dict()) | checkpoint.optimizer_tensors(optimizers)
        if self.average is not None:
            tensors |= _named("average", self.average.state_dict())
        checkpoint.save(self.folder, record, tensors)


def _mix(*numbers: int) -> int:
    """Hash numbers to a seed, so that neighbouring steps have unrelated random streams."""
    # 63 bits: torch takes signed seeds.
    return int(np.random.SeedSequence(numbers).generate_state(1, np.uint64)[0] >> np.uint64(1))


def _named(prefix: str, state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {f"{prefix}.{name}": value for name, value in state.items()}


def _changes(saved: dict[str, Any], record: dict[str, Any]) -> list[str]:
    """Return the keys in which two trainings differ; the number of epochs does not count."""
    plans = [{**item.get("plan", {}), "epochs": None} for item in (saved, record)]
    # More epochs only lengthen a training, so they are left out of the comparison.
    others = [key for key in _IDENTITY if saved.get(key) != record[key]]
    return others + ["plan"] * (plans[0] != plans[1])
