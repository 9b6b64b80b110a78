"""Damage to a trained model's record and graph, as a careless or hostile hand does it."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from caloforge.errors import CatalogError, CheckpointError, InputError
from caloforge.stages.generate import generate

Graph = onnx.ModelProto
Change = Callable[[Graph], None]

junk = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=20)
    | st.sampled_from(["../a.onnx", "/etc/passwd", ".", "", "a.json", "e+", -11, 0, -1, 10**9, 1e300]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return the place of every value in nested JSON."""
    if isinstance(value, dict | list):
        items = value.items() if isinstance(value, dict) else enumerate(value)
        return [path, *(place for key, inner in items for place in places(inner, (*path, key)))]
    return [path]


def put(value: Any, path: tuple[Any, ...], new: Any) -> Any:
    """Return nested JSON with one value replaced."""
    if not path:
        return new
    copy = dict(value) if isinstance(value, dict) else list(value)
    copy[path[0]] = put(copy[path[0]], path[1:], new)
    return copy


def without(record: dict[str, Any], key: str) -> dict[str, Any]:
    return {name: value for name, value in record.items() if name != key}


def as_text(record: Any) -> bytes:
    return json.dumps(record).encode()


def records(record: dict[str, Any]) -> st.SearchStrategy[bytes]:
    """Damage the record: another value somewhere, a key less, bytes changed, cut off, nested deeply."""
    text = as_text(record)
    somewhere = st.sampled_from(places(record)) | st.sampled_from([(key,) for key in record])
    return st.one_of(
        st.builds(lambda path, new: as_text(put(record, path, new)), somewhere, junk),
        st.builds(lambda key: as_text(without(record, key)), st.sampled_from(list(record))),
        bitten(text),
        st.integers(0, len(text) - 1).map(lambda end: text[:end]),
        st.sampled_from([b"[" * 100_000, b'{"graph":' * 100_000, b"9" * 5000, b"\xff\xfe", b"NaN", b"{}"]),
    )


@st.composite
def bitten(draw: st.DrawFn, content: bytes) -> bytes:
    """Change some bytes."""
    damaged = bytearray(content)
    for _ in range(draw(st.integers(1, 4))):
        damaged[draw(st.integers(0, len(damaged) - 1))] = draw(st.integers(0, 255))
    return bytes(damaged)


def graphs(graph: Graph) -> st.SearchStrategy[bytes]:
    """Damage the graph in one of many ways that leave its checksum to be computed anew."""
    whole = graph.SerializeToString()
    return st.one_of(
        bitten(whole),
        st.integers(0, len(whole) - 1).map(lambda end: whole[:end]),
        st.sampled_from(CHANGES).map(lambda change: changed(graph, change)),
    )


def changed(graph: Graph, change: Change) -> bytes:
    copy = Graph()
    copy.CopyFrom(graph)
    change(copy)
    return copy.SerializeToString()


def unknown_operator(model: Graph) -> None:
    model.graph.node[0].op_type = "Fantasy"


def unknown_domain(model: Graph) -> None:
    model.graph.node[0].domain = "org.example"


def newer_operators(model: Graph) -> None:
    model.opset_import[0].version = 999


def external_weight(model: Graph) -> None:
    (weight,) = [tensor for tensor in model.graph.initializer if tensor.name == "weight"]
    weight.ClearField("raw_data")
    weight.data_location = TensorProto.EXTERNAL
    weight.external_data.add(key="location", value="weight.bin")


def no_noise(model: Graph) -> None:
    model.graph.input[0].name = "random"
    model.graph.node[0].input[0] = "random"


def another_input(model: Graph) -> None:
    model.graph.input.append(helper.make_tensor_value_info("mass", TensorProto.FLOAT, ["n"]))


def wide_energy(model: Graph) -> None:
    model.graph.input[1].CopyFrom(helper.make_tensor_value_info("energy", TensorProto.FLOAT, ["n", 3]))
    model.graph.node[-1].input[1] = "scale"
    del model.graph.node[-3:-1]  # which would take it


def fixed_number(model: Graph) -> None:
    model.graph.input[0].type.tensor_type.shape.dim[0].dim_value = 7


def second_output(model: Graph) -> None:
    model.graph.output.append(helper.make_tensor_value_info("sum", TensorProto.FLOAT, ["n", "cells"]))


def no_output(model: Graph) -> None:
    del model.graph.output[:]


def _ending(model: Graph, *nodes: onnx.NodeProto, **constants: np.ndarray) -> None:
    """Lead the cells through more nodes, and say nothing of their width."""
    model.graph.node[-1].output[0] = "before"
    model.graph.node.extend(nodes)
    model.graph.initializer.extend(numpy_helper.from_array(value, name) for name, value in constants.items())
    model.graph.output[0].type.tensor_type.shape.dim[1].dim_param = "cells"


def too_narrow(model: Graph) -> None:
    _ending(model, helper.make_node("Compress", ["before", "kept"], ["cells"], axis=1), kept=np.ones(3, bool))


def one_wide(model: Graph) -> None:
    _ending(model, helper.make_node("Compress", ["before", "kept"], ["cells"], axis=1), kept=np.ones(1, bool))


def other_width(model: Graph) -> None:
    ends = {"first": np.array([0]), "last": np.array([3]), "along": np.array([1])}
    _ending(model, helper.make_node("Slice", ["before", "first", "last", "along"], ["cells"]), **ends)


def absurd(model: Graph) -> None:
    _ending(model, helper.make_node("Add", ["before", "much"], ["cells"]), much=np.array(1e6, np.float32))


def not_a_number(model: Graph) -> None:
    _ending(model, helper.make_node("Add", ["before", "nan"], ["cells"]), nan=np.array(np.nan, np.float32))


def infinite(model: Graph) -> None:
    _ending(model, helper.make_node("Sub", ["before", "inf"], ["cells"]), inf=np.array(np.inf, np.float32))


def negative(model: Graph) -> None:
    _ending(model, helper.make_node("Sub", ["before", "one"], ["cells"]), one=np.array(1, np.float32))


def fails_when_it_runs(model: Graph) -> None:
    far = np.array([1000])
    gathered = helper.make_node("Gather", ["before", "far"], ["one"], axis=1)
    _ending(
        model,
        gathered,
        helper.make_node("Add", ["one", "many"], ["cells"]),
        far=far,
        many=np.zeros(32, np.float32),
    )


CHANGES: list[Change] = [
    *(unknown_operator, unknown_domain, newer_operators, external_weight, no_noise, another_input),
    *(wide_energy, fixed_number, second_output, no_output, too_narrow, one_wide, other_width),
    *(absurd, not_a_number, infinite, negative, fails_when_it_runs),
]


def write(folder: Path, record: dict[str, Any], graph: bytes) -> Path:
    """Write a model whose record has the checksum of its graph; return the record's path."""
    (folder / record["graph"]).write_bytes(graph)
    path = folder / "a.json"
    path.write_bytes(as_text({**record, "sha256": hashlib.sha256(graph).hexdigest()}))
    return path


def outcome(path: Path) -> str:
    """Generate with a model; return the sentence of its refusal, or an empty text where it works."""
    try:
        showers = generate("gamma", energy=1e4, n=3, model=path)
    except (CheckpointError, InputError, CatalogError) as error:
        message = str(error)
        assert message.endswith((".", "\n")) or "\n  caloforge" in message
        assert "trained for gamma, not for gamma" not in message
        return message
    assert showers.cells.shape == (3, showers.geometry.n_cells)
    assert np.isfinite(showers.cells).all()
    return ""
