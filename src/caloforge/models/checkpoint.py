"""Checkpoints: safetensors for the numbers, JSON for everything that rebuilds the model.

The JSON names its tensor file and that file's sha256, and is renamed into place last: it is the commit.
If the process is killed at any moment, the folder holds a complete checkpoint: the old one or the new one.
"""

import json
import os
import platform
import re
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch

from caloforge import catalog, config
from caloforge.errors import CheckpointError
from caloforge.files import sha256, written_aside
from caloforge.geometry import Calorimeter
from caloforge.models.base import GenerativeModel

__all__ = [
    "Checkpoint",
    "load",
    "optimizer_tensors",
    "read_record",
    "restore_optimizers",
    "save",
    "surroundings",
]

_RECORD = "checkpoint.json"
_KEYS = {"step", "tensors", "sha256"}
_REFUSED = re.compile(r"os error (\d+)")  # how safetensors passes on the error code of the operating system


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint read from disk.

    Attributes
    ----------
    record
        The JSON: model, config, geometries, training, phase, step, surroundings, sha256.
    tensors
        All numbers by name: ``model.*``, ``average.*`` and ``optimizer.*``.
    """

    record: dict[str, Any]
    tensors: dict[str, torch.Tensor]

    def group(self, prefix: str) -> dict[str, torch.Tensor]:
        """Return the tensors under one prefix, without it."""
        start = f"{prefix}."
        return {name[len(start) :]: value for name, value in self.tensors.items() if name.startswith(start)}

    def build_model(self) -> GenerativeModel:
        """Rebuild the model with its trained parameters (averaged ones, where training kept an average).

        Raises
        ------
        CheckpointError
            The model has other parameters in this version of caloforge.
        """
        entry = catalog.load("models", self.record["model"])
        geometries = [Calorimeter.from_dict(content) for content in self.record["geometries"]]
        model: GenerativeModel = entry(config.load(entry.Config, self.record["config"]), *geometries)
        # An empty group is false: the average is taken where there is one.
        try:
            model.load_state_dict(self.group("average.module") or self.group("model"))
        except RuntimeError:
            raise CheckpointError(
                f"The checkpoint holds other parameters than {self.record['model']} has in this version of "
                "caloforge: train the model again, or export it with the version that trained it."
            ) from None
        return model


def surroundings() -> dict[str, str | int]:
    """Return versions and threads, on which the last digits of a result may depend."""
    packages = {name: version(name) for name in ("caloforge", "torch", "numpy")}
    return {"python": platform.python_version(), **packages, "threads": torch.get_num_threads()}


def save(folder: Path, record: Mapping[str, Any], tensors: dict[str, torch.Tensor]) -> None:
    """Write a checkpoint into a folder; remove the previous one and the remains of killed processes.

    Parameters
    ----------
    folder
        Where the checkpoint lives; made if it is missing.
    record
        JSON-able; has ``step``, and what `Checkpoint.build_model` needs: ``model``, ``config`` and
        ``geometries``.
    tensors
        Numbers by name.

    Raises
    ------
    OSError
        The disk is full or can't be written to; the checkpoint before this one is still there.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"step-{record['step']:08d}.safetensors"
    with written_aside(path) as aside:
        _write_tensors(aside, tensors)
    # The tensor file is complete on the disk before the JSON names it.
    whole = {**record, "tensors": path.name, "sha256": sha256(path), "surroundings": surroundings()}
    with written_aside(folder / _RECORD) as aside:
        aside.write_text(json.dumps(whole, indent=1), encoding="utf-8")
    # Only now is the old tensor file not needed any more.
    for old in [*folder.glob("step-*.safetensors"), *folder.glob(".step-*.partial-*")]:
        if old != path:
            old.unlink()


def _write_tensors(path: Path, tensors: Mapping[str, torch.Tensor]) -> None:
    try:
        # safetensors refuses views that are not contiguous.
        safetensors.torch.save_file({name: value.contiguous() for name, value in tensors.items()}, path)
    except safetensors.SafetensorError as error:
        refused = _REFUSED.search(str(error))
        if refused is None:
            raise
        code = int(refused[1])
        raise OSError(code, os.strerror(code)) from None


def load(folder: Path) -> Checkpoint:
    """Read a checkpoint and verify its checksum.

    Raises
    ------
    CheckpointError
        There is none, or its tensor file is missing or altered.
    """
    record = read_record(folder)
    path = folder / (record["tensors"] if record else _RECORD)
    if record is None or not path.is_file():
        raise CheckpointError(
            f"{folder} holds no whole checkpoint ({path.name} is missing): "
            "give the folder that 'caloforge train' wrote to."
        )
    if sha256(path) != record["sha256"]:
        raise CheckpointError(
            f"{path} is not the file that its checkpoint describes (sha256 differs): "
            "it was altered or cut. Restore it, or train again in an empty folder."
        )
    return Checkpoint(record, safetensors.torch.load_file(path))


def read_record(folder: Path) -> dict[str, Any] | None:
    """Return only the JSON of a checkpoint, without its tensors; None if there is no checkpoint.

    Raises
    ------
    CheckpointError
        The JSON was altered or is not one of caloforge's.
    """
    path = folder / _RECORD
    if not path.is_file():
        return None
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        record = None
    if not (isinstance(record, dict) and record.keys() >= _KEYS):
        raise CheckpointError(f"{path} is not a checkpoint record of caloforge, or was altered.")
    return record


def optimizer_tensors(optimizers: Mapping[str, torch.optim.Optimizer]) -> dict[str, torch.Tensor]:
    """Return the state of all optimizers as flat, named tensors."""
    return {
        f"optimizer.{name}.{index}.{key}": torch.as_tensor(value)
        for name, optimizer in optimizers.items()
        for index, state in optimizer.state_dict()["state"].items()
        for key, value in state.items()
    }


def restore_optimizers(optimizers: Mapping[str, torch.optim.Optimizer], checkpoint: Checkpoint) -> None:
    """Put the state of `optimizer_tensors` back into optimizers of the same kind."""
    for name, optimizer in optimizers.items():
        state: dict[int, dict[str, torch.Tensor]] = {}
        for key, value in checkpoint.group(f"optimizer.{name}").items():
            index, _, field = key.partition(".")
            state.setdefault(int(index), {})[field] = value
        # The groups, with learning rates and betas, are those of the fresh optimizer.
        optimizer.load_state_dict({**optimizer.state_dict(), "state": state})
