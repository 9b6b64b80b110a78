"""Let a graph take random bytes, and multiply them in whole numbers."""

import math
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import helper, numpy_helper

from caloforge.inference.noise import LEVELS

__all__ = ["Floats", "rotation", "take_bytes"]

Floats = npt.NDArray[np.float32]
_LARGE = 1 << 16  # weights from which whole numbers pay
_MULTIPLE = 64  # bytes of noise, in whole cache lines


def take_bytes(graph: onnx.GraphProto, size: int) -> Floats | None:
    """Let a graph take bytes (N, n) for its normal numbers (N, size), if it allows that.

    Returns
    -------
    What turns bytes into the normal numbers, (n, size); None if the graph is left as it was.
    """
    weights = {item.name: item for item in graph.initializer}
    uses = [node for node in graph.node if "noise" in node.input]
    products = [node for node in uses if node.op_type == "MatMul" and node.input[1] in weights]
    if uses != products or sum(_size(weights[node.input[1]]) for node in products) < _LARGE:
        return None
    matrix = rotation(size)
    zero = numpy_helper.from_array(np.array(LEVELS // 2, np.uint8), "noise_zero")
    nodes = []
    for node in products:
        nodes += _whole_product(graph, node, matrix @ numpy_helper.to_array(weights[node.input[1]]))
        graph.node.remove(node)
    for name in {node.input[1] for node in products}:
        graph.initializer.remove(weights[name])
    graph.initializer.append(zero)
    rest = list(graph.node)
    del graph.node[:]
    graph.node.extend(nodes + rest)
    _declare_bytes(graph, len(matrix))
    return matrix


def rotation(size: int) -> Floats:
    """Return a matrix (n, size) that makes uniform bytes, 0 to `LEVELS` - 1, normal and independent.

    Its columns are orthogonal to each other, and to a constant: what all bytes have in common does not count.
    """
    n = -(-(size + 1) // _MULTIPLE) * _MULTIPLE
    columns = np.random.default_rng(0).standard_normal((n, size + 1))
    columns[:, 0] = 1
    orthogonal = np.linalg.qr(columns)[0][:, 1:]
    return np.asarray(orthogonal * math.sqrt(12 / (LEVELS**2 - 1)), np.float32)


def _size(item: onnx.TensorProto) -> int:
    return int(np.prod(item.dims))


def _declare_bytes(graph: onnx.GraphProto, n: int) -> None:
    (noise,) = (item for item in graph.input if item.name == "noise")
    noise.type.tensor_type.elem_type = onnx.TensorProto.UINT8
    noise.type.tensor_type.shape.dim[1].dim_value = n


def _constant(graph: onnx.GraphProto, name: str, value: npt.NDArray[Any]) -> str:
    graph.initializer.append(numpy_helper.from_array(value, name))
    return name


def _whole_product(graph: onnx.GraphProto, node: onnx.NodeProto, weight: Floats) -> list[onnx.NodeProto]:
    """Nodes that compute ``noise @ weight`` from 8-bit weights with one scale for each column."""
    output = node.output[0]
    scale = np.maximum(np.abs(weight).max(axis=0), np.finfo(np.float32).tiny) / 127
    whole = _constant(graph, f"{output}_weight", np.rint(weight / scale).astype(np.int8))
    scales = _constant(graph, f"{output}_scale", scale.astype(np.float32))
    names = [f"{output}_whole", f"{output}_float"]
    return [
        helper.make_node("MatMulInteger", ["noise", whole, "noise_zero"], names[:1]),
        helper.make_node("Cast", names[:1], names[1:], to=onnx.TensorProto.FLOAT),
        helper.make_node("Mul", [names[1], scales], [output]),
    ]
