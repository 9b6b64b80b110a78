"""Runs on a worker of a Dask cluster: trains one phase of a model."""

import socket
import threading
import time
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import torch
from distributed import get_worker

from caloforge import catalog, config
from caloforge.clusters import stopped
from caloforge.errors import ClusterError
from caloforge.geometry import Calorimeter
from caloforge.stages.train.data import TrainingData, load
from caloforge.stages.train.fit import Piece, Plan, State, fit_alone
from caloforge.stages.train.phases import device_of

__all__ = ["Learned", "Stopped", "learn"]

_TELL_EVERY = 1.0  # seconds between reports of how far it is
_ALONE = threading.Lock()  # torch has one stream of random numbers for all threads of a process


class Stopped(Exception):
    """The phase is not needed any more."""


class Learned(NamedTuple):
    """What a phase has learned, and its last figures."""

    state: State
    figures: dict[str, float]


def learn(training: Mapping[str, Any], piece: Sequence[int], topic: str) -> Learned:
    """Train a phase.

    Parameters
    ----------
    training
        ``model``, ``config``, ``geometries``, ``plan`` and ``data`` as a checkpoint's record has them; the
        ``paths`` of the showers, the number of ``threads``, the ``device``, and the ``state`` of the model.
    piece
        The phase.
    topic
        Where the steps that are done are told.

    Raises
    ------
    CaloforgeError
        The showers can't be read here, or they are others than those of the training.
    """
    with _ALONE:
        return _learn(training, Piece(*piece), topic)


def _learn(training: Mapping[str, Any], piece: Piece, topic: str) -> Learned:
    plan = config.load(Plan, training["plan"])
    geometries = tuple(Calorimeter.from_dict(one) for one in training["geometries"])
    known = _showers(tuple(training["paths"]), geometries, plan.seed, plan.held_out)
    if known.provenance != training["data"]:
        raise ClusterError(
            f"{socket.gethostname()} finds other showers under the names of the training's files: give files "
            "that all workers see."
        )
    torch.set_num_threads(training["threads"])
    torch.manual_seed(plan.seed)
    entry = catalog.load("models", training["model"])
    model = entry(config.load(entry.Config, training["config"]), *geometries)
    model.load_state_dict(training["state"], strict=False)
    worker, told = get_worker(), time.monotonic()

    def tell(steps: int) -> None:
        nonlocal told
        if stopped(topic):
            raise Stopped
        if time.monotonic() - told > _TELL_EVERY:
            worker.log_event(topic, (piece.number, steps))
            told = time.monotonic()

    return Learned(*fit_alone(model, known, plan, piece, device=device_of(training["device"]), progress=tell))


@lru_cache(maxsize=1)  # a worker trains one phase of a training after the other
def _showers(
    paths: tuple[str, ...], geometries: tuple[Calorimeter, ...], seed: int, held_out: int
) -> TrainingData:
    every = load([Path(path) for path in paths], geometries, seed=seed)
    return every.split(held_out, seed)[0]
