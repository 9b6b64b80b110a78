"""Turn a trained checkpoint into an ONNX graph that generates without torch.

Large products of the noise with constant weights are done in whole numbers: weights in 8 bits with a scale
for each output, noise in 7 bits (steps of 0.07 standard deviations, so that no processor's instructions
saturate). Such a product is exact, and so the same for any batch size and on any machine.
"""

import json
import logging
import warnings
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import onnx
import torch
from onnx import helper, numpy_helper

from caloforge import checkpoint
from caloforge.atomic import written_aside
from caloforge.errors import InputError
from caloforge.models.base import GenerativeModel
from caloforge.particles import parse_particle
from caloforge.trained import TrainedModel

Precision = Literal["float32", "int8"]

NOISE_RANGE = 4.45  # standard deviations that 7 bits span, on both sides of zero
_NOISE_ZERO = 64
_NOISE_STEP = NOISE_RANGE / (_NOISE_ZERO - 0.5)
_LARGE = 1 << 16  # weights from which whole numbers pay
_COMPARED = 1024  # showers by which the graph is compared with the model


def export(folder: Path, path: Path, *, precision: Precision = "int8") -> TrainedModel:
    """Write the ONNX graph of a checkpoint, and beside it the JSON record that describes it.

    Parameters
    ----------
    folder
        Folder of a training, or its ``best``.
    path
        The ONNX file to write; the record has the same name with ``.json``.
    precision
        Of the large products: "int8", or "float32" as trained. Where no large product is one of the noise
        alone (several particles, a small model) all stays in float32, and the record says so.

    Raises
    ------
    CheckpointError
        The folder holds no whole checkpoint.
    InputError
        The path does not end in ``.onnx``.
    """
    if path.suffix != ".onnx":
        raise InputError(f"The graph can't be written to {path.name}: give a name that ends in .onnx.")
    saved = checkpoint.load(folder)
    model = saved.build_model()
    graph = _trace(model)
    if precision == "int8" and not _quantise(graph.graph):
        precision = "float32"
    with written_aside(path) as aside:
        onnx.save(graph, aside)
    record = _record(saved, model, path, precision)
    record["deviation"] = _deviation(model, TrainedModel(path.stem, record, path))
    with written_aside(path.with_suffix(".json")) as aside:
        aside.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    return TrainedModel.load(path.with_suffix(".json"))


def _trace(model: GenerativeModel) -> onnx.ModelProto:
    """Trace the sampler with a free number of showers."""
    n = torch.export.Dim("showers", min=2)
    example = (torch.randn(8, model.noise_size), torch.full((8,), 1e4), torch.zeros(8, dtype=torch.int64))
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter warns of its own deprecations
        program = torch.onnx.export(
            model.sampler(),
            example,
            input_names=["noise", "energy", "label"],
            output_names=["cells"],
            dynamic_shapes=({0: n}, {0: n}, {0: n}),
            dynamo=True,
            verbose=False,
        )
    assert program is not None
    graph: onnx.ModelProto = program.model_proto
    return graph


def _record(
    saved: checkpoint.Checkpoint, model: GenerativeModel, path: Path, precision: str
) -> dict[str, Any]:
    keys = ("model", "config", "geometry", "plan", "data", "step", "surroundings")
    return {
        **{key: saved.record[key] for key in keys},
        "graph": path.name,
        "sha256": checkpoint.sha256(path),
        "checkpoint_sha256": saved.record["sha256"],
        "precision": precision,
        "noise_size": model.noise_size,
        "pdg": [parse_particle(name) for name in model.config.particles],
        "energy_range_GeV": list(model.config.energy_range),
    }


def _deviation(model: GenerativeModel, trained: TrainedModel) -> dict[str, float]:
    """Compare the total energies of the graph with those of the model, for the same noise."""
    random = np.random.default_rng(0)
    noise = random.standard_normal((_COMPARED, model.noise_size), dtype=np.float32)
    energy = random.uniform(*trained.energy_range, _COMPARED).astype(np.float32)
    label = random.integers(len(trained.record["pdg"]), size=_COMPARED)
    with torch.no_grad():
        cells = model.sampler()(*map(torch.from_numpy, (noise, energy, label))).numpy()
    exact, found = (sample.sum(axis=1, dtype=np.float64) for sample in (cells, trained(noise, energy, label)))
    return {
        "mean_energy_percent": 100 * float(found.mean() / exact.mean() - 1),
        "shower_energy_rms_percent": 100 * float(np.sqrt(np.mean(((found - exact) / energy) ** 2))),
    }


def _quantise(graph: onnx.GraphProto) -> bool:
    """Replace products of the noise with large constant matrices by products of whole numbers, if any."""
    weights = {item.name: item for item in graph.initializer}
    found = [
        node
        for node in graph.node
        if node.op_type == "MatMul"
        and node.input[0] == "noise"
        and _size(weights.get(node.input[1])) >= _LARGE
    ]
    if not found:
        return False
    nodes = _noise_in_7_bits(graph)
    for node in found:
        nodes += _whole_product(graph, node, numpy_helper.to_array(weights[node.input[1]]))
        graph.initializer.remove(weights[node.input[1]])
        graph.node.remove(node)
    rest = list(graph.node)
    del graph.node[:]
    graph.node.extend(nodes + rest)
    return True


def _size(item: onnx.TensorProto | None) -> int:
    return int(np.prod(item.dims)) if item is not None else 0


def _constant(graph: onnx.GraphProto, name: str, value: npt.NDArray[Any]) -> str:
    graph.initializer.append(numpy_helper.from_array(value, name))
    return name


def _noise_in_7_bits(graph: onnx.GraphProto) -> list[onnx.NodeProto]:
    """``noise`` -> ``noise_7bit``: unsigned, zero at 64, so that sums of two products fit in 16 bits."""
    bounds = {"noise_low": -(_NOISE_ZERO - 1) * _NOISE_STEP, "noise_high": (_NOISE_ZERO - 1) * _NOISE_STEP}
    names = [_constant(graph, name, np.array(value, np.float32)) for name, value in bounds.items()]
    step = _constant(graph, "noise_step", np.array(_NOISE_STEP, np.float32))
    zero = _constant(graph, "noise_zero", np.array(_NOISE_ZERO, np.uint8))
    _constant(graph, "weight_zero", np.array(0, np.int8))
    return [
        helper.make_node("Clip", ["noise", *names], ["noise_clipped"]),
        helper.make_node("QuantizeLinear", ["noise_clipped", step, zero], ["noise_7bit"]),
    ]


def _whole_product(
    graph: onnx.GraphProto, node: onnx.NodeProto, weight: npt.NDArray[np.float32]
) -> list[onnx.NodeProto]:
    """Nodes that compute ``noise @ weight`` from 8-bit weights with one scale for each column."""
    output = node.output[0]
    scale = np.maximum(np.abs(weight).max(axis=0), np.finfo(np.float32).tiny) / 127
    whole = _constant(graph, f"{output}_weight", np.rint(weight / scale).astype(np.int8))
    scales = _constant(graph, f"{output}_scale", (scale * _NOISE_STEP).astype(np.float32))
    names = [f"{output}_whole", f"{output}_float"]
    return [
        helper.make_node("MatMulInteger", ["noise_7bit", whole, "noise_zero", "weight_zero"], names[:1]),
        helper.make_node("Cast", names[:1], names[1:], to=onnx.TensorProto.FLOAT),
        helper.make_node("Mul", [names[1], scales], [output]),
    ]
