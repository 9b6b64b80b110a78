"""Damaged models: one that works, or one sentence."""

import json
from pathlib import Path
from typing import Any

import onnx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from caloforge.errors import CheckpointError
from caloforge.geometry import Calorimeter
from caloforge.inference import zoo
from caloforge.inference.record import read_record
from caloforge.inference.shipped import known, refusal
from caloforge.stages.generate import generate
from tests import small_weights
from tests.inference import damage

Model = tuple[dict[str, Any], onnx.ModelProto]
quick = settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture(scope="module")
def sound(small: Calorimeter, tmp_path_factory: pytest.TempPathFactory) -> Model:
    """Return the record and the graph of a model."""
    path = small_weights.write(tmp_path_factory.mktemp("sound") / "a.json", small)
    return json.loads(path.read_text()), onnx.load(path.with_suffix(".onnx"))


@given(data=st.data())
@quick
def test_a_damaged_record_is_refused_or_works(data: st.DataObject, sound: Model, tmp_path: Path) -> None:
    record, graph = sound
    path = damage.write(tmp_path, record, graph.SerializeToString())
    path.write_bytes(data.draw(damage.records(json.loads(path.read_text()))))
    damage.outcome(path)


@given(data=st.data())
@quick
def test_a_damaged_graph_with_a_right_checksum_is_refused_or_works(
    data: st.DataObject, sound: Model, tmp_path: Path
) -> None:
    record, graph = sound
    damage.outcome(damage.write(tmp_path, record, data.draw(damage.graphs(graph))))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (damage.unknown_operator, "onnxruntime does not accept it .*Fantasy"),
        (damage.unknown_domain, "onnxruntime does not accept it .*org.example"),
        (damage.newer_operators, "onnxruntime does not accept it"),
        (damage.external_weight, "onnxruntime does not accept it .*External data"),
        (damage.no_noise, "takes no input named 'noise'"),
        (damage.another_input, "takes an input 'mass'; known are: noise, energy"),
        (damage.wide_energy, r"'energy' is tensor\(float\) of shape \('n', 3\) instead of .* shape \(N\)"),
        (damage.fixed_number, r"'noise' is tensor\(uint8\) of shape \(7, 61\) instead of .* shape \(N, 61\)"),
        (damage.second_output, "has 2 outputs"),
        (damage.no_output, "onnxruntime does not accept it|has 0 outputs"),
        (damage.too_narrow, r"cells of shape \(16, 3\)"),
        (damage.one_wide, r"cells of shape \(16, 1\)"),
        (damage.other_width, r"'cells' is .* of shape \('n', 3\) instead of .* shape \(N, 32\)"),
        (damage.absurd, r"a can't be trusted: shower 0 of seed 1 holds 3.2e\+04 GeV"),
        (damage.not_a_number, "a can't be trusted: .* nan GeV"),
        (damage.infinite, "a can't be trusted: .* -inf GeV"),
        (damage.negative, "a can't be trusted: .* lowest cell -0.001 GeV"),
        (damage.fails_when_it_runs, "fails when it runs"),
    ],
)
def test_what_is_said_of_a_graph(change, words: str, sound: Model, tmp_path: Path, capfd) -> None:
    record, graph = sound
    with pytest.raises(CheckpointError, match=words):
        generate(
            "gamma", energy=1e4, n=3, model=damage.write(tmp_path, record, damage.changed(graph, change))
        )
    assert capfd.readouterr() == ("", "")


