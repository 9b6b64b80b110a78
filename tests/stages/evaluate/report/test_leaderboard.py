"""Generators next to each other, from their results alone."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from caloforge.errors import InputError
from caloforge.stages.evaluate import results
from caloforge.stages.evaluate.report import leaderboard
from caloforge.stages.evaluate.results import MetricResult, Results, Settings, ShowerSample, Speed

ROW = {"model": "quick", "particle": "e+", "ms": 2.0, "error": 0.1, "conditions": "batch 128, 1 thread"}


def report(name: str, value: float | None, speed: Speed | None = None) -> Results:
    known = (value, 0.1, 0.2, 0.05, 3.0) if value is not None else (None,) * 5
    verdict = MetricResult(
        "frechet", "Fréchet distance", "", "joint", "", *known, 500, 4, reason="few" * (value is None)
    )
    reference = ShowerSample("geant4.h5", "Geant4", 1000, ("e+",), (1.0, 100.0), "calogan", {})
    generated = replace(reference, source=name, file=f"{name}.h5")
    settings = Settings(4, 1, False, 10)
    return Results(
        results.FORMAT, 1, "0", reference, generated, settings, (), (), (verdict,), (), (), speed=speed
    )


def test_best_comes_first_and_those_without_a_number_last() -> None:
    every = [report("bad", 9.0), report("none", None), report("good", 0.3, Speed(0.2, None, "batch 1"))]
    lines = leaderboard.ranking(every, "frechet")
    assert [line.split()[1].rstrip(":") for line in lines] == ["good", "bad", "none"]
    assert lines[0].endswith("0.30 ± 0.10, floor 0.2 (distinguishable), 0.2 ms a shower")


def test_copies_and_doubtful_reports_come_behind_and_are_marked(tmp_path: Path) -> None:
    copied = "All are copies <&>."
    every = [
        replace(report("copied", 0.1), warnings=(copied, "Other."), copies=(copied,)),
        replace(report("doubtful", 0.2), warnings=("Energies differ.",)),
        report("honest", 9.0),
    ]
    lines = leaderboard.ranking(every, "frechet")
    assert [line.split(":")[0] for line in lines[:3]] == ["1. honest", "2. ⚠ doubtful", "3. ⚠ copied"]
    assert lines[3:] == ["⚠ doubtful: Energies differ.", f"⚠ copied: {copied}", "⚠ copied: Other."]
    leaderboard.write(tmp_path / "page.html", every, "frechet")
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert '<td class="far" title="All are copies &lt;&amp;&gt;.\nOther.">⚠ copied</td>' in page
    assert '<td class="near" title="Energies differ.">⚠ doubtful</td>' in page
    assert '<p class="warning">⚠ doubtful: Energies differ.</p>' in page
    text = (tmp_path / "page.md").read_text(encoding="utf-8")
    assert text.startswith("|  | honest | ⚠ doubtful | ⚠ copied | floor |")
    assert f"\n⚠ copied: {copied}\n" in text


def test_floors_have_a_column_a_generator_so_that_many_metrics_fit() -> None:
    metrics = [f"m{i}" for i in range(30)]
    (verdict,) = report("quick", 1.0).verdicts
    one = replace(
        report("quick", 1.0), verdicts=tuple(replace(verdict, metric=name, label=name) for name in metrics)
    )
    table = leaderboard._floors([one, one])
    assert table.head == ["floor", *["quick (quick.h5)"] * 2]
    assert [row[0] for row in table.rows] == ["reference", "its showers", *metrics]


def test_page_has_table_picture_and_doubts(tmp_path: Path) -> None:
    other = replace(report("third", 4.0), reference=replace(report("", 1.0).reference, showers=77))
    every = [
        report("quick", 2.0, Speed(0.1, 0.01, "batch 1024")),
        report("slow", 1.0, Speed(9.0, None, "")),
        other,
    ]
    leaderboard.write(tmp_path / "page.html", every, "frechet")
    text = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert text.count("<img") == 1
    assert text.index("<td>slow") < text.index("<td>quick") < text.index("<td>third")
    assert "The references differ" in text
    assert "speed of third is not known" in text
    assert (
        (tmp_path / "page.md").read_text(encoding="utf-8").startswith("|  | slow | quick | third | floor |")
    )
    assert (tmp_path / "page.png").stat().st_size > 0


def test_without_speeds_there_is_no_picture(tmp_path: Path) -> None:
    leaderboard.write(tmp_path / "page.html", [report("one", 1.0)], "frechet")
    assert "<img" not in (tmp_path / "page.html").read_text(encoding="utf-8")
    assert not (tmp_path / "page.png").exists()


def test_speeds_go_to_their_generators(tmp_path: Path) -> None:
    faster = ROW | {"ms": 0.5, "conditions": "batch 1024"}
    (tmp_path / "speed.json").write_text(
        json.dumps({"speeds": [ROW, faster, ROW | {"model": "other", "ms": 0.1}]})
    )
    rows = leaderboard.read_speeds(tmp_path / "speed.json")
    quick, slow = leaderboard.with_speeds([report("quick", 1.0), report("slow", 1.0)], rows)
    assert quick.speed == Speed(0.5, 0.1, "batch 1024")
    assert slow.speed is None


def test_mistakes_end_in_sentences(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="Did you mean 'frechet'"):
        leaderboard.ranking([report("one", 1.0)], "frechett")
    with pytest.raises(InputError, match="nothing to compare"):
        leaderboard.ranking([], "frechet")
    with pytest.raises(InputError, match="can't be read"):
        leaderboard.read_speeds(tmp_path / "none.json")
    impossible: list[object] = [ROW | {"ms": ms} for ms in ("two", 0, -1, float("inf"), None)]
    impossible += [{"ms": 1}, list(ROW), "row", ROW | {"error": "small"}, ROW | {"model": ["quick"]}]
    rows = [json.dumps({"speeds": [row]}) for row in impossible]
    for text in ("[]", "{", "[" * 100_000, '{"speeds": 1}', *rows):
        (tmp_path / "speed.json").write_text(text)
        with pytest.raises(InputError, match="holds no speeds"):
            leaderboard.read_speeds(tmp_path / "speed.json")


def test_the_simulation_has_the_speed_of_its_particle() -> None:
    rows = [
        ROW | {"model": "Geant4", "particle": name, "ms": ms} for name, ms in (("gamma", 1.0), ("e+", 300.0))
    ]
    simulation = leaderboard.simulation_speed([report("quick", 1.0)], [ROW, *rows])
    assert simulation == Speed(300.0, 0.1, ROW["conditions"])
    other = report("other", 1.0)
    other = replace(other, generated=replace(other.generated, particles=("gamma",)))
    assert leaderboard.simulation_speed([report("quick", 1.0), other], rows) is None
    assert leaderboard.simulation_speed([report("quick", 1.0)], [ROW]) is None


def test_the_picture_shows_what_classifiers_say() -> None:
    every = []
    for name in ("fast_eplus", "my_own_eplus"):
        one = report(name, 1.0, Speed(0.1, None, "batch 1"))
        (compared,) = one.verdicts
        aucs = (
            replace(compared, metric=metric, label=f"AUC, {metric}") for metric in leaderboard.CLASSIFIERS
        )
        every.append(replace(one, verdicts=(compared, *aucs)))
    axes, above = leaderboard._pareto(every, "frechet", Speed(300.0, None, "one core"))[0].axes
    assert axes.get_ylabel().startswith("AUC")
    assert [text.get_text() for text in axes.texts] == ["fast", "my own", "Geant4"]
    labels = [text.get_text() for text in axes.get_legend().get_texts()]
    assert labels[1:] == list(leaderboard.CLASSIFIERS)
    assert "faster" in above.get_xlabel()
