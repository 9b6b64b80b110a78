"""Lets a graph take random bytes, and multiply them as integers."""

import math
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import helper, numpy_helper

from caloforge.inference.noise import LEVELS

__all__ = ["Floats", "rotation", "take_bytes"]

Floats = npt.NDArray[np.float32]
_LARGE = 1 << 16  # number of weights from which integers are faster
_MULTIPLE = 64  # bytes: the noise of a shower takes whole cache lines


def take_bytes(graph: onnx.GraphProto, size: int) -> Floats | None:
    """Let a graph take bytes (N, n) instead of normal numbers (N, size), if possible.

    Returns
    -------
    The matrix that turns bytes into the normal numbers, (n, size); None if the graph is unchanged.
    """
    weights = {item.name: item for item in graph.initializer}
    uses = [node for node in graph.node if "noise" in node.input]
    products = [node for node in uses if node.op_type == "MatMul" and node.input[1] in weights]
    # Only products with constant weights can take up the rotation; any other use needs normal numbers.
    if uses != products or sum(_size(weights[node.input[1]]) for node in products) < _LARGE:
        return None
    matrix = rotation(size)
    zero = numpy_helper.from_array(np.array(LEVELS // 2, np.uint8), "noise_zero")
    nodes = []
    for node in products:
        # The rotation is multiplied into the weights here, so it costs nothing in generation.
        nodes += _whole_product(graph, node, matrix @ numpy_helper.to_array(weights[node.input[1]]))
        graph.node.remove(node)
    for name in {node.input[1] for node in products}:
        graph.initializer.remove(weights[name])
    graph.initializer.append(zero)
    # ONNX wants nodes in the order of their execution: the new ones come first.
    rest = list(graph.node)
    del graph.node[:]
    graph.node.extend(nodes + rest)
    _declare_bytes(graph, len(matrix))
    return matrix


def rotation(size: int) -> Floats:
    """Return a matrix (n, size) that makes uniform bytes, 0 to `LEVELS` - 1, normal and independent.

    Its columns are orthogonal to each other and to a constant, so the common mean of the bytes drops out.
    """
    n = -(-(size + 1) // _MULTIPLE) * _MULTIPLE
    columns = np.random.default_rng(0).standard_normal((n, size + 1))
    # The constant is the first column of the QR decomposition, so all others are orthogonal to it.
    columns[:, 0] = 1
    orthogonal = np.linalg.qr(columns)[0][:, 1:]
    # Uniform integers 0 to L - 1 have the variance (L^2 - 1) / 12.
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
    # One scale for each output: columns differ by orders of magnitude. `tiny` avoids a division by 0 for
    # columns of zeros.
    scale = np.maximum(np.abs(weight).max(axis=0), np.finfo(np.float32).tiny) / 127
    whole = _constant(graph, f"{output}_weight", np.rint(weight / scale).astype(np.int8))
    scales = _constant(graph, f"{output}_scale", scale.astype(np.float32))
    names = [f"{output}_whole", f"{output}_float"]
    return [
        helper.make_node("MatMulInteger", ["noise", whole, "noise_zero"], names[:1]),
        helper.make_node("Cast", names[:1], names[1:], to=onnx.TensorProto.FLOAT),
        helper.make_node("Mul", [names[1], scales], [output]),
    ]