def test_no_other_file_becomes_a_weight(
    sound: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    record, graph = sound
    path = damage.write(tmp_path, record, damage.changed(graph, damage.external_weight))
    (tmp_path / "weight.bin").write_bytes(bytes(61 * 32))  # next to the graph, and where the process runs
    monkeypatch.chdir(tmp_path)
    assert "can't be used as a model" in damage.outcome(path)


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("graph", "../a.onnx", "'graph' must be the bare name of a file"),
        ("graph", "..", "'graph' must be the bare name"),
        ("graph", "a\0.onnx", "'graph' must be the bare name"),
        ("graph", "", "'graph'"),
        ("graph", "b.onnx", r"b\.onnx is missing"),
        ("graph", ["a.onnx"], "'graph'"),
        ("sha256", "A" * 64, "'sha256'"),
        ("pdg", [], "'pdg'"),
        ("pdg", 22, "'pdg'"),
        ("pdg", ["22"], r"'pdg\.0' should be a valid integer \(found '22'\)"),
        ("pdg", [22.0], r"'pdg\.0'"),
        ("pdg", [22, 22], "each particle once"),
        ("pdg", [123456], "known particle"),
        ("pdg", [22, 10**30], "known particle"),
        ("energy_range_GeV", [-5, 1e9], r"'energy_range_GeV\.0' should be greater than 0"),
        ("energy_range_GeV", [1, 1e9], r"'energy_range_GeV\.1' should be less than 1000000"),
        ("energy_range_GeV", [100, 1], "ascend"),
        ("energy_range_GeV", [1, float("nan")], "finite"),
        ("energy_range_GeV", [1, 10, 100], "'energy_range_GeV'"),
        ("energy_range_GeV", ["1", "100"], "'energy_range_GeV.0'"),
        ("noise_size", 0, "'noise_size'"),
        ("noise_size", -5, "'noise_size'"),
        ("noise_size", 61.0, "'noise_size'"),
        ("noise_size", True, "'noise_size'"),
        ("noise_size", 10**8, "'noise_size'"),
        ("noise_size", 60, r"'noise' is .* shape \('n', 61\) instead of .* shape \(N, 60\)"),
        ("noise", "normal", r"'noise' is tensor\(uint8\) .* instead of tensor\(float\)"),
        ("noise", ["bytes"], "needs the noise"),
        ("runtime", {}, "needs the runtime"),
        ("geometry", {}, "'geometry'"),
        ("geometry", "calogan", "'geometry'"),
        ("direction_range_deg", [[0, 95], [0, 0]], "'direction_range_deg.0.1'"),
        ("direction_range_deg", [[0, 0]], "'direction_range_deg"),
        ("direction_range_deg", [[5, 0], [0, 0]], "ascend"),
        ("position_range_mm", [[0, 1e9], [0, 0]], "'position_range_mm.0.1'"),
        ("data", [{"showers": "many"}], "'data.0.showers'"),
        ("plan", {"epochs": "many"}, "'plan.epochs'"),
        ("speed", {"us_per_shower": 3}, "'speed.us_per_shower'"),
        ("fidelity", {"auc": [1]}, "'fidelity.auc'"),
        ("surroundings", [], "'surroundings'"),
    ],
)
def test_what_is_said_of_a_record(key: str, value: Any, words: str, sound: Model, tmp_path: Path) -> None:
    record, graph = sound
    path = damage.write(tmp_path, record, graph.SerializeToString())
    path.write_text(json.dumps(json.loads(path.read_text()) | {key: value}))
    with pytest.raises(CheckpointError, match=words):
        generate("gamma", energy=1e4, model=path)


@pytest.mark.parametrize(
    "text",
    ["[" * 100_000, '{"graph":' * 100_000, '"' + "a" * 11_000_000 + '"', '{"graph": "\\ud800"}', "9" * 5000],
)
def test_impossible_json_is_not_a_record(text: str, tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(CheckpointError, match="not the record of a trained model"):
        generate("gamma", energy=1e4, model=tmp_path / "a.json")


@pytest.mark.parametrize("name", zoo.names())
def test_sound_records_are_read_as_they_are(name: str) -> None:
    path = zoo.locate(name)
    assert read_record(path) == json.loads(path.read_text())


def test_unknown_keys_are_kept(sound: Model, tmp_path: Path) -> None:
    record, graph = sound
    path = damage.write(tmp_path, {**record, "licence": ["MIT"]}, graph.SerializeToString())
    assert damage.outcome(path) == ""


def test_damaged_records_of_a_folder_do_not_spoil_the_others(
    sound: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    record, graph = sound
    damage.write(tmp_path, record, graph.SerializeToString())
    (tmp_path / "deep.json").write_text("[" * 100_000)
    (tmp_path / "wrong.json").write_text(json.dumps({**record, "pdg": [123456]}))
    monkeypatch.setenv("CALOFORGE_MODELS", str(tmp_path))
    found = known()
    assert "a" in found
    assert not {"deep", "wrong"} & found.keys()
    assert "nearest is a: gamma in small" in refusal(2112, "small", found, ())
