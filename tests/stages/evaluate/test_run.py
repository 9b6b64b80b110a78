"""A whole evaluation: known differences are found where they are, and the page holds everything."""

from pathlib import Path

import numpy as np
import pytest

from caloforge.errors import InputError
from caloforge.formats.native import read, write
from caloforge.formats.open import open_any
from caloforge.incident.incident import Incident
from caloforge.showers import Showers
from caloforge.stages.evaluate import Evaluation, evaluate
from caloforge.stages.evaluate.report import verdict_text
from caloforge.stages.evaluate.report.figures import figures
from caloforge.stages.evaluate.results import IncidentRanges

MAIN = "separation"


def levels(evaluation: Evaluation, metric: str = MAIN) -> dict[str, str]:
    return {one.observable: one.level for one in evaluation.results.verdicts if one.metric == metric}


def test_second_sample_of_the_same_is_at_the_floor(files: Path) -> None:
    same = evaluate(files / "reference.h5", files / "same.h5", classifiers=False, repeats=4)
    assert same.results.warnings == ()
    compared = list(levels(same).values())
    assert compared.count("same") > 0.8 * len(compared)
    assert "far" not in compared


def test_shift_is_found_in_the_response_alone(shifted: Evaluation) -> None:
    found = levels(shifted)
    assert found["response"] == "far"
    assert found["layer_fraction_0"] != "far"
    assert found["shower_depth"] != "far"


def test_all_metrics_have_a_number_or_a_reason(shifted: Evaluation) -> None:
    results = shifted.results
    assert all(one.reason for one in results.verdicts if one.value is None)
    assert {one.kind for one in results.verdicts} == {"observable", "joint"}
    assert {one.what for one in results.omissions} >= {"classifiers"}
    observables = {one.name for one in results.observables}
    assert {one.observable for one in results.verdicts if one.kind == "observable"} == observables


def test_same_seed_gives_the_same_results(files: Path, shifted: Evaluation) -> None:
    again = evaluate(files / "reference.h5", files / "shifted.h5", classifiers=False, repeats=4)
    assert again.results == shifted.results


def test_few_showers_get_reasons_and_no_numbers(files: Path) -> None:
    few = evaluate(files / "reference.h5", files / "few.h5", repeats=2)
    separation = [one for one in few.results.verdicts if one.metric == MAIN]
    assert all(one.value is None and "at least" in one.reason for one in separation)
    classifiers = [one for one in few.results.verdicts if one.kind == "classifier"]
    assert classifiers
    assert all(one.value is None and one.reason for one in classifiers)
    assert "too few" in verdict_text(few.results)
    drawings = figures(few.results, few.reference, few.generated, few.observables[:1])
    assert all(draw().figures[0].axes for draw in drawings)


def test_empty_showers_are_compared_and_drawn(files: Path, make, tmp_path: Path) -> None:
    like = make(700, 6)
    write(Showers(like.geometry, like.cells * 0, Incident(like.pdg, like.energy)), tmp_path / "empty.h5")
    empty = evaluate(files / "reference.h5", tmp_path / "empty.h5", classifiers=False, repeats=2)
    assert empty.results.warnings[-1].startswith("100 % of the generated showers")
    (found,) = (
        one for one in empty.results.verdicts if one.observable == "shower_depth" and one.metric == MAIN
    )
    assert found.value == pytest.approx(1.0)
    drawn = figures(empty.results, empty.reference, empty.generated, empty.observables[:1])
    assert all(draw().figures[0].axes for draw in drawn)


def test_training_sample_shows_memorisation(files: Path) -> None:
    learned = evaluate(
        files / "reference.h5", files / "same.h5", training=files / "same.h5", classifiers=False, repeats=2
    )
    (memory,) = (one for one in learned.results.verdicts if one.kind == "memorisation")
    assert memory.level == "far"
    assert learned.memorisation is not None
    assert learned.memorisation.found
    assert learned.results.worth[0].training == 1500
    copied, remembered = learned.results.copies
    assert copied.startswith("100 % of the generated showers are copies of training showers")
    assert remembered.startswith("The training set is remembered")
    assert learned.results.warnings == learned.results.copies


def test_copies_of_the_reference_are_told_apart_from_other_warnings(files: Path) -> None:
    found = evaluate(files / "reference.h5", files / "reference.h5", classifiers=False, repeats=2).results
    (said,) = found.copies
    assert said.startswith("1,500 of 1,500 generated showers are exact copies")
    assert found.warnings == (said,)


def test_energies_can_be_matched(files: Path) -> None:
    pair = (files / "reference.h5", files / "harder.h5")
    assert any(
        "--match-energies" in one for one in evaluate(*pair, classifiers=False, repeats=2).results.warnings
    )
    matched = evaluate(*pair, classifiers=False, repeats=2, match_energies=True)
    assert matched.results.warnings == ()
    assert matched.reference.energy.min() >= 5e4


def test_one_repeat_is_refused(files: Path) -> None:
    with pytest.raises(InputError, match="2 or more"):
        evaluate(files / "reference.h5", files / "same.h5", repeats=1)


def test_directions_and_positions_are_in_the_results(files: Path, make, tmp_path: Path) -> None:
    like = make(700, 6)
    direction = np.column_stack([np.linspace(0, np.pi / 6, 700), np.full(700, -np.pi / 2)])
    incident = Incident(like.pdg, like.energy, direction, np.linspace((-2, 0), (3, 0), 700))
    write(Showers(like.geometry, like.cells, incident), tmp_path / "tilted.h5")
    found = evaluate(files / "reference.h5", tmp_path / "tilted.h5", classifiers=False, repeats=2)
    assert found.results.reference.incident == IncidentRanges((0, 0), None, (0, 0), (0, 0))
    ranges = found.results.generated.incident
    assert ranges is not None
    assert (ranges.theta_deg, ranges.phi_deg) == (pytest.approx((0, 30)), (270, 270))
    assert (ranges.eta_mm, ranges.phi_mm) == ((-2, 3), (0, 0))
    assert sum("distributed differently" in one for one in found.results.warnings) == 2


def test_showers_and_open_files_are_compared_like_files(files: Path, shifted: Evaluation) -> None:
    generated = read(files / "shifted.h5")
    with open_any(files / "reference.h5") as reference:
        found = evaluate(reference, generated, classifiers=False, repeats=4)
    assert found.results.verdicts == shifted.results.verdicts
    assert (found.results.reference.file, found.results.generated.file) == ("reference.h5", "generated")
    with pytest.raises(InputError, match="not as int"):
        evaluate(3, generated)  # type: ignore[arg-type]
    with pytest.raises(InputError, match=r"number of repeats is 2.5 \(float\)"):
        evaluate(generated, generated, repeats=2.5)  # type: ignore[arg-type]


def test_training_showers_may_be_in_memory(files: Path) -> None:
    same = read(files / "same.h5")
    learned = evaluate(read(files / "reference.h5"), same, training=same, classifiers=False, repeats=2)
    assert learned.results.worth[0].training == 1500
