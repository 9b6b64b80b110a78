"""Graphs on onnxruntime: what they take and make, and what is said of those that fail."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper

from caloforge.errors import CheckpointError
from caloforge.geometry import Calorimeter
from caloforge.inference.runtime import OnnxGraph, Promise
from tests import small_weights
from tests.inference import damage

FLOAT, WHOLE, DOUBLE = TensorProto.FLOAT, TensorProto.INT64, TensorProto.DOUBLE
PROMISE = Promise("bytes", small_weights.NOISE, 32)


@pytest.fixture
def graph(tmp_path: Path, small: Calorimeter) -> Path:
    """Return the path of a graph that keeps its promise."""
    return small_weights.write(tmp_path / "a.json", small).with_suffix(".onnx")


def with_input(path: Path, name: str, kind: int, shape: list[Any]) -> Path:
    """Write a graph that also takes this; return its path."""
    model = onnx.load(path)
    model.graph.input.append(helper.make_tensor_value_info(name, kind, shape))
    onnx.save(model, path.with_name("b.onnx"))
    return path.with_name("b.onnx")


@pytest.mark.parametrize(
    ("name", "kind", "shape"),
    [
        ("direction", FLOAT, ["n", 3]),
        ("direction", FLOAT, ["n", "any"]),
        ("position", FLOAT, ["n", 2]),
        ("label", WHOLE, ["n"]),
    ],
)
def test_a_condition_of_the_right_kind_and_shape_is_taken(
    graph: Path, name: str, kind: int, shape: list[Any]
) -> None:
    runtime = OnnxGraph(with_input(graph, name, kind, shape), PROMISE)
    assert runtime.inputs == ("noise", "energy", name)


@pytest.mark.parametrize(
    ("name", "kind", "shape"),
    [
        ("direction", FLOAT, ["n", 2]),
        ("direction", FLOAT, ["n", 4]),
        ("direction", FLOAT, [5, 3]),
        ("direction", FLOAT, ["n"]),
        ("direction", DOUBLE, ["n", 3]),
        ("position", FLOAT, ["n", 1]),
        ("position", FLOAT, ["n", 3]),
        ("label", WHOLE, ["n", 1]),
        ("label", FLOAT, ["n"]),
        ("label", WHOLE, [5]),
    ],
)
def test_a_condition_of_another_kind_or_shape_is_refused(
    graph: Path, name: str, kind: int, shape: list[Any]
) -> None:
    with pytest.raises(CheckpointError, match=f"its '{name}' is tensor.* instead of tensor"):
        OnnxGraph(with_input(graph, name, kind, shape), PROMISE)


def test_cells_are_made_of_the_named_inputs_alone(graph: Path) -> None:
    runtime = OnnxGraph(graph, PROMISE, threads=1)
    noise = np.random.default_rng(1).integers(0, 128, (3, small_weights.NOISE)).astype(np.uint8)
    energy = np.array([1e3, 2e3, 3e3], np.float32)
    cells = runtime({"energy": energy, "label": np.zeros(3), "noise": noise})
    assert (cells.shape, cells.dtype) == ((3, 32), np.float32)
    assert (cells.sum(axis=1) > 0).all()
    doubled = runtime({"energy": 2 * energy, "noise": noise})
    np.testing.assert_allclose(doubled, 2 * cells, rtol=1e-6)


@pytest.mark.parametrize("cells", [31, 33])
def test_a_graph_of_other_cells_is_refused(graph: Path, cells: int) -> None:
    with pytest.raises(CheckpointError, match=rf"'cells' is .* instead of .* of shape \(N, {cells}\)"):
        OnnxGraph(graph, Promise("bytes", small_weights.NOISE, cells))


def test_cells_of_another_number_of_showers_are_refused(graph: Path) -> None:
    """A graph that leaves its shape open may still make too few."""
    graph.write_bytes(damage.changed(onnx.load(graph), damage.too_narrow))
    runtime = OnnxGraph(graph, PROMISE)
    inputs = {"noise": np.zeros((3, small_weights.NOISE), np.uint8), "energy": np.ones(3, np.float32)}
    with pytest.raises(CheckpointError, match=r"made cells of shape \(3, 3\) instead of \(N, 32\)"):
        runtime(inputs)


@pytest.mark.parametrize(
    ("message", "said"),
    [
        ("too bad\nin line 3", "too bad"),
        ("", "RuntimeError"),
        (" \n", "RuntimeError"),
        ("a" * 200, "a" * 200),
        ("a" * 201, "a" * 200 + "..."),
    ],
)
def test_of_an_error_the_first_line_is_said(
    graph: Path, monkeypatch: pytest.MonkeyPatch, message: str, said: str
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError(message)

    monkeypatch.setattr(onnxruntime, "InferenceSession", fail)
    with pytest.raises(CheckpointError) as error:
        OnnxGraph(graph, PROMISE)
    assert f"onnxruntime does not accept it ({said}). Get the model again" in str(error.value)
