"""A complete training: reads the showers, builds the model, fits it, and writes logs and pictures."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from caloforge import catalog, clusters, config
from caloforge.arguments import whole_number
from caloforge.errors import CheckpointError, ConfigError, InputError
from caloforge.files import locked
from caloforge.formats.open import open_any
from caloforge.geometry import Calorimeter
from caloforge.incident.incident import Incident
from caloforge.incident.particles import parse_particle, particle_name
from caloforge.incident.text import incident_text
from caloforge.models import checkpoint
from caloforge.models.base import GenerativeModel
from caloforge.progress import Progress, no_progress
from caloforge.resources import check_threads
from caloforge.stages.train import room
from caloforge.stages.train.cluster import Cluster
from caloforge.stages.train.data import TrainingData, load
from caloforge.stages.train.fit import Plan, describe, fit
from caloforge.stages.train.log import RunLog
from caloforge.stages.train.phases import Device, device_of, steps_an_epoch
from caloforge.stages.train.report import Pictures
from caloforge.stages.train.validation import Validation
from caloforge.units import GeV

__all__ = ["Device", "Geometries", "Paths", "check_conditions", "held_out", "train"]

Paths = str | Path | Sequence[str | Path]
Geometries = str | Path | Calorimeter | Sequence[str | Path | Calorimeter]

_MOST_HELD_OUT = 500  # by default
_MARGIN = 0.1  # share of the energy range that showers may leave empty, or exceed, at either end
_SAME = 1e-6  # largest difference of equal unit vectors, or of equal positions in mm
_ROUNDED = 2  # digits of degrees and mm that a configuration keeps


def train(
    model: str,
    data: Paths,
    folder: str | Path,
    plan: Plan | None = None,
    *,
    geometry: Geometries | None = None,
    settings: Mapping[str, Any] | None = None,
    parent: str | Path | None = None,
    device: Device = "auto",
    threads: int = 1,
    minutes: float = 5.0,
    cluster: str | None = None,
    workers: int = 1,
    reading: Progress = no_progress,
    progress: Progress = no_progress,
) -> Path:
    """Train a model of the catalogue, or resume an interrupted training.

    Parameters
    ----------
    model
        Name in the catalogue.
    data
        One or more files of showers, of the read-out or a finer one.
    folder
        Where checkpoints, the log, curves and pictures go.
    plan
        What decides the result, with model, data, settings and threads (default: `Plan()`).
    geometry
        The read-out to learn: a name of the catalogue, a TOML file or a `Calorimeter`; several for a model
        that is conditioned on it. By default that of the first file.
    settings
        Keys of the model's ``Config``, such as ``{"energy_range": [1, 100]}`` in GeV; the particles are those
        of the data, in the order of the labels.
    parent
        Folder of the training that this one starts from, for models that need one.
    device
        Device: "auto" uses an accelerator if there is one.
    threads
        CPU threads.
    minutes
        Time between checkpoints.
    cluster, workers
        Where phases that do not depend on each other, such as the layers of layer-to-layer flows, are trained
        at the same time: ``local``, a batch system that dask-jobqueue knows, or the address of a scheduler;
        and the number of workers to start there. The result does not depend on them.
    reading, progress
        Called with the showers read, and with the steps done.

    Returns
    -------
        The folder of the best parameters by validation, from which `caloforge.export` takes them.

    Raises
    ------
    ClusterError
        The cluster does not answer, has no workers, or one of them can't train.
    InputError, ShowerFileError, CheckpointError
        A name, a setting, the data, or the content of the folder does not fit, or memory or disk space is
        too small.
    OSError
        The disk is full, or the folder can't be written to; the last complete checkpoint stays.

    Examples
    --------
    >>> from caloforge import catalog
    >>> showers = catalog.load("samples", "calogan_eplus")
    >>> train("shower_library", showers, "library", Plan(held_out=20, batch=32)).name
    'best'
    """
    data, folder, plan = _paths(data), Path(folder), plan or Plan()
    parent = None if parent is None else Path(parent)
    threads = whole_number(threads, "The number of threads", least=1)
    entry: type[GenerativeModel] = catalog.load("models", model)
    chosen_device = device_of(device)
    geometries = [_read_out(data[0])] if geometry is None else _calorimeters(geometry)
    _check_geometries(entry, model, geometries)
    _check_parent(entry, model, parent)  # before showers are read, which may take minutes
    workers = whole_number(workers, "The number of workers", least=1)
    _check_cluster(cluster, workers)
    check_threads(threads)
    room.check(data, geometries, plan.batch, _disk(folder))
    showers = load(data, geometries, reading, seed=plan.seed, scratch=_disk(folder))
    kept = held_out(plan.held_out, len(showers))
    plan = replace(plan, held_out=kept)
    known, unseen = showers.split(kept, plan.seed)
    incident = known.incident
    check_conditions(entry, model, incident)
    chosen = _configured(entry, known, incident, settings or {})
    _check_energies(chosen, incident)
    steps_an_epoch(known, plan.batch)  # refuses too few showers before there is a folder
    # The last digits of the result depend on the number of threads, so it is set and not left to torch.
    torch.set_num_threads(threads)
    # The initial weights are drawn when the model is built.
    torch.manual_seed(plan.seed)
    with room.enough_memory():
        network = entry(chosen, *geometries)
    begun_from = None if parent is None else _inherit(network, parent)
    elsewhere = None
    if cluster is not None:
        if not any(phase.alone for phase in network.phases()):
            raise InputError(f"No parts of {model} can be trained at the same time: leave --cluster out.")
        paths = [str(path.resolve()) for path in data]
        training = {**describe(network, plan, known), "paths": paths, "threads": threads, "device": device}
        elsewhere = Cluster(cluster, workers, training)
    folder.mkdir(parents=True, exist_ok=True)
    busy = CheckpointError(f"Another process is training in {folder}: wait for it or choose another folder.")
    # Two trainings in one folder would overwrite each other's checkpoints.
    with locked(folder / "lock", busy):
        record = checkpoint.read_record(folder)
        with room.enough_memory(), RunLog(folder, done=record["step"] if record else 0) as log:
            fit(
                network,
                known,
                plan,
                folder,
                validate=Validation(unseen, Pictures(folder / "pictures")),
                log=log,
                device=chosen_device,
                parent=begun_from,
                minutes=minutes,
                progress=progress,
                elsewhere=elsewhere,
            )
    return folder / "best"


def _paths(given: Paths) -> list[Path]:
    """Return the files that are given, one or several."""
    paths = [given] if isinstance(given, str | Path) else list(given)
    if not paths:
        raise InputError("No files of showers to learn from were given: give at least one.")
    return [Path(path) for path in paths]


def _read_out(path: Path) -> Calorimeter:
    with open_any(path) as showers:
        return showers.geometry


def _calorimeters(given: Geometries) -> list[Calorimeter]:
    several = [given] if isinstance(given, str | Path | Calorimeter) else list(given)
    if not several:
        raise InputError("There is no read-out to learn: give at least one geometry.")
    return [Calorimeter.of(one) for one in several]


def held_out(asked: int | None, showers: int) -> int:
    """Return how many of the showers are kept for validation: by default a tenth, from 1 to 500.

    Examples
    --------
    >>> held_out(None, 200), held_out(None, 100_000), held_out(50, 200)
    (20, 500, 50)
    """
    return asked if asked is not None else max(1, min(_MOST_HELD_OUT, showers // 10))


def check_conditions(entry: type[GenerativeModel], name: str, incident: Incident) -> None:
    """Refuse showers that vary in a quantity on which a model is not conditioned.

    Raises
    ------
    InputError
        The message says how they vary, and which models could learn it.
    """
    varying = {
        "direction": (incident.unit_direction, incident_text(incident)),
        "position": (incident.position, incident_text(incident)),
        "label": (incident.pdg[:, None], ", ".join(map(particle_name, np.unique(incident.pdg).tolist()))),
    }
    for what, (values, text) in varying.items():
        if what not in entry.conditions and (np.ptp(np.asarray(values), axis=0) > _SAME).any():
            able = [one for one in catalog.names("models") if what in catalog.load("models", one).conditions]
            word = "particle" if what == "label" else what
            raise InputError(
                f"The showers vary in their {word} ({text}), which {name} is not conditioned on: train on "
                f"showers of one {word}"
                + (f", or choose one of these models: {', '.join(able)}." if able else ".")
            )


def _configured(
    entry: type[GenerativeModel], known: TrainingData, incident: Incident, settings: Mapping[str, Any]
) -> Any:
    """Return the model's configuration, with the particles and the directions of the data in it."""
    particles = [particle_name(pdg) for pdg in known.particles]
    found = {
        "particles": particles,
        "direction_range": _rounded(incident.bounds("direction", degrees=True)),
        "position_range": _rounded(incident.bounds("position")),
    }
    chosen = config.load(entry.Config, {**found, **settings})
    if [parse_particle(name) for name in chosen.particles] != list(known.particles):
        raise ConfigError(
            f"The configuration names the particles {', '.join(chosen.particles)}, but the showers are, in "
            f"their order, of {', '.join(particles)}: leave 'particles' out."
        )
    return chosen


