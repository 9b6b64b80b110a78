"""The records of trained models: the largest allowed values are accepted, and the next ones refused."""

import json
import math
from pathlib import Path
from typing import Any

import pytest

from caloforge.errors import CheckpointError
from caloforge.geometry import Calorimeter
from caloforge.inference.record import read_json, read_record
from tests import small_weights

LARGEST = 10_000_000
MUCH = math.nextafter(1e6, 0)


@pytest.fixture
def path(tmp_path: Path, small: Calorimeter) -> Path:
    """Return the path of a record."""
    return small_weights.write(tmp_path / "a.json", small)


def edit(path: Path, key: str, value: Any) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | {key: value}))


@pytest.mark.parametrize(
    ("key", "allowed", "refused"),
    [
        ("graph", "a" * 200, "a" * 201),
        ("graph", "a model.onnx", "a\nmodel.onnx"),
        ("sha256", "0123456789abcdef" * 4, "0123456789abcdef" * 4 + "0"),
        ("sha256", "f" * 64, "f" * 63),
        ("sha256", "f" * 64, "f" * 64 + "\n"),
        ("pdg", [22], []),
        ("pdg", [22, -11], [22, -11, 22]),
        ("energy_range_GeV", [5e-324, 1.0], [0.0, 1.0]),
        ("energy_range_GeV", [1.0, MUCH], [1.0, 1e6]),
        ("energy_range_GeV", [1.0, 1.0], [math.nextafter(1, 2), 1.0]),
        ("noise_size", 1, 0),
        ("noise_size", 10_000_000, 10_000_001),
        ("data", [], None),
        ("data", [{"showers": 0}], [{"showers": -1}]),
        ("direction_range_deg", [[0.0, 90.01], [0.0, 0.0]], [[0.0, 90.02], [0.0, 0.0]]),
        ("direction_range_deg", [[0.0, 90.0], [0.0, 0.0]], [[-0.001, 90.0], [0.0, 0.0]]),
        ("direction_range_deg", [[0.0, 0.0], [-360.01, 360.01]], [[0.0, 0.0], [-360.02, 360.0]]),
        ("direction_range_deg", [[5.0, 5.0], [7.0, 7.0]], [[0.0, 0.0], [-360.0, 360.02]]),
        ("direction_range_deg", [[5.0, 5.0], [7.0, 8.0]], [[5.0, 5.0], [8.0, 7.0]]),
        ("position_range_mm", [[-1e5, 1e5], [3.0, 3.0]], [[-100_000.5, 0.0], [3.0, 3.0]]),
        ("position_range_mm", [[3.0, 3.0], [-1e5, 1e5]], [[3.0, 3.0], [0.0, 100_000.5]]),
        ("position_range_mm", [[3.0, 3.0], [3.0, 4.0]], [[3.0, 3.0], [4.0, 3.0]]),
        ("preferred", True, "yes"),
        ("chosen", "best", "worst"),
        ("chosen", "last", None),
        ("plan", {"epochs": 1}, {"epochs": 0}),
        ("plan", {"epochs": None}, {"epochs": 1.5}),
        ("quality", None, 1),
        ("fidelity", {"auc": {"cells": {"value": 0.5, "error": 0.1}}}, {"auc": {"cells": {"value": 0.5}}}),
        ("fidelity", {"separation": {"value": 1, "floor": 1}}, {"separation": {"value": 1}}),
        ("speed", {"us_per_shower": {"value": 3.5}}, {"us_per_shower": {}}),
    ],
)
def test_values_are_accepted_up_to_their_limits(path: Path, key: str, allowed: Any, refused: Any) -> None:
    edit(path, key, allowed)
    assert read_record(path)[key] == allowed
    edit(path, key, refused)
    with pytest.raises(CheckpointError, match=rf"not a usable record of a trained model: (the key )?'{key}"):
        read_record(path)


@pytest.mark.parametrize(
    "key", ["sha256", "pdg", "geometry", "energy_range_GeV", "noise_size", "model", "data"]
)
def test_a_missing_key_is_named(path: Path, key: str) -> None:
    record = json.loads(path.read_text())
    del record[key]
    path.write_text(json.dumps(record))
    with pytest.raises(CheckpointError, match=f": the key '{key}' is missing. Get the model again"):
        read_record(path)


def test_without_its_graph_it_is_no_record(path: Path) -> None:
    for content in ({}, [], ["graph"], "graph"):
        path.write_text(json.dumps(content))
        with pytest.raises(CheckpointError, match="is not the record of a trained model"):
            read_record(path)


def test_a_missing_record_is_told(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"none\.json is missing or can't be read \(No such file"):
        read_record(tmp_path / "none.json")


def test_what_a_newer_caloforge_needs_is_named(path: Path) -> None:
    """Whatever else is wrong: the newer one may know it."""
    record = json.loads(path.read_text()) | {"pdg": "all"}
    for key in ("noise", "runtime"):
        path.write_text(json.dumps(record | {key: "quanta"}))
        with pytest.raises(CheckpointError, match=f"needs the {key} 'quanta', .* install a newer caloforge"):
            read_record(path)


def test_a_file_is_read_up_to_its_largest_size(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_bytes(b"7" + b" " * (LARGEST - 1))
    assert read_json(path) == 7
    path.write_bytes(b"7" + b" " * LARGEST)
    assert read_json(path) is None
