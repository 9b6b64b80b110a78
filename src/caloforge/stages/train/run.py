"""A whole training: read the showers, build the model, fit it, leave something to look at."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from caloforge import catalog, config
from caloforge.errors import CheckpointError, ConfigError, InputError
from caloforge.files import locked
from caloforge.geometry import Calorimeter
from caloforge.incident.particles import parse_particle, particle_name
from caloforge.models import checkpoint
from caloforge.progress import Progress, no_progress
from caloforge.stages.train.data import TrainingData, load
from caloforge.stages.train.fit import Plan, fit, steps_an_epoch
from caloforge.stages.train.log import RunLog
from caloforge.stages.train.validation import Validation
from caloforge.units import GeV

_MARGIN = 0.1  # of the energy range that showers may leave empty, or exceed, at either end


def train(
    model: str,
    data: Sequence[Path],
    folder: Path,
    plan: Plan,
    *,
    geometry: Calorimeter,
    settings: Mapping[str, Any],
    threads: int = 1,
    minutes: float = 5.0,
    reading: Progress = no_progress,
    progress: Progress = no_progress,
) -> None:
    """Train a model of the catalogue, or go on with a training that was stopped.

    Parameters
    ----------
    model
        Name in the catalogue.
    data
        Files of showers, of the geometry's read-out or a finer one.
    folder
        Where checkpoints, the log, curves and pictures go.
    plan
        What decides the result, with model, data, settings and threads.
    geometry
        The read-out to learn.
    settings
        Keys of the model's ``Config``; the particles are those of the data, in the order of the labels.
    threads
        CPU threads.
    minutes
        Time between checkpoints.
    reading, progress
        Called with the showers read, and with the steps done.

    Raises
    ------
    InputError, ShowerFileError, CheckpointError
        A name, a setting, the data, or what the folder already holds does not fit.
    """
    entry = catalog.load("models", model)
    known, unseen = load(data, geometry, reading).split(plan.held_out, plan.seed)
    particles = [particle_name(pdg) for pdg in known.particles]
    chosen = config.load(entry.Config, {"particles": particles, **settings})
    if [parse_particle(name) for name in chosen.particles] != list(known.particles):
        raise ConfigError(
            f"The configuration names the particles {', '.join(chosen.particles)}, but the showers are, in "
            f"their order, of {', '.join(particles)}: leave 'particles' out."
        )
    _check_energies(chosen, known)
    steps_an_epoch(known, plan)  # refuses too few showers before there is a folder
    torch.set_num_threads(threads)
    torch.manual_seed(plan.seed)
    network = entry(chosen, geometry)
    folder.mkdir(parents=True, exist_ok=True)
    busy = CheckpointError(f"Another process trains in {folder}: wait for it or choose another folder.")
    with locked(folder / "lock", busy):
        record = checkpoint.read_record(folder)
        with RunLog(folder, done=record["step"] if record else 0) as log:
            look = Validation(unseen, folder)
            fit(network, known, plan, folder, validate=look, log=log, minutes=minutes, progress=progress)


def _check_energies(chosen: Any, known: TrainingData) -> None:
    """Refuse showers that do not fill the energies that generated showers are asked to have."""
    (low, high), energies = chosen.energy_range, known.energy / GeV
    found = float(energies.min()), float(energies.max())
    margin = _MARGIN * (high - low)
    if abs(found[0] - low) > margin or abs(found[1] - high) > margin:
        raise InputError(
            f"The showers have {found[0]:.4g} to {found[1]:.4g} GeV, but the model would be trained for "
            f"{low:g} to {high:g} GeV: give the range of the data, as --set 'energy_range=[LOW, HIGH]'."
        )