def _rounded(bounds: list[list[float]]) -> list[list[float]]:
    # Adding 0.0 turns -0.0 into 0.0.
    return [[round(value, _ROUNDED) + 0.0 for value in pair] for pair in bounds]


def _check_cluster(cluster: str | None, workers: int) -> None:
    """Refuse an unknown cluster, and workers without one."""
    if cluster is not None:
        clusters.check(cluster)
    elif workers > 1:
        raise InputError(
            f"{workers} workers were asked for without a cluster to start them on: add --cluster local for "
            "this computer, or leave --workers out."
        )


def _check_parent(entry: type[GenerativeModel], name: str, parent: Path | None) -> None:
    """Refuse a missing parent, and a training of another model than the one that is needed."""
    wanted = entry.parent_model
    if parent is None:
        if wanted is not None:
            raise InputError(f"{name} starts from a training of {wanted}: name its folder by --from.")
        return
    found = checkpoint.load(parent).record["model"]
    if wanted not in (None, found):
        raise InputError(f"{name} starts from a training of {wanted}, but {parent} holds one of {found}.")


def _inherit(network: GenerativeModel, parent: Path) -> dict[str, Any]:
    """Load the training that a model starts from, and return what it is, with what its command needs."""
    saved = checkpoint.load(parent)
    network.inherit(saved.build_model())
    # Its own folder, whose "best" it may be, without where that is on this computer.
    names = parent.absolute().parts[-2 if parent.name == "best" else -1 :]
    keys = ("model", "config", "plan", "parent", "data", "surroundings", "sha256")
    return {
        "folder": "/".join(names),
        "learned": [geometry["name"] for geometry in saved.record["geometries"]],
        **{key: saved.record[key] for key in keys if key in saved.record},
    }


