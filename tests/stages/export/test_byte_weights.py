"""Weights in 8 bits: small files that draw what the model draws."""

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from caloforge.inference.model import TrainedModel
from caloforge.models.calogan import CaloGAN
from caloforge.stages.export.byte_weights import store_bytes
from caloforge.stages.export.onnx import export

from .conftest import draw

Weights = np.ndarray


def product(kind: str, weight: Weights) -> onnx.ModelProto:
    """Return a graph of one product with weights (inputs, outputs)."""
    stored, inputs, more = {
        "MatMul": (weight, [1, 128], {}),
        "Gemm": (weight.T, [1, 128], {"transB": 1}),
        "Conv": (weight.T[:, :, None, None], [1, 128, 1, 1], {}),
    }[kind]
    graph = helper.make_graph(
        [helper.make_node(kind, ["x", "weight"], ["y"], **more)],
        "product",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, inputs)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, inputs)],
        [numpy_helper.from_array(np.ascontiguousarray(stored), "weight")],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)


def run(model: onnx.ModelProto, x: Weights) -> Weights:
    session = onnxruntime.InferenceSession(model.SerializeToString())
    shape = session.get_inputs()[0].shape
    return np.asarray(session.run(None, {"x": x.reshape(shape)})[0]).ravel()


@pytest.mark.parametrize("kind", ["MatMul", "Gemm", "Conv"])
def test_each_output_has_a_scale_of_its_own(kind: str) -> None:
    random = np.random.default_rng(1)
    sizes = np.geomspace(1e-6, 1e6, 128, dtype=np.float32)
    weight = random.uniform(-1, 1, (128, 128)).astype(np.float32) * sizes
    x = random.standard_normal(128).astype(np.float32)
    model = product(kind, weight)
    expected = run(model, x)
    before = model.ByteSize()
    store_bytes(model.graph)
    onnx.checker.check_model(model)
    assert model.ByteSize() < 0.3 * before
    # a weight is wrong by at most half a step, of which there are 127 from 0 to the largest
    assert (np.abs(run(model, x) - expected) <= np.abs(x).sum() * sizes / 127 / 2 * 1.01).all()


def loop(weights: Weights, biases: Weights) -> onnx.ModelProto:
    """Return a graph that multiplies x with one matrix (steps, n, n) after the other, and adds vectors."""
    n = weights.shape[1]

    def value(name: str, *shape: int) -> onnx.ValueInfoProto:
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)

    step = helper.make_graph(
        [
            helper.make_node("MatMul", ["before", "weight"], ["product"]),
            helper.make_node("Add", ["product", "bias"], ["after"]),
        ],
        "step",
        [value("before", 1, n), value("weight", n, n), value("bias", n)],
        [value("after", 1, n)],
    )
    scan = helper.make_node("Scan", ["x", "weights", "biases"], ["y"], body=step, num_scan_inputs=2)
    stored = [numpy_helper.from_array(weights, "weights"), numpy_helper.from_array(biases, "biases")]
    graph = helper.make_graph([scan], "loop", [value("x", 1, n)], [value("y", 1, n)], stored)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)


def test_matrices_of_a_loop_are_stored_as_bytes_and_vectors_are_not() -> None:
    random = np.random.default_rng(2)
    weights = (random.standard_normal((10, 64, 64)) / 16).astype(np.float32)
    biases = random.standard_normal((10, 64)).astype(np.float32)
    x, model = random.standard_normal(64).astype(np.float32), loop(weights, biases)
    expected, before = run(model, x), model.ByteSize()
    store_bytes(model.graph)
    onnx.checker.check_model(model)
    assert model.ByteSize() < 0.35 * before
    assert [list(item.dims) for item in model.graph.initializer if item.name == "biases"] == [[10, 64]]
    assert 0 < np.abs(run(model, x) - expected).max() < 0.05 * np.abs(expected).max()


def test_small_products_stay_as_they_are() -> None:
    model = product("MatMul", np.ones((128, 64), np.float32))
    before = model.SerializeToString()
    assert not store_bytes(model.graph)
    assert model.SerializeToString() == before


def test_a_model_is_exported_with_small_weights(trained: tuple[CaloGAN, Path], tmp_path: Path) -> None:
    small = export(trained[1], tmp_path / "small.onnx", precision="int8-weights")
    large = export(trained[1], tmp_path / "large.onnx", precision="float32")
    assert small.graph.stat().st_size < 0.5 * large.graph.stat().st_size
    assert [small.record[key] for key in ("precision", "noise")] == ["int8-weights", "normal"]
    assert small.record["deviation"]["shower_energy_rms_percent"] > 0
    expected, found = draw(trained[0], TrainedModel.load(tmp_path / "small.json"))
    np.testing.assert_allclose(found.sum(), expected.sum(), rtol=0.01)
