"""Turn a trained checkpoint into an ONNX graph that generates without torch.

If noise enters a model by a product with constant weights, the graph takes random bytes instead of normal
numbers: a rotation of them in some hundred dimensions is normal by the central limit theorem (to a kurtosis
of one part in as many hundreds), and the rotation is multiplied into the weights. Bytes are drawn ten times
as fast, and the product is done in integers, with weights of 8 bits and a scale for each output: exactly, and
so with the same result for any batch size and on any machine. Bytes have 7 bits, so that no processor's
instructions saturate.
"""

import inspect
import itertools
import json
import logging
import warnings
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

import numpy as np
import onnx
import torch

from caloforge.errors import InputError
from caloforge.files import sha256, written_aside
from caloforge.geometry import Calorimeter
from caloforge.incident.incident import Incident
from caloforge.incident.particles import parse_particle
from caloforge.inference.model import TrainedModel
from caloforge.models import checkpoint
from caloforge.models.base import GenerativeModel, Sampler
from caloforge.stages.export.byte_weights import store_bytes
from caloforge.stages.export.integer_noise import Floats, take_bytes

__all__ = ["Precision", "example", "export"]

Precision = Literal["float32", "int8", "int8-weights"]

_TRACED = 8  # showers with which the graph is traced
_COMPARED = 1024  # showers for the comparison of the graph with the model


def export(
    folder: str | Path,
    path: str | Path,
    *,
    geometry: str | Path | Calorimeter | None = None,
    precision: Precision = "int8",
    quality: str | None = None,
    preferred: bool = False,
) -> TrainedModel:
    """Write the ONNX graph of a checkpoint and the JSON record that describes it.

    Parameters
    ----------
    folder
        Folder of a training, or its ``best``.
    path
        The ONNX file to write; the record has the same name with ``.json``.
    geometry
        The read-out to draw, for a model that is conditioned on it; by default the first that it has learned.
    precision
        Of the large products: "int8"; "float32" as trained; or "int8-weights", computed in float32 from
        weights that the file holds in 8 bits, for a quarter of its size. With "int8", where noise enters
        otherwise than by a large product with constant weights (several particles, a small model) all stays
        in float32, with normal numbers for noise, and the record says so; as with "int8-weights" where no
        product is large.
    quality
        Quality by which users choose the model: "fast", "precise" or None.
    preferred
        Whether it is the default when no quality is given.

    Raises
    ------
    CheckpointError
        The folder has no complete checkpoint.
    InputError
        The path does not end in ``.onnx``, or the model has learned another read-out.
    """
    folder, path = Path(folder), Path(path)
    if path.suffix != ".onnx":
        raise InputError(f"The graph can't be written to {path.name}: give a name that ends in .onnx.")
    saved = checkpoint.load(folder)
    model = saved.build_model()
    read_out = _read_out(model, None if geometry is None else Calorimeter.of(geometry))
    sampler = model.sampler(read_out)
    graph = _trace(sampler, model.inputs)
    rotation = take_bytes(graph.graph, sampler.noise_size) if precision == "int8" else None
    changed = store_bytes(graph.graph) if precision == "int8-weights" else rotation is not None
    with written_aside(path) as aside:
        onnx.save(graph, aside)
    record = {
        **_record(saved, model, path),
        "geometry": read_out.to_dict(),
        "precision": precision if changed else "float32",
        "noise": "normal" if rotation is None else "bytes",
        "noise_size": sampler.noise_size if rotation is None else len(rotation),
        **(_of_any_read_out(model, sampler) if sampler.read_out else {}),
        "chosen": "best" if folder.name == "best" else "last",
        "chosen_by": model.chosen_by,
        "quality": quality,
        "preferred": preferred,
    }
    # Compared as users run it, by onnxruntime from the file, before the record is complete.
    trained = TrainedModel(path.stem, record, path)
    record["deviation"] = _deviation(model, sampler, trained, rotation)
    with written_aside(path.with_suffix(".json")) as aside:
        aside.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    return TrainedModel.load(path.with_suffix(".json"))


def _read_out(model: GenerativeModel, asked: Calorimeter | None) -> Calorimeter:
    if asked is None:
        return model.geometry
    if asked in model.geometries or "geometry" in model.conditions:
        return asked
    raise InputError(
        f"The model has learned {model.geometry.name} and is not conditioned on the read-out, so it can't "
        f"draw {asked.name}: leave --geometry out."
    )


def example(inputs: Sequence[str], n: int) -> tuple[torch.Tensor, ...]:
    """Return some values of each condition, (n, ...), of the kind and shape that samplers take."""
    upright = torch.tensor([0.0, 0.0, 1.0]).repeat(n, 1)
    every = {
        "energy": torch.full((n,), 1e4),
        "direction": upright,
        "position": torch.zeros(n, 2),
        "label": torch.zeros(n, dtype=torch.int64),
    }
    return tuple(every[name] for name in inputs)