def _disk(folder: Path) -> Path:
    """Return the nearest existing folder: the folder itself or one of its parents."""
    return next(one for one in (folder, *folder.absolute().parents) if one.is_dir())


def _check_geometries(entry: type[GenerativeModel], model: str, geometries: Sequence[Calorimeter]) -> None:
    names = [geometry.name for geometry in geometries]
    if len(names) > 1 and "geometry" not in entry.conditions:
        raise InputError(
            f"{model} learns one read-out, but {len(names)} are given ({', '.join(names)}): choose one."
        )
    if len(set(names)) < len(names):
        raise InputError(f"The read-outs need names of their own; found {', '.join(names)}.")


def _check_energies(chosen: Any, incident: Incident) -> None:
    """Refuse showers whose energies differ from the range of the generated showers."""
    (low, high), energies = chosen.energy_range, incident.energy / GeV
    found = float(energies.min()), float(energies.max())
    margin = _MARGIN * (high - low)
    if abs(found[0] - low) > margin or abs(found[1] - high) > margin:
        raise InputError(
            f"The showers have {found[0]:.4g} to {found[1]:.4g} GeV, but the model would be trained for "
            f"{low:g} to {high:g} GeV: give the range of the data, as --set 'energy_range=[LOW, HIGH]'."
        )
