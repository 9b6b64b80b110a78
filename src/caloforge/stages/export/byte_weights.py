"""Stores the weights of large products in 8 bits, for a quarter of the file.

They become numbers in single precision when a graph is loaded, so that generation takes the time that it took
before, and the same memory.
"""

from collections import Counter
from collections.abc import Sequence

import numpy as np
import onnx
from onnx import helper, numpy_helper

__all__ = ["store_bytes"]

_LARGE = 1 << 14  # number of weights from which their scales are small beside them
_SECOND = ("Conv", "Gemm", "MatMul")  # the second input are weights


def store_bytes(graph: onnx.GraphProto) -> bool:
    """Replace the weights of large products and convolutions by bytes, with a scale for each output.

    So are those that a loop takes one by one, a matrix for each step.

    Returns
    -------
    Whether there are any.
    """
    uses = Counter(name for node in graph.node for name in node.input)
    weights = {item.name: item for item in graph.initializer if item.data_type == onnx.TensorProto.FLOAT}
    nodes = []
    for node in graph.node:
        # A loop's vectors are biases.
        least = 3 if node.op_type == "Scan" else 2
        for name in _weights(node):
            if name in weights and uses[name] == 1 and _is_large(weights[name], least):
                nodes += _converted(graph, weights[name], _shared(node, weights[name].dims))
                graph.initializer.remove(weights[name])
    # ONNX wants nodes in the order of their execution.
    rest = list(graph.node)
    del graph.node[:]
    graph.node.extend(nodes + rest)
    return bool(nodes)


def _is_large(item: onnx.TensorProto, least: int) -> bool:
    """Say whether a tensor has many numbers, and at least so many axes."""
    return len(item.dims) >= least and int(np.prod(item.dims)) >= _LARGE


def _weights(node: onnx.NodeProto) -> list[str]:
    """Return the names of the inputs that may be weights."""
    if node.op_type == "Scan":
        (scanned,) = (item.i for item in node.attribute if item.name == "num_scan_inputs")
        return list(node.input)[-scanned:]
    return [node.input[1]] if node.op_type in _SECOND else []


def _shared(node: onnx.NodeProto, sizes: Sequence[int]) -> tuple[int, ...]:
    """Return the axes of weights along which one scale holds."""
    axes = range(len(sizes))
    if node.op_type == "Scan":  # steps, then inputs and outputs in any order: the longer axis of these
        return (max(axes[1:], key=lambda axis: sizes[axis]),)
    transposed = any(item.name == "transB" and item.i for item in node.attribute)
    return tuple(axes[1:] if transposed or node.op_type == "Conv" else axes[:-1])


def _converted(
    graph: onnx.GraphProto, item: onnx.TensorProto, shared: tuple[int, ...]
) -> list[onnx.NodeProto]:
    """Return the nodes that make weights of bytes and scales, which are added to the graph."""
    weight = numpy_helper.to_array(item)
    # More scales than one, as outputs differ by orders of magnitude. `tiny` avoids a division by 0 where all
    # weights are 0.
    scale = np.maximum(np.abs(weight).max(axis=shared, keepdims=True), np.finfo(np.float32).tiny) / 127
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