def _trace(sampler: Sampler, inputs: Sequence[str]) -> onnx.ModelProto:
    """Trace a sampler with a free number of showers."""
    # From 2: torch treats a size of 1 as a constant.
    n = torch.export.Dim("showers", min=2)
    free = torch.export.Dim.AUTO
    if sampler.unrolled:
        return _trace_unrolled(sampler, inputs)
    read_out = dict(sampler.read_out)
    shapes: dict[str, Any] = {"noise": {0: n, 1: free} if read_out else {0: n}}
    shapes |= {name: {0: n} for name in inputs} | {name: {0: free} for name in read_out}
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter causes deprecation warnings itself
        program = torch.onnx.export(
            sampler,
            (torch.randn(_TRACED, sampler.noise_size), *example(inputs, _TRACED), *read_out.values()),
            input_names=list(shapes),
            output_names=["cells"],
            dynamic_shapes=_as_arguments(sampler, shapes),
            dynamo=True,
            verbose=False,
        )
    assert program is not None
    traced: onnx.ModelProto = program.model_proto
    _drop_notes(traced.graph)
    return traced


def _of_any_read_out(model: GenerativeModel, sampler: Sampler) -> dict[str, Any]:
    """Return what the record says of a model that draws any read-out: its limits, and what it has learned."""
    learned = [geometry.name for geometry in model.geometries]
    return {"most_cells": list(sampler.most_cells), "learned": learned}


def _trace_unrolled(sampler: Sampler, inputs: Sequence[str]) -> onnx.ModelProto:
    """Trace a sampler of thousands of operations by torch's older exporter.

    It is ten times as fast: the newer one reasons about the size of every tensor.
    """
    names = ["noise", *inputs]
    with TemporaryDirectory() as folder, warnings.catch_warnings():
        path = Path(folder) / "graph.onnx"
        warnings.simplefilter("ignore")  # it is deprecated, and warns of sizes that the graph does follow
        torch.onnx.export(
            sampler,
            (torch.randn(_TRACED, sampler.noise_size), *example(inputs, _TRACED)),
            path,
            input_names=names,
            output_names=["cells"],
            dynamic_axes={name: {0: "showers"} for name in (*names, "cells")},
            opset_version=18,
            dynamo=False,
        )
        traced = onnx.load(path)
    for node in traced.graph.node:
        node.doc_string = ""
    return traced


def _as_arguments(sampler: Sampler, shapes: dict[str, Any]) -> tuple[Any, ...]:
    """Return the free sizes of all inputs, those of starred arguments as one."""
    parameters = inspect.signature(sampler.forward).parameters.values()
    values = list(shapes.values())
    single = sum(one.kind is not one.VAR_POSITIONAL for one in parameters)
    return (*values[:single], *([tuple(values[single:])] if single < len(parameters) else []))


def _drop_notes(graph: onnx.GraphProto) -> None:
    """Remove notes of the tracing: lines of code with folders of this computer, a fifth of the file.

    Without them a graph does not depend on where caloforge is installed.
    """
    noted = (graph.node, graph.input, graph.output, graph.value_info, graph.initializer)
    for item in itertools.chain([graph], *noted):
        del item.metadata_props[:]


def _record(saved: checkpoint.Checkpoint, model: GenerativeModel, path: Path) -> dict[str, Any]:
    keys = ("model", "config", "plan", "parent", "data", "step", "surroundings")
    return {
        **{key: saved.record[key] for key in keys},
        "graph": path.name,
        "sha256": sha256(path),
        "checkpoint_sha256": saved.record["sha256"],
        "runtime": "onnx",
        "conditions": list(model.conditions),
        "pdg": [parse_particle(name) for name in model.config.particles],
        "energy_range_GeV": list(model.config.energy_range),
        "direction_range_deg": [list(bounds) for bounds in model.config.direction_range],
        "position_range_mm": [list(bounds) for bounds in model.config.position_range],
    }


def _deviation(
    model: GenerativeModel, sampler: Sampler, trained: TrainedModel, rotation: Floats | None
) -> dict[str, float]:
    """Compare the total energies of the graph with those of the model, for the same noise."""
    random = np.random.Generator(np.random.SFC64(0))
    incident = _particles(trained, random)
    noise = trained.noise(0, 0, _COMPARED)
    normal = noise if rotation is None else noise.astype(np.float32) @ rotation
    conditions = {
        "energy": incident.energy.astype(np.float32),
        "direction": incident.unit_direction.astype(np.float32),
        "position": incident.position,
        "label": np.array([trained.label(pdg) for pdg in incident.pdg.tolist()]),
    }
    with torch.no_grad():
        inputs = (torch.from_numpy(conditions[name]) for name in model.inputs)
        cells = sampler(torch.from_numpy(normal), *inputs).numpy()
    exact, found = (sample.sum(axis=1, dtype=np.float64) for sample in (cells, trained(noise, incident)))
    return {
        "mean_energy_percent": 100 * float(found.mean() / exact.mean() - 1),
        "shower_energy_rms_percent": 100 * float(np.sqrt(np.mean(((found - exact) / incident.energy) ** 2))),
    }


def _particles(trained: TrainedModel, random: np.random.Generator) -> Incident:
    """Return incident particles all over the ranges of the training."""
    pdg = np.array(trained.record["pdg"])[random.integers(len(trained.record["pdg"]), size=_COMPARED)]
    energy = random.uniform(*trained.energy_range, _COMPARED).astype(np.float32)
    spread = [
        np.stack([bounds.at(random.random(_COMPARED)) for bounds in ranges], axis=1)
        for ranges in (trained.direction_range, trained.position_range)
    ]
    return Incident(pdg, energy, *spread)
