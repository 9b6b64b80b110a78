"""Stores the weights of large products in 8 bits, for a quarter of the file.

They become numbers in single precision when a graph is loaded, so that generation takes the time that it took
before, and the same memory.
"""

from collections import Counter

import numpy as np
import onnx
from onnx import helper, numpy_helper

__all__ = ["store_bytes"]

_LARGE = 1 << 14  # number of weights from which a scale for each output is small beside them
_PRODUCTS = ("Conv", "Gemm", "MatMul")


def store_bytes(graph: onnx.GraphProto) -> None:
    """Replace the weights of large matrix products and convolutions by bytes, with a scale for each output.

    Those inside of loops stay as they are: they would be converted in every step.
    """
    uses = Counter(name for node in graph.node for name in node.input)
    weights = {item.name: item for item in graph.initializer}
    nodes = []
    for node in graph.node:
        name = node.input[1] if node.op_type in _PRODUCTS else ""
        if name in weights and uses[name] == 1 and np.prod(weights[name].dims) >= _LARGE:
            nodes += _converted(graph, weights[name], _outputs(node))
            graph.initializer.remove(weights[name])
    # ONNX wants nodes in the order of their execution.
    rest = list(graph.node)
    del graph.node[:]
    graph.node.extend(nodes + rest)


def _outputs(node: onnx.NodeProto) -> int:
    """Return the axis of the weights that counts outputs."""
    transposed = any(item.name == "transB" and item.i for item in node.attribute)
    return 0 if transposed or node.op_type == "Conv" else -1


def _converted(graph: onnx.GraphProto, item: onnx.TensorProto, axis: int) -> list[onnx.NodeProto]:
    """Return the nodes that make weights of bytes and scales, which are added to the graph."""
    weight = numpy_helper.to_array(item)
    others = tuple(other for other in range(weight.ndim) if other != axis % weight.ndim)
    # One scale for each output: they differ by orders of magnitude. `tiny` avoids a division by 0 for outputs
    # without weights.
    scale = np.maximum(np.abs(weight).max(axis=others, keepdims=True), np.finfo(np.float32).tiny) / 127
    stored, scales, whole = (f"{item.name}_{part}" for part in ("bytes", "scale", "whole"))
    graph.initializer.extend(
        [
            numpy_helper.from_array(np.rint(weight / scale).astype(np.int8), stored),
            numpy_helper.from_array(scale.astype(np.float32), scales),
        ]
    )
    # DequantizeLinear would say the same in one node, but onnxruntime converts again in every call then.
    return [
        helper.make_node("Cast", [stored], [whole], to=onnx.TensorProto.FLOAT),
        helper.make_node("Mul", [whole, scales], [item.name]),
    ]
