"""Results: levels, means, and the way through JSON."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from caloforge.errors import InputError
from caloforge.stages.evaluate import results
from caloforge.stages.evaluate.results import (
    IncidentRanges,
    MetricResult,
    Results,
    Settings,
    ShowerSample,
    load,
    mean,
    save,
    schema,
)


def result(value: float | None, floor: float = 0.1, error: float = 0.1, **more) -> MetricResult:
    sigma = None if value is None else (value - floor) / error
    about = {"metric": "m", "label": "a metric", "citation": "", "kind": "observable", "observable": "one"}
    numbers = (None,) * 5 if value is None else (value, error, floor, 0.01, sigma)
    fields = ("value", "error", "floor", "floor_error", "sigma")
    return MetricResult(
        **about | dict(zip(fields, numbers, strict=True)) | {"showers": 100, "repeats": 4} | more
    )


def outcome(*verdicts: MetricResult) -> Results:
    sample = ShowerSample("a.h5", "a model", 100, ("e+",), (1.0, 100.0), "calogan", {"seed": 1})
    settings = Settings(4, 1, False, 10)
    return Results(results.FORMAT, 1, "0", sample, sample, settings, (), (), verdicts, (), ())


def test_levels_follow_the_distance() -> None:
    values = {0.15: "same", 0.4: "near", 0.9: "far", None: "unknown"}
    assert {value: result(value).level for value in values} == values
    assert result(-3.0).level == "same"


def test_a_value_far_above_the_floor_that_scatters_is_not_called_the_same() -> None:
    assert result(8.0, error=6.0).level == "unsure"


def test_mean_has_the_largest_error_that_is_possible() -> None:
    one = mean([result(0.2), result(0.4), result(None)])
    assert one.value == pytest.approx(0.3)
    assert one.error == pytest.approx(0.1)
    assert one.sigma == pytest.approx(0.2 / (0.1**2 + 0.01**2) ** 0.5)
    assert "mean of 2 observables" in one.label
    assert mean([result(None, reason="too few")]).reason == "too few"


def test_better_may_be_higher() -> None:
    assert mean([result(0.05, higher=True)]).sigma > 0


def test_results_come_back_from_json(tmp_path: Path) -> None:
    one = outcome(result(0.3), result(None, reason="few"))
    save(one, tmp_path / results.NAME)
    assert load(tmp_path) == one == load(tmp_path / results.NAME)
    content = json.loads((tmp_path / results.NAME).read_text(encoding="utf-8"))
    assert [verdict["level"] for verdict in content["verdicts"]] == ["unsure", "unknown"]


def test_results_without_levels_and_copies_can_still_be_read(tmp_path: Path) -> None:
    one = outcome(result(0.3))
    content = one.to_dict()
    del content["copies"]
    for verdict in content["verdicts"]:
        del verdict["level"]
    (tmp_path / results.NAME).write_text(json.dumps(content), encoding="utf-8")
    assert load(tmp_path) == one


def test_results_without_directions_can_still_be_read(tmp_path: Path) -> None:
    ranges = IncidentRanges((0.0, 20.0), (0.0, 360.0), (-5.0, 5.0), (0.0, 0.0))
    one = outcome(result(0.3))
    new = replace(one, generated=replace(one.generated, incident=ranges))
    save(new, tmp_path / results.NAME)
    assert load(tmp_path) == new
    content = one.to_dict()
    for sample in ("reference", "generated"):
        del content[sample]["incident"]
    (tmp_path / results.NAME).write_text(json.dumps(content), encoding="utf-8")
    assert load(tmp_path) == one


def test_other_files_are_refused_in_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="can't be read"):
        load(tmp_path)
    for text, said in (
        ("x", "is not JSON"),
        ("[" * 100_000, "is not JSON"),
        ("{}", "not a result of caloforge evaluate"),
    ):
        (tmp_path / "metrics.json").write_text(text)
        with pytest.raises(InputError, match=said):
            load(tmp_path)
    content = outcome().to_dict() | {"verdicts": "many"}
    (tmp_path / "metrics.json").write_text(json.dumps(content))
    with pytest.raises(InputError, match="verdicts"):
        load(tmp_path)


def test_published_schema_is_that_of_the_results() -> None:
    assert json.loads(results.SCHEMA.read_text(encoding="utf-8")) == schema()


def test_overall_has_means_first() -> None:
    joint = replace(result(1.0), kind="joint", observable="", metric="j")
    assert [one.metric for one in outcome(joint, result(0.2), result(0.3)).overall] == ["m", "j"]


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e400", "-1e308"])
def test_numbers_that_no_evaluation_finds_are_refused(tmp_path: Path, number: str) -> None:
    text = json.dumps(outcome().to_dict() | {"version": 12.5})
    (tmp_path / "metrics.json").write_text(text.replace("12.5", number))
    with pytest.raises(InputError, match="holds a number that no evaluation finds"):
        load(tmp_path)
