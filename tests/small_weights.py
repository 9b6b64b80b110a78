"""Weights of a network that is no model of showers, but small, and takes its noise as shipped models do."""

import hashlib
import json
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from caloforge.geometry import Calorimeter
from caloforge.inference.noise import LEVELS

NOISE = 61  # no multiple of the eight bytes of a random word
_KINDS = {"bytes": TensorProto.UINT8, "normal": TensorProto.FLOAT}


def write(
    path: Path, geometry: Calorimeter, noise: str = "bytes", pdg: int = 22, quality: str | None = None
) -> Path:
    """Write weights that turn noise and energy into cells, half of them empty; return the record's path."""
    graph = path.with_suffix(".onnx")
    onnx.save(_graph(noise, geometry.n_cells), graph)
    record = {
        "graph": graph.name,
        "sha256": hashlib.sha256(graph.read_bytes()).hexdigest(),
        "model": "copula",
        "data": [{"file": "geant4.h5", "showers": 2000}],
        "pdg": [pdg],
        "geometry": geometry.to_dict(),
        "energy_range_GeV": [1.0, 100.0],
        "noise_size": NOISE,
        "noise": noise,
        "quality": quality,
    }
    path.write_text(json.dumps(record), encoding="utf-8")
    return path


def _graph(noise: str, cells: int) -> onnx.ModelProto:
    """cells = energy max(0, noise W) / 100,000, of bytes in whole numbers."""
    weight = np.random.default_rng(1).integers(-9, 10, (NOISE, cells)).astype(np.int8)
    constants = {
        "middle": np.array(LEVELS // 2, np.uint8),
        "zero": np.array(0, np.int8),
        "axis": np.array([1]),
        "scale": np.array(1e-5, np.float32),
    }
    nodes = [
        helper.make_node("MatMulInteger", ["noise", "weight", "middle", "zero"], ["whole"]),
        helper.make_node("Cast", ["whole"], ["sum"], to=TensorProto.FLOAT),
    ]
    if noise == "normal":
        weight = weight.astype(np.float32)
        nodes = [helper.make_node("MatMul", ["noise", "weight"], ["sum"])]
    nodes += [
        helper.make_node("Relu", ["sum"], ["hits"]),
        helper.make_node("Mul", ["energy", "scale"], ["share"]),
        helper.make_node("Unsqueeze", ["share", "axis"], ["column"]),
        helper.make_node("Mul", ["hits", "column"], ["cells"]),
    ]
    constants |= {"weight": weight}
    graph = helper.make_graph(
        nodes,
        "showers",
        [
            helper.make_tensor_value_info("noise", _KINDS[noise], ["n", NOISE]),
            helper.make_tensor_value_info("energy", TensorProto.FLOAT, ["n"]),
        ],
        [helper.make_tensor_value_info("cells", TensorProto.FLOAT, ["n", cells])],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
